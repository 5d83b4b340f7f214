"""aiosip 0.2.0 as a client over UDP, TCP and TLS: it speaks UDP only, and imports on no Python after 3.9."""

import asyncio
import collections
import collections.abc
import ssl
import types
from typing import Any

# COMPAT: aiosip 0.2.0 (2017) wants both names, which Python 3.10 and 3.11 took away.
if not hasattr(collections, "MutableMapping"):
    collections.MutableMapping = collections.abc.MutableMapping  # type: ignore[attr-defined]
if not hasattr(asyncio, "coroutine"):
    asyncio.coroutine = types.coroutine  # type: ignore[attr-defined]

import aiosip
from aiosip.message import Message


class Stream(asyncio.Protocol):
    """What aiosip's `UDP` is for datagrams: messages on a stream, cut by Content-Length (RFC 3261 18.3)."""

    def __init__(self, app: Any, loop: asyncio.AbstractEventLoop) -> None:
        self.app = app
        self.ready: asyncio.Future[asyncio.BaseTransport] = loop.create_future()
        self.lost: asyncio.Future[Exception | None] = loop.create_future()
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport
        self.ready.set_result(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self.lost.set_result(error)

    def send_message(self, message: Any) -> None:
        message.headers["Via"] %= {"protocol": type(self).__name__}
        self.transport.write(str(message).encode())

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n") + 4) >= 4:
            fields = self._buffer[:end].lower().split(b"\r\n")
            length = next(int(f.partition(b":")[2]) for f in fields if f.startswith(b"content-length:"))
            if len(self._buffer) < end + length:
                return
            message, self._buffer = self._buffer[: end + length], self._buffer[end + length :]
            self.app.dispatch(type(self), Message.from_raw_message(message.decode()), None)


class TCP(Stream):
    """SIP over TCP; the name goes into Via."""


class TLS(Stream):
    """SIP over TLS; the name goes into Via."""


PROTOCOLS = {"UDP": aiosip.UDP, "TCP": TCP, "TLS": TLS}


class Application(aiosip.Application):  # type: ignore[misc]
    """aiosip's application, which connects over TLS where it is asked to."""

    def __init__(self, ssl_context: ssl.SSLContext | None = None, server_name: str = "") -> None:
        super().__init__(loop=asyncio.get_running_loop())
        self._ssl_context = ssl_context
        self._server_name = server_name

    async def create_connection(
        self, protocol: type, local_addr: tuple[str, int], remote_addr: tuple[str, int], mode: str = "client"
    ) -> Any:
        key = protocol, local_addr, remote_addr
        if protocol is not TLS or key in self._protocols:
            return await super().create_connection(protocol, local_addr, remote_addr, mode)
        transport, made = await self.loop.create_connection(
            lambda: TLS(self, self.loop),
            *remote_addr,
            local_addr=local_addr,
            ssl=self._ssl_context,
            server_hostname=self._server_name,
        )
        self._protocols[key], self._transports[key] = made, transport
        await made.ready
        return made

    def close(self) -> None:
        for transport in self._transports.values():
            transport.close()
