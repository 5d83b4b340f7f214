"""The report of a run: whole, from nothing outside, with what a peer sent shown and never run."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from certs.errors import ConfigError
from certs.verdict import PresentedCertificate, Reason, Side
from harness.evidence.ledger import Ledger
from harness.evidence.report.page import MAXIMUM_ROWS, render_report
from harness.evidence.report.summary import append_summary, encode_summary
from harness.evidence.result import Failure, JudgedPeer, RunResult
from harness.plan.lab_file import load_topology
from harness.plan.topology import plan_lab
from harness.running.steps import Outcome, Step
from proxies.observer import Direction
from tests.harness.evidence.ladder.exchanges import OPTIONS, Exchange, accepted, refused

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
CERTIFICATE = PresentedCertificate(
    subject="CN=stranger.lab.example",
    common_name="stranger.lab.example",
    issuer="CN=Nobody's CA",
    subject_alternative_names=("DNS:stranger.lab.example",),
    serial="1f",
    not_before=NOW,
    not_after=NOW + timedelta(days=1),
    sha256="ab" * 32,
    key="EC secp256r1",
    signature_algorithm="sha256",
)
REFUSED = replace(
    refused(Reason.UNTRUSTED_ISSUER, Side.SERVER, sent="unknown_ca"),
    presented_chain=(CERTIFICATE,),
    clause="G19",
)


def result(**changes: object) -> RunResult:
    steps = (
        Step("Connect", duration=0.002, outcome=Outcome.PASSED, details=["seen <this> & that"]),
        Step("Wait", duration=0.2, outcome=Outcome.FAILED),
    )
    given = RunResult(
        name="tls-check",
        title="A check",
        covers=("G19",),
        outcome=Outcome.PASSED,
        started_at=NOW,
        duration=1.5,
        boot_seconds=0.25,
        nodes=3,
        seed=7,
        loop="uvloop",
        folder="runs/1-tls-check",
        steps=steps,
        verdicts=(
            JudgedPeer(node="imp1", service="Cisco SIP Proxy", verdict=accepted(Side.SERVER)),
            JudgedPeer(node="imp1", service="Cisco SIP Proxy", verdict=REFUSED),
            JudgedPeer(node="imp1", service="Cisco SIP Proxy", verdict=REFUSED),
        ),
    )
    return replace(given, **changes)  # type: ignore[arg-type]


def report(exchange: Exchange | None = None, *, has_trace: bool = True, **changes: object) -> str:
    return render_report(result(**changes), (exchange or Exchange()).events, has_trace=has_trace).decode()


def test_it_has_steps_verdicts_chain_and_remedy() -> None:
    page = report()
    for wanted in (
        "tls-check", "Connect", "2 ms", "seen &lt;this&gt; &amp; that", "G19", "2 times", "the remedy",
        "CN=stranger.lab.example", "issued by CN=Nobody&#39;s CA", "1 accepted", "trace.pcapng",
    ):  # fmt: skip
        assert wanted in page, wanted


def test_it_needs_nothing_from_outside_and_runs_nothing() -> None:
    page = report()
    assert "default-src &#39;none&#39;" in page
    assert not re.search(r"<script|<link|<img|@import|url\(|\son\w+=", page)
    assert re.findall(r"https?://[^\"\s]+", page) == ["http://www.w3.org/2000/svg"]


def test_what_a_peer_sent_is_text() -> None:
    exchange = Exchange()
    imp1, imp2 = exchange.pair()
    hostile = (
        b"OPTIONS sip:</text><script>alert(1)</script> SIP/2.0\r\nX: <img src=x onerror=alert(2)>\r\n\r\n"
    )
    exchange.send(imp1, imp2, hostile)
    page = report(exchange)
    assert "<script" not in page
    assert "<img" not in page
    assert "&lt;script&gt;" in page


def test_each_row_of_the_ladder_leads_to_its_message() -> None:
    exchange = Exchange()
    imp1, imp2 = exchange.pair()
    exchange.send(imp1, imp2, OPTIONS)
    page = report(exchange)
    links = set(re.findall(r'href="#(row-\d+)"', page))
    assert links
    assert links == set(re.findall(r'id="(row-\d+)"', page))
    assert "OPTIONS sip:imp2.lab.example SIP/2.0" in page


def test_credentials_are_masked() -> None:
    exchange = Exchange()
    imp1, imp2 = exchange.pair()
    exchange.send(
        imp1, imp2, OPTIONS[:-2] + b'Authorization: Digest username="al", response="5ec7e7"\r\n\r\n'
    )
    page = report(exchange)
    assert "5ec7e7" not in page
    assert "&lt;masked&gt;" in page


def test_a_failure_stands_first_with_its_difference_and_remedy() -> None:
    failure = Failure(message="it went wrong", difference="expected: a\nseen:     b", remedy="Mend it.")
    page = report(outcome=Outcome.FAILED, failure=failure)
    assert page.index("it went wrong") < page.index("Connect")
    assert "expected: a\nseen:     b" in page
    assert "Mend it." in page


def test_the_lab_s_plan_is_in_it() -> None:
    exchange = Exchange()
    lab_file = load_topology()
    exchange.ledger.lab_is_up(plan_lab(lab_file, lab_file.address_range))
    page = report(exchange)
    assert "imp1.lab.example" in page
    assert "sip tls peer auth 5062" in page


def test_a_long_run_is_cut_and_says_so() -> None:
    exchange = Exchange()
    imp1, _ = exchange.pair()
    for _ in range(MAXIMUM_ROWS + 5):
        exchange.ledger.message(imp1, Direction.SENT, OPTIONS)
    assert "The last 5 rows are left out" in report(exchange)


def test_without_a_capture_none_is_promised() -> None:
    assert "tshark" not in report(has_trace=False)


def test_a_run_without_a_lab_has_a_report() -> None:
    page = render_report(result(steps=(), verdicts=(), boot_seconds=None), [], has_trace=False).decode()
    assert "Nobody was refused." in page


def test_an_empty_ledger_is_a_report_too() -> None:
    assert list(Ledger().entries()) == []
    assert "<svg" in report()


def test_the_summary_has_a_row_a_scenario_and_explains_failures(tmp_path: Path) -> None:
    failure = Failure(
        message="it went <wrong>", difference="expected: ```a```\nseen: b", remedy="Mend it.", details="Trace"
    )
    failed = result(name="other", title="with | bar", outcome=Outcome.FAILED, failure=failure)
    text = encode_summary([result(), failed])
    assert "## Presence lab: 1 of 2 scenarios passed" in text
    assert "| ✅ | `tls-check` A check | G19 | 1 accepted, 2 refused | 1.50 s |" in text
    assert "with \\| bar" in text
    assert "### ❌ other" in text
    assert "it went &lt;wrong&gt;" in text
    assert "In the step *Wait*." in text
    assert "````\nexpected: ```a```" in text
    assert "**Remedy:** Mend it." in text
    path = tmp_path / "summary.md"
    path.write_text("before\n", encoding="utf-8")
    append_summary(path, [result()])
    assert path.read_text(encoding="utf-8").startswith("before\n## Presence lab")
    with pytest.raises(ConfigError, match="cannot be written"):
        append_summary(tmp_path, [result()])
