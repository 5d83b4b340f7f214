"""One TCP or TLS connection that carries SIP: frames what comes in, gathers what goes out (RFC 3261 18.3)."""

import asyncio
from collections.abc import Callable
from typing import Protocol, cast

from certs.verdict import Verdict
from proxies.clock import SchedulingClock, TimerHandle
from proxies.observer import ConnectionInfo, Direction, WireTap
from proxies.sip.messages.framing import StreamFramer
from proxies.sip.transport.flow import Flow, Transport
from proxies.sip.transport.settings import TransportLimits
from proxies.tls import TlsConnection


class StreamOwner(Protocol):
    """Takes what happens on a connection."""

    def describe(
        self, listener: str, transport: Transport, local: tuple[str, int], peer: tuple[str, int]
    ) -> ConnectionInfo:
        """Name a new connection."""
        ...

    def stream_opened(self, stream: "SipStream") -> None:
        """It can carry messages now."""
        ...

    def stream_received(self, stream: "SipStream") -> None:
        """Its framer was fed."""
        ...

    def stream_closed(self, stream: "SipStream", why: str, error: Exception | None) -> None:
        """It is gone; `error` is what ended it, a refusal that the peer sent by a TLS alert included."""
        ...


class SipStream(asyncio.Protocol):
    """A connection's framer, its limits, and one write per turn of the loop."""

    flow: Flow
    "Names the connection to the cores; set when it is open."

    def __init__(
        self,
        owner: StreamOwner,
        *,
        listener: str,
        dialled: bool,
        limits: TransportLimits,
        clock: SchedulingClock,
        ping_interval: float | None = None,
        tap: WireTap | None = None,
    ) -> None:
        self.listener = listener
        "The application listener that accepted it, or `outgoing`."
        self.framer = StreamFramer(dialled=dialled)
        "Cuts the bytes into messages; the owner pulls them."
        self._owner = owner
        self._limits = limits
        self._clock = clock
        self._ping_interval = ping_interval
        self._tap = tap
        self._transport: asyncio.Transport | None = None
        self._outgoing: list[bytes] = []
        self._why = "closed by the peer"
        self._last_message = 0.0
        self._timers: dict[str, TimerHandle] = {}

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Make the flow; over TLS this comes after the handshake was accepted."""
        transport = cast(asyncio.Transport, transport)  # uvloop's are no subclasses of asyncio's
        local: tuple[str, int] = transport.get_extra_info("sockname")[:2]
        peer: tuple[str, int] = transport.get_extra_info("peername")[:2]
        verdict: Verdict | None = None
        if isinstance(transport, TlsConnection):
            carrier, verdict, connection = Transport.TLS, transport.verdict, transport.connection
            self._tap = None  # TLS shows what crosses
        else:
            carrier, connection = (
                Transport.TCP,
                self._owner.describe(self.listener, Transport.TCP, local, peer),
            )
        self.flow = Flow(connection=connection, transport=carrier, local=local, peer=peer, verdict=verdict)
        self._transport = transport
        self._last_message = self._clock.monotonic()
        self._set_timer("idle", self._limits.idle, self._check_idle)
        if self._ping_interval is not None:
            self._set_timer("ping", self._ping_interval, self._ping)
        self._owner.stream_opened(self)

    def data_received(self, data: bytes) -> None:
        """Feed the framer; the owner pulls."""
        if self._tap is not None:
            self._tap.crossed(self.flow.connection, Direction.RECEIVED, data)
        if self.is_open:
            self.framer.receive_data(data)
            self._owner.stream_received(self)

    def eof_received(self) -> bool:
        """Tell the framer; a SIP peer that sends no more is gone."""
        if self.is_open:
            self.framer.receive_eof()
            self._owner.stream_received(self)
        return False

    def pause_writing(self) -> None:
        """Give a peer that reads slowly its time."""
        self._set_timer("stall", self._limits.write_stall, lambda: self.drop("the peer does not read"))

    def resume_writing(self) -> None:
        """Forgive it."""
        self._cancel_timer("stall")

    def connection_lost(self, error: Exception | None) -> None:
        """Stop the timers and tell the owner."""
        for name in list(self._timers):
            self._cancel_timer(name)
        self._transport = None
        self._owner.stream_closed(self, self._why, error)

    # From the owner.

    @property
    def is_open(self) -> bool:
        """Whether it is neither closed nor closing."""
        return self._transport is not None and not self._transport.is_closing()

    def send(self, data: bytes) -> None:
        """Send with everything else that this turn of the loop sends."""
        if not self._outgoing:
            asyncio.get_running_loop().call_soon(self._write)
        self._outgoing.append(data)

    def message_seen(self) -> None:
        """The framer gave a whole message or a keep-alive: the peer is alive."""
        self._last_message = self._clock.monotonic()
        self._cancel_timer("pong")

    def close(self, why: str) -> None:
        """Send what waits, then close."""
        if self.is_open and self._transport is not None:
            self._write()
            self._why = why
            self._transport.close()

    def drop(self, why: str) -> None:
        """Close without sending what waits."""
        if self._transport is not None:
            self._why = why
            self._transport.abort()

    # Inside.

    def _write(self) -> None:
        outgoing, self._outgoing = self._outgoing, []
        if not outgoing or self._transport is None or self._transport.is_closing():
            return
        data = b"".join(outgoing)
        if self._tap is not None:
            self._tap.crossed(self.flow.connection, Direction.SENT, data)
        self._transport.write(data)
        waiting = self._transport.get_write_buffer_size()
        if waiting > self._limits.write_buffer:
            self.drop(f"the peer reads too slowly: {waiting} bytes wait")

    def _check_idle(self) -> None:
        quiet = self._clock.monotonic() - self._last_message
        if quiet >= self._limits.idle:
            self.close(f"no message for {quiet:.0f} s")
        else:
            self._set_timer("idle", self._limits.idle - quiet, self._check_idle)

    def _ping(self) -> None:
        assert self._ping_interval is not None
        self.send(b"\r\n\r\n")
        self._set_timer("pong", self._limits.pong, lambda: self.drop("no answer to a keep-alive ping"))
        self._set_timer("ping", self._ping_interval, self._ping)

    def _set_timer(self, name: str, seconds: float, callback: Callable[[], None]) -> None:
        self._cancel_timer(name)
        self._timers[name] = self._clock.call_at(self._clock.monotonic() + seconds, callback)

    def _cancel_timer(self, name: str) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()
