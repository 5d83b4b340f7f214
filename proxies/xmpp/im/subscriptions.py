"""Managing presence subscriptions for the users of a home node (RFC 6121 3)."""

from dataclasses import replace

from certs.errors import RemoteProtocolError
from proxies.xmpp.conditions import StanzaErrorCondition
from proxies.xmpp.im import roster_changes
from proxies.xmpp.im.home_node import HomeNode, deliver_to
from proxies.xmpp.im.interfaces import RosterItem, Subscription
from proxies.xmpp.im.presence import PresenceHandler
from proxies.xmpp.im.subscription_states import ALWAYS_ROUTED, INBOUND, OUTBOUND, SubscriptionState
from proxies.xmpp.jid import Jid
from proxies.xmpp.stanza import Stanza


class SubscriptionHandler:
    """Moves users through appendix A, with what they and their contacts must be told."""

    def __init__(self, node: HomeNode, presences: PresenceHandler) -> None:
        self._node = node
        self._presences = presences

    def send(self, user: Jid, presence: Stanza, contact: Jid) -> None:
        """Take what a user sends to a contact's bare address (3.1.2, 3.1.5, 3.2.2, 3.3.2, 3.4.2)."""
        if contact == user:
            raise RemoteProtocolError("a user needs no subscription to itself", reply="not-allowed")
        kind = presence.type
        state = self._state(user, contact)
        if kind in ("subscribed", "unsubscribed"):
            self._pre_approve(user, contact, state, approved=kind == "subscribed")
        new_state = OUTBOUND.get((kind, state))
        if new_state is not None:
            self._move(user, contact, state, new_state)
        if new_state is not None or kind in ALWAYS_ROUTED:
            self._node.send(presence.with_attributes(from_=str(user), to=str(contact)))
        self._follow(user, contact, state, new_state or state)

    def receive(self, presence: Stanza, user: Jid, contact: Jid) -> None:
        """Take what a contact sends to a user of this node (3.1.3, 3.1.6, 3.2.3, 3.3.3)."""
        kind = presence.type
        state = self._state(user, contact)
        if kind == "subscribe" and self._answered_at_once(user, contact, state):
            return
        new_state = INBOUND.get((kind, state))
        if new_state is None:
            return
        if kind == "subscribe":
            self._keep_request(user, contact, presence)
            return
        connected = self._node.users.get(user)
        if connected is not None:
            deliver_to(connected.interested(), presence.with_attributes(to=str(user)))
        self._move(user, contact, state, new_state)
        self._follow(user, contact, state, new_state)

    def cancel(self, user: Jid, contact: Jid) -> None:
        """Take a contact out of the roster and end the subscriptions both ways (2.5.2)."""
        state = self._state(user, contact)
        roster_changes.remove_item(self._node, user, contact)
        self._node.store.remove_subscription_request(user, contact)
        addresses = {"from": str(user), "to": str(contact)}
        if state.subscription.to_contact or state.pending_out:
            self._node.send(Stanza("presence", {"type": "unsubscribe", **addresses}))
        if state.subscription.from_contact or state.pending_in:
            self._node.send(Stanza("presence", {"type": "unsubscribed", **addresses}))
        self._follow(user, contact, state, SubscriptionState.NONE)

    def _state(self, user: Jid, contact: Jid) -> SubscriptionState:
        item = self._node.store.roster(user).get(contact)
        pending_in = contact in self._node.store.subscription_requests(user)
        if item is None:
            return SubscriptionState((Subscription.NONE, False, pending_in))
        return SubscriptionState((item.subscription, item.ask, pending_in))

    def _move(self, user: Jid, contact: Jid, state: SubscriptionState, new_state: SubscriptionState) -> None:
        if state.pending_in and not new_state.pending_in:
            self._node.store.remove_subscription_request(user, contact)
        subscription, ask = new_state.subscription, new_state.pending_out
        if (subscription, ask) != (state.subscription, state.pending_out):
            item = replace(self._item(user, contact), subscription=subscription, ask=ask)
            roster_changes.set_item(self._node, user, item)

    def _follow(
        self, user: Jid, contact: Jid, state: SubscriptionState, new_state: SubscriptionState
    ) -> None:
        """Tell the contact what the change lets it know (3.1.5), or takes from it (3.2.2, 3.3.3)."""
        if new_state.subscription.from_contact and not state.subscription.from_contact:
            self._presences.send_available(user, contact)
        elif state.subscription.from_contact and not new_state.subscription.from_contact:
            self._presences.send_unavailable(user, contact)

    def _item(self, user: Jid, contact: Jid) -> RosterItem:
        """Return the contact's roster item, or a new one."""
        roster = self._node.store.roster(user)
        item = roster.get(contact)
        if item is not None:
            return item
        if len(roster) >= self._node.settings.maximum_roster_items:
            raise RemoteProtocolError("the roster is full", reply=StanzaErrorCondition.RESOURCE_CONSTRAINT)
        return RosterItem(jid=contact)

    def _pre_approve(self, user: Jid, contact: Jid, state: SubscriptionState, *, approved: bool) -> None:
        """Remember an approval before the request (3.4.2), or forget it."""
        if approved and (state.pending_in or state.subscription.from_contact):
            return  # it answers a request, or changes nothing
        item = self._node.store.roster(user).get(contact)
        if approved != (item is not None and item.approved):
            item = replace(self._item(user, contact), approved=approved)
            roster_changes.set_item(self._node, user, item)

    def _answered_at_once(self, user: Jid, contact: Jid, state: SubscriptionState) -> bool:
        """Answer a request that needs nobody: pre-approved (3.4.2), or approved long ago (3.1.3)."""
        item = self._node.store.roster(user).get(contact)
        if item is None or not (item.approved or item.subscription.from_contact):
            return False
        if not item.subscription.from_contact:
            pending = INBOUND.get(("subscribe", state), state)
            self._move(user, contact, state, OUTBOUND["subscribed", pending])
        attributes = {"type": "subscribed", "from": str(user), "to": str(contact)}
        self._node.send(Stanza("presence", attributes))
        # Also where it was approved long ago: a contact that asks again has lost what it knew.
        self._presences.send_available(user, contact)
        return True

    def _keep_request(self, user: Jid, contact: Jid, request: Stanza) -> None:
        """Keep a request until it is answered, and show it to those who can answer now (3.1.3)."""
        store = self._node.store
        if len(store.subscription_requests(user)) >= self._node.settings.maximum_subscription_requests:
            return
        request = request.with_attributes(to=str(user))
        store.set_subscription_request(user, contact, request)
        deliver_to(self._node.available(user), request)
