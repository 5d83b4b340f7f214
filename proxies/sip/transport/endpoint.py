"""A transaction layer with sockets and a clock: what every SIP service and user agent stands on."""

import asyncio
import logging
from contextlib import suppress
from dataclasses import replace
from typing import Final, Protocol

from certs.errors import LocalProtocolError, RemoteProtocolError
from proxies.clock import SchedulingClock, TimerHandle
from proxies.observer import Observer
from proxies.sip.messages.message import Request, Response
from proxies.sip.transactions.events import (
    ClientTransaction,
    LayerEvent,
    Outgoing,
    RequestReceived,
    ServerTransaction,
)
from proxies.sip.transactions.layer import TransactionLayer
from proxies.sip.transactions.matching import respond
from proxies.sip.transactions.timers import DEFAULT_TIMERS, TransactionTimers
from proxies.sip.transport.dialling import DeliveryFailure
from proxies.sip.transport.flow import Destination, Flow, Transport
from proxies.sip.transport.locating import Resolver
from proxies.sip.transport.settings import TransportSettings
from proxies.sip.transport.transport import SipTransport

_LOG: Final = logging.getLogger(__name__)


class EndpointUser(Protocol):
    """A proxy core or user agent: takes what its endpoint tells it."""

    def handle_event(self, event: LayerEvent) -> None:
        """Act on what happened to a transaction."""
        ...

    def flow_opened(self, flow: Flow) -> None:
        """A connection was accepted or made, or a UDP peer seen for the first time."""
        ...

    def flow_closed(self, flow: Flow) -> None:
        """A flow ended."""
        ...


class SipEndpoint:
    """Sends and receives in transactions. One for each service."""

    def __init__(
        self,
        settings: TransportSettings,
        *,
        user: EndpointUser,
        resolver: Resolver,
        clock: SchedulingClock,
        observer: Observer,
        timers: TransactionTimers = DEFAULT_TIMERS,
    ) -> None:
        self._settings = settings
        self._user = user
        self._clock = clock
        self._layer = TransactionLayer(timers=timers)
        self._transport = SipTransport(
            settings, handler=self, resolver=resolver, clock=clock, observer=observer
        )
        self._timer: TimerHandle | None = None
        self._pumping = False
        self._pump_scheduled = False

    @property
    def addresses(self) -> dict[str, tuple[str, int]]:
        """Where each listener listens, by its name."""
        return self._transport.addresses

    async def start(self) -> None:
        """Open the listeners.

        Raises ConnectionFailed where an address cannot be bound.
        """
        await self._transport.start()

    async def stop(self) -> None:
        """Close the sockets; transactions that are under way fail."""
        await self._transport.stop()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # What the service asks for.

    def send_request(self, request: Request, destination: Destination | Flow) -> ClientTransaction:
        """Send a request in a transaction of its own; its topmost Via is there already.

        What happens to it is told later, never before this returns.
        """
        if isinstance(destination, Destination):
            destination = self._avoid_long_datagram(request, destination)
        transaction = self._layer.send_request(request, destination, now=self._clock.monotonic())
        self._send_soon()
        return transaction

    def send_response(self, transaction: ServerTransaction, response: Response) -> None:
        """Answer a request."""
        self._layer.send_response(transaction, response, now=self._clock.monotonic())
        self._send_soon()

    def send_stateless(self, message: Request | Response, destination: Destination | Flow) -> None:
        """Send what belongs to no transaction: an ACK for a 2xx response."""
        self._layer.send_stateless(message, destination)
        self._send_soon()

    def close_flow(self, flow: Flow, why: str) -> None:
        """Close a connection after what waits to be sent; UDP has none."""
        while (outgoing := self._layer.next_output()) is not None:
            self._transport.send(outgoing)
        self._transport.close_flow(flow, why)

    def abandon(self, transaction: ServerTransaction) -> None:
        """Forget a request without an answer: the peer's own timer has told it (RFC 4320 4.2)."""
        self._layer.abandon(transaction)
        self._pump()

    # What the transport tells.

    def flow_opened(self, flow: Flow) -> None:
        """Pass on that a connection is there."""
        self._user.flow_opened(flow)

    def message_received(self, message: Request | Response, flow: Flow) -> None:
        """Find the message's transaction."""
        self._layer.receive_message(message, flow, now=self._clock.monotonic())
        self._pump()

    def message_sent(self, outgoing: Outgoing, flow: Flow) -> None:
        """Tie a client transaction to the flow that carries it."""
        if isinstance(outgoing.transaction, ClientTransaction) and outgoing.transaction.target is not flow:
            self._layer.flow_bound(outgoing.transaction, flow)

    def message_failed(self, outgoing: Outgoing, failure: DeliveryFailure) -> None:
        """Let its transaction fail, or try again elsewhere."""
        self._layer.delivery_failed(
            outgoing, failure.why, now=self._clock.monotonic(), verdict=failure.verdict
        )
        self._pump()

    def flow_closed(self, flow: Flow, failure: DeliveryFailure) -> None:
        """Let the transactions fail that wait for a response on it."""
        self._layer.flow_failed(flow, failure.why, verdict=failure.verdict)
        self._user.flow_closed(flow)
        self._pump()

    # Inside.

    def _send_soon(self) -> None:
        """Let the loop pump, unless the user was called by the pump, which goes on when it returns."""
        if not self._pumping and not self._pump_scheduled:
            self._pump_scheduled = True
            asyncio.get_running_loop().call_soon(self._pump)

    def _pump(self) -> None:
        """Move everything between layer, transport and user until nothing is left."""
        if self._pumping:
            return
        self._pumping = True
        self._pump_scheduled = False
        try:
            while True:
                if (outgoing := self._layer.next_output()) is not None:
                    self._transport.send(outgoing)
                elif (event := self._layer.next_event()) is not None:
                    self._hand_up(event)
                else:
                    break
        finally:
            self._pumping = False
        self._arm()

    def _hand_up(self, event: LayerEvent) -> None:
        """Let the user act; what a request makes go wrong there hurts that request only."""
        try:
            self._user.handle_event(event)
        except RemoteProtocolError as error:
            self._answer(event, int(error.reply))
        except Exception:
            _LOG.exception("%s %s failed on %s", self._settings.node, self._settings.service, event)
            self._answer(event, 500)

    def _answer(self, event: LayerEvent, status: int) -> None:
        if isinstance(event, RequestReceived):
            with suppress(LocalProtocolError):  # the user had answered before it failed
                self._layer.send_response(
                    event.transaction, respond(event.request, status), now=self._clock.monotonic()
                )

    def _arm(self) -> None:
        due = self._layer.next_timer()
        # A timer that is set too early wakes us for nothing; setting it anew for each transaction costs more.
        if due is None or (self._timer is not None and self._timer.when <= due):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._clock.call_at(due, self._fire)

    def _fire(self) -> None:
        self._timer = None
        self._layer.handle_timer(now=self._clock.monotonic())
        self._pump()

    def _avoid_long_datagram(self, request: Request, destination: Destination) -> Destination:
        """Choose TCP for a request that no datagram should carry, and say so in its Via (RFC 3261 18.1.1)."""
        if destination.transport is not Transport.UDP:
            return destination
        if len(request.encode()) <= self._settings.datagram_limit:
            return destination
        via = request.remove_first_value("via") or ""
        request.insert_header("Via", via.replace("SIP/2.0/UDP", "SIP/2.0/TCP", 1))
        return replace(destination, transport=Transport.TCP)
