"""The ledger of a lab: every connection, verdict and message, kept and written as JSON lines.

Services append; formatting waits until somebody reads or the run ends. Credentials in SIP headers are masked
before a line is written.
"""

import asyncio
import base64
import json
import re
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final

from certs.verdict import PresentedCertificate, Verdict
from harness.evidence.capture.recorder import WireRecorder
from harness.plan.topology import CucmNodePlan, ImpNodePlan, LabPlan
from proxies.observer import ConnectionInfo, Direction

MAXIMUM_ENTRIES: Final = 200_000
"Entries kept in memory; the oldest go first, and the count of those that went is written down."

MAXIMUM_MESSAGE: Final = 16 * 1024
"Bytes of one message that are written down."

_CREDENTIALS: Final = re.compile(r"(?im)^(?:proxy-)?authorization\s*:.*$")
_SECRETS: Final = re.compile(r"(?i)\b(response|cnonce)(\s*=\s*)(\"[^\"]*\"|[^,\s]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A connection was accepted or made."""

    at: datetime
    "When, UTC."

    connection: ConnectionInfo
    "Which."


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A handshake ended, or a service let something in or refused it."""

    at: datetime
    "When, UTC."

    connection: ConnectionInfo
    "On which connection."

    verdict: Verdict
    "How."


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageSeen:
    """A whole message crossed a socket."""

    at: datetime
    "When, UTC."

    connection: ConnectionInfo
    "On which connection."

    direction: Direction
    "Seen from the node that observed it."

    wire: bytes
    "Its bytes, decrypted."


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """A connection ended."""

    at: datetime
    "When, UTC."

    connection: ConnectionInfo
    "Which."

    why: str
    "By whom or by what."


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What a scenario or a person did: a step, an administration, a restart."""

    at: datetime
    "When, UTC."

    text: str
    "In words."


@dataclass(frozen=True, slots=True, kw_only=True)
class LabUp:
    """A lab came up: what its nodes are, so that what follows can be read without the lab file."""

    at: datetime
    "When, UTC."

    name: str
    "The lab's name."

    nodes: tuple[ImpNodePlan | CucmNodePlan, ...]
    "Its nodes."


Entry = Opened | Judged | MessageSeen | Closed | Note | LabUp


class Ledger:
    """Implements `proxies.observer.Observer` for all services of a lab."""

    def __init__(
        self,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        tap: WireRecorder | None = None,
    ) -> None:
        """`tap` takes down the bytes as well, for a capture."""
        self.tap = tap
        "See `proxies.observer.tap_of`."
        self._now = now
        self._entries: deque[Entry] = deque(maxlen=MAXIMUM_ENTRIES)
        self._appended = 0
        self._waiting: set[asyncio.Future[None]] = set()

    # proxies.observer.Observer

    def opened(self, connection: ConnectionInfo) -> None:
        """Take down a connection."""
        if self.tap is not None:
            self.tap.opened(connection)
        self._append(Opened(at=self._now(), connection=connection))

    def judged(self, connection: ConnectionInfo, verdict: Verdict) -> None:
        """Take down a verdict."""
        self._append(Judged(at=self._now(), connection=connection, verdict=verdict))

    def message(self, connection: ConnectionInfo, direction: Direction, wire: bytes) -> None:
        """Take down a message."""
        self._append(MessageSeen(at=self._now(), connection=connection, direction=direction, wire=wire))

    def closed(self, connection: ConnectionInfo, why: str) -> None:
        """Take down the end of a connection."""
        if self.tap is not None:
            self.tap.closed(connection)
        self._append(Closed(at=self._now(), connection=connection, why=why))

    # The lab itself

    def lab_is_up(self, plan: LabPlan) -> None:
        """Take down what the lab is."""
        self._append(LabUp(at=self._now(), name=plan.name, nodes=plan.nodes))

    def note(self, text: str) -> None:
        """Take down what somebody did."""
        self._append(Note(at=self._now(), text=text))

    @property
    def position(self) -> int:
        """How many entries there have been: a mark for `since`."""
        return self._appended

    def entries(self, *, since: int = 0) -> Iterator[Entry]:
        """Yield what was taken down since a mark, oldest first."""
        # From the newest back: who follows a long ledger asks for its last few entries.
        wanted = min(len(self._entries), max(0, self._appended - since))
        return reversed(list(islice(reversed(self._entries), wanted)))

    def numbered(self, *, since: int = 0) -> Iterator[tuple[int, Entry]]:
        """Yield what was taken down since a mark with its number, which is the mark behind it, oldest first."""
        first = self._appended - len(self._entries)
        return ((n, entry) for n, entry in enumerate(tuple(self._entries), start=first + 1) if n > since)

    def verdicts(
        self, *, since: int = 0, node: str | None = None, accepted: bool | None = None
    ) -> list[Judged]:
        """Return the verdicts since a mark, of one node, of one outcome."""
        return [
            entry
            for entry in self.entries(since=since)
            if isinstance(entry, Judged)
            and (node is None or entry.connection.node == node)
            and (accepted is None or entry.verdict.accepted is accepted)
        ]

    async def wait_for(
        self, wanted: Callable[[Entry], bool], *, since: int = 0, within: float = 5.0
    ) -> Entry | None:
        """Return the first entry since a mark that is wanted, or None when its seconds are up."""
        mark = since
        try:
            async with asyncio.timeout(within):
                while True:
                    position = self.position
                    for entry in self.entries(since=mark):
                        if wanted(entry):
                            return entry
                    mark = position
                    await self._next_append()
        except TimeoutError:
            return None

    async def follow(self, take: Callable[[Entry], None]) -> None:
        """Hand over every entry from now on, until cancelled."""
        mark = self.position
        while True:
            await self._next_append()
            entries, mark = list(self.entries(since=mark)), self.position
            for entry in entries:
                take(entry)

    def write(self, path: Path) -> None:
        """Write all entries as JSON, one object a line."""
        with path.open("w", encoding="utf-8") as file:
            lost = self._appended - len(self._entries)
            if lost:
                file.write(json.dumps({"event": "lost", "count": lost}) + "\n")
            traffic: dict[str, _Traffic] = {}
            for number, entry in enumerate(self._entries, start=lost + 1):
                event = {"seq": number} | encode_entry(entry) | _count(traffic, entry)
                file.write(json.dumps(event, ensure_ascii=False) + "\n")

    def _append(self, entry: Entry) -> None:
        self._entries.append(entry)
        self._appended += 1
        if self._waiting:
            for future in self._waiting:
                if not future.done():
                    future.set_result(None)
            self._waiting.clear()

    async def _next_append(self) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        try:
            await future
        finally:
            self._waiting.discard(future)


@dataclass(slots=True)
class _Traffic:
    """What crossed a connection so far."""

    opened_at: datetime
    messages: dict[str, int] = field(default_factory=lambda: dict.fromkeys(Direction, 0))
    size: dict[str, int] = field(default_factory=lambda: dict.fromkeys(Direction, 0))


def _count(traffic: dict[str, _Traffic], entry: Entry) -> dict[str, Any]:
    """Keep count of connections; of one that ends return how long it was and what crossed it."""
    if isinstance(entry, Opened):
        traffic[entry.connection.id] = _Traffic(entry.at)
    elif isinstance(entry, MessageSeen) and (known := traffic.get(entry.connection.id)):
        known.messages[entry.direction] += 1
        known.size[entry.direction] += len(entry.wire)
    elif isinstance(entry, Closed) and (known := traffic.pop(entry.connection.id, None)):
        seconds = round((entry.at - known.opened_at).total_seconds(), 6)
        return {"seconds": seconds, "messages": known.messages, "bytes": known.size}
    return {}


def encode_entry(entry: Entry) -> dict[str, Any]:
    """Return an entry as JSON values."""
    head = {"at": entry.at.isoformat(timespec="microseconds")}
    match entry:
        case Opened():
            return head | {"event": "opened", "connection": asdict(entry.connection)}
        case Judged():
            connection = entry.connection
            name = {"connection": connection.id, "node": connection.node, "service": connection.service}
            # A connection that nobody accepted was never opened, so the peer is named here.
            peer = {"peer": connection.peer}
            return head | {"event": "judged"} | name | peer | {"verdict": encode_verdict(entry.verdict)}
        case MessageSeen():
            return (
                head
                | {
                    "event": "message",
                    "connection": entry.connection.id,
                    "direction": entry.direction,
                    "size": len(entry.wire),
                }
                | _encode_wire(entry.wire)
            )
        case Closed():
            return head | {"event": "closed", "connection": entry.connection.id, "why": entry.why}
        case Note():
            return head | {"event": "note", "text": entry.text}
        case LabUp():
            return head | {
                "event": "lab",
                "name": entry.name,
                "nodes": [_encode_node(n) for n in entry.nodes],
            }


def _encode_node(plan: ImpNodePlan | CucmNodePlan) -> dict[str, Any]:
    return {
        "name": plan.name,
        "fqdn": plan.fqdn,
        "address": plan.address,
        "cluster": plan.cluster,
        "domain": plan.domain,
        "kind": "IM and Presence" if isinstance(plan, ImpNodePlan) else "CUCM",
        "ports": plan.ports.model_dump(),
    }


def encode_verdict(verdict: Verdict) -> dict[str, Any]:
    """Return a verdict as JSON values, without what is empty."""
    values: dict[str, Any] = {
        "accepted": verdict.accepted,
        "reason": verdict.reason,
        "side": verdict.side,
        "rule": verdict.rule,
        "clause": verdict.clause,
        "remedy": verdict.remedy,
        "detail": verdict.detail,
        "alert_sent": verdict.alert_sent,
        "alert_received": verdict.alert_received,
        "verify_code": verdict.verify_code,
        "tls_version": verdict.tls_version,
        "cipher": verdict.cipher,
        "disbelieved": verdict.disbelieved or "",
        "presented_chain": [_encode_certificate(certificate) for certificate in verdict.presented_chain],
    }
    return {key: value for key, value in values.items() if value not in ("", 0, []) or key == "accepted"}


def _encode_certificate(certificate: PresentedCertificate) -> dict[str, Any]:
    return {
        "subject": certificate.subject,
        "common_name": certificate.common_name,
        "issuer": certificate.issuer,
        "names": list(certificate.subject_alternative_names),
        "serial": certificate.serial,
        "not_before": certificate.not_before.isoformat(),
        "not_after": certificate.not_after.isoformat(),
        "sha256": certificate.sha256,
        "key": certificate.key,
        "signature_algorithm": certificate.signature_algorithm,
    }


def _encode_wire(wire: bytes) -> dict[str, str]:
    cut = wire[:MAXIMUM_MESSAGE]
    try:
        return {"text": _mask(cut.decode("utf-8"))}
    except UnicodeDecodeError:
        head, _, body = cut.partition(b"\r\n\r\n")
        text = _mask(head.decode("utf-8", "backslashreplace"))
        return {"text": text, "body_base64": base64.b64encode(body).decode("ascii")}


def _mask(text: str) -> str:
    """Hide what a digest answer proves the password by."""
    return _CREDENTIALS.sub(lambda line: _SECRETS.sub(r"\1\2<masked>", line[0]), text)
