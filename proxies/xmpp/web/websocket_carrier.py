"""Carries a client's stream in the messages of a WebSocket (RFC 7395)."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from aiohttp import WSCloseCode, WSMsgType, web

from proxies.clock import SchedulingClock, wait
from proxies.observer import ConnectionInfo, Direction, Observer
from proxies.xmpp.connections.carrier import StreamCarrier
from proxies.xmpp.connections.connection import MAXIMUM_UNSENT
from proxies.xmpp.streams.rate_limit import RateLimit

SUBPROTOCOL: Final = "xmpp"
"What a client's handshake has to offer (RFC 7395 3.1)."


class WebSocketCarrier(StreamCarrier):
    """One WebSocket with its stream. Whoever makes it sets `stream` and `owner`, then awaits `run`."""

    __slots__ = (
        "_abort",
        "_closed",
        "_code",
        "_lost",
        "_outgoing",
        "_pace",
        "_rate",
        "_ready",
        "_socket",
        "_unsent",
    )

    def __init__(
        self,
        socket: web.WebSocketResponse,
        *,
        clock: SchedulingClock,
        observer: Observer,
        connection: ConnectionInfo,
        rate: RateLimit,
        pace: Callable[[], float],
        abort: Callable[[], None],
        closed: "Callable[[WebSocketCarrier], None]",
    ) -> None:
        """Take an open WebSocket; `abort` resets its connection."""
        super().__init__(clock=clock, observer=observer)
        self.connection = connection
        self._socket = socket
        self._rate = rate
        self._pace = pace
        self._abort = abort
        self._closed = closed
        self._outgoing: deque[bytes] = deque()
        self._unsent = 0
        self._ready = asyncio.Event()
        self._code = WSCloseCode.OK
        self._lost = False

    async def run(self) -> None:
        """Carry messages both ways until the stream or the WebSocket is over."""
        try:
            async with asyncio.TaskGroup() as group:
                writer = group.create_task(self._send_messages(), name=f"{self.connection.id} writes")
                try:
                    await self._receive_messages()
                except ConnectionError:
                    pass  # it is gone, and a ping of its could not be answered
                finally:
                    self._end()
                self._ready.set()
                await writer
        finally:
            self._end()

    def abort(self) -> None:
        """Reset the connection."""
        self._abort()

    async def _receive_messages(self) -> None:
        async for message in self._socket:
            if self._closes:
                continue  # what comes behind the end of the stream
            if message.type is not WSMsgType.TEXT:
                # RFC 7395 3.2: every data frame is text.
                self._code = WSCloseCode.UNSUPPORTED_DATA
                break
            data = message.data.encode()
            self._observe(Direction.RECEIVED, data)
            self.stream.receive_data(data)
            self._pump()
            delay = max(self._rate.take(len(data), now=self.clock.monotonic()), self._pace())
            if delay > 0:
                await wait(self.clock, delay)  # what comes meanwhile waits in TCP
        if not self._closes:
            self.stream.receive_eof()
            self._pump()

    async def _send_messages(self) -> None:
        try:
            while True:
                while self._outgoing:
                    data = self._outgoing.popleft()
                    self._unsent -= len(data)
                    await self._socket.send_str(data.decode())
                if self._closes:
                    break
                self._ready.clear()
                await self._ready.wait()
            await self._socket.close(code=self._code)
        except ConnectionError:
            self._outgoing.clear()  # the reader learns of the end too

    # carrier.StreamCarrier

    def _write(self) -> None:
        for element in self.stream.elements_to_send():
            self._observe(Direction.SENT, element)
            self._outgoing.append(element)
            self._unsent += len(element)
        if self._unsent > MAXIMUM_UNSENT:
            self._abort()
        self._ready.set()

    def _close_connection(self) -> None:
        self._stop_timer()
        self._ready.set()

    def _end(self) -> None:
        if self._lost:
            return
        self._lost = self._closes = True
        self._stop_timer()
        self._ready.set()
        self._closed(self)
        self.owner.lost("the WebSocket is closed")
