"""The asyncio side of SIP: sockets, connections and where a message leaves by (RFC 3261 18).

Written once for every service and user agent. The cores name a `Flow` or a `Destination`; what is behind them
is known here only.
"""

import asyncio
from functools import partial
from typing import Final, Protocol, assert_never

from certs.errors import ConnectionFailed, RemoteProtocolError
from proxies.clock import SchedulingClock
from proxies.interposing import interposer
from proxies.observer import ConnectionInfo, Direction, Observer, next_connection_number, tap_of
from proxies.sip.messages.framing import FramingError, KeepAlivePing, KeepAlivePong, parse_datagram
from proxies.sip.messages.message import Request, Response, split_first
from proxies.sip.transactions.events import Outgoing
from proxies.sip.transactions.matching import respond, sent_by
from proxies.sip.transport.dialling import DeliveryFailure, Dialler
from proxies.sip.transport.flow import Destination, Flow, Transport
from proxies.sip.transport.flow_table import FlowTable
from proxies.sip.transport.locating import Resolver
from proxies.sip.transport.settings import SipListenerSettings, TransportSettings
from proxies.sip.transport.streams import SipStream
from proxies.sip.transport.udp import UdpSocket
from proxies.tasks import TaskKeeper
from proxies.tls import PeerRefusedError, TlsListener, listen_tls

PONG: Final = b"\r\n"
"The answer to a keep-alive ping (RFC 5626 3.5.1)."

OUTGOING: Final = "outgoing"
"What stands for a listener's name on connections that we made."


class TransportHandler(Protocol):
    """Takes what the sockets bring, and how sending went."""

    def flow_opened(self, flow: Flow) -> None:
        """A connection can carry messages, or a peer was seen for the first time over UDP."""
        ...

    def message_received(self, message: Request | Response, flow: Flow) -> None:
        """A whole message came in."""
        ...

    def message_sent(self, outgoing: Outgoing, flow: Flow) -> None:
        """A message left by this flow; it may still be lost."""
        ...

    def message_failed(self, outgoing: Outgoing, failure: DeliveryFailure) -> None:
        """A message will not arrive."""
        ...

    def flow_closed(self, flow: Flow, failure: DeliveryFailure) -> None:
        """A flow ended; what was sent on it and not answered will not be."""
        ...


