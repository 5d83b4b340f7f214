"""Where running labs are found: a folder of this user with one folder a lab, its description and control socket."""

import os
import shutil
import socket
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from certs.errors import ConfigError
from harness.endpoint.description import LabDescription, read_description
from harness.near_matches import did_you_mean

DESCRIPTION: Final = "lab.json"
"The name of the description file."

CONTROL: Final = "control.sock"
"The name of the control socket."

FOLDER_VARIABLE: Final = "IMP_HARNESS_RUNTIME"
"Names another folder than the user's runtime directory."

LAB_VARIABLE: Final = "IMP_HARNESS_LAB"
"Names the lab that commands speak to, where several run."

_MAXIMUM_SOCKET_PATH: Final = 107  # sun_path of unix(7), without the ending NUL

NO_LAB: Final = "no lab runs; start one with `imp-harness up` or `imp-harness up --detach`"


def runtime_folder() -> Path:
    """Return the folder of this user's running labs, and make it.

    Raises ConfigError where it belongs to somebody else or others may enter it.
    """
    named = os.environ.get(FOLDER_VARIABLE)
    if named:
        folder = Path(named)
    elif runtime := os.environ.get("XDG_RUNTIME_DIR"):
        folder = Path(runtime) / "imp-harness"
    else:
        folder = Path(tempfile.gettempdir()) / f"imp-harness-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.lstat()
    except OSError as error:
        raise ConfigError(
            f"{folder} cannot be made: {error.strerror}; name one in {FOLDER_VARIABLE}"
        ) from error
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise ConfigError(
            f"{folder} must be a folder of yours that nobody else may enter (mode 0700); "
            f"name another in {FOLDER_VARIABLE}"
        )
    return folder


@contextmanager
def lab_folder(lab_id: str) -> Iterator[Path]:
    """Make the folder of a lab that comes up, and remove it when the lab is gone.

    Raises ConfigError where its control socket would have too long a path.
    """
    folder = runtime_folder() / lab_id
    length = len(os.fsencode(folder / CONTROL))
    if length > _MAXIMUM_SOCKET_PATH:
        raise ConfigError(
            f"{folder / CONTROL} has {length} bytes, a socket's path may have {_MAXIMUM_SOCKET_PATH}; "
            f"name a shorter folder in {FOLDER_VARIABLE}"
        )
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def running_labs() -> tuple[LabDescription, ...]:
    """Return the labs of this user that run, the oldest first; what a killed one left behind is removed."""
    found = []
    for path in runtime_folder().glob(f"*/{DESCRIPTION}"):
        if _answers(path.parent / CONTROL):
            found.append(read_description(path))
        else:
            shutil.rmtree(path.parent, ignore_errors=True)
    return tuple(sorted(found, key=lambda each: each.started_at))


def find_lab(name: str | None = None) -> LabDescription:
    """Return the running lab of an id, a name, a run folder or a state folder; without one, the only one.

    Raises ConfigError where none or more than one is meant.
    """
    name = name or os.environ.get(LAB_VARIABLE)
    labs = running_labs()
    if not labs:
        raise ConfigError(NO_LAB)
    if name is None:
        meant = labs
    else:
        meant = tuple(lab for lab in labs if name == lab.id) or tuple(
            lab for lab in labs if name == lab.name or Path(name).absolute() in (lab.folder, lab.state)
        )
    ids = [lab.id for lab in labs]
    if not meant:
        assert name is not None
        raise ConfigError(
            f"no lab that runs is called {name!r}{did_you_mean(name, ids)}; running: {', '.join(ids)}"
        )
    if len(meant) > 1:
        raise ConfigError(f"several labs run: {', '.join(lab.id for lab in meant)}; name one with --lab")
    return meant[0]


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(1.0)
        try:
            connection.connect(str(path))
        except OSError:
            return False
    return True
