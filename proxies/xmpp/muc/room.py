"""A room and its occupants (XEP-0045): who is there, what they see of each other, and what is said to all."""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from typing import Final
from xml.etree import ElementTree as ET

from certs.clock import Clock
from certs.errors import LocalProtocolError
from proxies.xmpp import namespaces as ns
from proxies.xmpp.jid import Jid
from proxies.xmpp.muc.values import (
    Affiliation,
    MucSettings,
    Role,
    RoomRecord,
    RoomStore,
    StatusCode,
)
from proxies.xmpp.stanza import Stanza


class RoomState(Enum):
    """Where a room is between its creation and its end (section 10)."""

    LOCKED = auto()
    "Made, but its owner has not accepted a configuration yet: nobody else can enter (10.1.2)."
    OPEN = auto()
    DESTROYED = auto()


class RoomEvent(Enum):
    """What can happen to a room as a whole."""

    CONFIGURED = auto()
    CANCELLED = auto()
    "The owner gave up the first configuration (10.1.3)."
    VACATED = auto()
    "The last occupant left, and the room is not persistent."
    DESTROYED = auto()


# Sections 10.1, 10.2 and 10.9, one line per arrow. Any other pair is an error.
TRANSITIONS: Final[Mapping[tuple[RoomState, RoomEvent], RoomState]] = {
    (RoomState.LOCKED, RoomEvent.CONFIGURED): RoomState.OPEN,
    (RoomState.LOCKED, RoomEvent.CANCELLED): RoomState.DESTROYED,
    (RoomState.LOCKED, RoomEvent.VACATED): RoomState.DESTROYED,
    (RoomState.LOCKED, RoomEvent.DESTROYED): RoomState.DESTROYED,
    (RoomState.OPEN, RoomEvent.CONFIGURED): RoomState.OPEN,
    (RoomState.OPEN, RoomEvent.VACATED): RoomState.DESTROYED,
    (RoomState.OPEN, RoomEvent.DESTROYED): RoomState.DESTROYED,
}


@dataclass(slots=True, eq=False)
class Occupant:
    """A client that is in a room under a nickname."""

    jid: Jid
    "The client's full address."

    address: str
    "The same as text."

    nickname: str
    "The name in the room."

    role: Role
    "What it may do now."

    presence: Stanza
    "Its last presence, without addresses and without what the room adds."


@dataclass(frozen=True, slots=True, kw_only=True)
class PresenceNote:
    """What the room tells with an occupant's presence, beside role and affiliation (section 15.4.2)."""

    codes: tuple[StatusCode, ...] = ()
    "For everybody."

    self_codes: tuple[StatusCode, ...] = ()
    "For the occupant only, beside 110."

    actor: str = ""
    "The nickname of who made the change."

    reason: str = ""
    "Why, in the actor's words."

    new_nickname: str = ""
    "The nickname that the occupant goes on with."

    destroyed: ET.Element | None = None
    "The `<destroy/>` of a room that is no more; nobody has a role or an affiliation there."


NO_NOTE: Final = PresenceNote()


@dataclass(frozen=True, slots=True)
class PastMessage:
    """A message that new occupants are shown (section 7.2.13)."""

    message: Stanza
    "As it was sent to all, without `to`."

    sent_at: datetime
    "When."


