"""What a new occupant is shown of the past: messages (XEP-0045 7.2.13, 7.2.14) and the subject (7.2.15)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from xml.etree import ElementTree as ET

from certs.errors import RemoteProtocolError
from proxies.xmpp import namespaces as ns
from proxies.xmpp.muc.room import Occupant, PastMessage, Room, addressed
from proxies.xmpp.muc.values import RoomSubject
from proxies.xmpp.stamps import delay_element, parse_stamp
from proxies.xmpp.stanza import Stanza

_LONGEST: Final = timedelta(days=3650)
"History is kept in memory, so nothing is older."


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryRequest:
    """How much of the past an entering client wants (7.2.14); None where it sets no limit."""

    maximum_characters: int | None = None
    "`maxchars`: characters of complete stanzas; 0 for no history."

    maximum_stanzas: int | None = None
    "`maxstanzas`."

    seconds: int | None = None
    "`seconds`: no older than that."

    since: datetime | None = None
    "`since`: not sent before that."

    def start(self, now: datetime) -> datetime:
        """Return the time before which nothing is wanted."""
        starts = [now - _LONGEST]
        if self.seconds is not None:
            starts.append(now - min(timedelta(seconds=self.seconds), _LONGEST))
        if self.since is not None:
            starts.append(self.since)
        return max(starts)


def remember(room: Room, message: Stanza) -> None:
    """Keep a message that was said to all, if it says something."""
    if message.has_child("", "body"):
        room.history.append(PastMessage(message, room.clock.now()))


def parse_history_request(x: ET.Element) -> HistoryRequest:
    """Return what the `<x/>` of an entering client asks for.

    Raises RemoteProtocolError (`bad-request`) where a limit is not what the schema allows.
    """
    history = x.find(f"{{{ns.MUC}}}history")
    if history is None:
        return HistoryRequest()
    since = history.get("since")
    return HistoryRequest(
        maximum_characters=_number(history, "maxchars"),
        maximum_stanzas=_number(history, "maxstanzas"),
        seconds=_number(history, "seconds"),
        since=parse_stamp(since) if since is not None else None,
    )


def send_history(room: Room, occupant: Occupant, request: HistoryRequest) -> None:
    """Send a new occupant as much of the past as it asked for."""
    start = request.start(room.clock.now())
    past = [each for each in room.history if each.sent_at >= start]
    if request.maximum_stanzas is not None:
        past = past[-request.maximum_stanzas :] if request.maximum_stanzas else []
    stanzas = [
        addressed(each.message.with_child(delay_element(room.address, each.sent_at)), occupant.address)
        for each in past
    ]
    if request.maximum_characters is not None:
        stanzas = _last_within(stanzas, request.maximum_characters)
    for stanza in stanzas:
        room.send(stanza)


def send_subject(room: Room, occupant: Occupant) -> None:
    """Send a new occupant the subject: the end of what a client gets when it enters."""
    subject = room.subject
    if subject is None:
        stanza = subject_message(room, None)
    else:
        stanza = subject_message(room, subject).with_child(delay_element(room.address, subject.set_at))
    room.send(addressed(stanza, occupant.address))


def subject_message(room: Room, subject: RoomSubject | None) -> Stanza:
    """Return the message that tells a subject, or that there is none."""
    element = ET.Element("subject")
    sender = room.address
    if subject is not None:
        element.text = subject.text
        sender = room.occupant_address(subject.nickname)
    return Stanza("message", {"from": sender, "type": "groupchat"}).with_child(element)


def _number(asked: ET.Element, name: str) -> int | None:
    text = asked.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= 10):
        raise RemoteProtocolError(f"{name}: {text[:20]!r} is not a number", reply="bad-request")
    return int(text)


def _last_within(stanzas: list[Stanza], characters: int) -> list[Stanza]:
    """Return the last stanzas whose XML together is no longer than so many characters."""
    kept: list[Stanza] = []
    for stanza in reversed(stanzas):
        characters -= len(stanza.encode().decode())
        if characters < 0:
            break
        kept.append(stanza)
    return kept[::-1]
