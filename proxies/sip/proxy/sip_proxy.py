"""The service Cisco SIP Proxy: listeners, incoming access list, registrar and routing over the proxy core."""

from typing import assert_never

from certs.catalogue import explain
from certs.errors import RemoteProtocolError
from certs.purposes import ServiceName
from certs.verdict import Reason, Side, Verdict
from proxies.clock import SchedulingClock, TimerHandle
from proxies.observer import Observer
from proxies.sip.messages.message import Response
from proxies.sip.proxy.access_list import IncomingAccessList, is_authenticated
from proxies.sip.proxy.client_authentication import ClientAuthenticator
from proxies.sip.proxy.location import LocationService
from proxies.sip.proxy.proxy_core import ProxyCore, RouteNeeded
from proxies.sip.proxy.proxy_routing import AnswerHere, ForwardTo, ProxyRouter, RegisterHere
from proxies.sip.proxy.registrar import Registrar
from proxies.sip.proxy.sip_proxy_settings import SipProxySettings
from proxies.sip.transactions.events import AckReceived, CancelReceived, LayerEvent, RequestReceived
from proxies.sip.transactions.matching import respond
from proxies.sip.transport.endpoint import SipEndpoint
from proxies.sip.transport.flow import Flow
from proxies.sip.transport.locating import Resolver

_ALLOW = (
    "INVITE, ACK, CANCEL, BYE, OPTIONS, REGISTER, MESSAGE, SUBSCRIBE, NOTIFY, PUBLISH, REFER, INFO, UPDATE"
)


class SipProxy:
    """One node's SIP proxy. It runs on the settings it started with; `restart` hands it new ones (G15)."""

    def __init__(
        self,
        settings: SipProxySettings,
        *,
        clock: SchedulingClock,
        resolver: Resolver,
        observer: Observer,
    ) -> None:
        self._clock = clock
        self._resolver = resolver
        self._observer = observer
        self._timer: TimerHandle | None = None
        self._configure(settings)

    def _configure(self, settings: SipProxySettings) -> None:
        self._settings = settings
        # Its own address is that of the presence engine.
        nodes = (settings.address, *(node.address for node in settings.cluster_nodes))
        self._access_list = IncomingAccessList(
            (*settings.incoming_access_list, *nodes), resolver=self._resolver
        )
        self._nodes = frozenset(nodes)
        self._authenticator = (
            ClientAuthenticator(
                node=settings.node, realm=min(settings.domains), passwords=settings.digest_passwords
            )
            if settings.digest_passwords is not None
            else None
        )
        self._location = LocationService(maximum_bindings=settings.registration.maximum_bindings)
        self._registrar = Registrar(self._location, settings.registration)
        self._router = ProxyRouter(settings, location=self._location, resolver=self._resolver)
        self._endpoint = SipEndpoint(
            settings.for_transport(),
            user=self,
            resolver=self._resolver,
            clock=self._clock,
            observer=self._observer,
            timers=settings.timers,
        )
        self._core = ProxyCore(settings.for_core(), self._endpoint)

    @property
    def settings(self) -> SipProxySettings:
        """What it runs on."""
        return self._settings

    @property
    def addresses(self) -> dict[str, tuple[str, int]]:
        """Where each listener listens, by its name; empty while stopped."""
        return self._endpoint.addresses

    async def start(self) -> None:
        """Open the listeners.

        Raises ConnectionFailed where an address cannot be bound.
        """
        await self._endpoint.start()

    async def stop(self) -> None:
        """Close every socket."""
        await self._endpoint.stop()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def restart(self, settings: SipProxySettings) -> None:
        """Stop, and start with new settings; registrations and connections are gone."""
        await self.stop()
        self._configure(settings)
        await self.start()

    # What the endpoint tells.

    def handle_event(self, event: LayerEvent) -> None:
        """Act on what happened to a transaction."""
        if isinstance(event, RequestReceived | CancelReceived | AckReceived) and not self._admit(event):
            return
        if isinstance(event, RequestReceived) and not self._authenticate(event):
            return
        self._core.handle_event(event, now=self._clock.monotonic())
        while (needed := self._core.next_event()) is not None:
            self._route(needed)
        self._arm()

    def flow_opened(self, flow: Flow) -> None:
        """Nothing depends on a connection before its first request."""

    def flow_closed(self, flow: Flow) -> None:
        """Forget the clients that only this connection could reach."""
        self._location.flow_closed(flow)

    # Inside.

    def _admit(self, event: RequestReceived | CancelReceived | AckReceived) -> bool:
        """Let a request in, or refuse it by 403 and say so in the evidence."""
        flow = event.flow
        if self._access_list.admits(flow):
            return True
        explanation = explain(
            Reason.NOT_IN_ACCESS_LIST, services=(ServiceName.SIP_PROXY,), node=self._settings.node
        )
        verdict = Verdict(
            accepted=False,
            reason=Reason.NOT_IN_ACCESS_LIST,
            side=Side.SERVER,
            rule=explanation.rule,
            clause=explanation.clause,
            remedy=explanation.remedy,
            detail=f"{event.request.method} from {flow.peer[0]} over {flow.transport} on {flow.connection.listener}",
        )
        self._observer.judged(flow.connection, verdict)
        if not isinstance(event, AckReceived):
            response = respond(event.request, 403, to_tag=self._settings.node)
            response.add_header("Warning", f'399 {self._settings.fqdn} "{verdict.reason}"')
            self._endpoint.send_response(event.transaction, response)
        return False

    def _authenticate(self, event: RequestReceived) -> bool:
        """Challenge a request that neither TLS nor its digest proves to come from whom it says (RFC 3261 22)."""
        flow = event.flow
        if self._authenticator is None or is_authenticated(flow) or flow.peer[0] in self._nodes:
            return True
        needed = self._authenticator.check(event.request, now=self._clock.monotonic())
        if needed is None:
            return True
        if needed.verdict is not None:
            self._observer.judged(flow.connection, needed.verdict)
            needed.response.add_header("Warning", f'399 {self._settings.fqdn} "{needed.verdict.reason}"')
        self._endpoint.send_response(event.transaction, needed.response)
        return False

    def _route(self, needed: RouteNeeded) -> None:
        now = self._clock.monotonic()
        context, request = needed.context, needed.request
        try:
            route = self._router.route(request, context.next_hop, now=now)
        except RemoteProtocolError as error:
            self._core.reply(context, self._core.refuse(context, int(error.reply)))
            return
        match route:
            case ForwardTo():
                self._core.forward(context, route.targets, now=now)
            case RegisterHere():
                answer = self._registrar.register(request, route.user, needed.flow, now=now)
                self._core.reply(context, answer)
            case AnswerHere():
                self._core.reply(context, self._answer(needed))
            case _:
                assert_never(route)

    def _answer(self, needed: RouteNeeded) -> Response:
        """Answer a request for the proxy itself: it takes OPTIONS only (RFC 3261 11)."""
        response = self._core.refuse(needed.context, 200 if needed.request.method == "OPTIONS" else 405)
        response.add_header("Allow", _ALLOW)
        return response

    def _arm(self) -> None:
        due = self._core.next_timer()
        if due is None or (self._timer is not None and self._timer.when <= due):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._clock.call_at(due, self._fire)

    def _fire(self) -> None:
        self._timer = None
        self._core.handle_timer(now=self._clock.monotonic())
        self._arm()