class SipTransport:
    """The listeners and connections of one service."""

    def __init__(
        self,
        settings: TransportSettings,
        *,
        handler: TransportHandler,
        resolver: Resolver,
        clock: SchedulingClock,
        observer: Observer,
    ) -> None:
        self._settings = settings
        self._handler = self._service = handler
        self._resolver = resolver
        self._clock = clock
        self._observer = observer
        self._tap = tap_of(observer)
        self._tasks = TaskKeeper()
        self._table = FlowTable()
        self._streams: dict[Flow, SipStream] = {}
        self._sockets: dict[tuple[str, int], UdpSocket] = {}
        self._servers: list[asyncio.Server] = []
        self._tls_listeners: list[TlsListener] = []
        self._stopped = False
        self._dialling: dict[Destination, list[Outgoing]] = {}
        self._dialler = Dialler(
            settings,
            make_stream=partial(self._make_stream, OUTGOING),
            describe=partial(self.describe, OUTGOING),
            clock=clock,
            observer=observer,
        )
        self.addresses: dict[str, tuple[str, int]] = {}
        "Where each listener listens, by its name."

        interposer().sip_transport(self)

    def interpose(self, handler: TransportHandler | None) -> None:
        """Give what the sockets bring to another handler, or with None to the service's own again."""
        self._handler = handler or self._service

    @property
    def service_handler(self) -> TransportHandler:
        """The service's own handler."""
        return self._service

    async def start(self) -> None:
        """Open the listeners, all or none.

        Raises ConnectionFailed where an address cannot be bound.
        """
        self._stopped = False
        try:
            for listener in self._settings.listeners:
                self.addresses[listener.name] = await self._listen(listener)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Close everything: what was written and fits the sockets still goes out."""
        await self._tasks.close()
        self._stopped = True
        for server in self._servers:
            server.close()
        streams = list(self._streams.values())
        for stream in streams:
            stream.close("the service stopped")
        for socket in self._sockets.values():
            socket.close()
        # One turn of the loop, in which sockets that took everything close by themselves.
        await asyncio.sleep(0)
        for stream in streams:
            stream.drop("the service stopped")
        for listener in self._tls_listeners:
            await listener.close()
        await asyncio.sleep(0)
        self._servers.clear()
        self._sockets.clear()
        self._tls_listeners.clear()
        self.addresses.clear()

    # Sending.

    def send(self, outgoing: Outgoing) -> None:
        """Send a message on a flow, or to a destination over a flow that leads there or over a new one.

        The handler is told how that went, perhaps before this returns.
        """
        target = outgoing.destination
        if isinstance(target, Destination):
            self._send_to_destination(outgoing, target)
        elif (stream := self._streams.get(target)) is not None and stream.is_open:
            self._send_on_stream(outgoing, stream)
        elif target.transport is Transport.UDP and (socket := self._sockets.get(target.local)) is not None:
            self._send_datagram(outgoing, socket, target)
        else:
            self._fail(outgoing, f"the connection to {target.peer[0]}:{target.peer[1]} is gone")

    def close_flow(self, flow: Flow, why: str) -> None:
        """Close a connection after what waits to be sent."""
        stream = self._streams.get(flow)
        if stream is not None:
            stream.close(why)

    def _send_to_destination(self, outgoing: Outgoing, destination: Destination) -> None:
        address = self._resolver.address_of(destination.host)
        if address is None:
            self._fail(outgoing, f"the lab has no host {destination.host!r}")
        elif destination.transport is Transport.UDP:
            socket = next(iter(self._sockets.values()), None)
            if socket is None:
                self._fail(outgoing, f"{self._settings.service} has no UDP listener to send from")
            else:
                self._send_datagram(outgoing, socket, socket.flow_to((address, destination.port)))
        else:
            flow = self._table.find(
                destination.transport, address, destination.port, server_name=destination.server_name
            )
            if flow is not None and self._streams[flow].is_open:
                self._send_on_stream(outgoing, self._streams[flow])
            else:
                self._wait_for_connection(outgoing, destination, address)

    def _wait_for_connection(self, outgoing: Outgoing, destination: Destination, address: str) -> None:
        waiting = self._dialling.get(destination)
        if waiting is None:
            self._dialling[destination] = [outgoing]
            self._tasks.start(self._dial(destination, address), name=f"dial {destination}")
        elif len(waiting) < self._settings.limits.waiting_messages:
            waiting.append(outgoing)
        else:
            self._fail(outgoing, f"{len(waiting)} messages wait for a connection to {destination}")

    async def _dial(self, destination: Destination, address: str) -> None:
        outcome: SipStream | DeliveryFailure = DeliveryFailure(why="the service stopped")
        try:
            outcome = await self._dialler.dial(destination, address)
        finally:
            for outgoing in self._dialling.pop(destination):
                if isinstance(outcome, DeliveryFailure):
                    self._handler.message_failed(outgoing, outcome)
                elif outcome.is_open:
                    self._send_on_stream(outgoing, outcome)
                else:
                    self._fail(outgoing, f"the connection to {destination} is gone")

    def _send_on_stream(self, outgoing: Outgoing, stream: SipStream) -> None:
        self._observer.message(stream.flow.connection, Direction.SENT, outgoing.wire)
        stream.send(outgoing.wire)
        self._handler.message_sent(outgoing, stream.flow)

    def _send_datagram(self, outgoing: Outgoing, socket: UdpSocket, flow: Flow) -> None:
        self._observer.message(flow.connection, Direction.SENT, outgoing.wire)
        self._tap_datagram(flow, Direction.SENT, outgoing.wire, flow.peer)
        socket.send(outgoing.wire, flow.peer)
        self._handler.message_sent(outgoing, flow)

    def _fail(self, outgoing: Outgoing, why: str) -> None:
        self._handler.message_failed(outgoing, DeliveryFailure(why=why))

    # Listening.

    async def _listen(self, listener: SipListenerSettings) -> tuple[str, int]:
        host, port = self._settings.address, listener.port
        loop = asyncio.get_running_loop()
        make_stream = partial(self._make_stream, listener.name)
        if listener.tls is not None:
            tls_listener = await listen_tls(
                listener.tls,
                host,
                port,
                protocol_factory=lambda connection: make_stream(),
                describe=partial(self.describe, listener.name, Transport.TLS),
                clock=self._clock,
                observer=self._observer,
            )
            self._tls_listeners.append(tls_listener)
            return tls_listener.address
        try:
            if listener.transport is Transport.UDP:
                _, socket = await loop.create_datagram_endpoint(
                    partial(
                        UdpSocket,
                        self,
                        listener=listener.name,
                        maximum_flows=self._settings.limits.udp_flows,
                    ),
                    local_addr=(host, port),
                )
                self._sockets[socket.address] = socket
                return socket.address
            accept = interposer().accepting(make_stream)
            server = await loop.create_server(accept, host, port, backlog=1024, reuse_address=True)
        except OSError as error:
            raise ConnectionFailed(
                f"{listener.name}: cannot listen on {host}:{port}: {error.strerror or error}"
            ) from error
        self._servers.append(server)
        address: tuple[str, int] = server.sockets[0].getsockname()[:2]
        return address

    def _make_stream(self, listener: str) -> SipStream:
        return SipStream(
            self,
            listener=listener,
            dialled=listener == OUTGOING,
            limits=self._settings.limits,
            clock=self._clock,
            ping_interval=self._settings.ping_interval if listener == OUTGOING else None,
            tap=self._tap,
        )

    # What the sockets tell.

    def describe(
        self, listener: str, transport: Transport, local: tuple[str, int], peer: tuple[str, int]
    ) -> ConnectionInfo:
        """Name a connection for the evidence."""
        service = self._settings.service.removeprefix("Cisco ").replace(" ", "-").lower()
        return ConnectionInfo(
            id=f"{self._settings.node} {service} {next_connection_number()}",
            node=self._settings.node,
            service=self._settings.service,
            listener=listener,
            transport=transport,
            local=local,
            peer=peer,
        )

    def stream_opened(self, stream: SipStream) -> None:
        """Take in a connection, or turn it away where there are too many."""
        flow = stream.flow
        if flow.transport is not Transport.TLS:  # the TLS layer tells of its own
            self._observer.opened(flow.connection)
        if len(self._streams) >= self._settings.limits.connections:
            stream.drop(f"{len(self._streams)} connections are open, which is the limit")
            return
        if self._stopped:  # the loop had accepted it before
            stream.drop("the service stopped")
            return
        self._streams[flow] = stream
        self._table.add(flow)
        self._handler.flow_opened(flow)

    def stream_received(self, stream: SipStream) -> None:
        """Pull what the framer has, as long as the connection stays."""
        while stream.is_open:
            try:
                event = stream.framer.next_event()
            except FramingError as error:
                self._refuse(stream, error)
                return
            if event is None:
                return
            stream.message_seen()
            match event:
                case Request() | Response():
                    self._receive(event, stream.flow)
                case KeepAlivePing():
                    stream.send(PONG)
                case KeepAlivePong():
                    pass
                case _:
                    assert_never(event)

    def stream_closed(self, stream: SipStream, why: str, error: Exception | None) -> None:
        """Forget a connection and tell who sent on it."""
        flow = stream.flow
        if flow.transport is not Transport.TLS:
            self._observer.closed(flow.connection, str(error or why))
        if self._streams.pop(flow, None) is None:
            return
        self._table.remove(flow)
        verdict = error.verdict if isinstance(error, PeerRefusedError) else None
        self._handler.flow_closed(flow, DeliveryFailure(why=str(error or why), verdict=verdict))

    def datagram_received(self, socket: UdpSocket, peer: tuple[str, int], data: bytes) -> None:
        """Parse one datagram; what is no message is dropped (RFC 3261 18.3)."""
        try:
            message = parse_datagram(data)
        except FramingError as error:
            flow = socket.flow_to(peer)
            self._observer.message(flow.connection, Direction.RECEIVED, data)
            self._tap_datagram(flow, Direction.RECEIVED, data, peer)
            if (answer := _answer_to(error)) is not None:
                self._observer.message(flow.connection, Direction.SENT, answer)
                self._tap_datagram(flow, Direction.SENT, answer, peer)
                socket.send(answer, peer)
            return
        source = peer
        if isinstance(message, Request) and "rport" not in _via_parameters(message):
            # Responses go to the advertised port of the address that the request came from (18.2.2).
            peer = (peer[0], _sent_by_port(message) or Transport.UDP.default_port)
        flow = socket.flow_to(peer)
        self._observer.message(flow.connection, Direction.RECEIVED, data)
        self._tap_datagram(flow, Direction.RECEIVED, data, source)
        self._handler.message_received(message, flow)

    def _tap_datagram(self, flow: Flow, direction: Direction, data: bytes, peer: tuple[str, int]) -> None:
        if self._tap is not None:
            self._tap.datagram(flow.connection, direction, data, peer)

    def datagram_flow_opened(self, flow: Flow) -> None:
        """Tell of a new pair of addresses."""
        self._observer.opened(flow.connection)
        self._handler.flow_opened(flow)

    def datagram_flow_closed(self, flow: Flow, why: str) -> None:
        """Tell that a pair of addresses was forgotten."""
        self._observer.closed(flow.connection, why)
        self._handler.flow_closed(flow, DeliveryFailure(why=why))

    # Receiving.

    def _receive(self, message: Request | Response, flow: Flow) -> None:
        self._observer.message(flow.connection, Direction.RECEIVED, message.encode())
        if (
            isinstance(message, Request)
            and flow.connection.listener != OUTGOING
            and "alias" in _via_parameters(message)
        ):
            host, port = sent_by(message)
            self._table.add_alias(flow, sent_by_host=host, sent_by_port=port)
        self._handler.message_received(message, flow)

    def _refuse(self, stream: SipStream, error: FramingError) -> None:
        """Answer where the request can be read that far, and close: nothing behind it can be told apart."""
        if (answer := _answer_to(error)) is not None:
            self._observer.message(stream.flow.connection, Direction.SENT, answer)
            stream.send(answer)
        stream.close(f"not SIP: {error}")


def _answer_to(error: FramingError) -> bytes | None:
    """Return the response to a request that could not be cut, where it says whom to answer."""
    request = error.request
    if request is None or request.method == "ACK":
        return None
    if any(request.header(name) is None for name in ("via", "from", "to", "call-id", "cseq")):
        return None
    return respond(request, int(error.reply)).encode()


def _via_parameters(request: Request) -> frozenset[str]:
    """Return the names of the topmost Via's parameters; none where there is no Via."""
    via, _ = split_first(request.header("via") or "")
    return frozenset(parameter.partition("=")[0].strip().lower() for parameter in via.split(";")[1:])


def _sent_by_port(request: Request) -> int | None:
    try:
        return sent_by(request)[1]
    except RemoteProtocolError:
        return None  # the transaction layer answers it, if it can be answered
