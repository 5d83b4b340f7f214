"""Runs a scenario on a lab of its own and leaves its evidence in a folder."""

import asyncio
import json
import time
import traceback
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from certs.errors import HarnessError, ScenarioFailed
from certs.storage import write_atomically
from harness.event_loop import event_loop_factory
from harness.evidence.capture.recorder import WireRecorder
from harness.evidence.capture.trace import finish_trace
from harness.evidence.junit import encode_junit
from harness.evidence.ledger import Judged, Ledger, encode_entry
from harness.evidence.report.page import REPORT, render_report
from harness.evidence.result import Failure, JudgedPeer, RunResult
from harness.lab import Lab
from harness.plan.lab_file import load_topology
from harness.running.steps import Outcome, Step, Steps
from harness.scenario import Scenario, ScenarioRun
from proxies.clock import LoopClock


class Reporter(Protocol):
    """Is told how a run goes while it goes."""

    def scenario_began(self, scenario: Scenario) -> None:
        """A scenario begins: its lab comes up now."""
        ...

    def lab_is_up(self, nodes: int, seconds: float) -> None:
        """All nodes are up."""
        ...

    def step_began(self, step: Step) -> None:
        """A step begins."""
        ...

    def step_ended(self, step: Step) -> None:
        """A step ended."""
        ...

    def scenario_ended(self, result: RunResult) -> None:
        """A scenario ended and its evidence is written."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """How scenarios are run."""

    runs: Path
    "The folder of run folders."

    loop: str = "uvloop"
    "`uvloop`, or `asyncio` for Python's own loop."

    seed: int = 0
    "The seed of the run's chance."

    trace: bool = True
    "Whether to capture what crosses the sockets, in `trace.pcapng`."

    secrets: bool = True
    "Whether the capture holds the TLS secrets that decrypt it."


def run_scenario(scenario: Scenario, options: RunOptions, reporter: Reporter) -> RunResult:
    """Run a scenario on an event loop of its own and write its evidence.

    What goes wrong is in the result. Only KeyboardInterrupt gets out, after the evidence is written.
    """
    run = _Run(scenario, options, reporter)
    try:
        _run_on_loop(run.execute(), options.loop)
    except KeyboardInterrupt:
        run.fail(Outcome.ERROR, Failure(message="interrupted"))
        run.write()
        raise
    return run.write()


def _run_on_loop(main: Coroutine[Any, Any, None], loop: str) -> None:
    factory = event_loop_factory() if loop == "uvloop" else None
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main)


class _Run:
    """One run under way."""

    def __init__(self, scenario: Scenario, options: RunOptions, reporter: Reporter) -> None:
        self._scenario = scenario
        self._options = options
        self._reporter = reporter
        self._started_at = datetime.now(UTC)
        self._start = time.perf_counter()
        self._folder = _make_folder(options.runs, f"{self._started_at:%Y%m%dT%H%M%S}-{scenario.name}")
        self._steps = Steps(began=reporter.step_began, ended=reporter.step_ended)
        self._ledger = Ledger()
        self._boot_seconds: float | None = None
        self._nodes = 0
        self._addresses: dict[str, str] = {}
        self._outcome = Outcome.PASSED
        self._failure: Failure | None = None

    async def execute(self) -> None:
        """Bring the lab up, run the scenario within its limit, take the lab down."""
        self._reporter.scenario_began(self._scenario)
        try:
            async with AsyncExitStack() as stack:
                clock = LoopClock()
                tap = None
                if self._options.trace:
                    tap = WireRecorder(now=clock.now, keep_secrets=self._options.secrets)
                self._ledger = Ledger(now=clock.now, tap=tap)
                lab_file = load_topology(self._scenario.topology)
                lab = await stack.enter_async_context(
                    Lab.start(
                        lab_file, work_directory=self._folder / "lab", observer=self._ledger, clock=clock
                    )
                )
                self._ledger.lab_is_up(lab.plan)
                self._addresses = {node.address: node.fqdn for node in lab.plan.nodes}
                self._nodes, self._boot_seconds = len(lab.plan.nodes), lab.boot_seconds
                self._reporter.lab_is_up(self._nodes, lab.boot_seconds)
                run = ScenarioRun(steps=self._steps, ledger=self._ledger, seed=self._options.seed)
                async with asyncio.timeout(self._scenario.limit):
                    await self._scenario.body(lab, run)
        except ScenarioFailed as failed:
            failure = Failure(message=str(failed), difference=failed.difference, remedy=failed.remedy)
            self.fail(Outcome.FAILED, failure)
        except TimeoutError:
            limit = f"the scenario took more than its {self._scenario.limit:g} seconds"
            self.fail(Outcome.FAILED, Failure(message=limit, remedy="See the last step, and events.jsonl."))
        except HarnessError as error:
            self.fail(Outcome.ERROR, Failure(message=str(error)))
        except Exception as error:
            details = "".join(traceback.format_exception(error))
            self.fail(Outcome.ERROR, Failure(message=f"{type(error).__name__}: {error}", details=details))

    def fail(self, outcome: Outcome, failure: Failure) -> None:
        """Take down why the run did not pass; the first reason counts."""
        if self._failure is None:
            self._outcome, self._failure = outcome, failure

    def write(self) -> RunResult:
        """Write the evidence and return the result."""
        result = self._result()
        self._ledger.write(self._folder / "events.jsonl")
        captured = finish_trace(self._folder, self._ledger, addresses=self._addresses)
        encoded = json.dumps(result.encode(), indent=2, ensure_ascii=False) + "\n"
        write_atomically(self._folder / "junit.xml", encode_junit([result]))
        write_atomically(self._folder / "result.json", encoded.encode())
        events = [encode_entry(entry) for entry in self._ledger.entries()]
        report = render_report(result, events, has_trace=captured is not None)
        write_atomically(self._folder / REPORT, report)
        self._reporter.scenario_ended(result)
        return result

    def _result(self) -> RunResult:
        judged = [entry for entry in self._ledger.entries() if isinstance(entry, Judged)]
        return RunResult(
            name=self._scenario.name,
            title=self._scenario.title,
            covers=self._scenario.covers,
            outcome=self._outcome,
            started_at=self._started_at,
            duration=time.perf_counter() - self._start,
            boot_seconds=self._boot_seconds,
            nodes=self._nodes,
            seed=self._options.seed,
            loop=self._options.loop,
            folder=str(self._folder),
            steps=tuple(self._steps.steps),
            verdicts=tuple(
                JudgedPeer(node=e.connection.node, service=e.connection.service, verdict=e.verdict)
                for e in judged
            ),
            failure=self._failure,
        )


def _make_folder(runs: Path, name: str) -> Path:
    """Make a run's folder; two runs of one second get numbers."""
    for number in range(1, 10_000):
        folder = runs / (name if number == 1 else f"{name}-{number}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        return folder
    raise FileExistsError(f"{runs} holds 10,000 folders called {name}")
