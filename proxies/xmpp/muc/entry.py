"""Entering and leaving a room, changing the nickname and the presence in it (XEP-0045 7.2, 7.6, 7.7, 7.14)."""

from typing import Final
from xml.etree import ElementTree as ET

from certs.errors import RemoteProtocolError
from proxies.xmpp import namespaces as ns
from proxies.xmpp.jid import Jid
from proxies.xmpp.muc.history import parse_history_request, send_history, send_subject
from proxies.xmpp.muc.privileges import initial_role
from proxies.xmpp.muc.room import Occupant, PresenceNote, Room, RoomState
from proxies.xmpp.muc.values import Affiliation, Role, StatusCode
from proxies.xmpp.stanza import Stanza

_REMOVED: Final = PresenceNote(codes=(StatusCode.KICKED, StatusCode.REMOVED_BY_ERROR))

# Errors that say an occupant cannot be reached any more (7.14, "the service SHOULD remove").
_UNREACHABLE: Final = frozenset(
    {
        "gone",
        "internal-server-error",
        "item-not-found",
        "jid-malformed",
        "recipient-unavailable",
        "redirect",
        "remote-server-not-found",
        "remote-server-timeout",
        "service-unavailable",
    }
)


def receive_presence(room: Room, presence: Stanza, sender: Jid, to: Jid) -> None:
    """Take a presence for a room that exists.

    Raises RemoteProtocolError with the stanza error to answer.
    """
    occupant = room.occupant(sender)
    match presence.type:
        case "unavailable":
            if occupant is not None:
                room.remove(occupant, farewell=_cleaned(presence))
        case "error":
            if occupant is not None:
                room.remove(occupant, _REMOVED)
        case "":
            if occupant is None or presence.has_child(ns.MUC, "x"):
                _enter(room, presence, sender, to)
            elif to.resourcepart != occupant.nickname:
                _change_nickname(room, occupant, presence, to.resourcepart)
            else:
                occupant.presence = _cleaned(presence)
                room.show(occupant)
        case _:
            pass  # rooms take no subscriptions


def create(room: Room, presence: Stanza, sender: Jid, to: Jid) -> None:
    """Let the creator into a new room, as its owner (10.1.1)."""
    room.affiliations[sender.bare] = Affiliation.OWNER
    _enter(room, presence, sender, to, created=True)


def remove_unreachable(room: Room, occupant: Occupant, error: Stanza) -> bool:
    """Remove an occupant whose client sent an error that says it is not there; say whether it did."""
    element = error.element().find(f"{{{ns.CLIENT}}}error")
    conditions = {child.tag.rpartition("}")[2] for child in element} if element is not None else set()
    if _UNREACHABLE.isdisjoint(conditions):
        return False
    room.remove(occupant, _REMOVED)
    return True


def _enter(room: Room, presence: Stanza, sender: Jid, to: Jid, *, created: bool = False) -> None:
    if not to.resourcepart:
        raise RemoteProtocolError("entering a room takes a nickname", reply="jid-malformed")  # 7.2.1
    if not presence.has_child(ns.MUC, "x"):
        # Its client believes that it is inside: it lost a restart of ours, or was removed (XEP-0410).
        raise RemoteProtocolError("you are not in this room", reply="not-acceptable")
    request = presence.element().find(f"{{{ns.MUC}}}x")
    assert request is not None
    history = parse_history_request(request)
    codes = [StatusCode.ROOM_CREATED] if created else []
    if presence.attributes["to"].partition("/")[2] != to.resourcepart:  # it was prepared (RFC 7622 3.4)
        codes.append(StatusCode.NICKNAME_CHANGED_BY_SERVICE)
    if (occupant := room.occupant(sender)) is not None:  # the client lost its view of the room
        if occupant.nickname != to.resourcepart:
            _change_nickname(room, occupant, presence, to.resourcepart)
        occupant.presence = _cleaned(presence)
    else:
        affiliation = room.affiliation(sender)
        _check_entry(room, affiliation, to.resourcepart, request, created=created)
        occupant = Occupant(
            jid=sender,
            address=str(sender),
            nickname=to.resourcepart,
            role=initial_role(affiliation, room.configuration),
            presence=_cleaned(presence),
        )
        room.add(occupant)
    _welcome(room, occupant, codes)
    send_history(room, occupant, history)
    send_subject(room, occupant)


def _welcome(room: Room, occupant: Occupant, codes: list[StatusCode]) -> None:
    room.show_others_to(occupant)
    if room.configuration.non_anonymous:
        codes.append(StatusCode.NON_ANONYMOUS)
    if room.configuration.logging:
        codes.append(StatusCode.LOGGING_ENABLED)
    room.show(occupant, PresenceNote(self_codes=tuple(codes)))


def _check_entry(
    room: Room, affiliation: Affiliation, nickname: str, request: ET.Element, *, created: bool
) -> None:
    configuration = room.configuration
    if room.state is RoomState.LOCKED and not created:
        raise RemoteProtocolError("the room is not configured yet", reply="item-not-found")  # 7.2.10
    if affiliation is Affiliation.OUTCAST:
        raise RemoteProtocolError("banned from this room", reply="forbidden")  # 7.2.7
    if configuration.members_only and affiliation is Affiliation.NONE:
        raise RemoteProtocolError("the room is for members", reply="registration-required")  # 7.2.6
    if nickname in room.occupants:
        raise RemoteProtocolError(f"somebody is {nickname!r} here", reply="conflict")  # 7.2.8
    limit = min(
        configuration.maximum_users or room.settings.maximum_occupants, room.settings.maximum_occupants
    )
    if len(room.occupants) >= limit and not affiliation.is_admin:
        raise RemoteProtocolError(f"the room has {limit} occupants", reply="service-unavailable")  # 7.2.9
    password = request.findtext(f"{{{ns.MUC}}}password") or ""
    if configuration.password and password != configuration.password:
        raise RemoteProtocolError("the room asks for a password", reply="not-authorized")  # 7.2.5


def _change_nickname(room: Room, occupant: Occupant, presence: Stanza, nickname: str) -> None:
    if not nickname:
        raise RemoteProtocolError("a presence in a room names the nickname", reply="jid-malformed")
    if nickname in room.occupants:
        raise RemoteProtocolError(f"somebody is {nickname!r} here", reply="conflict")
    note = PresenceNote(codes=(StatusCode.NEW_NICKNAME,), new_nickname=nickname)
    occupant.presence = Stanza("presence")
    room.show(occupant, note, unavailable=True)
    room.rename(occupant, nickname)
    occupant.presence = _cleaned(presence)
    room.show(occupant)


def _cleaned(presence: Stanza) -> Stanza:
    """Return what an occupant's presence says, without what is for the room or is the room's to say (7.7)."""
    presence = presence.without_children(ns.MUC).without_children(ns.MUC_USER)
    return presence.with_attributes(to=None, from_=None, type=None)


def has_voice(room: Room, occupant: Occupant) -> bool:
    """Whether an occupant may send messages to all (section 5.1.1)."""
    return occupant.role is not Role.VISITOR or not room.configuration.moderated
