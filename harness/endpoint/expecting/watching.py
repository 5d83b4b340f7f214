"""What an expectation sees: entries of the ledger about clients from outside, and what went before them."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from certs.purposes import ServiceName
from certs.verdict import Reason, Side
from harness.evidence.ledger import Closed, Entry, Judged, MessageSeen, Note, Opened
from harness.expectations import describe_verdict
from proxies.observer import ConnectionInfo, Direction

_CSEQ: Final = re.compile(rb"(?im)^cseq\s*:\s*\d+\s+([A-Z]+)")
_STATUS: Final = re.compile(rb"^SIP/2\.0 (\d{3})")
_BODY: Final = re.compile(rb"<(?:\w+:)?message[\s>].*<(?:\w+:)?body[\s>]", re.DOTALL)
_PRESENCE: Final = re.compile(rb"<(?:\w+:)?presence(?:[\s>/])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What narrows an expectation."""

    argument: str = ""
    "What the expectation's own argument is: a reason, an alert."

    node: str = ""
    "The node's short name; empty takes every node."

    user: str = ""
    "The user id or address that logs in; empty takes every user."


@dataclass(slots=True)
class History:
    """What was seen of clients from outside since the expectation began."""

    own_addresses: frozenset[str]
    "The nodes' addresses."

    opened: int = 0
    "How many connections."

    entries: list[Entry] = field(default_factory=list)
    "Verdicts and openings, for the nearest miss."

    shaken: dict[str, Judged] = field(default_factory=dict)
    "Connections whose TLS was accepted and on which nothing came since."

    def take(self, entry: Entry) -> ConnectionInfo | None:
        """Take an entry down; return its connection where it is about a client from outside."""
        match entry:
            case Note():
                return None
            case Opened() | Judged() | MessageSeen() | Closed():
                connection = entry.connection
        if connection.peer[0] in self.own_addresses or connection.listener == "outgoing":
            return None
        match entry:
            case Opened():
                self.opened += 1
                self._keep(entry)
            case Judged():
                self._keep(entry)
                if entry.verdict.accepted and entry.verdict.tls_version:
                    self.shaken[connection.id] = entry
            case MessageSeen() if entry.direction is Direction.RECEIVED:
                self.shaken.pop(connection.id, None)
            case _:
                pass
        return connection

    def _keep(self, entry: Entry) -> None:
        if len(self.entries) < 10_000:
            self.entries.append(entry)


Matcher = Callable[[Entry, Wanted, History], str]
"Returns what was seen where an entry is what was expected, else nothing."


def tls(*services: ServiceName) -> Matcher:
    """Match a TLS handshake that was accepted, at one of the services or at any."""

    def match(entry: Entry, wanted: Wanted, history: History) -> str:
        if not isinstance(entry, Judged) or not entry.verdict.accepted or not entry.verdict.tls_version:
            return ""
        if services and entry.connection.service not in services:
            return ""
        return f"{_who(entry)}: {describe_verdict(entry.verdict)}"

    return match


def login(*services: ServiceName) -> Matcher:
    """Match an XMPP login that succeeded."""

    def match(entry: Entry, wanted: Wanted, history: History) -> str:
        if not isinstance(entry, Judged) or not entry.verdict.accepted:
            return ""
        name, told, _ = entry.verdict.detail.partition(" logged in by ")
        if not told or entry.connection.service not in services:
            return ""
        if wanted.user and wanted.user not in (name, name.partition("@")[0]):
            return ""
        return f"{_who(entry)}: {entry.verdict.detail}"

    return match


def answered(method: str, *services: ServiceName) -> Matcher:
    """Match a SIP request of a client that was answered with 2xx."""

    def match(entry: Entry, wanted: Wanted, history: History) -> str:
        if not isinstance(entry, MessageSeen) or entry.direction is not Direction.SENT:
            return ""
        status, cseq = _STATUS.match(entry.wire), _CSEQ.search(entry.wire)
        if status is None or cseq is None or cseq[1].decode() != method or status[1][:1] != b"2":
            return ""
        if entry.connection.service not in services:
            return ""
        return f"{_who(entry)}: {method} was answered with {status[1].decode()}"

    return match


def xmpp_stanza(what: str, pattern: re.Pattern[bytes], *services: ServiceName) -> Matcher:
    """Match a stanza that came from a client."""

    def match(entry: Entry, wanted: Wanted, history: History) -> str:
        if not isinstance(entry, MessageSeen) or entry.direction is not Direction.RECEIVED:
            return ""
        if entry.connection.service not in services or not pattern.search(entry.wire):
            return ""
        return f"{_who(entry)}: sent {what}"

    return match


def first_of(*matchers: Matcher) -> Matcher:
    """Match what one of them matches."""

    def match(entry: Entry, wanted: Wanted, history: History) -> str:
        return next(filter(None, (each(entry, wanted, history) for each in matchers)), "")

    return match


def refused(entry: Entry, wanted: Wanted, history: History) -> str:
    """Match a refusal by the lab; the argument is its reason."""
    if not isinstance(entry, Judged) or entry.verdict.accepted or entry.verdict.reason is Reason.PEER_ALERT:
        return ""
    if wanted.argument and entry.verdict.reason != wanted.argument:
        return ""
    return f"{_who(entry)}: {describe_verdict(entry.verdict)}"


def client_refuses(entry: Entry, wanted: Wanted, history: History) -> str:
    """Match a client that refuses the lab's certificate: by an alert, or by closing before it says anything.

    Clients that check a name after the handshake was carried through close without having sent a byte.
    """
    if isinstance(entry, Closed):
        shaken = history.shaken.get(entry.connection.id)
        if shaken is not None and not wanted.argument:
            return f"{_who(entry)}: closed after the handshake without saying anything"
    if not isinstance(entry, Judged) or entry.verdict.side is not Side.SERVER:
        return ""
    verdict = entry.verdict
    if verdict.reason is Reason.PEER_ALERT and wanted.argument in ("", verdict.alert_received):
        return f"{_who(entry)}: refused us with the alert {verdict.alert_received}"
    if verdict.reason is Reason.CLOSED_EARLY and not wanted.argument and "middle" in verdict.detail:
        return f"{_who(entry)}: closed in the middle of the handshake"
    return ""


def trunk(entry: Entry, wanted: Wanted, history: History) -> str:
    """Match a connection that CUCM let in by a SIP trunk."""
    if isinstance(entry, Judged) and entry.verdict.accepted and entry.verdict.detail.startswith("SIP trunk "):
        return f"{_who(entry)}: let in by {entry.verdict.detail}"
    return ""


def body() -> re.Pattern[bytes]:
    """Return what a chat message looks like on the wire."""
    return _BODY


def presence() -> re.Pattern[bytes]:
    """Return what presence looks like on the wire."""
    return _PRESENCE


def _who(entry: Opened | Judged | MessageSeen | Closed) -> str:
    connection = entry.connection
    return f"{connection.peer[0]}:{connection.peer[1]} at {connection.service} on {connection.node}"
