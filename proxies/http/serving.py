"""aiohttp's server over the lab's own listeners: each TLS handshake ends in a verdict and is in the evidence."""

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, cast

from aiohttp import web

from certs.errors import ConnectionFailed
from certs.verdict import Verdict
from proxies.clock import SchedulingClock
from proxies.http.tapping import TappedTransport
from proxies.interposing import interposer
from proxies.observer import ConnectionInfo, Direction, Observer, tap_of
from proxies.tls import TlsConnection, TlsListener, TlsServerSettings, listen_tls

BACKLOG: Final = 1024
"Connections the kernel holds for us while the loop is busy."


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpLimits:
    """What clients may make a listener hold."""

    maximum_connections: int = 10_000
    "Connections at a time; one more is closed as soon as it is there."

    idle_timeout: float = 75.0
    "Seconds for which a connection may carry no request, before its first and between two."

    grace: float = 1.0
    "Seconds that requests get to be answered when the listener closes."


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpConnection:
    """Over what a request came."""

    info: ConnectionInfo
    "The connection's name in the evidence."

    verdict: Verdict | None
    "How its handshake was judged, with the client's chain; None where it travels in the clear."


class HttpListener:
    """An address that takes HTTP requests for an application, over TLS or in the clear.

    A handler is cancelled when its client's connection is lost.
    """

    def __init__(
        self,
        application: web.Application,
        *,
        describe: Callable[[tuple[str, int], tuple[str, int]], ConnectionInfo],
        clock: SchedulingClock,
        observer: Observer,
        tls: TlsServerSettings | None = None,
        limits: HttpLimits | None = None,
    ) -> None:
        """`describe` names a connection from its local and peer addresses; without `tls` nothing is encrypted."""
        self._limits = limits or HttpLimits()
        self._runner = web.AppRunner(
            application,
            access_log=None,
            handler_cancellation=True,
            keepalive_timeout=self._limits.idle_timeout,
            shutdown_timeout=self._limits.grace,
        )
        self._describe = describe
        self._clock = clock
        self._observer = observer
        self._tls = tls
        self._listener: TlsListener | asyncio.Server | None = None
        self._connections: dict[asyncio.BaseProtocol, _ServedHttp] = {}
        self._idle = asyncio.Event()
        self._closes = False

    async def start(self, host: str, port: int) -> None:
        """Listen.

        Raises ConnectionFailed where the address cannot be bound, CertificateError and ConfigError where the TLS
        settings cannot be used.
        """
        await self._runner.setup()
        try:
            if self._tls is None:
                self._listener = await self._listen(host, port)
            else:
                self._listener = await self._listen_tls(self._tls, host, port)
        except BaseException:
            await self._runner.cleanup()
            raise

    async def close(self) -> None:
        """Listen no more, give requests their grace, and end every connection."""
        listener, self._listener = self._listener, None
        if listener is None:
            return
        self._closes = True
        if isinstance(listener, TlsListener):
            listener.stop_accepting()
            await self._runner.cleanup()
            await listener.close()
        else:
            listener.close()
            await self._runner.cleanup()
        if self._connections:
            # What a slow client has not read is given up; the evidence hears of each end before the service does.
            self._idle.clear()
            for served in tuple(self._connections.values()):
                served.transport.abort()
            await self._idle.wait()

    def connection_of(self, request: web.BaseRequest) -> HttpConnection:
        """Return over what a request came."""
        return self._connections[request.protocol].connection

    async def _listen_tls(self, tls: TlsServerSettings, host: str, port: int) -> TlsListener:
        return await listen_tls(
            tls,
            host,
            port,
            protocol_factory=self._accept_secure,
            describe=self._describe,
            clock=self._clock,
            observer=self._observer,
        )

    async def _listen(self, host: str, port: int) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        try:
            return await loop.create_server(
                interposer().accepting(self._accept_plain),
                host,
                port,
                family=socket.AF_INET,
                backlog=BACKLOG,
                reuse_address=True,
            )
        except OSError as error:
            raise ConnectionFailed(f"cannot listen on {host}:{port}: {error.strerror or error}") from error

    # One protocol a connection: aiohttp's, under a layer that knows who is connected.

    def _accept_plain(self) -> asyncio.Protocol:
        return _ObservedHttp(self._make_protocol(), self._enter, self._leave, self._describe, self._observer)

    def _accept_secure(self, connection: TlsConnection) -> asyncio.Protocol:
        # The TLS layer observes its connections itself.
        known = HttpConnection(info=connection.connection, verdict=connection.verdict)
        return _ServedHttp(self._make_protocol(), self._enter, self._leave, known)

    def _make_protocol(self) -> asyncio.Protocol:
        server = self._runner.server
        assert server is not None, "connections come after the start"
        return server()

    def _enter(self, served: "_ServedHttp") -> bool:
        if self._closes or len(self._connections) >= self._limits.maximum_connections:
            return False
        self._connections[served.inner] = served
        return True

    def _leave(self, served: "_ServedHttp") -> None:
        self._connections.pop(served.inner, None)
        if not self._connections:
            self._idle.set()


