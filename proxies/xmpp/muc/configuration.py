"""Creating, configuring and destroying a room as its owner (XEP-0045 10.1, 10.2, 10.9)."""

from collections.abc import Mapping
from typing import Final
from xml.etree import ElementTree as ET

from certs.errors import RemoteProtocolError
from proxies.xmpp import namespaces as ns
from proxies.xmpp.data_forms import FormField, find_form, form_element, parse_boolean, parse_submission
from proxies.xmpp.jid import Jid
from proxies.xmpp.muc.administration import remove_non_members
from proxies.xmpp.muc.room import PresenceNote, Room, RoomEvent, RoomState
from proxies.xmpp.muc.values import Affiliation, RoomConfiguration, StatusCode, Whois
from proxies.xmpp.stanza import Stanza

FORM_TYPE: Final = "http://jabber.org/protocol/muc#roomconfig"
MAXIMUM_TEXT: Final = 1024
"Characters in a text of the form."

_PREFIX: Final = "muc#roomconfig_"
_DESTROY: Final = f"{{{ns.MUC_OWNER}}}destroy"


def answer_owner_query(room: Room, request: Stanza, sender: Jid) -> Stanza:
    """Answer a `muc#owner` request: the form, a configuration, or the room's end.

    Raises RemoteProtocolError with the stanza error to answer.
    """
    if room.affiliation(sender) is not Affiliation.OWNER:
        raise RemoteProtocolError("only an owner configures the room", reply="forbidden")
    query = request.element()[0]
    if request.type == "get":
        answer = ET.Element(f"{{{ns.MUC_OWNER}}}query")
        answer.append(configuration_form(room.configuration))
        return request.reply(answer)
    if (destroy := query.find(_DESTROY)) is not None:
        _destroy(room, destroy)
    elif (form := find_form(query)) is not None:
        _submit(room, form)
    else:
        raise RemoteProtocolError("expected a form or <destroy/>", reply="bad-request")
    return request.reply()


def configuration_form(configuration: RoomConfiguration) -> ET.Element:
    """Return the form that an owner fills in (10.1.3)."""
    c = configuration
    fields = [
        _text("roomname", "Natural-Language Room Name", c.name),
        _text("roomdesc", "Short Description of Room", c.description),
        _boolean("persistentroom", "Make Room Persistent", c.persistent),
        _boolean("publicroom", "Make Room Publicly Searchable", c.public),
        _boolean("moderatedroom", "Make Room Moderated", c.moderated),
        _boolean("membersonly", "Make Room Members-Only", c.members_only),
        _boolean("passwordprotectedroom", "Password Required to Enter", bool(c.password)),
        FormField(f"{_PREFIX}roomsecret", (c.password,), "text-private", "Password"),
        FormField(f"{_PREFIX}whois", (c.whois,), "list-single", "Who May Discover Real JIDs", tuple(Whois)),
        _text("maxusers", "Maximum Number of Occupants, 0 for No Limit", str(c.maximum_users)),
        _boolean("changesubject", "Allow Occupants to Change Subject", c.change_subject),
        _boolean("allowinvites", "Allow Occupants to Invite Others", c.allow_invites),
        _boolean("enablelogging", "Archive Messages", c.logging),
    ]
    return form_element(FORM_TYPE, fields, title="Room Configuration")


