"""Instant messaging and presence for the users of a home node (RFC 6121), behind the XCP router."""

from collections.abc import Callable
from typing import Final
from xml.etree import ElementTree as ET

from certs.clock import Clock
from certs.errors import RemoteProtocolError
from proxies.xmpp import namespaces as ns
from proxies.xmpp.conditions import StanzaErrorCondition, StreamErrorCondition
from proxies.xmpp.im.blocking import Blocking
from proxies.xmpp.im.carbons import Carbons
from proxies.xmpp.im.home_node import HomeNode, Resource
from proxies.xmpp.im.interfaces import ImStore, MessageHook, PresenceHook, Route, Session
from proxies.xmpp.im.iq_delivery import IqDelivery
from proxies.xmpp.im.iq_table import IqHandler, IqScope, IqTable
from proxies.xmpp.im.last_activity import LastActivityHandler
from proxies.xmpp.im.message_delivery import MessageDelivery
from proxies.xmpp.im.offline_storage import OfflineStorage
from proxies.xmpp.im.presence import AVAILABILITY_TYPES, PresenceHandler
from proxies.xmpp.im.roster import RosterHandler
from proxies.xmpp.im.server_queries import ServerQueries
from proxies.xmpp.im.service_discovery import ServiceDiscovery
from proxies.xmpp.im.settings import ImSettings
from proxies.xmpp.im.subscription_states import SUBSCRIPTION_TYPES
from proxies.xmpp.im.subscriptions import SubscriptionHandler
from proxies.xmpp.im.vcard import VcardHandler
from proxies.xmpp.jid import Jid
from proxies.xmpp.stanza import Stanza

_PRESENCE_TYPES: Final = AVAILABILITY_TYPES | SUBSCRIPTION_TYPES | {"probe", "error"}


