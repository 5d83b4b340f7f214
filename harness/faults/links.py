"""Faults of a connection's bytes: a protocol and a transport that lie between the socket and the service."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from proxies.clock import SchedulingClock
from proxies.tls.connection import TlsPump


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkFault:
    """What one connection suffers."""

    handshake_seconds: float = 0.0
    "How long what the service sends is held back once a TLS handshake has begun."

    bytes_left: int | None = None
    "After how many bytes from the service the connection is closed; None never."


class Doorkeeper(asyncio.Protocol):
    """Stands at the door for one moment: tells of a new connection's transport, then steps aside for good."""

    def __init__(self, inner: asyncio.Protocol, opened: Callable[[asyncio.Transport], None]) -> None:
        self._inner = inner
        self._opened = opened

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let the service have the connection."""
        plain = cast(asyncio.Transport, transport)  # uvloop's are no subclasses of asyncio's
        plain.set_protocol(self._inner)
        self._inner.connection_made(plain)
        self._opened(plain)


class FaultyLink(asyncio.Protocol):
    """Lies between a socket and a service for the whole life of a connection."""

    def __init__(
        self,
        inner: asyncio.Protocol,
        fault: LinkFault,
        *,
        clock: SchedulingClock,
        opened: Callable[[asyncio.Transport], None],
    ) -> None:
        self.inner = inner
        "The service's protocol; STARTTLS puts another one here."
        self._fault = fault
        self._clock = clock
        self._opened = opened

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Give the service a transport that suffers."""
        plain = cast(asyncio.Transport, transport)
        outer = FaultyTransport(self, plain, self._fault, self._clock)
        if isinstance(self.inner, TlsPump):
            outer.hold_back()
        self.inner.connection_made(outer)
        self._opened(plain)

    def data_received(self, data: bytes) -> None:
        """Pass on."""
        self.inner.data_received(data)

    def eof_received(self) -> bool | None:
        """Pass on."""
        return self.inner.eof_received()

    def connection_lost(self, error: Exception | None) -> None:
        """Pass on."""
        self.inner.connection_lost(error)

    def pause_writing(self) -> None:
        """Pass on."""
        self.inner.pause_writing()

    def resume_writing(self) -> None:
        """Pass on."""
        self.inner.resume_writing()


class FaultyTransport(asyncio.Transport):
    """A transport that holds bytes back or closes after so many of them."""

    def __init__(
        self, link: FaultyLink, plain: asyncio.Transport, fault: LinkFault, clock: SchedulingClock
    ) -> None:
        super().__init__()
        self._link = link
        self._plain = plain
        self._fault = fault
        self._clock = clock
        self._left = fault.bytes_left
        self._held: list[bytes] | None = None
        self._closing = False

    def hold_back(self) -> None:
        """Hold back what is sent from now on, for the fault's seconds."""
        if self._fault.handshake_seconds:
            self._held = []
            when = self._clock.monotonic() + self._fault.handshake_seconds
            self._clock.call_at(when, self._let_go)

    def _let_go(self) -> None:
        held, self._held = self._held, None
        for data in held or ():
            self.write(data)
        if self._closing:
            self._plain.close()

    # asyncio.Transport

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send, hold back, or send the last bytes and close."""
        if self._held is not None:
            self._held.append(bytes(data))
            return
        if self._left is None:
            self._plain.write(data)
            return
        self._plain.write(bytes(data)[: self._left])
        self._left = max(0, self._left - len(data))
        if self._left == 0:
            self._plain.close()

    def write_eof(self) -> None:
        """Send no more, unless something is held back."""
        if self._held is None:
            self._plain.write_eof()

    def can_write_eof(self) -> bool:
        """Whether a half-close is possible."""
        return self._plain.can_write_eof()

    def close(self) -> None:
        """Close after what is held back."""
        if self._held is None:
            self._plain.close()
        self._closing = True

    def abort(self) -> None:
        """Reset."""
        self._held = None
        self._plain.abort()

    def is_closing(self) -> bool:
        """Whether it was closed."""
        return self._closing or self._plain.is_closing()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Take another protocol of the service; a TLS handshake begins with it."""
        self._link.inner = cast(asyncio.Protocol, protocol)
        if isinstance(protocol, TlsPump):
            self.hold_back()

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return the service's protocol."""
        return self._link.inner

    def pause_reading(self) -> None:
        """Pass on."""
        self._plain.pause_reading()

    def resume_reading(self) -> None:
        """Pass on."""
        self._plain.resume_reading()

    def is_reading(self) -> bool:
        """Pass on."""
        return self._plain.is_reading()

    def get_write_buffer_size(self) -> int:
        """Return the bytes that wait, those held back too."""
        return self._plain.get_write_buffer_size() + sum(map(len, self._held or ()))

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Pass on."""
        self._plain.set_write_buffer_limits(high, low)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Pass on."""
        return self._plain.get_extra_info(name, default)
