"""A TLS listener: accepts, shakes hands under a limit, and hands open connections to a protocol."""

import asyncio
import socket
from collections.abc import Callable

from certs.errors import ConfigError, ConnectionFailed
from certs.verdict import Reason, Verdict
from proxies.clock import SchedulingClock
from proxies.interposing import interposer
from proxies.observer import ConnectionInfo, Observer, tap_of
from proxies.tls.connection import TlsConnection, TlsPump
from proxies.tls.contexts import server_context
from proxies.tls.core import TlsCore
from proxies.tls.settings import TlsServerSettings

BACKLOG = 1024
"Connections the kernel holds for us while the loop is busy."


class TlsListener:
    """A listening socket and the connections that came in through it. Made by `listen_tls`."""

    def __init__(
        self,
        settings: TlsServerSettings,
        *,
        protocol_factory: Callable[[TlsConnection], asyncio.Protocol],
        describe: Callable[[tuple[str, int], tuple[str, int]], ConnectionInfo],
        clock: SchedulingClock,
        observer: Observer,
    ) -> None:
        self._settings = settings
        tap = tap_of(observer)
        self._context = server_context(settings, secrets_file=tap.secrets_file if tap else None)
        self._protocol_factory = protocol_factory
        self._describe = describe
        self._clock = clock
        self._observer = observer
        self._server: asyncio.Server | None = None
        self.address = ("", 0)
        "The address and port it listens on, or listened on last."
        # Dicts keep order: the oldest unfinished handshake comes first.
        self._handshakes: dict[TlsPump, None] = {}
        self._connections: dict[TlsPump, None] = {}
        self._idle = asyncio.Event()
        self._closes = False

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
        self.address = self._server.sockets[0].getsockname()[:2]

    def stop_accepting(self) -> None:
        """Stop listening; open connections stay."""
        if self._server is not None:
            self._server.close()

    async def close(self) -> None:
        """Stop listening and end every connection."""
        if self._server is None:
            return
        self._closes = True
        self.stop_accepting()
        for pump in [*self._handshakes, *self._connections]:
            pump.abort()
        if self._handshakes or self._connections:
            # Every protocol hears of its end before the service does.
            await self._idle.wait()

    def _accept(self) -> TlsPump:
        if len(self._handshakes) >= self._settings.maximum_handshakes:
            oldest = next(iter(self._handshakes))
            oldest.refuse(Reason.TOO_MANY_HANDSHAKES)
            oldest.abort()
        pump = TlsPump(
            TlsCore(self._context, clock=self._clock),
            protocol_factory=self._protocol_factory,
            describe=self._describe,
            clock=self._clock,
            observer=self._observer,
            handshake_timeout=self._settings.handshake_timeout,
            handshake_ended=self._end_handshake,
            closed=self._forget,
        )
        self._handshakes[pump] = None
        self._idle.clear()
        if self._closes:  # the loop had accepted it before
            pump.abort()
        return pump

    def _end_handshake(self, pump: TlsPump, verdict: Verdict) -> None:
        self._handshakes.pop(pump, None)
        self._connections[pump] = None

    def _forget(self, pump: TlsPump) -> None:
        self._handshakes.pop(pump, None)
        self._connections.pop(pump, None)
        if not self._handshakes and not self._connections:
            self._idle.set()


async def listen_tls(
    settings: TlsServerSettings,
    host: str,
    port: int,
    *,
    protocol_factory: Callable[[TlsConnection], asyncio.Protocol],
    describe: Callable[[tuple[str, int], tuple[str, int]], ConnectionInfo],
    clock: SchedulingClock,
    observer: Observer,
) -> TlsListener:
    """Listen for TLS on an address.

    `describe` names a connection from its local and peer addresses; `protocol_factory` makes the protocol of
    a connection whose handshake was accepted. Raises ConnectionFailed where the address cannot be bound,
    CertificateError and ConfigError where the settings cannot be used.
    """
    if not 0 <= port < 65536:
        raise ConfigError(f"{port} is not a port")
    listener = TlsListener(
        settings, protocol_factory=protocol_factory, describe=describe, clock=clock, observer=observer
    )
    await listener.start(host, port)
    return listener
