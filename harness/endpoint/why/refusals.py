"""The refusals of a lab since it was ready: what the peer did, in words, and what it presented."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from certs.verdict import Reason, Side
from harness.endpoint.session import LabSession
from harness.evidence.ledger import Entry, Judged, encode_verdict
from harness.nodes.node import CucmNode, ImpNode

_NEVER_BEGAN: Final = frozenset({Reason.UNREACHABLE, Reason.NO_SECURITY_PROFILE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """One refusal, with the number that commands call it by."""

    number: int
    "Its place in the ledger, from 1; it stays the same as long as the lab runs."

    judged: Judged
    "The verdict, and on which connection."

    @property
    def did(self) -> str:
        """What the peer did, in a sentence."""
        return what_the_peer_did(self.judged)


def refusals(session: LabSession, *, since: int = 0) -> Iterator[Refusal]:
    """Yield the refusals since a mark, oldest first; what the lab did to become ready is left out.

    Where both ends of a refused connection are the lab's, the end that judged speaks.
    """
    since = max(since, session.ready_at)
    addresses = {node.address for node in session.lab.plan.nodes}
    for number, entry in session.ledger.numbered(since=since):
        if is_refusal(entry, addresses):
            assert isinstance(entry, Judged)
            yield Refusal(number=number, judged=entry)


def is_refusal(entry: Entry, own_addresses: set[str]) -> bool:
    """Return whether an entry is a refusal that says more than that another node of the lab refused."""
    if not isinstance(entry, Judged) or entry.verdict.accepted:
        return False
    return entry.verdict.reason is not Reason.PEER_ALERT or entry.connection.peer[0] not in own_addresses


def what_the_peer_did(judged: Judged) -> str:
    """Return a sentence: who connected where, over what, and showed what."""
    connection, verdict = judged.connection, judged.verdict
    peer = f"{connection.peer[0]}:{connection.peer[1]}"
    if verdict.side is Side.CLIENT:
        began = f"{connection.service} on {connection.node} connected to {peer}"
        who = "the peer"
    else:
        where = f"{connection.local[0]}:{connection.local[1]}"
        began = f"connected from {peer} to {where} ({connection.listener} of {connection.service})"
        who = "it"
    if verdict.reason in _NEVER_BEGAN and verdict.side is Side.CLIENT:
        return began
    over = verdict.tls_version or connection.transport
    parts = [f"{began} over {over}"]
    if verdict.presented_chain:
        parts.append(f"{who} presented {_subject(judged)}")
    if verdict.alert_received:
        parts.append(f"{who} refused us with the alert {verdict.alert_received}")
    return ", ".join(parts)


def _subject(judged: Judged) -> str:
    leaf = judged.verdict.presented_chain[0]
    more = len(judged.verdict.presented_chain) - 1
    behind = f" and {more} certificate{'s' if more > 1 else ''} behind it" if more else ""
    issued = "self-signed" if leaf.issuer == leaf.subject else f"issued by {leaf.issuer}"
    return f"CN={leaf.common_name or '(none)'}, {issued}{behind}"


def encode_refusal(refusal: Refusal) -> dict[str, Any]:
    """Return a refusal as JSON values."""
    connection, verdict = refusal.judged.connection, refusal.judged.verdict
    return {
        "number": refusal.number,
        "at": refusal.judged.at.isoformat(timespec="milliseconds"),
        "node": connection.node,
        "service": connection.service,
        "listener": connection.listener,
        "transport": connection.transport,
        "local": f"{connection.local[0]}:{connection.local[1]}",
        "peer": f"{connection.peer[0]}:{connection.peer[1]}",
        "did": refusal.did,
        "verdict": encode_verdict(verdict),
    }


def find_node(session: LabSession, judged: Judged) -> ImpNode | CucmNode | None:
    """Return the node whose service refused; None for actors that are no node."""
    names = {node.plan.name: node for node in session.lab.nodes}
    return names.get(judged.connection.node)