class _ServedHttp(asyncio.Protocol):
    """Hands everything to aiohttp's protocol of one connection, once it is let in."""

    connection: HttpConnection
    transport: asyncio.Transport

    def __init__(
        self,
        inner: asyncio.Protocol,
        enter: "Callable[[_ServedHttp], bool]",
        leave: "Callable[[_ServedHttp], None]",
        connection: HttpConnection | None = None,
    ) -> None:
        self.inner = inner
        self._enter = enter
        self._leave = leave
        if connection is not None:
            self.connection = connection
        self._is_in = False
        self._writing_paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let the connection in, or close it where there are too many."""
        # uvloop's transports are no subclasses of asyncio's.
        self.transport = cast(asyncio.Transport, transport)
        self._is_in = self._enter(self)
        if self._is_in:
            self.inner.connection_made(transport)
        else:
            transport.close()

    def data_received(self, data: bytes) -> None:
        """Pass on."""
        if self._is_in:
            self.inner.data_received(data)

    def eof_received(self) -> bool:
        """Pass on; both directions end together."""
        if self._is_in:
            self.inner.eof_received()
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """Pass on, once."""
        if self._is_in:
            self._is_in = False
            self.inner.connection_lost(error)
            self._leave(self)

    def pause_writing(self) -> None:
        """Pass on that the socket is slow."""
        if self._is_in:
            self._writing_paused = True
            self.inner.pause_writing()

    def resume_writing(self) -> None:
        """Pass on that the socket is ready again, where it was said to be slow."""
        if self._writing_paused:
            self._writing_paused = False
            self.inner.resume_writing()


class _ObservedHttp(_ServedHttp):
    """The same on a plain connection, which it names and shows to the evidence."""

    def __init__(
        self,
        inner: asyncio.Protocol,
        enter: Callable[[_ServedHttp], bool],
        leave: Callable[[_ServedHttp], None],
        describe: Callable[[tuple[str, int], tuple[str, int]], ConnectionInfo],
        observer: Observer,
    ) -> None:
        super().__init__(inner, enter, leave)
        self._describe = describe
        self._observer = observer
        self._tap = tap_of(observer)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Name the connection and let it in."""
        local, peer = transport.get_extra_info("sockname")[:2], transport.get_extra_info("peername")[:2]
        self.connection = HttpConnection(info=self._describe(local, peer), verdict=None)
        self._observer.opened(self.connection.info)
        if self._tap is not None:
            transport = TappedTransport(cast(asyncio.Transport, transport), self.connection.info, self._tap)
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Show it to the capture too."""
        if self._tap is not None:
            self._tap.crossed(self.connection.info, Direction.RECEIVED, data)
        super().data_received(data)

    def connection_lost(self, error: Exception | None) -> None:
        """Tell the evidence too."""
        why = "closed" if self._is_in else "too many connections, or the listener closes"
        self._observer.closed(self.connection.info, str(error or why))
        super().connection_lost(error)
