"""The service Cisco Presence Engine: event state of the node's users (RFC 3856, RFC 3903; G04)."""

from dataclasses import dataclass, field
from typing import assert_never

from certs.catalogue import explain
from certs.credential import Credential
from certs.errors import RemoteProtocolError
from certs.purposes import ServiceName
from certs.verdict import Reason, Side, Verdict
from proxies.clock import SchedulingClock
from proxies.observer import Observer
from proxies.sip.agent.request_sender import RequestSender
from proxies.sip.messages.routing_uri import parse_routing_uri
from proxies.sip.presence.notifier import PresenceNotifier
from proxies.sip.presence.presence_core import EVENT, PresenceCore, PresenceLimits
from proxies.sip.transactions.events import (
    AckReceived,
    CancelReceived,
    LayerEvent,
    RequestReceived,
    ResponseReceived,
    ServerTransaction,
    StrayResponse,
    TransactionTerminated,
    TransactionTimedOut,
    TransportFailed,
)
from proxies.sip.transactions.matching import respond
from proxies.sip.transport.endpoint import SipEndpoint
from proxies.sip.transport.flow import Destination, Flow, Transport
from proxies.sip.transport.locating import Resolver
from proxies.sip.transport.settings import SipListenerSettings, TransportSettings
from proxies.tls.settings import TlsClientSettings, TlsServerSettings, TrustPolicy

TCP_LISTENER = "Default Cisco Presence Engine TCP Listener"
TLS_LISTENER = "Default Cisco Presence Engine TLS Listener"

_ALLOW = "OPTIONS, PUBLISH, SUBSCRIBE"


@dataclass(frozen=True, slots=True, kw_only=True)
class PresenceEngineSettings:
    """One node's presence engine. Frozen: it keeps them until it restarts."""

    node: str
    "The node's name."

    address: str
    "The node's address."

    domains: frozenset[str]
    "The domains whose users the cluster has, in lower case."

    users: frozenset[str]
    "The users whose home is this node."

    credential: Credential = field(repr=False)
    "The `cup` certificate (G04)."

    trust: TrustPolicy
    "`cup-trust` (G04)."

    sip_proxy: Destination
    "The node's own SIP proxy, through which watchers are reached."

    tcp_port: int = 5080
    "Plain TCP, for the node's own SIP proxy only."

    tls_port: int = 5081
    "TLS with peer authentication, for everybody in `cup-trust`."

    limits: PresenceLimits = field(default_factory=PresenceLimits)
    "What is granted and kept."

    def for_transport(self) -> TransportSettings:
        """Return the listeners and how the engine dials."""
        tls = TlsServerSettings(credential=self.credential, require_client_certificate=True, trust=self.trust)
        return TransportSettings(
            node=self.node,
            service=ServiceName.PRESENCE_ENGINE,
            address=self.address,
            listeners=(
                SipListenerSettings(name=TCP_LISTENER, transport=Transport.TCP, port=self.tcp_port),
                SipListenerSettings(name=TLS_LISTENER, transport=Transport.TLS, port=self.tls_port, tls=tls),
            ),
            tls_client=TlsClientSettings(trust=self.trust, credential=self.credential),
        )


class PresenceEngine:
    """One node's presence engine. It runs on the settings it was made with."""

    def __init__(
        self,
        settings: PresenceEngineSettings,
        *,
        clock: SchedulingClock,
        resolver: Resolver,
        observer: Observer,
    ) -> None:
        self._settings = settings
        self._observer = observer
        self._endpoint = SipEndpoint(
            settings.for_transport(), user=self, resolver=resolver, clock=clock, observer=observer
        )
        self._sender = RequestSender(self._endpoint, address=settings.address, port_for=self._port_for)
        self._notifier = PresenceNotifier(
            PresenceCore(limits=settings.limits), self._endpoint, self._sender, clock=clock
        )

    async def start(self) -> None:
        """Open the listeners.

        Raises ConnectionFailed where an address cannot be bound.
        """
        await self._endpoint.start()

    async def stop(self) -> None:
        """Close every socket; publications and subscriptions are gone."""
        await self._notifier.close()
        await self._endpoint.stop()
        self._sender.close()

    # What the endpoint tells.

    def handle_event(self, event: LayerEvent) -> None:
        """Answer requests; hand responses to who waits for them.

        Raises RemoteProtocolError for what is answered by a failure.
        """
        match event:
            case RequestReceived():
                self._receive_request(event.transaction, event.flow)
            case CancelReceived():
                self._answer(event.transaction, 481)
            case ResponseReceived() | TransactionTimedOut() | TransportFailed() | TransactionTerminated():
                self._sender.handle_event(event)
            case AckReceived() | StrayResponse():
                pass
            case _:
                assert_never(event)

    def flow_opened(self, flow: Flow) -> None:
        """Nothing depends on a connection before its first request."""

    def flow_closed(self, flow: Flow) -> None:
        """Nothing depends on a connection after its last request."""

    # Inside.

    def _receive_request(self, transaction: ServerTransaction, flow: Flow) -> None:
        if flow.transport is not Transport.TLS and flow.peer[0] != self._settings.address:
            self._refuse(transaction, flow)
            return
        match transaction.request.method:
            case "OPTIONS":
                self._answer(transaction, 200)
            case "PUBLISH":
                self._notifier.receive_publish(transaction, self._presentity(transaction))
            case "SUBSCRIBE":
                self._subscribe(transaction, flow)
            case _:
                self._answer(transaction, 405)

    def _subscribe(self, transaction: ServerTransaction, flow: Flow) -> None:
        # Where a proxy recorded its route the NOTIFY goes through ours; else back the way it came.
        routed = transaction.request.header("record-route") is not None
        destination = self._settings.sip_proxy if routed else flow
        presentity = self._presentity(transaction)
        self._notifier.receive_subscribe(
            transaction, presentity, user=parse_routing_uri(presentity).user, destination=destination
        )

    def _presentity(self, transaction: ServerTransaction) -> str:
        """Return the address of record that a request is about; of one in a dialog, from its To.

        Raises RemoteProtocolError (404) where it is no user of this node.
        """
        uri = parse_routing_uri(transaction.request.uri)
        if uri.user not in self._settings.users:
            raise RemoteProtocolError(f"{uri.user!r} is no user of {self._settings.node}", reply="404")
        return f"sip:{uri.user}@{min(self._settings.domains)}"

    def _refuse(self, transaction: ServerTransaction, flow: Flow) -> None:
        explanation = explain(Reason.NOT_IN_ACCESS_LIST, node=self._settings.node)
        self._observer.judged(
            flow.connection,
            Verdict(
                accepted=False,
                reason=Reason.NOT_IN_ACCESS_LIST,
                side=Side.SERVER,
                rule="The presence engine takes plain TCP from its own node only.",
                clause="G04",
                remedy=f"Use TLS on port {self._settings.tls_port}, or go through the SIP proxy. "
                f"{explanation.remedy}",
                detail=f"{transaction.request.method} from {flow.peer[0]}",
            ),
        )
        self._answer(transaction, 403)

    def _answer(self, transaction: ServerTransaction, status: int) -> None:
        response = respond(transaction.request, status, to_tag=self._settings.node)
        if status in (200, 405):
            response.add_header("Allow", _ALLOW)
            response.add_header("Allow-Events", EVENT)
        self._endpoint.send_response(transaction, response)

    def _port_for(self, destination: Destination | Flow) -> int:
        return self._settings.tls_port if destination.transport is Transport.TLS else self._settings.tcp_port
