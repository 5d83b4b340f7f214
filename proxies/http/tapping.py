"""A transport that shows the capture what is written to it: aiohttp writes to its transport by itself."""

import asyncio
from collections.abc import Iterable
from typing import Any

from proxies.observer import ConnectionInfo, Direction, WireTap


class TappedTransport(asyncio.Transport):
    """A TCP transport under another name, with a tap on what goes out."""

    def __init__(self, transport: asyncio.Transport, connection: ConnectionInfo, tap: WireTap) -> None:
        super().__init__()
        self._transport = transport
        self._connection = connection
        self._tap = tap

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Show and send."""
        self._tap.crossed(self._connection, Direction.SENT, bytes(data))
        self._transport.write(data)

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        """Show and send."""
        self.write(b"".join(list_of_data))

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what the transport knows."""
        return self._transport.get_extra_info(name, default)

    def is_closing(self) -> bool:
        """Whether it is closed or closing."""
        return self._transport.is_closing()

    def close(self) -> None:
        """Close after what waits."""
        self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()

    def write_eof(self) -> None:
        """Close the sending side."""
        self._transport.write_eof()

    def can_write_eof(self) -> bool:
        """Whether the sending side can be closed alone."""
        return self._transport.can_write_eof()

    def is_reading(self) -> bool:
        """Whether it reads."""
        return self._transport.is_reading()

    def pause_reading(self) -> None:
        """Read no more."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read again."""
        self._transport.resume_reading()

    def get_write_buffer_size(self) -> int:
        """Return the bytes that wait."""
        return self._transport.get_write_buffer_size()

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Return when the protocol is told to pause."""
        return self._transport.get_write_buffer_limits()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set when the protocol is told to pause."""
        self._transport.set_write_buffer_limits(high, low)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Hand the connection over to another protocol, as aiohttp does for a WebSocket."""
        self._transport.set_protocol(protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return who reads."""
        return self._transport.get_protocol()