class SessionManager:
    """Takes stanzas from sessions and from the router, and gives each to the handler that the RFC names."""

    def __init__(self, settings: ImSettings, store: ImStore, route: Route, clock: Clock) -> None:
        self._settings = settings
        self._route = route
        self._sessions: dict[Session, Resource] = {}
        node = self._node = self.node = HomeNode(settings, store, clock, self.send)
        table = self._table = IqTable()
        offline = OfflineStorage(node)
        self._iqs = IqDelivery(node, table)
        self._messages = MessageDelivery(node, offline, Carbons(node, table))
        self._presences = PresenceHandler(node, offline)
        self._subscriptions = SubscriptionHandler(node, self._presences)
        self._blocking = Blocking(node, table, self._presences)
        # These live in the table alone.
        RosterHandler(node, table, self._subscriptions)
        LastActivityHandler(node, table)
        VcardHandler(node, table)
        ServerQueries(settings, table)
        self.discovery = ServiceDiscovery(node, table)

    # What others add

    def register_iq(
        self, namespace: str, name: str, handler: IqHandler, scope: IqScope = IqScope.OWN_ACCOUNT
    ) -> None:
        """Have a handler answer requests whose child has this name; the namespace becomes a feature."""
        self._table.register(namespace, name, handler, scope)

    def on_message_delivered(self, hook: MessageHook) -> None:
        """Show the archive each message that a user of this node sends or gets."""
        self._messages.hook = hook

    def on_presence(self, hook: PresenceHook) -> None:
        """Show PEP each presence of a user's own resources, and each that reaches the user."""
        self._presences.hooks.append(hook)

    def on_account_answer(self, hook: Callable[[Stanza], None]) -> None:
        """Show PEP each IQ of type `result` or `error` that comes for an account: it asks in accounts' names."""
        self._iqs.account_answers.append(hook)

    def stream_features(self) -> list[ET.Element]:
        """Return what belongs into the stream features after a resource can be bound."""
        versions = ET.Element(f"{{{ns.ROSTER_VERSIONING}}}ver")
        pre_approval = ET.Element(f"{{{ns.PRE_APPROVAL}}}sub")
        return [self.discovery.capabilities(), versions, pre_approval]

    # Sessions

    def session_opened(self, session: Session) -> None:
        """Take a session whose resource is bound; an older one of the same address gives way (RFC 6120 7.7.2.2)."""
        jid = session.jid
        user = self._node.users.get(jid.bare)
        if user is not None:
            old = user.resources.get(jid.resourcepart)
            if old is not None:
                self.session_closed(old.session)
                old.session.close(StreamErrorCondition.CONFLICT, "the resource was bound again")
            elif len(user.resources) >= self._settings.maximum_sessions:
                session.close(StreamErrorCondition.RESOURCE_CONSTRAINT, "too many sessions of one user")
                return
        self._sessions[session] = self._node.connect(session)

    def session_closed(self, session: Session) -> None:
        """Forget a session, and tell those who saw it available; nothing happens where it is not known."""
        resource = self._sessions.pop(session, None)
        if resource is not None:
            self._presences.end(resource)
            self._node.disconnect(resource)

    def receive_from_session(self, session: Session, stanza: Stanza) -> None:
        """Take what a client sends."""
        resource = self._sessions.get(session)
        if resource is None:
            return  # it was closed, and this was on its way
        address = resource.address
        attributes = stanza.attributes
        sender = attributes.get("from")
        if sender != address:
            if sender is not None and not _is_own(sender, resource):
                session.close(StreamErrorCondition.INVALID_FROM, f"this stream is for {address}")
                return
            stanza = Stanza(
                stanza.kind,
                {**attributes, "from": address},
                stanza.payload,
                stanza.children,
                stanza.declarations,
            )
        try:
            if resource.user.blocked and self._is_to_blocked(resource, stanza):
                self._blocking.refuse_outbound(resource, stanza)
            elif stanza.kind == "message":
                self._messages.send(resource, stanza)
            elif stanza.kind == "presence":
                self._send_presence(resource, stanza)
            else:
                self._iqs.send(resource, stanza)
        except RemoteProtocolError as error:
            self._node.bounce(stanza, StanzaErrorCondition(error.reply), str(error))

    # Between users and the router

    def send(self, stanza: Stanza) -> None:
        """Bring a stanza with both addresses to a user at home here, or hand it to the router."""
        self._dispatch(stanza, self._route)

    def receive_routed(self, stanza: Stanza) -> None:
        """Take what the router has for a user of this node or for the domain."""
        if "from" in stanza.attributes:  # else nobody could be answered
            self._dispatch(stanza, self._refuse_stranger)

    def _dispatch(self, stanza: Stanza, elsewhere: Callable[[Stanza], None]) -> None:
        text = stanza.attributes["to"]
        try:
            if stanza.kind == "message":  # the short way, for most of the traffic
                resource = self._node.resources.get(text)
                if resource is not None and not resource.user.blocked:
                    self._messages.deliver(resource, stanza)
                    return
            to = Jid.parse(text)
            if not to.localpart and to.domainpart in self._settings.domains:
                self._receive_for_server(stanza, to)
            elif to.localpart and self._settings.is_home(to.bare):
                self._receive(stanza, to)
            else:
                elsewhere(stanza)
        except RemoteProtocolError as error:
            self._node.bounce(stanza, StanzaErrorCondition(error.reply), str(error))

    def _receive(self, stanza: Stanza, to: Jid) -> None:
        sender = stanza.sender or to.bare  # the account's own answers say nothing (RFC 6120 8.1.2.1)
        if self._blocking.stops(to.bare, sender):
            self._blocking.refuse_inbound(stanza)
        elif stanza.kind == "message":
            self._messages.receive(stanza, to)
        elif stanza.kind == "presence":
            self._receive_presence(stanza, sender, to)
        else:
            self._iqs.receive(stanza, to)

    def _receive_for_server(self, stanza: Stanza, to: Jid) -> None:
        if stanza.kind == "iq":
            self._iqs.receive(stanza, to)
        elif stanza.kind == "message":
            self._node.bounce(stanza, StanzaErrorCondition.SERVICE_UNAVAILABLE)

    def _refuse_stranger(self, stanza: Stanza) -> None:
        """Refuse what is for somebody who has no home here (RFC 6121 8.5.1, 3.1.3, 4.3.2)."""
        if stanza.kind != "presence":
            self._node.bounce(stanza, StanzaErrorCondition.SERVICE_UNAVAILABLE)
        elif stanza.type in ("subscribe", "probe"):
            to, sender = stanza.to, stanza.sender
            assert to is not None
            if sender is not None:
                attributes = {"type": "unsubscribed", "from": str(to.bare), "to": str(sender.bare)}
                self._route(Stanza("presence", attributes))

    # Presence by its type

    def _send_presence(self, resource: Resource, presence: Stanza) -> None:
        kind, to = presence.type, presence.to
        if kind not in _PRESENCE_TYPES or (to is None and kind not in AVAILABILITY_TYPES):
            raise RemoteProtocolError(f"no presence of type {kind[:20]!r} here", reply="bad-request")
        if to is None:
            self._presences.broadcast(resource, presence)
        elif kind in AVAILABILITY_TYPES:
            self._presences.direct(resource, presence, to)
        elif kind in SUBSCRIPTION_TYPES:
            self._subscriptions.send(resource.user.jid, presence, to.bare)
        else:
            self.send(presence)

    def _receive_presence(self, presence: Stanza, sender: Jid, to: Jid) -> None:
        kind = presence.type
        if kind == "probe":
            self._presences.answer_probe(sender, to)
        elif kind in SUBSCRIPTION_TYPES:
            self._subscriptions.receive(presence, to.bare, sender.bare)
        elif kind in _PRESENCE_TYPES:
            self._presences.receive(presence, sender, to)

    def _is_to_blocked(self, resource: Resource, stanza: Stanza) -> bool:
        to = stanza.to
        return to is not None and self._blocking.stops(resource.user.jid, to)


def _is_own(sender: str, resource: Resource) -> bool:
    """Whether a client may call itself that: its full address, or the bare one (RFC 6120 8.1.2.1)."""
    try:
        return Jid.parse(sender) in (resource.jid, resource.user.jid)
    except RemoteProtocolError:
        return False