class Room:
    """One room. What it sends goes to `send`, in order."""

    def __init__(
        self,
        record: RoomRecord,
        *,
        state: RoomState,
        settings: MucSettings,
        store: RoomStore,
        clock: Clock,
        send: Callable[[Stanza], None],
    ) -> None:
        self.jid = record.jid
        self.address = str(record.jid)
        self.configuration = record.configuration
        self.affiliations = dict(record.affiliations)
        self.subject = record.subject
        self.state = state
        self.settings = settings
        self.clock = clock
        self.send = send
        self.occupants: dict[str, Occupant] = {}
        self.history: deque[PastMessage] = deque(maxlen=settings.history_length)
        self._store = store
        self._by_jid: dict[Jid, Occupant] = {}

    # Who is there

    def occupant(self, jid: Jid) -> Occupant | None:
        """Return who is in the room from a client's full address."""
        return self._by_jid.get(jid)

    def affiliation(self, jid: Jid) -> Affiliation:
        """Return the affiliation of a user, by full or bare address."""
        return self.affiliations.get(jid.bare, Affiliation.NONE)

    def set_affiliation(self, user: Jid, affiliation: Affiliation) -> None:
        """Give a user, by bare address, an affiliation."""
        if affiliation is Affiliation.NONE:
            self.affiliations.pop(user, None)
        else:
            self.affiliations[user] = affiliation

    def occupant_address(self, nickname: str) -> str:
        """Return the address that the room shows for an occupant."""
        return f"{self.address}/{nickname}"

    def add(self, occupant: Occupant) -> None:
        """Let an occupant be in the room."""
        self.occupants[occupant.nickname] = occupant
        self._by_jid[occupant.jid] = occupant

    def rename(self, occupant: Occupant, nickname: str) -> None:
        """Give an occupant another nickname."""
        del self.occupants[occupant.nickname]
        occupant.nickname = nickname
        self.occupants[nickname] = occupant

    def remove(
        self, occupant: Occupant, note: PresenceNote = NO_NOTE, farewell: Stanza | None = None
    ) -> None:
        """Take an occupant out of the room and tell everybody; `farewell` is its own last presence."""
        del self.occupants[occupant.nickname]
        del self._by_jid[occupant.jid]
        occupant.role = Role.NONE
        occupant.presence = farewell or Stanza("presence")
        self.show(occupant, note, unavailable=True)
        if not self.occupants and not self.configuration.persistent and self.state is not RoomState.DESTROYED:
            self.move(RoomEvent.VACATED)

    def dismiss_all(self, note: PresenceNote) -> None:
        """Take everybody out at once, each told only of itself (10.9, 17.6)."""
        occupants = tuple(self.occupants.values())
        self.occupants.clear()
        self._by_jid.clear()
        for each in occupants:
            each.role = Role.NONE
            each.presence = Stanza("presence")
            self.show(each, note, unavailable=True)

    # State and storage

    def move(self, event: RoomEvent) -> None:
        """Go to the state that an event leads to."""
        try:
            self.state = TRANSITIONS[self.state, event]
        except KeyError:
            raise LocalProtocolError(f"{event.name} is not allowed in {self.state.name}") from None
        self.save()

    def save(self) -> None:
        """Keep the room as it is now, or forget it where it is not persistent."""
        if self.state is RoomState.OPEN and self.configuration.persistent:
            record = RoomRecord(
                jid=self.jid,
                configuration=self.configuration,
                affiliations=dict(self.affiliations),
                subject=self.subject,
            )
            self._store.save_room(record)
        else:
            self._store.delete_room(self.jid)

    # What occupants see

    def show(self, occupant: Occupant, note: PresenceNote = NO_NOTE, *, unavailable: bool = False) -> None:
        """Send an occupant's presence to everybody, itself last of all (7.2.2, 7.14)."""
        others = [each for each in self.occupants.values() if each is not occupant]
        type_ = "unavailable" if unavailable else None
        presence = occupant.presence.with_attributes(
            from_=self.occupant_address(occupant.nickname), type=type_
        )
        self._show(occupant, presence, note, [*others, occupant])

    def show_others_to(self, newcomer: Occupant) -> None:
        """Send a newcomer the presence of all who are there already (7.2.2)."""
        for each in self.occupants.values():
            if each is not newcomer:
                presence = each.presence.with_attributes(from_=self.occupant_address(each.nickname))
                self._show(each, presence, NO_NOTE, [newcomer])

    def _show(
        self, occupant: Occupant, presence: Stanza, note: PresenceNote, recipients: Iterable[Occupant]
    ) -> None:
        views: dict[tuple[bool, bool], Stanza] = {}
        for each in recipients:
            is_self = each is occupant
            sees_jid = is_self or self.configuration.non_anonymous or each.role is Role.MODERATOR
            view = views.get((is_self, sees_jid))
            if view is None:
                x = self._user_element(occupant, note, is_self=is_self, with_jid=sees_jid)
                view = views[is_self, sees_jid] = presence.with_child(x)
            self.send(addressed(view, each.address))

    def _user_element(
        self, occupant: Occupant, note: PresenceNote, *, is_self: bool, with_jid: bool
    ) -> ET.Element:
        x = ET.Element(f"{{{ns.MUC_USER}}}x")
        affiliation = self.affiliation(occupant.jid) if note.destroyed is None else Affiliation.NONE
        item = ET.SubElement(x, f"{{{ns.MUC_USER}}}item", {"affiliation": affiliation, "role": occupant.role})
        if with_jid:
            item.set("jid", occupant.address)
        if note.new_nickname:
            item.set("nick", note.new_nickname)
        if note.actor:
            ET.SubElement(item, f"{{{ns.MUC_USER}}}actor", {"nick": note.actor})
        if note.reason:
            ET.SubElement(item, f"{{{ns.MUC_USER}}}reason").text = note.reason
        if note.destroyed is not None:
            x.append(note.destroyed)
        codes = (*note.codes, *note.self_codes, StatusCode.SELF_PRESENCE) if is_self else note.codes
        add_status_codes(x, codes)
        return x

    # What is said to all

    def say(self, message: Stanza) -> None:
        """Send a message, which says who it is from, to everybody."""
        for each in tuple(self.occupants.values()):
            self.send(addressed(message, each.address))

    def tell_status(self, codes: Iterable[StatusCode]) -> None:
        """Send a message of the room itself with status codes (10.2.1)."""
        x = ET.Element(f"{{{ns.MUC_USER}}}x")
        add_status_codes(x, codes)
        self.say(Stanza("message", {"from": self.address, "type": "groupchat"}).with_child(x))


def addressed(stanza: Stanza, to: str) -> Stanza:
    """Return a stanza for one recipient; the short way, because a room does it for each occupant."""
    return Stanza(
        stanza.kind, {**stanza.attributes, "to": to}, stanza.payload, stanza.children, stanza.declarations
    )


def add_status_codes(x: ET.Element, codes: Iterable[StatusCode]) -> None:
    """Add `<status/>` elements (section 15.6)."""
    for code in codes:
        ET.SubElement(x, f"{{{ns.MUC_USER}}}status", {"code": code})
