"""What a test expects of the lab's verdicts, and the failure that says what happened instead."""

import asyncio
from collections.abc import Sequence

from certs.errors import ConfigError
from certs.verdict import Reason
from harness.evidence.ledger import Judged
from harness.expectations import describe_verdict, explanation_lines
from harness.near_matches import did_you_mean


class LabExpectationFailed(AssertionError):  # noqa: N818 - what happened, as the lab's other failures
    """The lab did not see what a test expects of its client; the text says what it saw, and the remedy."""


def parse_reason(reason: Reason | str) -> Reason:
    """Return a reason from its words, as `untrusted issuer`. Raises ConfigError with near ones otherwise."""
    try:
        return Reason(reason)
    except ValueError:
        known = [str(each) for each in Reason]
        raise ConfigError(f"no reason is called {reason!r}{did_you_mean(str(reason), known)}") from None


def describe_judged(judged: Judged) -> list[str]:
    """Return a verdict as a person reads it: whose, about whom, and of a refusal rule and remedy."""
    verdict, connection = judged.verdict, judged.connection
    host, port = connection.peer
    lines = [
        f"{judged.at:%H:%M:%S.%f} {connection.node} {connection.service}, peer {host}:{port}: "
        f"{describe_verdict(verdict)}"
    ]
    if verdict.accepted:
        return lines
    lines += [f"    {line}" for line in explanation_lines(verdict)]
    lines += [
        f"    presented: {each.subject}, {each.not_before:%Y-%m-%d} to {each.not_after:%Y-%m-%d}, "
        f"SHA-256 {each.sha256[:16]}…"
        for each in verdict.presented_chain
    ]
    if verdict.clause:
        lines.append(f"    clause: {verdict.clause}")
    return lines


def failure(wanted: str, where: str, within: float, seen: Sequence[Judged]) -> LabExpectationFailed:
    """Return the failure of an expectation, with all verdicts that there were instead."""
    lines = [f"{where} did not see what was expected within {within:g} s", f"expected: {wanted}"]
    if seen:
        lines.append("seen:")
        lines += [f"  {line}" for judged in seen[-10:] for line in describe_judged(judged)]
    else:
        lines.append("seen:     no verdict at all")
        lines.append("remedy:   check that the client connects to the address and port of the fixture's node")
    return LabExpectationFailed("\n".join(lines))


def refuse_to_block(what: str) -> None:
    """Raise RuntimeError where a running loop would stand still while this thread waits."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise RuntimeError(
        f"{what} waits, and this test's event loop would stand still meanwhile; "
        f"write: await asyncio.to_thread({what}, ...)"
    )
