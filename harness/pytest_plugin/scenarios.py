"""Scenarios as pytest items, and the scenario of a marked test."""

import secrets
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from certs.errors import ConfigError
from harness.evidence.result import RunResult
from harness.evidence.terminal import SilentReporter
from harness.expectations import describe_verdict, explanation_lines
from harness.pytest_plugin.evidence import runs_folder
from harness.running.discovery import Catalogue, discover
from harness.running.runner import RunOptions, run_scenario
from harness.running.steps import Outcome
from harness.scenario import Scenario


class ScenarioDidNotPass(Exception):  # noqa: N818 - what happened
    """A scenario failed or could not run; its text is for the terminal."""

    def __init__(self, result: RunResult) -> None:
        super().__init__(describe_result(result))


class ScenarioItem(pytest.Item):
    """One scenario as a test. It runs on a lab and an event loop of its own."""

    def __init__(self, *, catalogue: Catalogue, scenario_name: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._catalogue = catalogue
        self._scenario_name = scenario_name
        self.add_marker(pytest.mark.scenario(scenario_name))

    def runtest(self) -> None:
        """Run it. Raises ScenarioDidNotPass."""
        result = run(self.config, self._catalogue.load(self._scenario_name))
        describe_in_junit(self, result)
        if result.outcome is not Outcome.PASSED:
            raise ScenarioDidNotPass(result)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Show what differs and the remedy instead of a traceback of the runner."""
        if isinstance(excinfo.value, ScenarioDidNotPass | ConfigError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Name the file and the scenario."""
        return self.path, None, f"scenario {self._scenario_name}"


class ScenarioFile(pytest.File):
    """A file of somebody's own that declares one scenario."""

    def collect(self) -> Iterator[pytest.Item]:
        """Yield the scenario."""
        catalogue = discover(self.path.parent)
        name = self.path.stem.replace("_", "-")
        yield ScenarioItem.from_parent(self, name=name, catalogue=catalogue, scenario_name=name)


class ShippedScenarios(pytest.Collector):
    """The scenarios that the harness ships, wherever it is installed."""

    def collect(self) -> Iterator[pytest.Item]:
        """Yield one item a scenario; nothing of them is imported yet."""
        catalogue = discover()
        for name, path in catalogue.files.items():
            yield ScenarioItem.from_parent(
                self, name=name, path=path, catalogue=catalogue, scenario_name=name
            )


def run(config: pytest.Config, scenario: Scenario) -> RunResult:
    """Run a scenario in a thread; its evidence goes where the options say.

    A thread, because the runner's event loop would take the place of one that another plugin has set in this one.
    """
    options = RunOptions(runs=runs_folder(config), seed=secrets.randbelow(2**31))
    future: Future[RunResult] = Future()

    def work() -> None:
        try:
            future.set_result(run_scenario(scenario, options, SilentReporter()))
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=work, name=f"scenario {scenario.name}", daemon=True).start()
    return future.result()


def run_marked(item: pytest.Function, marker: pytest.Mark) -> RunResult:
    """Run the scenario that a test is marked with, and return its result, passed or not.

    Raises pytest.UsageError where the marker names no scenario.
    """
    names = [*marker.args, *marker.kwargs.values()]
    if len(names) != 1:
        raise pytest.UsageError(f"{item.nodeid}: @pytest.mark.scenario takes one name")
    try:
        scenario = _find(item.config, str(names[0]))
    except ConfigError as error:
        raise pytest.UsageError(f"{item.nodeid}: {error}") from None
    result = run(item.config, scenario)
    describe_in_junit(item, result)
    return result


def _find(config: pytest.Config, name: str) -> Scenario:
    """Load a scenario of `imp_scenario_paths`, or one that is shipped. Raises ConfigError where there is none."""
    for folder in config.getini("imp_scenario_paths"):
        catalogue = discover(folder)
        if name in catalogue.names:
            return catalogue.load(name)
    return discover().load(name)


def require_passed(result: RunResult) -> None:
    """Fail the test that runs where a scenario did not pass."""
    if result.outcome is not Outcome.PASSED:
        pytest.fail(describe_result(result), pytrace=False)


def describe_in_junit(item: pytest.Item, result: RunResult) -> None:
    """Add what a CI server shows beside a test: its clauses and its folder."""
    item.user_properties += [
        ("imp_scenario", result.name),
        ("imp_clauses", " ".join(result.covers)),
        ("imp_evidence", result.folder),
    ]


def describe_result(result: RunResult) -> str:
    """Return why a scenario did not pass: the step, the difference, the remedy, the refusals, the folder."""
    lines = [f"scenario {result.name} {result.outcome}: {result.title}"]
    lines += [f"  [{step.outcome or 'cut short'}] {step.title}" for step in result.steps]
    failure = result.failure
    if failure is not None:
        lines += [failure.message, *failure.difference.splitlines()]
        lines += [f"remedy: {failure.remedy}"] if failure.remedy else []
        lines += failure.details.splitlines()
    for judged in [each for each in result.verdicts if not each.verdict.accepted][-5:]:
        lines.append(f"{judged.node} {judged.service}: {describe_verdict(judged.verdict)}")
        lines += [f"    {line}" for line in explanation_lines(judged.verdict)]
    lines.append(f"evidence: {result.folder}")
    return "\n".join(lines)
