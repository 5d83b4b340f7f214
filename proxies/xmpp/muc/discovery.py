"""What the Text Conference Manager and its rooms say of themselves (XEP-0045 section 6, XEP-0030)."""

from collections.abc import Iterable
from xml.etree import ElementTree as ET

from certs.errors import RemoteProtocolError
from proxies.xmpp import namespaces as ns
from proxies.xmpp.data_forms import FormField, form_element
from proxies.xmpp.im.entity_capabilities import Identity
from proxies.xmpp.jid import Jid
from proxies.xmpp.muc.room import Room, RoomState
from proxies.xmpp.muc.values import MucSettings
from proxies.xmpp.stanza import Stanza

ROOM_INFORMATION = "http://jabber.org/protocol/muc#roominfo"
SELF_PING = f"{ns.MUC}#self-ping-optimization"
"Says that a ping of one's own nickname is answered by the room (XEP-0410 section 3.3)."

_SERVICE_FEATURES = (ns.DISCO_INFO, ns.DISCO_ITEMS, ns.MUC, ns.PING)


def service_info(request: Stanza, settings: MucSettings) -> Stanza:
    """Answer what the service is (6.2)."""
    _refuse_nodes(request)
    identity = Identity("conference", "text", settings.name)
    return request.reply(_info(identity, _SERVICE_FEATURES))


def service_items(request: Stanza, rooms: Iterable[Room]) -> Stanza:
    """Answer which public rooms there are (6.3)."""
    _refuse_nodes(request)
    query = ET.Element(f"{{{ns.DISCO_ITEMS}}}query")
    for room in rooms:
        if room.configuration.public and room.state is RoomState.OPEN:
            attributes = {"jid": room.address, "name": room.configuration.name or room.jid.localpart}
            ET.SubElement(query, f"{{{ns.DISCO_ITEMS}}}item", attributes)
    return request.reply(query)


def room_info(request: Stanza, room: Room) -> Stanza:
    """Answer what a room is like (6.4)."""
    _refuse_nodes(request)
    c = room.configuration
    features = [
        ns.DISCO_INFO,
        ns.DISCO_ITEMS,
        ns.MUC,
        ns.STANZA_ID,
        SELF_PING,
        "muc_hidden" if not c.public else "muc_public",
        "muc_membersonly" if c.members_only else "muc_open",
        "muc_moderated" if c.moderated else "muc_unmoderated",
        "muc_nonanonymous" if c.non_anonymous else "muc_semianonymous",
        "muc_passwordprotected" if c.password else "muc_unsecured",
        "muc_persistent" if c.persistent else "muc_temporary",
    ]
    query = _info(Identity("conference", "text", c.name or room.jid.localpart), features)
    prefix = "muc#roominfo_"
    fields = [
        FormField(f"{prefix}description", (c.description,)),
        FormField(f"{prefix}subject", (room.subject.text if room.subject is not None else "",)),
        FormField(f"{prefix}occupants", (str(len(room.occupants)),)),
    ]
    query.append(form_element(ROOM_INFORMATION, fields, type_="result"))
    return request.reply(query)


def room_items(request: Stanza, room: Room, sender: Jid) -> Stanza:
    """Answer who is in a room (6.5): to those who are inside."""
    _refuse_nodes(request)
    query = ET.Element(f"{{{ns.DISCO_ITEMS}}}query")
    if room.occupant(sender) is not None:
        for nickname in room.occupants:
            ET.SubElement(query, f"{{{ns.DISCO_ITEMS}}}item", {"jid": room.occupant_address(nickname)})
    return request.reply(query)


def _info(identity: Identity, features: Iterable[str]) -> ET.Element:
    query = ET.Element(f"{{{ns.DISCO_INFO}}}query")
    query.append(identity.element())
    for feature in sorted(features):
        ET.SubElement(query, f"{{{ns.DISCO_INFO}}}feature", {"var": feature})
    return query


def _refuse_nodes(request: Stanza) -> None:
    if request.type != "get":
        raise RemoteProtocolError("service discovery only answers questions", reply="bad-request")
    if request.element()[0].get("node"):
        raise RemoteProtocolError("there is no such node", reply="item-not-found")
