"""Finds scenarios: one file each in the package `scenarios`, or in a folder of somebody else's."""

import importlib
import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path

from certs.errors import ConfigError
from harness.near_matches import did_you_mean, nearest
from harness.scenario import Scenario

PACKAGE = "scenarios"
"The folder of the scenarios that are shipped."


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The scenarios of one folder, by name; nothing is imported before it is asked for."""

    files: dict[str, Path]
    "Where each scenario is, in the order of names."

    package: str | None
    "The package the files belong to; None for a folder of somebody else's."

    @property
    def names(self) -> list[str]:
        """All names, sorted."""
        return list(self.files)

    def check(self, name: str) -> Path:
        """Return the file of a scenario.

        Raises ConfigError where there is none of this name; it names near ones.
        """
        path = self.files.get(name)
        if path is None:
            hint = did_you_mean(name, self.names) or f"; nearest are {', '.join(nearest(name, self.names))}"
            raise ConfigError(f"no scenario is called {name!r}{hint}; `imp-harness scenario list` shows all")
        return path

    def load(self, name: str) -> Scenario:
        """Import a scenario.

        Raises ConfigError where there is none of this name, or its file declares another.
        """
        path = self.check(name)
        module = self._import(path)
        declared = [value for value in vars(module).values() if isinstance(value, Scenario)]
        if [found.name for found in declared] != [name]:
            raise ConfigError(
                f"{path}: expected one scenario called {name!r}, found "
                f"{', '.join(found.name for found in declared) or 'none'}"
            )
        return declared[0]

    def _import(self, path: Path) -> object:
        if self.package is not None:
            return importlib.import_module(f"{self.package}.{path.stem}")
        module_name = f"outside_scenario_{path.stem}"
        spec = importlib.util.spec_from_file_location(module_name, path)
        if spec is None or spec.loader is None:
            raise ConfigError(f"{path} cannot be imported")
        module = importlib.util.module_from_spec(spec)
        sys.modules[module_name] = module
        spec.loader.exec_module(module)
        return module


def discover(folder: Path | None = None) -> Catalogue:
    """Return the scenarios of a folder, or those that are shipped.

    Raises ConfigError where the folder is not there.
    """
    if folder is None:
        specification = importlib.util.find_spec(PACKAGE)
        assert specification is not None
        assert specification.submodule_search_locations is not None
        return Catalogue(_files(Path(specification.submodule_search_locations[0])), PACKAGE)
    if not folder.is_dir():
        raise ConfigError(f"{folder} is no folder of scenarios")
    return Catalogue(_files(folder), None)


def _files(folder: Path) -> dict[str, Path]:
    paths = sorted(path for path in folder.glob("*.py") if not path.name.startswith("_"))
    return {path.stem.replace("_", "-"): path for path in paths}