def apply_submission(
    configuration: RoomConfiguration, submitted: Mapping[str, tuple[str, ...]]
) -> RoomConfiguration:
    """Return a configuration with what an owner submitted; what the form leaves out stays as it is.

    Raises RemoteProtocolError (`not-acceptable`, `bad-request`) where a value cannot be.
    """

    def text(name: str, now: str) -> str:
        value = next(iter(submitted.get(_PREFIX + name, (now,))), "")
        if len(value) > MAXIMUM_TEXT:
            raise RemoteProtocolError(f"{name} may have {MAXIMUM_TEXT} characters", reply="not-acceptable")
        return value

    def boolean(name: str, now: bool) -> bool:
        return parse_boolean(text(name, "1" if now else "0"))

    password = text("roomsecret", configuration.password)
    has_password = boolean("passwordprotectedroom", bool(configuration.password))
    if has_password and not password:
        raise RemoteProtocolError("a password-protected room needs a password", reply="not-acceptable")
    return RoomConfiguration(
        name=text("roomname", configuration.name),
        description=text("roomdesc", configuration.description),
        persistent=boolean("persistentroom", configuration.persistent),
        public=boolean("publicroom", configuration.public),
        moderated=boolean("moderatedroom", configuration.moderated),
        members_only=boolean("membersonly", configuration.members_only),
        password=password if has_password else "",
        whois=_whois(text("whois", configuration.whois)),
        maximum_users=_users(text("maxusers", str(configuration.maximum_users))),
        change_subject=boolean("changesubject", configuration.change_subject),
        allow_invites=boolean("allowinvites", configuration.allow_invites),
        logging=boolean("enablelogging", configuration.logging),
    )


def _submit(room: Room, form: ET.Element) -> None:
    if form.get("type") == "cancel":
        if room.state is RoomState.LOCKED:
            _end(room, ET.Element(f"{{{ns.MUC_USER}}}destroy"), RoomEvent.CANCELLED)
        return
    old = room.configuration
    new = room.configuration = apply_submission(old, parse_submission(form, FORM_TYPE))
    was_open = room.state is RoomState.OPEN
    room.move(RoomEvent.CONFIGURED)
    if was_open and new != old:
        room.tell_status(_status_codes(old, new))
    if new.members_only and not old.members_only:
        remove_non_members(room)
    if not room.occupants and not new.persistent and room.state is RoomState.OPEN:
        room.move(RoomEvent.VACATED)


def _status_codes(old: RoomConfiguration, new: RoomConfiguration) -> list[StatusCode]:
    """Return what a change of configuration tells the occupants (10.2.1)."""
    codes = [StatusCode.CONFIGURATION_CHANGED]
    if new.non_anonymous != old.non_anonymous:
        codes.append(StatusCode.NOW_NON_ANONYMOUS if new.non_anonymous else StatusCode.NOW_SEMI_ANONYMOUS)
    if new.logging != old.logging:
        codes.append(StatusCode.LOGGING_ENABLED if new.logging else StatusCode.LOGGING_DISABLED)
    return codes


def _destroy(room: Room, asked: ET.Element) -> None:
    destroy = ET.Element(f"{{{ns.MUC_USER}}}destroy")
    if (alternative := asked.get("jid")) is not None:
        destroy.set("jid", str(Jid.parse(alternative)))
    if (reason := asked.findtext(f"{{{ns.MUC_OWNER}}}reason")) is not None:
        ET.SubElement(destroy, f"{{{ns.MUC_USER}}}reason").text = reason
    _end(room, destroy, RoomEvent.DESTROYED)


def _end(room: Room, destroy: ET.Element, event: RoomEvent) -> None:
    room.move(event)
    room.dismiss_all(PresenceNote(destroyed=destroy))


def _text(name: str, label: str, value: str) -> FormField:
    return FormField(_PREFIX + name, (value,), "text-single", label)


def _boolean(name: str, label: str, value: bool) -> FormField:
    return FormField(_PREFIX + name, ("1" if value else "0",), "boolean", label)


def _whois(text: str) -> Whois:
    try:
        return Whois(text)
    except ValueError:
        raise RemoteProtocolError(f"whois cannot be {text[:20]!r}", reply="not-acceptable") from None


def _users(text: str) -> int:
    if text in ("", "none"):
        return 0
    if text.isascii() and text.isdecimal() and len(text) <= 6:
        return int(text)
    raise RemoteProtocolError(f"maxusers cannot be {text[:20]!r}", reply="not-acceptable")
