"""Makes a ladder from events: one arrow for what was seen at both ends, one row for what both ends judged."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from certs.verdict import Reason, Side, Verdict
from harness.evidence.decoding import Event, chain_lines, decode_verdict
from harness.evidence.ladder.connections import Connections
from harness.evidence.ladder.lanes import order_lanes
from harness.evidence.ladder.model import Kind, Ladder, Mood, Row
from harness.evidence.ladder.sip_summary import summarise_http, summarise_sip
from harness.evidence.ladder.xmpp_summary import StreamSummary
from harness.expectations import describe_verdict, explanation_lines

_NO_VERSION_YET: Final = frozenset(
    {
        Reason.PLAIN_TEXT, Reason.NOT_TLS, Reason.CLOSED_EARLY, Reason.HANDSHAKE_TIMEOUT,
        Reason.TOO_MANY_HANDSHAKES, Reason.PROTOCOL_ERROR, Reason.PEER_ALERT, Reason.NO_CERTIFICATE,
    }
)  # fmt: skip
"Reasons of a handshake that may have come to no version."


def build_ladder(events: Iterable[Event], *, began: datetime | None = None) -> Ladder:
    """Return the ladder of some events, in the order in which they were taken down.

    `began` is when times count from; the first event's time by default. An event `known` is an `opened` from before.
    """
    kept = list(events)
    builder = _Builder(Connections(kept))
    for event in kept:
        builder.take(event)
    rows = tuple(replace(row, number=number) for number, row in enumerate(builder.rows, start=1))
    began = began or next((_time(event) for event in kept if "at" in event), datetime.now(UTC))
    return Ladder(began=began, lanes=order_lanes(rows), rows=rows)


@dataclass(slots=True)
class _Handshake:
    """A row that the other end's verdict may still join."""

    place: int
    observer: str
    reason: Reason


