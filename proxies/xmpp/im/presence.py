"""Exchanging presence information for the users of a home node (RFC 6121 4)."""

from collections.abc import Iterator
from typing import Final

from certs.errors import RemoteProtocolError
from proxies.xmpp.conditions import StanzaErrorCondition
from proxies.xmpp.im.blocklist import is_blocked
from proxies.xmpp.im.home_node import ConnectedUser, HomeNode, Resource, deliver_to
from proxies.xmpp.im.interfaces import LastActivity, PresenceHook
from proxies.xmpp.im.offline_storage import OfflineStorage
from proxies.xmpp.jid import Jid
from proxies.xmpp.stanza import Stanza, child_text

AVAILABILITY_TYPES: Final = frozenset({"", "unavailable"})
"The presence types that say whether a resource is there."


class PresenceHandler:
    """Broadcasts, directs, probes and receives presence."""

    def __init__(self, node: HomeNode, offline: OfflineStorage) -> None:
        self._node = node
        self._offline = offline
        self.hooks: list[PresenceHook] = []

    # What a resource sends

    def broadcast(self, resource: Resource, presence: Stanza) -> None:
        """Take a resource's presence without `to`: initial, subsequent (4.2, 4.4) or unavailable (4.5)."""
        if presence.type == "unavailable":
            self._withdraw(resource, presence, itself=True)
            return
        priority = _priority(presence)
        initial = resource.presence is None
        was_reachable = not initial and resource.priority >= 0
        resource.presence, resource.priority = presence, priority
        user = resource.user
        self._to_own(user, presence)
        for contact in self._subscribers(user):
            self._node.send(presence.with_attributes(to=str(contact)))
        if initial:
            self._catch_up(resource)
        if priority >= 0 and not was_reachable:
            self._offline.deliver(resource)
        self._call_hooks(user.jid, resource.jid, presence)

    def direct(self, resource: Resource, presence: Stanza, to: Jid) -> None:
        """Take a resource's presence for one entity (4.6.3)."""
        if presence.type == "unavailable":
            resource.directed.discard(to)
        elif len(resource.directed) >= self._node.settings.maximum_directed_presences:
            raise RemoteProtocolError("too many directed presences", reply="resource-constraint")
        else:
            resource.directed.add(to)
        self._node.send(presence)

    def end(self, resource: Resource) -> None:
        """Say that a resource is gone without a word (4.5.2); it is still connected, its client is not."""
        gone = Stanza("presence", {"type": "unavailable", "from": resource.address})
        self._withdraw(resource, gone, itself=False)

    # What the server sends on behalf of a user

    def send_available(self, user: Jid, contact: Jid) -> None:
        """Send the contact the presence of each available resource (3.1.5)."""
        for resource in self._node.available(user):
            assert resource.presence is not None
            self._node.send(resource.presence.with_attributes(to=str(contact)))

    def send_unavailable(self, user: Jid, contact: Jid) -> None:
        """Tell the contact that each available resource is gone, for it may not know any more (3.2.2)."""
        for resource in self._node.available(user):
            attributes = {"type": "unavailable", "from": resource.address, "to": str(contact)}
            self._node.send(Stanza("presence", attributes))

    # What comes for a user

    def receive(self, presence: Stanza, sender: Jid, to: Jid) -> None:
        """Deliver a contact's presence or presence error (4.2.3, 4.5.3, 8.5.2.1.2, 8.5.3).

        An error says that the sender cannot be reached, so what was directed there needs no end.
        """
        if sender.resourcepart and presence.type != "error":
            self._call_hooks(to.bare, sender, presence)
        user = self._node.users.get(to.bare)
        if user is None:
            return
        if to.resourcepart:
            resource = user.resources.get(to.resourcepart)
            resources = [resource] if resource is not None else []
        else:
            resources = user.available()
        if presence.type == "error":
            for each in resources:
                each.directed.discard(sender)
        deliver_to(resources, presence)

    def answer_probe(self, prober: Jid, to: Jid) -> None:
        """Answer a probe (4.3.2): the user's presence for those who subscribed to it, `unsubscribed` for others."""
        user = to.bare
        if not self._node.is_subscribed(user, prober.bare):
            attributes = {"type": "unsubscribed", "from": str(user), "to": str(prober.bare)}
            self._node.send(Stanza("presence", attributes))
            return
        available = self._node.available(user)
        if not available:
            attributes = {"type": "unavailable", "from": str(user), "to": str(prober)}
            self._node.send(Stanza("presence", attributes))
        for resource in available:
            if to.resourcepart in ("", resource.jid.resourcepart) and resource.jid != prober:
                assert resource.presence is not None
                self._node.send(resource.presence.with_attributes(to=str(prober)))

    # The parts of these

    def _withdraw(self, resource: Resource, presence: Stanza, *, itself: bool) -> None:
        user = resource.user
        told = set()
        if resource.presence is not None:
            if not itself:
                resource.presence = None
            self._to_own(user, presence)
            resource.presence = None
            for contact in self._subscribers(user):
                told.add(contact)
                self._node.send(presence.with_attributes(to=str(contact)))
            self._note_last_activity(user, presence)
            self._call_hooks(user.jid, resource.jid, presence)
        directed, resource.directed = resource.directed, set()
        for each in directed:
            if each.bare not in told and not is_blocked(user.blocked, each):
                self._node.send(presence.with_attributes(to=str(each)))

    def _catch_up(self, resource: Resource) -> None:
        """Bring a newly available resource up to date (3.1.3, 4.2.2, 4.3.1)."""
        user = resource.user
        for other in user.available():
            if other is not resource and other.presence is not None:
                resource.session.deliver(other.presence.with_attributes(to=resource.address))
        for request in self._node.store.subscription_requests(user.jid).values():
            resource.session.deliver(request)
        # A copy, because an answer to a probe can change the roster at once.
        for item in tuple(self._node.store.roster(user.jid).values()):
            if item.subscription.to_contact and not is_blocked(user.blocked, item.jid):
                attributes = {"type": "probe", "from": resource.address, "to": str(item.jid)}
                self._node.send(Stanza("presence", attributes))

    def _subscribers(self, user: ConnectedUser) -> Iterator[Jid]:
        for item in tuple(self._node.store.roster(user.jid).values()):
            if item.subscription.from_contact and not is_blocked(user.blocked, item.jid):
                yield item.jid

    def _to_own(self, user: ConnectedUser, presence: Stanza) -> None:
        """A user is subscribed to the own presence (4.2.2), the resource that sent it included."""
        deliver_to(user.available(), presence.with_attributes(to=user.address))

    def _note_last_activity(self, user: ConnectedUser, presence: Stanza) -> None:
        if user.available():
            return
        activity = LastActivity(at=self._node.clock.now(), status=child_text(presence, "status"))
        self._node.store.set_last_activity(user.jid, activity)

    def _call_hooks(self, user: Jid, resource: Jid, presence: Stanza) -> None:
        for hook in self.hooks:
            hook(user, resource, presence)


def _priority(presence: Stanza) -> int:
    """Return the priority (4.7.2.3), 0 where there is none."""
    if not presence.has_child("", "priority"):
        return 0
    text = child_text(presence, "priority")
    try:
        priority = int(text)
    except ValueError:
        priority = 128
    if not -128 <= priority <= 127:
        condition = StanzaErrorCondition.BAD_REQUEST
        raise RemoteProtocolError(f"{text[:20]!r} is not a priority from -128 to 127", reply=condition)
    return priority
