"""A node's folder: one process at a time uses it, and recovery empties it."""

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from certs.errors import ConfigError
from certs.storage import make_directory
from harness.evidence.ledger import Ledger

EVENTS: Final = "events.jsonl"
"What happened on the node's sockets, written when its process ends."

EVENTS_BEFORE: Final = "events-before.jsonl"
"That of the process before."

_LOCK: Final = "node.lock"


@contextmanager
def hold_folder(directory: Path) -> Iterator[None]:
    """Keep another process out of a node's folder; the kernel lets go of the lock when this one ends.

    Raises ConfigError where a process has it.
    """
    make_directory(directory)
    with (directory / _LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(
                f"{directory} belongs to a node that runs; name another folder, or end it"
            ) from None
        yield


def recover(directory: Path) -> int:
    """Install a node anew, as the recovery CD does (G27): nothing of it is left; return how many files went.

    Its next boot makes new certificates, and is not in FIPS mode. Raises ConfigError where the node runs, or was
    never there.
    """
    if not directory.is_dir():
        raise ConfigError(f"{directory}: there is no node")
    with hold_folder(directory):
        files = [path for path in directory.rglob("*") if path.is_file() and path.name != _LOCK]
        for path in directory.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name != _LOCK:
                path.unlink()
    return len(files)


def write_events(directory: Path, ledger: Ledger) -> None:
    """Write a process's evidence, and keep that of the process before."""
    events = directory / EVENTS
    if events.exists():
        events.replace(directory / EVENTS_BEFORE)
    ledger.write(events)
