"""What a person at a terminal sees of a run; colour only on a terminal."""

import sys
from collections import Counter
from typing import TextIO

from rich.console import Console
from rich.markup import escape

from certs.verdict import Reason
from harness.evidence.ledger import Entry, Judged
from harness.evidence.result import JudgedPeer, RunResult
from harness.expectations import describe_verdict, explanation_lines
from harness.running.steps import Outcome, Step
from harness.scenario import Scenario

_MARKS = {
    Outcome.PASSED: "[green]✔[/]",
    Outcome.FAILED: "[red]✘[/]",
    Outcome.ERROR: "[red]![/]",
    None: "[yellow]…[/]",
}


class TerminalReporter:
    """Writes a run as it goes."""

    def __init__(self, *, imports_seconds: float, stream: TextIO | None = None) -> None:
        self._console = Console(file=stream or sys.stdout, highlight=False, soft_wrap=True)
        self._imports_seconds = imports_seconds

    def scenario_began(self, scenario: Scenario) -> None:
        """Name the scenario."""
        clauses = ", ".join(scenario.covers)
        self._console.print(f"[bold]{escape(scenario.name)}[/]  {escape(scenario.title)} ({clauses})")

    def lab_is_up(self, nodes: int, seconds: float) -> None:
        """Say how fast the lab was."""
        self._console.print(
            f"  lab of {nodes} nodes up in {seconds * 1000:.0f} ms "
            f"(imports of Python took {self._imports_seconds * 1000:.0f} ms)"
        )

    def step_began(self, step: Step) -> None:
        """Show on a terminal what is being done."""
        if self._console.is_terminal:
            self._console.print(f"  … {escape(step.title)}", end="\r")

    def step_ended(self, step: Step) -> None:
        """Show how it ended, and what was seen."""
        milliseconds = step.duration * 1000
        self._console.print(f"  {_MARKS[step.outcome]} {escape(step.title)} [dim]{milliseconds:.0f} ms[/]")
        for detail in step.details:
            self._console.print(f"      [dim]{escape(detail)}[/]")

    def scenario_ended(self, result: RunResult) -> None:
        """Show verdicts, outcome and, if it did not pass, reason and remedy."""
        refused = [judged for judged in result.verdicts if not judged.verdict.accepted]
        accepted = len(result.verdicts) - len(refused)
        self._console.print(f"  verdicts: {accepted} accepted, {len(refused)} refused")
        groups = Counter((judged.node, judged.service, judged.verdict.reason) for judged in refused)
        for judged in refused:
            # The first of a kind explains itself; the others are in events.jsonl.
            if count := groups.pop((judged.node, judged.service, judged.verdict.reason), 0):
                self._print_refusal(judged, count)
        failure = result.failure
        if failure is not None:
            self._console.print(f"  [red bold]{escape(failure.message)}[/]")
            for line in failure.difference.splitlines():
                self._console.print(f"      {escape(line)}")
            if failure.remedy:
                self._console.print(f"  remedy: {escape(failure.remedy)}")
            for line in failure.details.splitlines():
                self._console.print(f"      [dim]{escape(line)}[/]")
        mark, outcome = _MARKS[result.outcome], result.outcome
        self._console.print(
            f"{mark} {escape(result.name)} {outcome} in {result.duration:.2f} s; "
            f"evidence: {escape(result.folder)}\n"
        )

    def _print_refusal(self, judged: JudgedPeer, count: int) -> None:
        verdict = judged.verdict
        self._console.print(
            f"    [yellow]✘[/] {judged.node} {judged.service}: {escape(describe_verdict(verdict))} "
            f"[dim]({verdict.clause})[/]{f' and {count - 1} more' if count > 1 else ''}"
        )
        # The end that judged knows the remedy; the one that got the alert only knows that it was refused.
        if verdict.reason is not Reason.PEER_ALERT:
            for line in explanation_lines(verdict):
                self._console.print(f"        [dim]{escape(line)}[/]")


def print_judged(console: Console, entry: Entry) -> None:
    """Print a verdict with its time, peer and, of a refusal, rule and remedy; nothing of other entries."""
    if not isinstance(entry, Judged):
        return
    verdict, connection = entry.verdict, entry.connection
    mark = _MARKS[Outcome.PASSED if verdict.accepted else Outcome.FAILED]
    console.print(
        f"{entry.at:%H:%M:%S} {mark} {connection.node}:{connection.local[1]} from "
        f"{connection.peer[0]}:{connection.peer[1]}: {escape(describe_verdict(verdict))}"
    )
    if not verdict.accepted:
        for line in explanation_lines(verdict):
            console.print(f"      [dim]{escape(line)}[/]")


class SilentReporter:
    """Says nothing: for `--json`, and for runs beside others."""

    def scenario_began(self, scenario: Scenario) -> None:
        """Say nothing."""

    def lab_is_up(self, nodes: int, seconds: float) -> None:
        """Say nothing."""

    def step_began(self, step: Step) -> None:
        """Say nothing."""

    def step_ended(self, step: Step) -> None:
        """Say nothing."""

    def scenario_ended(self, result: RunResult) -> None:
        """Say nothing."""
