"""What a scenario expects, and the difference that it shows where the wire says otherwise."""

from collections.abc import Callable

from certs.errors import ScenarioFailed
from certs.verdict import Reason, Verdict
from harness.evidence.ledger import Entry, Judged, Ledger, MessageSeen
from proxies.clock import SchedulingClock, wait
from proxies.sip.agent.request_sender import RequestOutcome


def difference(expected: object, seen: object) -> str:
    """Return what a person compares."""
    return f"expected: {expected}\nseen:     {seen}"


def describe_verdict(verdict: Verdict) -> str:
    """Return a verdict in one line."""
    parts = ["accepted" if verdict.accepted else f"refused: {verdict.reason}"]
    if verdict.tls_version:
        parts.append(verdict.tls_version)
    if verdict.subject:
        parts.append(f"CN={verdict.subject}")
    if verdict.alert_sent:
        parts.append(f"sent {verdict.alert_sent}")
    if verdict.alert_received:
        parts.append(f"got {verdict.alert_received}")
    return ", ".join(parts)


def explanation_lines(verdict: Verdict) -> list[str]:
    """Return rule, what was seen and remedy, those that are not empty."""
    lines = [verdict.rule]
    if verdict.detail:
        lines.append(f"seen: {verdict.detail}")
    if verdict.remedy:
        lines.append(f"remedy: {verdict.remedy}")
    return lines


def expect(what: str, expected: object, seen: object, *, remedy: str = "") -> None:
    """Compare.

    Raises ScenarioFailed where the two differ.
    """
    if expected != seen:
        raise ScenarioFailed(
            f"{what} is not as expected", difference=difference(expected, seen), remedy=remedy
        )


async def expect_soon(
    what: str, expected: object, read: Callable[[], object], *, clock: SchedulingClock, within: float = 5.0
) -> None:
    """Read again and again until what is read is as expected.

    Raises ScenarioFailed with what was read last when the seconds are up.
    """
    end = clock.monotonic() + within
    while (seen := read()) != expected:
        if clock.monotonic() > end:
            raise ScenarioFailed(f"{what} does not become so", difference=difference(expected, seen))
        await wait(clock, 0.02)


def expect_outcome(what: str, outcome: RequestOutcome, *statuses: int) -> RequestOutcome:
    """Return how a request ended.

    Raises ScenarioFailed where its status is none of those expected.
    """
    if outcome.status not in statuses:
        seen = f"{outcome.status} {outcome.reason} {outcome.warning}".strip()
        raise ScenarioFailed(
            f"{what} ended otherwise",
            difference=difference(" or ".join(map(str, statuses)), seen),
            remedy=outcome.verdict.remedy if outcome.verdict is not None else "",
        )
    return outcome


def expect_verdict(what: str, verdict: Verdict, reason: Reason, *, alert: str = "") -> Verdict:
    """Return the verdict.

    Raises ScenarioFailed where its reason, or the alert that crossed, is another one.
    """
    seen_alert = verdict.alert_sent or verdict.alert_received
    if verdict.reason is not reason or (alert and seen_alert != alert):
        raise ScenarioFailed(
            f"{what} was judged otherwise",
            difference=difference(
                f"{reason}{f' with {alert}' if alert else ''}",
                f"{describe_verdict(verdict)} {verdict.detail}",
            ),
            remedy=verdict.remedy,
        )
    return verdict


class ScenarioExpectations:
    """What a scenario expects of its ledger: what services saw on their sockets."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        "All that crossed a socket of the lab."

    async def expect_verdict(
        self,
        what: str,
        *,
        node: str,
        reason: Reason,
        since: int = 0,
        within: float = 5.0,
        wanted: Callable[[Judged], bool] = lambda judged: True,
    ) -> Verdict:
        """Return the first verdict of a node with this reason since a mark that is wanted, and wait for it.

        Raises ScenarioFailed, with the verdicts there were, when the seconds are up.
        """

        def fits(entry: Entry) -> bool:
            return (
                isinstance(entry, Judged)
                and entry.connection.node == node
                and entry.verdict.reason is reason
                and wanted(entry)
            )

        entry = await self.ledger.wait_for(fits, since=since, within=within)
        if isinstance(entry, Judged):
            return entry.verdict
        seen = [entry.verdict for entry in self.ledger.verdicts(since=since, node=node)]
        raise ScenarioFailed(
            f"{what}: no such verdict on {node}",
            difference=difference(reason, "; ".join(map(describe_verdict, seen)) or "no verdict"),
            remedy=seen[-1].remedy if seen else "",
        )

    async def expect_message(
        self, what: str, wanted: Callable[[MessageSeen], bool], *, since: int = 0, within: float = 5.0
    ) -> MessageSeen:
        """Return the first message since a mark that is wanted, and wait for it.

        Raises ScenarioFailed when the seconds are up.
        """
        entry = await self.ledger.wait_for(
            lambda entry: isinstance(entry, MessageSeen) and wanted(entry), since=since, within=within
        )
        if not isinstance(entry, MessageSeen):
            raise ScenarioFailed(
                f"{what} did not cross a socket", difference=difference("a message", "none in time")
            )
        return entry
