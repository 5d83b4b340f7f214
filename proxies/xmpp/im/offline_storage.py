"""Messages for users who are not available (RFC 6121 8.5.2.2.1, XEP-0160)."""

from typing import Final
from xml.etree import ElementTree as ET

from proxies.xmpp import namespaces as ns
from proxies.xmpp.im.home_node import HomeNode, Resource
from proxies.xmpp.im.interfaces import OfflineMessage
from proxies.xmpp.jid import Jid
from proxies.xmpp.stanza import Stanza

_NO_STORE: Final = frozenset({(ns.HINTS, "no-store"), (ns.HINTS, "no-permanent-store")})


class OfflineStorage:
    """Keeps messages, and delivers them when the user comes."""

    def __init__(self, node: HomeNode) -> None:
        self._node = node

    def accepts(self, user: Jid, message: Stanza) -> bool:
        """Whether a message may be kept (XEP-0334) and there is room."""
        kept = len(self._node.store.offline_messages(user))
        return _NO_STORE.isdisjoint(message.children) and kept < self._node.settings.maximum_offline_messages

    def keep(self, user: Jid, message: Stanza) -> None:
        """Keep a message behind the others."""
        kept = OfflineMessage(stanza=message, received=self._node.clock.now())
        self._node.store.add_offline_message(user, kept)

    def deliver(self, resource: Resource) -> None:
        """Give a resource that can receive again all that was kept, with its delay (XEP-0203)."""
        user = resource.user.jid
        messages = tuple(self._node.store.offline_messages(user))
        if not messages:
            return
        self._node.store.clear_offline_messages(user)
        for each in messages:
            stamp = each.received.strftime("%Y-%m-%dT%H:%M:%SZ")
            delay = ET.Element(f"{{{ns.DELAY}}}delay", {"from": user.domainpart, "stamp": stamp})
            resource.session.deliver(each.stanza.with_child(delay))


def is_transient(message: Stanza) -> bool:
    """Whether a message is worth nothing later: chat states alone (XEP-0160 section 3), or nothing."""
    return all(
        namespace in (ns.CHAT_STATES, ns.HINTS) or (namespace, name) == ("", "thread")
        for namespace, name in message.children
    )
