"""Blocking: the blocklist and what it stops (XEP-0191)."""

from collections.abc import Iterable
from xml.etree import ElementTree as ET

from certs.errors import RemoteProtocolError
from proxies.xmpp import namespaces as ns
from proxies.xmpp.conditions import StanzaErrorCondition, StanzaErrorType
from proxies.xmpp.im.blocklist import is_blocked
from proxies.xmpp.im.home_node import HomeNode, Resource, is_answer
from proxies.xmpp.im.iq_table import IqRequest, IqTable
from proxies.xmpp.im.presence import PresenceHandler
from proxies.xmpp.jid import Jid
from proxies.xmpp.stanza import Stanza, make_id, make_stanza


class Blocking:
    """Keeps blocklists, and refuses the stanzas that they stop."""

    def __init__(self, node: HomeNode, table: IqTable, presences: PresenceHandler) -> None:
        self._node = node
        self._presences = presences
        table.register(ns.BLOCKING, "blocklist", self._get)
        table.register(ns.BLOCKING, "block", self._block)
        table.register(ns.BLOCKING, "unblock", self._unblock)

    def stops(self, user: Jid, other: Jid) -> bool:
        """Whether a user's blocklist stops stanzas from or to an address; never the user's own server."""
        if other.bare == user or (not other.localpart and other.domainpart in self._node.settings.domains):
            return False
        return is_blocked(self._node.blocked(user), other)

    def refuse_outbound(self, resource: Resource, stanza: Stanza) -> None:
        """Refuse what a client sends to somebody whom its user has blocked (section 3.2)."""
        if not is_answer(stanza):
            blocked = ET.Element(f"{{{ns.BLOCKING_ERRORS}}}blocked")
            error = stanza.error(
                StanzaErrorCondition.NOT_ACCEPTABLE, type_=StanzaErrorType.CANCEL, application=blocked
            )
            resource.session.deliver(error)

    def refuse_inbound(self, stanza: Stanza) -> None:
        """Refuse what comes from somebody whom the user has blocked, as if the user were not there (3.2)."""
        if stanza.kind != "presence":
            self._node.bounce(stanza, StanzaErrorCondition.SERVICE_UNAVAILABLE)

    def _get(self, request: IqRequest) -> Stanza:
        resource = self._node.resources[str(request.sender)]
        resource.wants_blocklist = True
        return request.stanza.reply(_element("blocklist", sorted(resource.user.blocked, key=str)))

    def _block(self, request: IqRequest) -> Stanza:
        addresses = _items(request)
        if not addresses:
            raise RemoteProtocolError("whom to block is missing", reply="bad-request")
        user = request.sender.bare
        old = self._node.blocked(user)
        new = old | addresses
        if len(new) > self._node.settings.maximum_blocked:
            raise RemoteProtocolError("the blocklist is full", reply="resource-constraint")
        for contact in self._affected(user, old, new):
            self._presences.send_unavailable(user, contact)
        self._store(user, new)
        self._push(user, _element("block", addresses))
        return request.stanza.reply()

    def _unblock(self, request: IqRequest) -> Stanza:
        addresses = _items(request)
        user = request.sender.bare
        old = self._node.blocked(user)
        new = old - addresses if addresses else frozenset()
        self._store(user, new)
        for contact in self._affected(user, new, old):
            self._presences.send_available(user, contact)
        self._push(user, _element("unblock", addresses))
        return request.stanza.reply()

    def _affected(self, user: Jid, fewer: frozenset[Jid], more: frozenset[Jid]) -> list[Jid]:
        """Return the contacts who see the user's presence with one list and not with the other (3.3, 3.4)."""
        return [
            item.jid
            for item in self._node.store.roster(user).values()
            if item.subscription.from_contact
            and is_blocked(more, item.jid)
            and not is_blocked(fewer, item.jid)
        ]

    def _store(self, user: Jid, blocked: frozenset[Jid]) -> None:
        self._node.store.set_blocklist(user, blocked)
        self._node.users[user].blocked = blocked

    def _push(self, user: Jid, change: ET.Element) -> None:
        for resource in tuple(self._node.users[user].resources.values()):
            if resource.wants_blocklist:
                attributes = {"type": "set", "id": make_id(), "to": resource.address}
                resource.session.deliver(make_stanza("iq", attributes, [change]))


def _items(request: IqRequest) -> frozenset[Jid]:
    items = request.payload().iterfind(f"{{{ns.BLOCKING}}}item")
    return frozenset(Jid.parse(item.get("jid", "")) for item in items)


def _element(name: str, addresses: Iterable[Jid]) -> ET.Element:
    element = ET.Element(f"{{{ns.BLOCKING}}}{name}")
    for each in addresses:
        ET.SubElement(element, f"{{{ns.BLOCKING}}}item", {"jid": str(each)})
    return element