class _Builder:
    def __init__(self, connections: Connections) -> None:
        self.rows: list[Row] = []
        self._connections = connections
        self._streams: defaultdict[tuple[str, str], StreamSummary] = defaultdict(StreamSummary)
        self._handshakes: dict[frozenset[str], _Handshake] = {}

    def take(self, event: Event) -> None:
        match event.get("event"):
            case "message":
                self.rows.extend(self._message(event))
            case "judged":
                self._judged(event)
            case "opened":
                self._opened(event)
            case "closed":
                self._closed(event)
            case "note":
                self._add(event, Kind.STEP, str(event.get("text", "")))
            case "lost":
                self._add(event, Kind.STEP, f"{event.get('count')} older events were not kept")

    # Messages.

    def _message(self, event: Event) -> Iterator[Row]:
        id_, direction = str(event["connection"]), str(event["direction"])
        if direction == "received" and self._connections.other_end_sends(id_):
            return
        here, there = self._connections.lanes(id_)
        source, target = (here, there) if direction == "sent" else (there, here)
        text = str(event.get("text", ""))
        ids = self._connections.both(id_)
        for kind, label, detail, refuses in self._summarise(event, id_, direction, text):
            if direction == "sent" and kind is Kind.SIP and not self._connections.arrived(id_, text):
                label, refuses = f"{label} — not received", True
            yield Row(
                number=0,
                at=_time(event),
                kind=kind,
                label=label,
                source=source,
                target=target,
                mood=Mood.REFUSED if refuses else Mood.NEUTRAL,
                connections=ids,
                details=(*self._connections.describe(id_), "", *detail.splitlines()),
            )

    def _summarise(
        self, event: Event, id_: str, direction: str, text: str
    ) -> Iterator[tuple[Kind, str, str, bool]]:
        if (sip := summarise_sip(text)) is not None:
            yield Kind.SIP, sip[0], text, sip[1]
        elif (http := summarise_http(text)) is not None:
            yield Kind.HTTP, http, text, False
        elif self._connections.speaks_xmpp(id_):
            for element in self._streams[id_, direction].take(text):
                yield Kind.XMPP, element.label, element.text, element.refuses
        else:
            yield Kind.OTHER, f"{event.get('size', len(text))} bytes", text, False

    # Verdicts.

    def _judged(self, event: Event) -> None:
        id_, verdict = str(event["connection"]), decode_verdict(event["verdict"])
        here, there = self._connections.lanes(id_, event)
        ids = self._connections.both(id_)
        lines = (*self._connections.describe(id_), *_verdict_lines(here, verdict))
        mood = Mood.ACCEPTED if verdict.accepted else Mood.REFUSED
        if verdict.reason is Reason.UNREACHABLE:
            self._add(event, Kind.TLS, f"cannot connect: {verdict.detail}", here, there, mood, ids, lines)
        elif not _is_handshake(verdict):
            self._add(event, Kind.SERVICE, describe_verdict(verdict), here, here, mood, ids, lines)
        elif (other := self._other_verdict(ids, here, verdict)) is not None:
            self._join(other, verdict, here, there)
        else:
            # A handshake begins at the client; a refusal goes from who refused.
            ours = verdict.side is Side.CLIENT if verdict.accepted else not verdict.alert_received
            source, target = (here, there) if ours else (there, here)
            self._handshakes[frozenset(ids)] = _Handshake(len(self.rows), here, verdict.reason)
            self._add(event, Kind.TLS, _handshake_label(verdict), source, target, mood, ids, lines)

    def _other_verdict(self, ids: tuple[str, ...], here: str, verdict: Verdict) -> _Handshake | None:
        """Return what the other end judged of the same handshake, where the two tell one story."""
        other = self._handshakes.get(frozenset(ids))
        if other is None or other.observer == here:
            return None
        reasons = {other.reason, verdict.reason}
        refused_once = Reason.ACCEPTED not in reasons and reasons & {Reason.PEER_ALERT, Reason.CLOSED_EARLY}
        return other if reasons == {Reason.ACCEPTED} or refused_once else None

    def _join(self, other: _Handshake, verdict: Verdict, here: str, there: str) -> None:
        row = self.rows[other.place]
        label, source, target = row.label, row.source, row.target
        if other.reason in (Reason.PEER_ALERT, Reason.CLOSED_EARLY):  # who refused knows why
            label, source, target = _handshake_label(verdict), here, there
        elif verdict.accepted and verdict.subject and "CN=" not in label:
            label = f"{label} CN={verdict.subject}"
        details = (*row.details, "", *_verdict_lines(here, verdict))
        self.rows[other.place] = replace(row, label=label, source=source, target=target, details=details)

    # Connections.

    def _opened(self, event: Event) -> None:
        id_ = str(event["connection"]["id"])
        if self._connections.is_second_end(id_):
            return
        here, there = self._connections.lanes(id_)
        source, target = (here, there) if event["connection"]["listener"] == "outgoing" else (there, here)
        label = f"{event['connection']['transport']} connection"
        lines = self._connections.describe(id_)
        self._add(event, Kind.TCP, label, source, target, Mood.NEUTRAL, self._connections.both(id_), lines)

    def _closed(self, event: Event) -> None:
        id_ = str(event["connection"])
        here, there = self._connections.lanes(id_)
        why = str(event.get("why", ""))
        lines = (*self._connections.describe(id_), f"closed: {why}")
        self._add(event, Kind.TCP, f"closed: {why}", here, there, Mood.NEUTRAL, (id_,), lines)

    def _add(
        self,
        event: Event,
        kind: Kind,
        label: str,
        source: str = "",
        target: str = "",
        mood: Mood = Mood.NEUTRAL,
        connections: tuple[str, ...] = (),
        details: Sequence[str] = (),
    ) -> None:
        self.rows.append(
            Row(
                number=0,
                at=_time(event),
                kind=kind,
                label=label,
                source=source,
                target=target,
                mood=mood,
                connections=connections,
                details=tuple(details),
            )
        )


def _verdict_lines(observer: str, verdict: Verdict) -> list[str]:
    lines = [f"{observer}: {describe_verdict(verdict)}"]
    if verdict.cipher:
        lines.append(f"cipher suite: {verdict.cipher}")
    if not verdict.accepted or verdict.disbelieved:
        lines += explanation_lines(verdict)
    if verdict.clause:
        lines.append(f"clause: {verdict.clause}")
    return lines + chain_lines(verdict.presented_chain)


def _is_handshake(verdict: Verdict) -> bool:
    return bool(
        verdict.tls_version
        or verdict.alert_sent
        or verdict.alert_received
        or verdict.reason in _NO_VERSION_YET
    )


def _handshake_label(verdict: Verdict) -> str:
    version, subject = verdict.tls_version or "TLS", f" CN={verdict.subject}" if verdict.subject else ""
    if verdict.accepted:
        return f"{version} handshake{subject}"
    alert = verdict.alert_sent or verdict.alert_received
    return f"{version} refused: {verdict.reason}{f' ({alert})' if alert else ''}{subject}"


def _time(event: Event) -> datetime:
    return datetime.fromisoformat(event["at"]) if "at" in event else datetime.now(UTC)
