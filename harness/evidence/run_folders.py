"""Finds a run's folder by what a person calls it."""

from pathlib import Path

from certs.errors import ConfigError
from harness.near_matches import did_you_mean

EVENTS = "events.jsonl"


def find_events(runs: Path, run: str | None) -> Path:
    """Return the events file of a run: by folder, by file, by the scenario's name, or of the last run.

    Raises ConfigError where there is none.
    """
    if run is not None:
        for path in (Path(run), Path(run) / EVENTS, runs / run / EVENTS):
            if path.is_file():
                return path
    found = sorted(runs.glob(f"*/{EVENTS}"), key=lambda path: (path.stat().st_mtime, path))
    if run is not None:
        names = {_scenario(path) for path in found}
        found = [path for path in found if _scenario(path) == run]
        if not found:
            raise ConfigError(
                f"no run {run!r} in {runs}{did_you_mean(run, sorted(names))}; "
                "name a run folder, or run it: imp-harness scenario run NAME"
            )
    if not found:
        raise ConfigError(f"{runs} holds no run yet; make one: imp-harness scenario run NAME")
    return found[-1]


def _scenario(path: Path) -> str:
    """Return what a run folder is called behind its time: a scenario, or a lab."""
    name = path.parent.name.partition("-")[2]
    head, _, number = name.rpartition("-")
    return head if head and number.isdigit() else name
