"""A stream over a TCP connection, and over TLS from STARTTLS on (RFC 6120 3, 5)."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, cast

from certs.verdict import Verdict
from proxies.clock import SchedulingClock, TimerHandle
from proxies.observer import ConnectionInfo, Direction, Observer, tap_of
from proxies.tls import TlsConnection, TlsUpgrade
from proxies.xmpp.connections.carrier import StreamCarrier, StreamOwner
from proxies.xmpp.streams.initiating import InitiatingStream
from proxies.xmpp.streams.rate_limit import RateLimit
from proxies.xmpp.streams.receiving import ReceivingStream

MAXIMUM_UNSENT: Final = 8 * 1024 * 1024
"Bytes that may wait for a slow peer; then the connection is given up."

Describe = Callable[[tuple[str, int], tuple[str, int]], ConnectionInfo]
"Names a connection from its local and peer addresses."


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How fast a peer is read: it is made to wait, by TCP, rather than thrown out (RFC 6120 13.12)."""

    bytes_per_second: float = 64 * 1024 * 1024
    "The rate that lasts."

    burst: float = 128 * 1024 * 1024
    "Bytes that may come at once."

    pace: Callable[[], float] = lambda: 0.0
    "Asked after each read: for how many seconds not to read the peer."


class XmppConnection(StreamCarrier, asyncio.Protocol):
    """One TCP connection with its stream."""

    __slots__ = (
        "_bindings",
        "_closed",
        "_describe",
        "_lost",
        "_make",
        "_pause",
        "_rate",
        "_reading",
        "_secure",
        "_tap",
        "_tls",
        "_transport",
        "_why",
    )

    def __init__(
        self,
        make: "Callable[[XmppConnection], StreamOwner]",
        *,
        describe: Describe,
        clock: SchedulingClock,
        observer: Observer,
        tls: TlsUpgrade | None = None,
        channel_bindings: tuple[str, ...] = (),
        closed: "Callable[[XmppConnection], None]" = lambda connection: None,
        reading: Reading | None = None,
    ) -> None:
        """Take what makes the stream and its owner once the connection is there.

        `make` sets `stream`. `tls` is what STARTTLS leads to; `channel_bindings` are offered from then on.
        """
        super().__init__(clock=clock, observer=observer)
        self._make = make
        self._describe = describe
        self._tap = tap_of(observer)
        self._tls = tls
        self._bindings = channel_bindings
        self._closed = closed
        self._reading = reading
        self._rate = (
            None
            if reading is None
            else RateLimit(
                bytes_per_second=reading.bytes_per_second, burst=reading.burst, now=clock.monotonic()
            )
        )
        self._pause: TimerHandle | None = None
        self._transport: asyncio.Transport
        self._secure = False
        self._lost = False
        self._why = ""

    # asyncio.Protocol; comes a second time with the TLS connection.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Make the stream, or go on with it over TLS."""
        # uvloop's transports are no subclasses of asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        if self._secure:
            self._go_on_over_tls(cast(TlsConnection, transport).verdict)
            return
        local, peer = transport.get_extra_info("sockname")[:2], transport.get_extra_info("peername")[:2]
        self.connection = self._describe(local, peer)
        self._observer.opened(self.connection)
        self.owner = self._make(self)
        self._pump()

    def data_received(self, data: bytes) -> None:
        """Feed the stream and act on what it says."""
        if self._tap is not None and not self._secure:
            self._tap.crossed(self.connection, Direction.RECEIVED, data)
        if self._closes:
            return
        self._observe(Direction.RECEIVED, data)
        self.stream.receive_data(data)
        self._pump()
        if self._rate is not None:
            self._slow_down(self._rate, len(data))

    def eof_received(self) -> bool:
        """The peer will send no more; both directions end together."""
        self.stream.receive_eof()
        self._pump()
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """Tell the owner, once."""
        self._end(str(error) if error is not None else self._why or "closed by the peer")
        if not self._secure:
            self._observer.closed(self.connection, str(error or self._why or "closed by the peer"))

    def abort(self) -> None:
        """Reset the connection."""
        self._transport.abort()

    # Inside.

    def _slow_down(self, rate: RateLimit, size: int) -> None:
        assert self._reading is not None
        now = self.clock.monotonic()
        wait = max(rate.take(size, now=now), self._reading.pace())
        if wait > 0 and self._pause is None and not self._transport.is_closing():
            self._transport.pause_reading()
            self._pause = self.clock.call_at(now + wait, self._read_on)

    def _read_on(self) -> None:
        self._pause = None
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def _write(self) -> None:
        data = self.stream.data_to_send()
        if not data or self._transport.is_closing():
            return
        self._observe(Direction.SENT, data)
        if self._tap is not None and not self._secure:  # else TLS shows what crosses
            self._tap.crossed(self.connection, Direction.SENT, data)
        self._transport.write(data)
        if self._transport.get_write_buffer_size() > MAXIMUM_UNSENT:
            self._why = f"{MAXIMUM_UNSENT} bytes wait for a slow peer"
            self._transport.abort()

    def _close_connection(self) -> None:
        self._stop_timer()
        self._why = self._why or "the stream is over"
        self._transport.close()

    def _end(self, why: str) -> None:
        if self._lost:
            return
        self._lost = self._closes = True
        self._stop_timer()
        if self._pause is not None:
            self._pause.cancel()
        self.owner.lost(why)
        self._closed(self)

    # STARTTLS (RFC 6120 5.4.3).

    def begin_tls(self, tls: TlsUpgrade | None = None) -> None:
        """Put TLS under the connection: what `TlsProceeding` asks for."""
        upgrade = tls or self._tls
        assert upgrade is not None, "a stream that offers TLS has a certificate to show"
        self._write()
        self._stop_timer()
        self._secure = True
        upgrade.begin(
            self._transport,
            self.connection,
            protocol_factory=lambda connection: self,
            ended=self._handshake_ended,
            closed=lambda: self._end(self._why or "closed by the peer"),
        )

    def _handshake_ended(self, verdict: Verdict) -> None:
        if not verdict.accepted:
            self._why = f"refused: {verdict.reason}"
            self.owner.secured(verdict)

    def _go_on_over_tls(self, verdict: Verdict) -> None:
        self.owner.secured(verdict)
        match self.stream:
            case ReceivingStream() as receiving:
                receiving.tls_established(channel_bindings=self._bindings)
            case InitiatingStream() as initiating:
                initiating.tls_established()
        self._pump()
