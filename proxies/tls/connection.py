"""The asyncio side of TLS: a pump between a TCP transport, a `TlsCore` and an ordinary asyncio protocol."""

import asyncio
from collections.abc import Callable
from typing import Any, Final, assert_never, cast

from certs.errors import HarnessError
from certs.verdict import Reason, Verdict
from proxies.clock import SchedulingClock, TimerHandle
from proxies.observer import ConnectionInfo, Direction, Observer, tap_of
from proxies.tls.core import TlsCore
from proxies.tls.events import (
    DataReceived,
    HandshakeCompleted,
    HandshakeFailed,
    PeerClosed,
    PeerRefused,
    TlsEvent,
)

LINGER_SECONDS: Final = 1.0
"How long a refused peer's late bytes are read and dropped: closing at once resets, and loses the alert."


class PeerRefusedError(HarnessError):
    """The peer ended an open connection by an alert; what `connection_lost` gets."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(f"the peer refused us: {verdict.alert_received}")
        self.verdict = verdict
        "PEER_ALERT, with the alert's name."


class TlsConnection(asyncio.Transport):
    """An open TLS connection as the protocol above sees it: an asyncio transport with a verdict."""

    def __init__(self, pump: "TlsPump", verdict: Verdict) -> None:
        super().__init__()
        self._pump = pump
        self.verdict = verdict
        "How the handshake was judged, with the peer's chain."

    @property
    def connection(self) -> ConnectionInfo:
        """The connection's name in the evidence."""
        return self._pump.connection

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Encrypt and send."""
        self._pump.send_data(bytes(data))

    def close(self) -> None:
        """Say close_notify, send what is waiting, close."""
        self._pump.close()

    def abort(self) -> None:
        """Reset the connection."""
        self._pump.transport.abort()

    def is_closing(self) -> bool:
        """Whether `close` or `abort` was called or the peer went."""
        return self._pump.transport.is_closing()

    def pause_reading(self) -> None:
        """Read no more from the socket."""
        self._pump.transport.pause_reading()

    def resume_reading(self) -> None:
        """Read from the socket again."""
        self._pump.transport.resume_reading()

    def get_write_buffer_size(self) -> int:
        """Return the encrypted bytes that wait for the socket."""
        return self._pump.transport.get_write_buffer_size()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set when the protocol is told to pause, in encrypted bytes."""
        self._pump.transport.set_write_buffer_limits(high, low)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what the TCP transport knows (`peername`, `sockname`, `socket`)."""
        return self._pump.transport.get_extra_info(name, default)

    def can_write_eof(self) -> bool:
        """TLS has no half-close here."""
        return False


class TlsPump(asyncio.Protocol):
    """Moves bytes between socket and core, and ends every handshake with exactly one verdict."""

    transport: asyncio.Transport
    connection: ConnectionInfo

    def __init__(
        self,
        core: TlsCore,
        *,
        protocol_factory: Callable[[TlsConnection], asyncio.Protocol],
        describe: Callable[[tuple[str, int], tuple[str, int]], ConnectionInfo],
        clock: SchedulingClock,
        observer: Observer,
        handshake_timeout: float,
        handshake_ended: Callable[["TlsPump", Verdict], None],
        closed: Callable[["TlsPump"], None],
    ) -> None:
        self._core = core
        self._protocol_factory = protocol_factory
        self._describe = describe
        self._clock = clock
        self._observer = observer
        self._tap = tap_of(observer)
        self._handshake_timeout = handshake_timeout
        self._handshake_ended = handshake_ended
        self._closed = closed
        self._timer: TimerHandle | None = None
        self._error: Exception | None = None
        self._why = "closed by the peer"
        self._sending = False
        self._judged = False
        self._aborted = False
        self.protocol: asyncio.Protocol | None = None
        "The protocol above; None until the handshake is accepted."

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a new connection and begin the handshake."""
        local, peer = transport.get_extra_info("sockname")[:2], transport.get_extra_info("peername")[:2]
        connection = self._describe(local, peer)
        self._observer.opened(connection)
        # uvloop's transports are no subclasses of asyncio's.
        self.begin(cast(asyncio.Transport, transport), connection)
        if self._aborted:
            self.transport.abort()

    def begin(self, transport: asyncio.Transport, connection: ConnectionInfo) -> None:
        """Begin the handshake on a connection that is open; its time runs from here, silence included."""
        self.transport = transport
        self.connection = connection
        self._set_timer(self._handshake_timeout, self._handshake_is_late)
        self._send()

    def data_received(self, data: bytes) -> None:
        """Feed the core and act on what it says."""
        if self._tap is not None:
            self._tap.crossed(self.connection, Direction.RECEIVED, data)
        if self._judged and self.protocol is None:
            return  # a refused peer's late bytes
        self._core.receive_data(data)
        self._pump()

    def eof_received(self) -> bool:
        """Tell the core; both directions end together."""
        self._core.receive_eof()
        self._pump()
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """Tell the protocol above, once."""
        if not self._judged:
            self._core.end_handshake(Reason.CLOSED_EARLY)
            self._take_events()
        self._cancel_timer()
        self._observer.closed(self.connection, str(self._error or error or self._why))
        if self.protocol is not None:
            self.protocol.connection_lost(self._error or error)
        self._closed(self)

    def pause_writing(self) -> None:
        """Pass on that the socket is slow."""
        if self.protocol is not None:
            self.protocol.pause_writing()

    def resume_writing(self) -> None:
        """Pass on that the socket is ready again."""
        if self.protocol is not None:
            self.protocol.resume_writing()

    # From above.

    def send_data(self, data: bytes) -> None:
        """Encrypt now; what one turn of the loop encrypts goes out in one write."""
        if not self._core.is_open:
            return
        self._core.send_data(data)
        if not self._sending:
            self._sending = True
            asyncio.get_running_loop().call_soon(self._send)

    def close(self) -> None:
        """Say close_notify and close."""
        self._why = "closed by us"
        self._core.close()
        self._send()
        self.transport.close()

    def abort(self) -> None:
        """Reset the connection; one that the loop has accepted and not yet handed over, as soon as it is."""
        self._aborted = True
        if hasattr(self, "transport"):
            self.transport.abort()

    def refuse(self, reason: Reason) -> None:
        """End an unfinished handshake from outside."""
        self._core.end_handshake(reason)
        self._pump()

    # Inside.

    def _pump(self) -> None:
        self._take_events()
        self._send()

    def _take_events(self) -> None:
        while (event := self._core.next_event()) is not None:
            self._handle(event)

    def _handle(self, event: TlsEvent) -> None:
        match event:
            case HandshakeCompleted():
                self._judge(event.verdict)
                upper = TlsConnection(self, event.verdict)
                self.protocol = self._protocol_factory(upper)
                self.protocol.connection_made(upper)
            case HandshakeFailed():
                self._judge(event.verdict)
                self._why = f"refused: {event.verdict.reason}"
                self._send()
                self._linger()
            case DataReceived():
                if self.protocol is not None:
                    self.protocol.data_received(event.data)
            case PeerRefused():
                self._error = PeerRefusedError(event.verdict)
                self._observer.judged(self.connection, event.verdict)
                self.transport.close()
            case PeerClosed():
                self._why = "closed by the peer" if event.clean else "cut by the peer"
                self.transport.close()
            case _:
                assert_never(event)

    def _judge(self, verdict: Verdict) -> None:
        self._judged = True
        self._cancel_timer()
        self._observer.judged(self.connection, verdict)
        self._handshake_ended(self, verdict)

    def _linger(self) -> None:
        if self.transport.is_closing():
            return
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._set_timer(LINGER_SECONDS, self.transport.close)

    def _handshake_is_late(self) -> None:
        self.refuse(Reason.HANDSHAKE_TIMEOUT)
        self.transport.close()

    def _send(self) -> None:
        self._sending = False
        data = self._core.data_to_send()
        if data and not self.transport.is_closing():
            if self._tap is not None:
                self._tap.crossed(self.connection, Direction.SENT, data)
            self.transport.write(data)

    def _set_timer(self, seconds: float, callback: Callable[[], None]) -> None:
        self._cancel_timer()
        self._timer = self._clock.call_at(self._clock.monotonic() + seconds, callback)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
