"""Messages in a room (XEP-0045): to all (7.4), private (7.5), the subject (8.1), invitations (7.8)."""

from typing import Final
from xml.etree import ElementTree as ET

from certs.errors import RemoteProtocolError
from proxies.xmpp import namespaces as ns
from proxies.xmpp.jid import Jid
from proxies.xmpp.muc.entry import has_voice, remove_unreachable
from proxies.xmpp.muc.history import remember, subject_message
from proxies.xmpp.muc.room import Occupant, Room
from proxies.xmpp.muc.values import Affiliation, Role, RoomSubject
from proxies.xmpp.stanza import Stanza, child_text

MAXIMUM_INVITATIONS: Final = 20
"Invitations in one message."

_BODY: Final = ("", "body")
_SUBJECT: Final = ("", "subject")
_X: Final = f"{{{ns.MUC_USER}}}x"
_INVITE: Final = f"{{{ns.MUC_USER}}}invite"
_DECLINE: Final = f"{{{ns.MUC_USER}}}decline"
_REASON: Final = f"{{{ns.MUC_USER}}}reason"


def receive_message(room: Room, message: Stanza, sender: Jid, to: Jid) -> None:
    """Take a message for a room that exists.

    Raises RemoteProtocolError with the stanza error to answer.
    """
    occupant = room.occupant(sender)
    if message.type == "error":
        if occupant is not None and not remove_unreachable(room, occupant, message) and to.resourcepart:
            _whisper(room, occupant, message, to.resourcepart)
    elif to.resourcepart:
        if message.type == "groupchat":
            raise RemoteProtocolError("a message to one occupant is not for all", reply="bad-request")
        _whisper(room, _inside(occupant), message, to.resourcepart)
    elif message.type == "groupchat":
        _speak(room, _inside(occupant), message)
    else:
        _mediate(room, occupant, message, sender)


def _inside(occupant: Occupant | None) -> Occupant:
    if occupant is None:
        raise RemoteProtocolError("you are not in this room", reply="not-acceptable")
    return occupant


def _speak(room: Room, occupant: Occupant, message: Stanza) -> None:
    children = message.children
    if _SUBJECT in children and _BODY not in children and ("", "thread") not in children:
        _set_subject(room, occupant, message)
        return
    if not has_voice(room, occupant):
        raise RemoteProtocolError("a visitor has no voice here", reply="forbidden")
    message = message.without_children(ns.MUC_USER).without_children(ns.STANZA_ID, "stanza-id")
    message = message.with_attributes(from_=room.occupant_address(occupant.nickname), to=None)
    remember(room, message)
    room.say(message)


def _set_subject(room: Room, occupant: Occupant, message: Stanza) -> None:
    if occupant.role is not Role.MODERATOR and not (
        room.configuration.change_subject and has_voice(room, occupant)
    ):
        raise RemoteProtocolError(f"a {occupant.role} cannot change the subject", reply="forbidden")
    room.subject = RoomSubject(
        text=child_text(message, "subject"), nickname=occupant.nickname, set_at=room.clock.now()
    )
    room.save()
    room.say(subject_message(room, room.subject).with_attributes(id=message.id or None))


def _whisper(room: Room, occupant: Occupant, message: Stanza, nickname: str) -> None:
    """Pass a private message, or the error that answers one, under the sender's nickname."""
    target = room.occupants.get(nickname)
    if target is None:
        if message.type == "error":
            return  # whom it answers has left
        raise RemoteProtocolError(f"nobody is {nickname!r} here", reply="item-not-found")
    message = message.without_children(ns.MUC_USER)
    if message.type != "error":
        message = message.with_child(ET.Element(_X))  # tells it from a message outside the room
    room.send(message.with_attributes(from_=room.occupant_address(occupant.nickname), to=target.address))


def _mediate(room: Room, occupant: Occupant | None, message: Stanza, sender: Jid) -> None:
    x = message.element().find(_X) if message.has_child(ns.MUC_USER, "x") else None
    if x is None:
        raise RemoteProtocolError("a message to a room is of type groupchat", reply="bad-request")
    invitations, decline = x.findall(_INVITE), x.find(_DECLINE)
    if invitations:
        _invite(room, _inside(occupant), invitations)
    elif decline is not None:
        _decline(room, decline, sender)
    else:
        raise RemoteProtocolError("expected an invitation or its refusal", reply="bad-request")


def _invite(room: Room, inviter: Occupant, invitations: list[ET.Element]) -> None:
    is_admin = room.affiliation(inviter.jid).is_admin
    if not (is_admin or room.configuration.allow_invites):
        raise RemoteProtocolError("only admins invite into this room", reply="forbidden")
    if len(invitations) > MAXIMUM_INVITATIONS:
        raise RemoteProtocolError(f"one message may invite {MAXIMUM_INVITATIONS}", reply="policy-violation")
    for invitee, invitation in [(_address(each), each) for each in invitations]:
        if room.configuration.members_only and room.affiliation(invitee) is Affiliation.NONE:
            room.set_affiliation(invitee.bare, Affiliation.MEMBER)  # 7.8.2: so that the invitee can enter
            room.save()
        x = ET.Element(_X)
        _relay(ET.SubElement(x, _INVITE, {"from": inviter.address}), invitation)
        if room.configuration.password:
            ET.SubElement(x, f"{{{ns.MUC_USER}}}password").text = room.configuration.password
        room.send(Stanza("message", {"from": room.address, "to": str(invitee)}).with_child(x))


def _decline(room: Room, decline: ET.Element, sender: Jid) -> None:
    inviter = _address(decline)
    # Only to somebody who is there: a room is no way to write to strangers under its name.
    if not any(inviter in (each.jid, each.jid.bare) for each in room.occupants.values()):
        raise RemoteProtocolError("the inviter is not in this room", reply="item-not-found")
    x = ET.Element(_X)
    _relay(ET.SubElement(x, _DECLINE, {"from": str(sender.bare)}), decline)
    room.send(Stanza("message", {"from": room.address, "to": str(inviter)}).with_child(x))


def _address(element: ET.Element) -> Jid:
    return Jid.parse(element.get("to", ""))


def _relay(target: ET.Element, source: ET.Element) -> None:
    """Pass on what an invitation or its refusal may say: a reason, and the thread that goes on here."""
    if (reason := source.findtext(_REASON)) is not None:
        ET.SubElement(target, _REASON).text = reason
    if (thread := source.find(f"{{{ns.MUC_USER}}}continue")) is not None:
        ET.SubElement(target, thread.tag, {k: v for k, v in thread.attrib.items() if k == "thread"})
