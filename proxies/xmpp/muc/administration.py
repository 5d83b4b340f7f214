"""Changing roles and affiliations, and asking for the lists of them (XEP-0045 sections 8.2 to 9.9, 10.3 to 10.8)."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from xml.etree import ElementTree as ET

from certs.errors import RemoteProtocolError
from proxies.xmpp import namespaces as ns
from proxies.xmpp.jid import Jid
from proxies.xmpp.muc.privileges import check_affiliation_change, check_role_change, initial_role
from proxies.xmpp.muc.room import Occupant, PresenceNote, Room
from proxies.xmpp.muc.values import Affiliation, Role, StatusCode
from proxies.xmpp.stanza import Stanza

MAXIMUM_ITEMS: Final = 200
"Changes in one request."

_ITEM: Final = f"{{{ns.MUC_ADMIN}}}item"


@dataclass(frozen=True, slots=True, kw_only=True)
class _AffiliationChange:
    jid: Jid
    affiliation: Affiliation
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _RoleChange:
    occupant: Occupant
    role: Role
    reason: str


def answer_admin_query(room: Room, request: Stanza, sender: Jid) -> Stanza:
    """Answer a `muc#admin` request: a list, or changes that are all made or, where one is not allowed, none.

    Raises RemoteProtocolError with the stanza error to answer.
    """
    items = request.element()[0].findall(_ITEM)
    if not items or len(items) > MAXIMUM_ITEMS:
        raise RemoteProtocolError(f"a request has 1 to {MAXIMUM_ITEMS} items", reply="bad-request")
    if request.type == "get":
        return request.reply(_list(room, items[0], sender))
    changes = [_parse_change(room, item) for item in items]
    for change in changes:
        _check(room, change, sender)
    _check_owners(room, changes)
    _check_size(room, changes)
    actor = room.occupant(sender)
    for change in changes:
        _apply(room, change, actor.nickname if actor is not None else "")
    room.save()
    return request.reply()


def remove_non_members(room: Room) -> None:
    """Remove those who may not be in a room that is now for members (10.2.1, 9.3)."""
    for occupant in tuple(room.occupants.values()):
        if room.affiliation(occupant.jid) is Affiliation.NONE:
            room.remove(occupant, PresenceNote(codes=(StatusCode.MEMBERS_ONLY,)))


# Lists


def _list(room: Room, item: ET.Element, sender: Jid) -> ET.Element:
    query = ET.Element(f"{{{ns.MUC_ADMIN}}}query")
    if (wanted := item.get("affiliation")) is not None:
        affiliation = _affiliation(wanted)
        _check_may_list(room, affiliation, sender)
        for jid, each in room.affiliations.items():
            if each is affiliation:
                ET.SubElement(query, _ITEM, {"affiliation": affiliation, "jid": str(jid)})
        return query
    role = _role(item.get("role", ""))
    occupant = room.occupant(sender)
    if occupant is None or occupant.role is not Role.MODERATOR:
        raise RemoteProtocolError("only moderators see who has which role", reply="forbidden")
    for present in room.occupants.values():
        if present.role is role:
            attributes = {
                "affiliation": room.affiliation(present.jid),
                "jid": present.address,
                "nick": present.nickname,
                "role": role,
            }
            ET.SubElement(query, _ITEM, attributes)
    return query


def _check_may_list(room: Room, affiliation: Affiliation, sender: Jid) -> None:
    own = room.affiliation(sender)
    if own.is_admin:
        return
    # 9.5: where members see each other's addresses anyhow, they may have the list, as encryption needs it.
    open_to_members = room.configuration.members_only and room.configuration.non_anonymous
    if open_to_members and own is Affiliation.MEMBER and affiliation is not Affiliation.OUTCAST:
        return
    raise RemoteProtocolError(f"affiliation {own} does not see this list", reply="forbidden")


# Changes


def _parse_change(room: Room, item: ET.Element) -> _AffiliationChange | _RoleChange:
    reason = item.findtext(f"{{{ns.MUC_ADMIN}}}reason") or ""
    nickname, jid = item.get("nick"), item.get("jid")
    occupant = room.occupants.get(nickname) if nickname is not None else None
    if nickname is not None and occupant is None and jid is None:
        raise RemoteProtocolError(f"nobody is {nickname[:100]!r} here", reply="item-not-found")
    if (affiliation := item.get("affiliation")) is not None:
        if jid is not None:
            address = Jid.parse(jid).bare
        elif occupant is not None:
            address = occupant.jid.bare
        else:
            raise RemoteProtocolError("an item names a user", reply="bad-request")
        return _AffiliationChange(jid=address, affiliation=_affiliation(affiliation), reason=reason)
    if occupant is None:
        raise RemoteProtocolError("a change of role names an occupant", reply="bad-request")
    return _RoleChange(occupant=occupant, role=_role(item.get("role", "")), reason=reason)


def _check(room: Room, change: _AffiliationChange | _RoleChange, sender: Jid) -> None:
    match change:
        case _AffiliationChange():
            own = room.affiliation(sender)
            if change.jid == sender.bare and change.affiliation is Affiliation.OUTCAST and own.is_admin:
                raise RemoteProtocolError("you cannot ban yourself", reply="conflict")  # 9.1
            check_affiliation_change(own, room.affiliation(change.jid), change.affiliation)
        case _RoleChange():
            actor = room.occupant(sender)
            if actor is None:
                raise RemoteProtocolError("you are not in this room", reply="forbidden")
            target = change.occupant
            if target.role is not change.role:
                check_role_change(
                    (actor.role, room.affiliation(sender)),
                    (target.role, room.affiliation(target.jid)),
                    change.role,
                )


def _check_owners(room: Room, changes: Iterable[_AffiliationChange | _RoleChange]) -> None:
    """A room keeps an owner (10.6)."""
    after = dict(room.affiliations)
    for change in changes:
        if isinstance(change, _AffiliationChange):
            after[change.jid] = change.affiliation
    if Affiliation.OWNER in room.affiliations.values() and Affiliation.OWNER not in after.values():
        raise RemoteProtocolError("the room needs an owner", reply="conflict")


def _check_size(room: Room, changes: Iterable[_AffiliationChange | _RoleChange]) -> None:
    added = sum(isinstance(each, _AffiliationChange) for each in changes)
    limit = room.settings.maximum_affiliations
    if len(room.affiliations) + added > limit:
        raise RemoteProtocolError(f"a room has {limit} affiliations", reply="resource-constraint")


def _apply(room: Room, change: _AffiliationChange | _RoleChange, actor: str) -> None:
    match change:
        case _AffiliationChange():
            _apply_affiliation(room, change, actor)
        case _RoleChange():
            if change.occupant.nickname not in room.occupants:
                return  # an earlier change of the same request removed it
            if change.role is Role.NONE:
                note = PresenceNote(codes=(StatusCode.KICKED,), actor=actor, reason=change.reason)
                room.remove(change.occupant, note)
            else:
                change.occupant.role = change.role
                room.show(change.occupant, PresenceNote(actor=actor, reason=change.reason))


def _apply_affiliation(room: Room, change: _AffiliationChange, actor: str) -> None:
    old = room.affiliation(change.jid)
    room.set_affiliation(change.jid, change.affiliation)
    for occupant in tuple(room.occupants.values()):
        if occupant.jid.bare != change.jid:
            continue
        if change.affiliation is Affiliation.OUTCAST:
            note = PresenceNote(codes=(StatusCode.BANNED,), actor=actor, reason=change.reason)
            room.remove(occupant, note)
        elif change.affiliation is Affiliation.NONE and room.configuration.members_only:
            note = PresenceNote(codes=(StatusCode.AFFILIATION_CHANGED,), actor=actor, reason=change.reason)
            room.remove(occupant, note)
        else:
            occupant.role = _role_after(room, occupant, old, change.affiliation)
            room.show(occupant, PresenceNote(reason=change.reason))


def _role_after(room: Room, occupant: Occupant, old: Affiliation, new: Affiliation) -> Role:
    """Return the role that goes with a new affiliation: nobody keeps what the old one alone gave (5.1.2)."""
    initial = initial_role(new, room.configuration)
    if new.is_admin or old.is_admin:
        return initial
    gains_voice = new is Affiliation.MEMBER and occupant.role is Role.VISITOR
    return initial if gains_voice else occupant.role


def _affiliation(text: str) -> Affiliation:
    try:
        return Affiliation(text)
    except ValueError:
        raise RemoteProtocolError(f"{text[:20]!r} is no affiliation", reply="bad-request") from None


def _role(text: str) -> Role:
    try:
        return Role(text)
    except ValueError:
        raise RemoteProtocolError(f"{text[:20]!r} is no role", reply="bad-request") from None
