"""The service Cisco CallManager of a CUCM node, as far as its SIP trunks go (Security Guide; G12, G17)."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Final, assert_never

from certs.errors import ConfigError
from certs.verdict import Verdict
from proxies.clock import SchedulingClock, TimerHandle
from proxies.observer import Observer
from proxies.sip.agent.calls import SDP_TYPE, Call, Calls
from proxies.sip.agent.request_sender import RequestOutcome, RequestSender
from proxies.sip.agent.subscriber import OutgoingSubscription, Subscriber
from proxies.sip.messages.message import Request
from proxies.sip.messages.pidf import CONTENT_TYPE, PresenceDocument, encode_pidf
from proxies.sip.presence.notifier import PresenceNotifier
from proxies.sip.presence.presence_core import EVENT, PresenceCore
from proxies.sip.transactions.events import (
    AckReceived,
    CancelReceived,
    LayerEvent,
    RequestReceived,
    ResponseReceived,
    StrayResponse,
    TransactionTerminated,
    TransactionTimedOut,
    TransportFailed,
)
from proxies.sip.transport.endpoint import SipEndpoint
from proxies.sip.transport.flow import Destination, Flow, Transport
from proxies.sip.transport.locating import Resolver
from proxies.sip.trunk.admission import TrunkAdmission
from proxies.sip.trunk.call_manager_settings import CallManagerSettings
from proxies.sip.trunk.receiver import TrunkReceiver
from proxies.sip.trunk.sip_trunk_profile import DeviceSecurityMode, SipTrunk, trunk_destination
from proxies.sip.trunk.status import ServiceState, TrunkStatus
from proxies.sip.trunk.tls import call_manager_transports, null_cipher_available
from proxies.tasks import TaskKeeper

_NOT_SENT: Final = 503
"What stands for a request that was not sent because the trunk cannot be used."


@dataclass(frozen=True, slots=True, kw_only=True)
class CallOutcome:
    """How an INVITE through a trunk ended."""

    outcome: RequestOutcome
    "The final response, or why there was none."

    call: Call | None = None
    "The call, where it was answered."


class CallManager:
    """SIP trunks of one CUCM node: listeners, security profiles, trunk status, and lines behind them.

    It runs on the settings it was made with; a restart is a new one.
    """

    def __init__(
        self, settings: CallManagerSettings, *, resolver: Resolver, clock: SchedulingClock, observer: Observer
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._observer = observer
        self._tasks = TaskKeeper()
        self._null_cipher = null_cipher_available()
        self._admission = TrunkAdmission(
            node=settings.node,
            trunks=settings.trunks,
            profiles=settings.security_profiles,
            resolver=resolver,
        )
        self._endpoint = SipEndpoint(
            call_manager_transports(settings, null_cipher=self._null_cipher),
            user=self,
            resolver=resolver,
            clock=clock,
            observer=observer,
        )
        self._sender = RequestSender(self._endpoint, address=settings.address, port_for=self._advertised_port)
        self._calls = Calls(self._endpoint, self._sender, clock=clock, address=settings.address)
        self._notifier = PresenceNotifier(PresenceCore(), self._endpoint, self._sender, clock=clock)
        self._subscriber = Subscriber()
        self._receiver = TrunkReceiver(
            settings,
            endpoint=self._endpoint,
            admission=self._admission,
            calls=self._calls,
            notifier=self._notifier,
            subscriber=self._subscriber,
            clock=clock,
            observer=observer,
        )
        self._trunks = {trunk.name: trunk for trunk in settings.trunks}
        self._statuses = {
            name: TrunkStatus(trunk=name, state=ServiceState.UNKNOWN, since=clock.now())
            for name in self._trunks
        }
        self._ping_timer: TimerHandle | None = None

    async def start(self) -> None:
        """Open the listeners and begin to ping the trunks.

        Raises ConnectionFailed where an address cannot be bound.
        """
        await self._endpoint.start()
        if self._settings.options_ping_interval is not None:
            self._ping_all(self._settings.options_ping_interval)

    async def stop(self) -> None:
        """Close everything."""
        if self._ping_timer is not None:
            self._ping_timer.cancel()
        await self._tasks.close()
        await self._notifier.close()
        self._calls.close()
        await self._endpoint.stop()
        self._sender.close()

    # Trunk status.

    @property
    def statuses(self) -> Mapping[str, TrunkStatus]:
        """The status of each trunk, by its name."""
        return MappingProxyType(self._statuses)

    async def ping(self, trunk: str) -> TrunkStatus:
        """Send an OPTIONS through a trunk now, and return its status after that."""
        uri = f"sip:{self._trunk(trunk).destination_address}"
        request = self._sender.begin("OPTIONS", uri, local=f"sip:{self._settings.address}", remote=uri)
        outcome = await self.send(trunk, request)
        self._statuses[trunk] = self._statuses[trunk].after(outcome, now=self._clock.now())
        return self._statuses[trunk]

    # What lines do through a trunk.

    async def send(self, trunk: str, request: Request) -> RequestOutcome:
        """Send a request through a trunk; through one that cannot be used nothing is sent, and why is said."""
        route = self._route(self._trunk(trunk))
        if isinstance(route, Verdict):
            return RequestOutcome(status=_NOT_SENT, reason=f"{route.reason}: {route.detail}", verdict=route)
        return await self._sender.send(request, route, time_limit=self._settings.time_limit)

    async def invite(self, trunk: str, line: str, target: str) -> CallOutcome:
        """Call a SIP URI from a line."""
        request = self._begin(trunk, "INVITE", line, target)
        request.set_body(SDP_TYPE, self._calls.offer())
        outcome = await self.send(trunk, request)
        route = self._route(self._trunk(trunk))
        if outcome.dialog is None or isinstance(route, Verdict):
            return CallOutcome(outcome=outcome)
        return CallOutcome(outcome=outcome, call=self._calls.add(request, outcome.dialog, route))

    async def hang_up(self, call: Call) -> RequestOutcome:
        """End a call."""
        return await self._calls.hang_up(call, time_limit=self._settings.time_limit)

    async def message(self, trunk: str, line: str, target: str, text: str) -> RequestOutcome:
        """Send an instant message from a line to a SIP URI (RFC 3428)."""
        request = self._begin(trunk, "MESSAGE", line, target)
        request.set_body("text/plain;charset=utf-8", text.encode())
        return await self.send(trunk, request)

    async def subscribe(
        self, trunk: str, line: str, target: str, *, expires: int = 3600
    ) -> OutgoingSubscription:
        """Watch a presentity from a line (RFC 3856)."""
        request = self._begin(trunk, "SUBSCRIBE", line, target)
        request.add_header("Event", EVENT)
        request.add_header("Accept", CONTENT_TYPE)
        request.add_header("Expires", str(expires))
        return await self._subscriber.subscribe(request, partial(self.send, trunk))

    async def unsubscribe(self, subscription: OutgoingSubscription) -> RequestOutcome:
        """Stop watching; the last NOTIFY still comes."""
        return await self._subscriber.refresh(subscription, expires=0)

    async def publish(
        self,
        trunk: str,
        line: str,
        target: str,
        document: PresenceDocument | None,
        *,
        entity_tag: str = "",
        expires: int = 3600,
    ) -> RequestOutcome:
        """Publish a line's presence, or refresh what has an entity tag (RFC 3903 4)."""
        request = self._begin(trunk, "PUBLISH", line, target)
        request.add_header("Event", EVENT)
        request.add_header("Expires", str(expires))
        if entity_tag:
            request.add_header("SIP-If-Match", entity_tag)
        if document is not None:
            request.set_body(CONTENT_TYPE, encode_pidf(document))
        return await self.send(trunk, request)

    # What the endpoint tells.

    def handle_event(self, event: LayerEvent) -> None:
        """Hand an event to the side that it is for."""
        match event:
            case RequestReceived() | AckReceived() | CancelReceived():
                self._receiver.handle_event(event)
            case ResponseReceived() | TransactionTimedOut() | TransportFailed() | TransactionTerminated():
                self._sender.handle_event(event)
            case StrayResponse():
                pass
            case _:
                assert_never(event)

    def flow_opened(self, flow: Flow) -> None:
        """Judge a connection."""
        self._receiver.flow_opened(flow)

    def flow_closed(self, flow: Flow) -> None:
        """Forget a connection."""
        self._receiver.flow_closed(flow)

    # Inside.

    def _trunk(self, name: str) -> SipTrunk:
        trunk = self._trunks.get(name)
        if trunk is None:
            raise ConfigError(f"{self._settings.node} has no SIP trunk {name!r}; it has {list(self._trunks)}")
        return trunk

    def _route(self, trunk: SipTrunk) -> Destination | Verdict:
        profile = self._admission.profile_of(trunk)
        if profile is None:
            return self._admission.without_profile(trunk)
        if profile.device_security_mode is DeviceSecurityMode.AUTHENTICATED and not self._null_cipher:
            return self._admission.without_null_cipher(trunk)
        return trunk_destination(trunk, profile)

    def _advertised_port(self, destination: Destination | Flow) -> int:
        """Return the port at which a peer reaches us: the incoming port of its trunk's profile."""
        for trunk in self._trunks.values():
            profile = self._admission.profile_of(trunk)
            if profile is not None and destination == trunk_destination(trunk, profile):
                return profile.incoming_port
        secure = destination.transport is Transport.TLS
        return self._settings.sip_tls_port if secure else self._settings.sip_port

    def _begin(self, trunk: str, method: str, line: str, target: str) -> Request:
        if line not in self._settings.lines:
            raise ConfigError(f"{self._settings.node} has no line {line!r}")
        local = f"sip:{line}@{self._settings.address}"
        request = self._sender.begin(method, target, local=local, remote=target)
        route = self._route(self._trunk(trunk))
        if isinstance(route, Destination) and method in ("INVITE", "SUBSCRIBE"):
            request.add_header("Contact", self._sender.contact(line, route))
        return request

    def _ping_all(self, interval: float) -> None:
        for name in self._trunks:
            self._tasks.start(self._ping(name), name=f"ping {name}")
        self._ping_timer = self._clock.call_at(
            self._clock.monotonic() + interval, partial(self._ping_all, interval)
        )

    async def _ping(self, trunk: str) -> None:
        await self.ping(trunk)
