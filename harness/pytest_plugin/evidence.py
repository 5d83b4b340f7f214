"""What a failing test leaves: a section of its report, JUnit properties, and a folder with all that was seen."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

from certs.errors import HarnessError
from certs.storage import write_atomically
from harness.evidence.ledger import Judged, encode_entry, encode_verdict
from harness.evidence.report.page import REPORT, render_report
from harness.evidence.result import Failure, JudgedPeer, RunResult
from harness.evidence.run_folders import EVENTS
from harness.pytest_plugin.expectations import describe_judged
from harness.pytest_plugin.views import LabView
from harness.running.steps import Outcome

SHOWN: Final = 10
"How many of the last verdicts the report shows; the folder has all."

_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9._-]+")


def runs_folder(config: pytest.Config) -> Path:
    """Return where evidence goes: the option, else the ini setting, below rootdir unless it is absolute."""
    folder = config.getoption("--imp-runs") or config.getini("imp_runs")
    return config.rootpath / str(folder)


def attach_evidence(item: pytest.Item, report: pytest.TestReport, view: LabView) -> None:
    """Write a test's evidence and name it in its report. A lab that is gone is named too, never an error."""
    try:
        verdicts = view.verdicts()
        entries = view.entries()
        folder = _make_folder(runs_folder(item.config), item.nodeid)
        events = [encode_entry(entry) for entry in entries]
        lines = [json.dumps(event, ensure_ascii=False) + "\n" for event in events]
        write_atomically(folder / EVENTS, "".join(lines).encode())
        result = _result(item, report, verdicts, folder)
        write_atomically(folder / REPORT, render_report(result, events, has_trace=False))
        judged = [
            {"node": each.connection.node, "service": each.connection.service, "at": each.at.isoformat()}
            | encode_verdict(each.verdict)
            for each in verdicts
        ]
        encoded = json.dumps({"test": item.nodeid, "lab": view.name, "verdicts": judged}, indent=2)
        write_atomically(folder / "verdicts.json", encoded.encode() + b"\n")
    except (HarnessError, OSError) as error:
        report.sections.append(("presence lab", f"no evidence could be taken: {error}"))
        return
    text = [line for each in verdicts[-SHOWN:] for line in describe_judged(each)]
    if not text:
        text = ["no verdict: no client came to a port that judges it"]
    if len(verdicts) > SHOWN:
        text.insert(0, f"the last {SHOWN} of {len(verdicts)} verdicts:")
    text += [f"evidence: {folder / REPORT}", f"ladder: imp-harness ladder {folder}"]
    report.sections.append(("presence lab", "\n".join(text)))
    item.user_properties.append(("imp_evidence", str(folder)))
    refused = [each for each in verdicts if not each.verdict.accepted]
    if refused:
        verdict = refused[-1].verdict
        item.user_properties.append(("imp_last_refusal", str(verdict.reason)))
        item.user_properties.append(("imp_remedy", verdict.remedy))


def _result(item: pytest.Item, report: pytest.TestReport, verdicts: list[Judged], folder: Path) -> RunResult:
    """Return a failed test as a run, for the page that scenarios have too."""
    message = report.longreprtext.rstrip().rpartition("\n")[2]
    return RunResult(
        name=item.nodeid,
        title="a test that failed",
        covers=(),
        outcome=Outcome.FAILED,
        started_at=datetime.fromtimestamp(report.start, UTC),
        duration=report.duration,
        boot_seconds=None,
        nodes=0,
        seed=0,
        loop="",
        folder=str(folder),
        verdicts=tuple(
            JudgedPeer(node=each.connection.node, service=each.connection.service, verdict=each.verdict)
            for each in verdicts
        ),
        failure=Failure(message=message, details=report.longreprtext),
    )


def _make_folder(runs: Path, nodeid: str) -> Path:
    name = _NOT_IN_NAMES.sub("-", nodeid.rpartition("/")[2]).strip("-")[:100]
    stamp = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{name}"
    for number in range(1, 1000):
        folder = runs / (stamp if number == 1 else f"{stamp}-{number}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        return folder
    raise FileExistsError(f"{runs} holds 1,000 folders called {stamp}")
