"""The labs of one pytest session: brought up when first asked for, taken down at the end."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from certs.errors import ConfigError
from harness.plan.lab_file import LabFile, load_lab_file, load_topology, topologies
from harness.pytest_plugin.background import BackgroundLab
from harness.pytest_plugin.certificates import LabCertificates


@dataclass(frozen=True, slots=True, kw_only=True)
class LabChoice:
    """Which lab a test wants; what the marker `imp_lab` says, or the option, or the ini file."""

    source: str
    "A built-in topology's name, or the path of a lab file."

    fresh: bool = False
    "A lab for this test alone, which it may change."

    exchanged: bool = True
    "Whether certificates are exchanged and a test client let in, or the nodes are as installed."


@dataclass(frozen=True, slots=True)
class RunningLab:
    """A lab that is up, and its certificate files."""

    background: BackgroundLab
    "The lab."

    certs: LabCertificates
    "Its files."


class LabPool:
    """One lab for each choice, shared by all tests that make it."""

    def __init__(self, make_folder: Callable[[], Path], root: Path) -> None:
        self._make_folder = make_folder
        self._root = root
        self._labs: dict[LabChoice, RunningLab] = {}

    def get(self, choice: LabChoice) -> RunningLab:
        """Return the shared lab of a choice. Raises ConfigError, ServiceFailed where it cannot come up."""
        if choice not in self._labs:
            self._labs[choice] = self.start(choice)
        return self._labs[choice]

    def start(self, choice: LabChoice) -> RunningLab:
        """Bring a lab up; who called stops it. Raises ConfigError, ServiceFailed where it cannot come up."""
        lab_file = load_choice(choice.source, self._root)
        background = BackgroundLab.start(lab_file, self._make_folder(), exchanged=choice.exchanged)
        return RunningLab(background, LabCertificates(background))

    def close(self) -> None:
        """Take all shared labs down."""
        for running in self._labs.values():
            running.background.stop()
        self._labs.clear()


def load_choice(source: str, root: Path) -> LabFile:
    """Load a built-in topology by its name, or a lab file by its path below a folder.

    Raises ConfigError where there is neither.
    """
    path = root / source
    if path.suffix == ".toml" or path.is_file():
        if not path.is_file():
            raise ConfigError(
                f"{path} is no lab file; a path is relative to pytest's rootdir, and the built-in topologies are "
                f"{', '.join(topologies())}"
            )
        return load_lab_file(path)
    return load_topology(source)
