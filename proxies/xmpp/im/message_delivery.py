"""Where a message goes (RFC 6121 8.5): to one resource, to all that can receive, into storage, or back."""

from typing import Final

from proxies.xmpp.conditions import StanzaErrorCondition
from proxies.xmpp.im.carbons import PRIVATE, Carbons
from proxies.xmpp.im.home_node import ConnectedUser, HomeNode, Resource
from proxies.xmpp.im.interfaces import MessageHook
from proxies.xmpp.im.offline_storage import OfflineStorage, is_transient
from proxies.xmpp.jid import Jid
from proxies.xmpp.stanza import Stanza

MESSAGE_TYPES: Final = frozenset({"chat", "error", "groupchat", "headline", "normal"})
"The types of RFC 6121 5.2.2; any other is treated as `normal`."


class MessageDelivery:
    """Applies the delivery rules to the messages of a home node's users."""

    def __init__(self, node: HomeNode, offline: OfflineStorage, carbons: Carbons) -> None:
        self._node = node
        self._offline = offline
        self._carbons = carbons
        self.hook: MessageHook | None = None

    def send(self, resource: Resource, message: Stanza) -> None:
        """Take a message from a client."""
        user = resource.user
        if "to" not in message.attributes:  # RFC 6120 10.3.1
            message = message.with_attributes(to=user.address)
        if self.hook is not None:
            self.hook(user.jid, message)
        if user.carbon_resources and message.attributes["to"] != user.address:
            self._carbons.copy_sent(resource, message)
        self._node.send(message)

    def deliver(self, resource: Resource, message: Stanza) -> None:
        """Deliver a message to the resource that it names (8.5.3.1)."""
        user = resource.user
        if self.hook is not None:
            message = self.hook(user.jid, message)
        if PRIVATE in message.children:
            message = message.without_children(*PRIVATE)
        elif user.carbon_resources:
            self._carbons.copy_received((resource,), message)
        resource.session.deliver(message)

    def receive(self, message: Stanza, to: Jid) -> None:
        """Take a message for a user of this node."""
        connected = self._node.users.get(to.bare)
        if to.resourcepart:
            resource = connected.resources.get(to.resourcepart) if connected is not None else None
            if resource is not None:
                self.deliver(resource, message)
                return
        kind = message.type if message.type in MESSAGE_TYPES else "normal"
        match kind:
            case "error":
                pass  # 8.5.2.1.1 and 8.5.3.2.1: ignored in silence
            case "groupchat":
                self._node.bounce(message, StanzaErrorCondition.SERVICE_UNAVAILABLE)
            case "normal" | "headline" if to.resourcepart:  # 8.5.3.2.1
                self._node.bounce(message, StanzaErrorCondition.SERVICE_UNAVAILABLE)
            case _:
                if (connected is None or not self._fork(connected, message)) and kind != "headline":
                    self._keep(to.bare, message)

    def _fork(self, user: ConnectedUser, message: Stanza) -> bool:
        """Deliver to all resources with a priority that is not negative (8.5.2.1.1); say whether any is there."""
        recipients = [each for each in user.available() if each.priority >= 0]
        if not recipients:
            return False
        if self.hook is not None:
            message = self.hook(user.jid, message)
        if PRIVATE in message.children:
            message = message.without_children(*PRIVATE)
        elif user.carbon_resources:
            self._carbons.copy_received(recipients, message)
        for each in recipients:
            each.session.deliver(message)
        return True

    def _keep(self, user: Jid, message: Stanza) -> None:
        """Keep a message for a user who cannot receive now (8.5.2.2.1)."""
        if is_transient(message):
            return
        if not self._offline.accepts(user, message):
            self._node.bounce(message, StanzaErrorCondition.SERVICE_UNAVAILABLE)
            return
        if self.hook is not None:
            message = self.hook(user, message)
        self._offline.keep(user, message)
