"""A stream over a TCP connection, and over TLS from STARTTLS on (RFC 6120 3, 5)."""

import asyncio
from collections.abc import Callable
from typing import Final, cast

from certs.verdict import Verdict
from proxies.clock import SchedulingClock
from proxies.observer import ConnectionInfo, Direction, Observer
from proxies.tls import TlsConnection, TlsUpgrade
from proxies.xmpp.carrier import StreamCarrier, StreamOwner
from proxies.xmpp.initiating_stream import InitiatingStream
from proxies.xmpp.receiving_stream import ReceivingStream

MAXIMUM_UNSENT: Final = 8 * 1024 * 1024
"Bytes that may wait for a slow peer; then the connection is given up."

Describe = Callable[[tuple[str, int], tuple[str, int]], ConnectionInfo]
"Names a connection from its local and peer addresses."


class XmppConnection(StreamCarrier, asyncio.Protocol):
    """One TCP connection with its stream."""

    __slots__ = (
        "_bindings",
        "_closed",
        "_describe",
        "_lost",
        "_make",
        "_secure",
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
    ) -> None:
        """Take what makes the stream and its owner once the connection is there.

        `make` sets `stream`. `tls` is what STARTTLS leads to; `channel_bindings` are offered from then on.
        """
        super().__init__(clock=clock, observer=observer)
        self._make = make
        self._describe = describe
        self._tls = tls
        self._bindings = channel_bindings
        self._closed = closed
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
        if self._closes:
            return
        self._observe(Direction.RECEIVED, data)
        self.stream.receive_data(data)
        self._pump()

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

    def _write(self) -> None:
        data = self.stream.data_to_send()
        if not data or self._transport.is_closing():
            return
        self._observe(Direction.SENT, data)
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
