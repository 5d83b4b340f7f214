"""A listening socket for XMPP streams, and the connections that came in through it."""

import asyncio
import socket
from collections.abc import Callable
from typing import Final

from certs.errors import ConnectionFailed
from proxies.clock import SchedulingClock
from proxies.interposing import interposer
from proxies.observer import Observer
from proxies.tls import TlsUpgrade
from proxies.xmpp.conditions import StreamErrorCondition
from proxies.xmpp.connections.carrier import StreamOwner
from proxies.xmpp.connections.connection import Describe, Reading, XmppConnection

BACKLOG: Final = 1024
"Connections the kernel holds for us while the loop is busy."

GRACE: Final = 1.0
"Seconds that connections get for their closing tags and alerts when the listener closes."


class XmppListener:
    """Accepts connections; each gets a stream and an owner."""

    def __init__(
        self,
        make: Callable[[XmppConnection], StreamOwner],
        *,
        describe: Describe,
        clock: SchedulingClock,
        observer: Observer,
        tls: TlsUpgrade | None,
        channel_bindings: tuple[str, ...] = (),
        maximum_connections: int = 10_000,
        reading: Reading | None = None,
    ) -> None:
        """`make` sets a new connection's `stream` and returns its owner."""
        self._make = make
        self._describe = describe
        self._clock = clock
        self._observer = observer
        self._tls = tls
        self._channel_bindings = channel_bindings
        self._maximum = maximum_connections
        self._reading = reading
        self._server: asyncio.Server | None = None
        self._connections: dict[XmppConnection, None] = {}
        self._idle = asyncio.Event()
        self._closing = ""
        self.connection_type: type[XmppConnection] = XmppConnection
        "What a new connection is made of; a test may put a type of its own here."
        interposer().xmpp_listener(self)

    async def start(self, host: str, port: int) -> None:
        """Listen.

        Raises ConnectionFailed where the address cannot be bound.
        """
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(
                interposer().accepting(self._accept),
                host,
                port,
                family=socket.AF_INET,
                backlog=BACKLOG,
                reuse_address=True,
            )
        except OSError as error:
            raise ConnectionFailed(f"cannot listen on {host}:{port}: {error.strerror or error}") from error

    def fail_all(self, condition: StreamErrorCondition, text: str) -> None:
        """End every stream with an error."""
        for connection in tuple(self._connections):
            connection.fail(condition, text)

    def stop_listening(self) -> None:
        """Let nobody in any more, at once; `close` ends those who are in."""
        if self._server is not None:
            self._server.close()

    async def close(self, text: str) -> None:
        """Stop listening and end every stream with `system-shutdown` (RFC 6120 4.9.3.20)."""
        if self._server is None:
            return
        self._server.close()
        self._closing = text
        self.fail_all(StreamErrorCondition.SYSTEM_SHUTDOWN, text)
        if self._connections:
            self._idle.clear()
            try:
                async with asyncio.timeout(GRACE):
                    await self._idle.wait()
            except TimeoutError:
                for connection in tuple(self._connections):
                    connection.abort()
                # Every owner hears of its end before the service does.
                await self._idle.wait()

    def _accept(self) -> XmppConnection:
        return self.connection_type(
            self._made,
            describe=self._describe,
            clock=self._clock,
            observer=self._observer,
            tls=self._tls,
            channel_bindings=self._channel_bindings,
            closed=self._forget,
            reading=self._reading,
        )

    def _made(self, connection: XmppConnection) -> StreamOwner:
        owner = self._make(connection)
        self._connections[connection] = None
        if len(self._connections) > self._maximum:
            connection.stream.fail(StreamErrorCondition.RESOURCE_CONSTRAINT, "too many connections")
        if self._closing:  # the loop had accepted it before
            connection.stream.fail(StreamErrorCondition.SYSTEM_SHUTDOWN, self._closing)
        return owner

    def _forget(self, connection: XmppConnection) -> None:
        self._connections.pop(connection, None)
        if not self._connections:
            self._idle.set()
