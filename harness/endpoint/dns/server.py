"""The name server's sockets: UDP and TCP on one address, bounded."""

import asyncio
import socket
from typing import Final

from certs.errors import ConfigError
from harness.endpoint.dns.answering import Resolver
from proxies.tasks import TaskKeeper

DEFAULT_PORT: Final = 1053
"53 needs root, so the lab maps it."

MAXIMUM_CLIENTS: Final = 64
"TCP connections at once."

IDLE_SECONDS: Final = 10.0
"How long a TCP client may be silent, or slow (RFC 7766 6.2.3)."


class DnsServer:
    """Listens on an address until it is closed."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._udp: asyncio.DatagramTransport | None = None
        self._tcp: asyncio.Server | None = None
        self._tasks = TaskKeeper()
        self._clients = 0

    async def start(self, host: str, port: int) -> None:
        """Listen on both. Raises ConfigError where the address cannot be bound."""
        loop = asyncio.get_running_loop()
        try:
            self._udp, _ = await loop.create_datagram_endpoint(
                lambda: _Datagrams(self._resolver), local_addr=(host, port)
            )
            self._tcp = await asyncio.start_server(
                self._accept, host, port, family=socket.AF_INET, limit=65535 + 2, reuse_address=True
            )
        except OSError as error:
            await self.close()
            raise ConfigError(
                f"DNS: cannot listen on {host}:{port}: {error.strerror or error}; name another port with --dns-port"
            ) from error

    async def close(self) -> None:
        """Close both sockets and what is connected."""
        if self._udp is not None:
            self._udp.close()
        if self._tcp is not None:
            self._tcp.close()
        await self._tasks.close()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._clients >= MAXIMUM_CLIENTS:
            writer.close()
            return
        self._clients += 1
        self._tasks.start(self._serve(reader, writer), name="DNS client")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                async with asyncio.timeout(IDLE_SECONDS):
                    size = int.from_bytes(await reader.readexactly(2))
                    answer = self._resolver.answer(await reader.readexactly(size), udp=False)
                    if answer is None:
                        return
                    writer.write(len(answer).to_bytes(2) + answer)
                    await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            pass  # a client that went, or is silent, costs its own connection
        finally:
            self._clients -= 1
            writer.close()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self._transport = transport

    def datagram_received(self, data: bytes, peer: tuple[str, int]) -> None:
        answer = self._resolver.answer(data, udp=True)
        if answer is not None:
            self._transport.sendto(answer, peer)
