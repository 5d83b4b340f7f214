"""Changes of a roster: stored, then pushed to the interested resources (RFC 6121 2.1.6)."""

from xml.etree import ElementTree as ET

from proxies.xmpp import namespaces as ns
from proxies.xmpp.im.home_node import HomeNode, Resource
from proxies.xmpp.im.interfaces import RosterItem
from proxies.xmpp.jid import Jid
from proxies.xmpp.stanza import make_id, make_stanza


def set_item(node: HomeNode, user: Jid, item: RosterItem) -> None:
    """Store a contact and push it."""
    stored = node.store.set_roster_item(user, item)
    _push_to_interested(node, user, item_element(stored), stored.version)


def remove_item(node: HomeNode, user: Jid, contact: Jid) -> None:
    """Remove a contact and push that."""
    version = node.store.remove_roster_item(user, contact)
    item = ET.Element(f"{{{ns.ROSTER}}}item", {"jid": str(contact), "subscription": "remove"})
    _push_to_interested(node, user, item, version)


def push(resource: Resource, item: ET.Element, version: int) -> None:
    """Push one item to one resource."""
    query = ET.Element(f"{{{ns.ROSTER}}}query", {"ver": str(version)})
    query.append(item)
    attributes = {"type": "set", "id": make_id(), "to": resource.address}
    resource.session.deliver(make_stanza("iq", attributes, [query]))


def item_element(item: RosterItem) -> ET.Element:
    """Return an item as the roster shows it."""
    attributes = {"jid": str(item.jid), "subscription": str(item.subscription)}
    if item.name:
        attributes["name"] = item.name
    if item.ask:
        attributes["ask"] = "subscribe"
    if item.approved:
        attributes["approved"] = "true"
    element = ET.Element(f"{{{ns.ROSTER}}}item", attributes)
    for group in item.groups:
        ET.SubElement(element, f"{{{ns.ROSTER}}}group").text = group
    return element


def _push_to_interested(node: HomeNode, user: Jid, item: ET.Element, version: int) -> None:
    connected = node.users.get(user)
    if connected is not None:
        for resource in connected.interested():
            push(resource, item, version)
