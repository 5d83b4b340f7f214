"""`report.html`: a run on one page, without anything from outside, for a phone as well as for a desk."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from typing import Final

import jinja2

from certs.verdict import Reason, Verdict
from harness.clauses import CLAUSES
from harness.evidence.decoding import Event, chain_lines
from harness.evidence.ladder.building import build_ladder
from harness.evidence.ladder.filtering import LadderFilter
from harness.evidence.ladder.model import Kind, Ladder
from harness.evidence.ladder.svg import STYLE, ladder_svg
from harness.evidence.result import JudgedPeer, RunResult
from harness.expectations import describe_verdict

REPORT: Final = "report.html"
"The report's name in a run's folder."

MAXIMUM_ROWS: Final = 1500
"Rows of the ladder that the report shows; `imp-harness ladder` shows all."

POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"The page needs nothing from anywhere, and runs nothing."


@dataclass(frozen=True, slots=True, kw_only=True)
class _Refusal:
    """A refusal, and how often it happened."""

    node: str
    service: str
    verdict: Verdict
    line: str
    chain: list[str]
    count: int


def render_report(result: RunResult, events: Iterable[Event], *, has_trace: bool) -> bytes:
    """Return the page of a run; `events` are the ledger's, as JSON values."""
    kept = list(events)
    whole = LadderFilter().apply(build_ladder(kept))
    shown = _first_rows(whole)
    lab: Event = next((event for event in kept if event.get("event") == "lab"), {})
    page = _template().render(
        result=result,
        clauses=[(clause, CLAUSES.get(clause, "")) for clause in result.covers],
        refusals=_refusals(result.verdicts),
        accepted=_accepted(result.verdicts),
        longest=max((step.duration for step in result.steps), default=0.0) or 1.0,
        ladder=shown,
        svg=ladder_svg(shown, link=lambda row: f"#row-{row.number}"),
        rows=[row for row in shown.rows if row.kind is not Kind.STEP],
        left_out=len(whole.rows) - len(shown.rows),
        nodes=lab.get("nodes", ()),
        has_trace=has_trace,
        ladder_style=STYLE,
        policy=POLICY,
    )
    return page.encode()


def _first_rows(ladder: Ladder) -> Ladder:
    return replace(ladder, rows=ladder.rows[:MAXIMUM_ROWS])


def _refusals(verdicts: Iterable[JudgedPeer]) -> list[_Refusal]:
    """Return refusals, like ones together; the end that judged knows the remedy, so it comes first."""
    groups: dict[tuple[str, str, Reason, str], list[JudgedPeer]] = {}
    for judged in verdicts:
        if not judged.verdict.accepted:
            key = (judged.node, judged.service, judged.verdict.reason, judged.verdict.subject)
            groups.setdefault(key, []).append(judged)
    found = [
        _Refusal(
            node=group[0].node,
            service=group[0].service,
            verdict=group[0].verdict,
            line=describe_verdict(group[0].verdict),
            chain=chain_lines(group[0].verdict.presented_chain),
            count=len(group),
        )
        for group in groups.values()
    ]
    return sorted(found, key=lambda one: one.verdict.reason is Reason.PEER_ALERT)


def _accepted(verdicts: Iterable[JudgedPeer]) -> list[tuple[str, str, str, int]]:
    counts = Counter(
        (judged.node, judged.service, describe_verdict(judged.verdict))
        for judged in verdicts
        if judged.verdict.accepted
    )
    return [(*key, count) for key, count in counts.items()]


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("harness.evidence.report", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["milliseconds"] = lambda seconds: f"{seconds * 1000:.0f} ms"
    return environment.get_template("report.html.j2")
