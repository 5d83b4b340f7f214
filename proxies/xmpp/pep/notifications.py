"""Telling those interested (XEP-0163 section 4): who they are, and the messages they get."""

from collections.abc import Iterable
from xml.etree import ElementTree as ET
from xml.sax.saxutils import quoteattr

from proxies.xmpp import namespaces as ns
from proxies.xmpp.im.blocklist import is_blocked
from proxies.xmpp.im.home_node import HomeNode
from proxies.xmpp.jid import Jid
from proxies.xmpp.pep.interests import Interests
from proxies.xmpp.pep.values import AccessModel, PepNode, PepStore, PublishedItem, SendLastItem
from proxies.xmpp.stamps import format_stamp
from proxies.xmpp.stanza import Stanza, encode_element

_EVENT = (ns.PUBSUB_EVENT, "event")
_DELAY = (ns.DELAY, "delay")


class Notifier:
    """Sends each event to the resources that want it and may have it."""

    def __init__(self, node: HomeNode, store: PepStore, interests: Interests) -> None:
        self._node = node
        self._store = store
        self._interests = interests
        interests.learnt = self._send_last_items

    def item_published(self, user: Jid, node: PepNode, item: PublishedItem) -> None:
        """Tell of a new item."""
        self._tell(
            user, node, _items(node.name, [_item(item, with_payload=node.configuration.deliver_payloads)])
        )

    def items_retracted(self, user: Jid, node: PepNode, ids: Iterable[str]) -> None:
        """Tell of items that were taken back."""
        self._tell(user, node, _items(node.name, [f"<retract id={quoteattr(each)}/>" for each in ids]))

    def node_deleted(self, user: Jid, node: PepNode) -> None:
        """Tell that a node is gone."""
        self._tell(user, node, f"<delete node={quoteattr(node.name)}/>".encode())

    def node_purged(self, user: Jid, node: PepNode) -> None:
        """Tell that a node has no items any more."""
        self._tell(user, node, f"<purge node={quoteattr(node.name)}/>".encode())

    def may_see(self, user: Jid, node: PepNode, entity: Jid) -> bool:
        """Whether the node's access model lets an entity in."""
        bare = entity.bare
        match node.configuration.access_model:
            case _ if bare == user:
                return True
            case AccessModel.OPEN:
                return True
            case AccessModel.PRESENCE:
                return self._node.is_subscribed(user, bare)
            case AccessModel.WHITELIST:
                return bare in node.members

    def _is_told(self, user: Jid, node: PepNode, entity: Jid) -> bool:
        """Whether somebody who is interested is told: who sees the user's presence, and may see the node."""
        bare = entity.bare
        if bare == user:
            return True
        blocked = self._node.blocked(user)
        return (
            self._node.is_subscribed(user, bare)
            and self.may_see(user, node, entity)
            and not (blocked and is_blocked(blocked, entity))
        )

    def _tell(self, user: Jid, node: PepNode, event: bytes) -> None:
        for entity in self._interests.of(user, node.name):
            if self._is_told(user, node, entity):
                self._send(user, entity, event)

    def _send_last_items(self, user: Jid, entity: Jid, names: frozenset[str]) -> None:
        """Tell somebody who has become interested of what was published before (XEP-0163 section 4.3.4)."""
        nodes = self._store.pep_nodes(user)
        for name in sorted(names & nodes.keys()):
            node = nodes[name]
            if node.configuration.send_last_published_item is SendLastItem.NEVER:
                continue
            items = self._store.pep_items(user, name)
            if not items or not self._is_told(user, node, entity):
                continue
            item = list(items.values())[-1]
            content = _items(name, [_item(item, with_payload=node.configuration.deliver_payloads)])
            delay = ET.Element(f"{{{ns.DELAY}}}delay", {"stamp": format_stamp(item.published)})
            self._send(user, entity, content, delay)

    def _send(self, user: Jid, entity: Jid, event: bytes, delay: ET.Element | None = None) -> None:
        payload = b'<event xmlns="%b">%b</event>' % (ns.PUBSUB_EVENT.encode(), event)
        children: tuple[tuple[str, str], ...] = (_EVENT,)
        if delay is not None:
            payload += encode_element(delay)
            children = (_EVENT, _DELAY)
        attributes = {"from": str(user), "to": str(entity), "type": "headline"}
        self._node.send(Stanza("message", attributes, payload, children))


def _items(node: str, parts: Iterable[str]) -> bytes:
    return f"<items node={quoteattr(node)}>{''.join(parts)}</items>".encode()


def _item(item: PublishedItem, *, with_payload: bool) -> str:
    if not with_payload:
        return f"<item id={quoteattr(item.id)}/>"
    return f"<item id={quoteattr(item.id)}>{item.payload.decode()}</item>"
