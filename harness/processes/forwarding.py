"""What happens on a node's sockets, told to whoever follows it in another process."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from certs.errors import HarnessError
from certs.verdict import Verdict
from harness.evidence.capture.recorder import MAXIMUM_BYTES, OVERHEAD, Chunk, Datagram
from harness.evidence.ledger import Closed, Judged, MessageSeen, Opened
from harness.processes.values import decode, encode
from proxies.observer import ConnectionInfo, Direction, Observer, WireTap, tap_of

MAXIMUM_WAITING: Final = 100_000
"Events that wait for the first follower, or for a slow one; the oldest go first."


@dataclass(slots=True, eq=False)
class _Follower:
    waiting: deque[object] = field(default_factory=lambda: deque(maxlen=MAXIMUM_WAITING))
    wake: asyncio.Event = field(default_factory=asyncio.Event)


class EventForwarder:
    """Implements `proxies.observer.Observer`: appends for its followers, and for another observer.

    The bytes themselves leave the node's process only where its lab captures them.
    """

    def __init__(self, then: Observer, *, captures: bool = False, secrets_file: str | None = None) -> None:
        """Take who is told in this process, and whether there is a tap, with the file of its TLS secrets."""
        self.tap: WireTap | None = _TapForwarder(self._append, secrets_file) if captures else None
        "See `proxies.observer.tap_of`."
        self._then = then
        self._followers: set[_Follower] = set()
        self._finished = False
        self._before: deque[object] | None = deque(maxlen=MAXIMUM_WAITING)

    def opened(self, connection: ConnectionInfo) -> None:
        """A connection was accepted or made."""
        self._then.opened(connection)
        self._append(Opened, connection=connection)

    def judged(self, connection: ConnectionInfo, verdict: Verdict) -> None:
        """A handshake ended, or a service let something in or refused it."""
        self._then.judged(connection, verdict)
        self._append(Judged, connection=connection, verdict=verdict)

    def message(self, connection: ConnectionInfo, direction: Direction, wire: bytes) -> None:
        """A whole message crossed a socket."""
        self._then.message(connection, direction, wire)
        self._append(MessageSeen, connection=connection, direction=direction, wire=wire)

    def closed(self, connection: ConnectionInfo, why: str) -> None:
        """A connection ended."""
        self._then.closed(connection, why)
        self._append(Closed, connection=connection, why=why)

    async def forward(self, writer: asyncio.StreamWriter) -> None:
        """Write an empty tuple, then every event from now on, a line each, until the follower goes.

        The first follower also gets what happened before it came.
        """
        follower = _Follower()
        if self._before:
            follower.waiting.extend(self._before)
        self._before = None
        self._followers.add(follower)
        try:
            writer.write(encode(()) + b"\n")
            while not writer.is_closing():
                while follower.waiting:
                    writer.write(encode(follower.waiting.popleft()) + b"\n")
                    await writer.drain()
                if self._finished:
                    return
                await follower.wake.wait()
                follower.wake.clear()
        finally:
            self._followers.discard(follower)

    def finish(self) -> None:
        """Let followers go once they have had what there is."""
        self._finished = True
        for follower in self._followers:
            follower.wake.set()

    def _append(self, kind: Any, **what: object) -> None:
        if not self._followers and self._before is None:
            return
        event = kind(at=datetime.now(UTC), **what)
        if self._before is not None:
            self._before.append(event)
        for follower in self._followers:
            follower.waiting.append(event)
            follower.wake.set()


class _TapForwarder:
    """Implements `proxies.observer.WireTap`: forwards as many bytes as a capture takes, and a little more.

    What is more tells the capture that something is missing.
    """

    def __init__(self, append: Callable[..., None], secrets_file: str | None) -> None:
        self.secrets_file = secrets_file
        self._append = append
        self._room = MAXIMUM_BYTES + MAXIMUM_BYTES // 8

    def crossed(self, connection: ConnectionInfo, direction: Direction, data: bytes) -> None:
        """Bytes of a TCP connection crossed its socket."""
        if self._has_room(data):
            self._append(Chunk, connection=connection, direction=direction, data=data)

    def datagram(
        self, connection: ConnectionInfo, direction: Direction, data: bytes, peer: tuple[str, int]
    ) -> None:
        """A datagram crossed its socket."""
        if self._has_room(data):
            self._append(Datagram, connection=connection, direction=direction, data=data, peer=peer)

    def _has_room(self, data: bytes) -> bool:
        self._room -= len(data) + OVERHEAD
        return self._room >= 0


async def retell(events: asyncio.StreamReader, observer: Observer) -> None:
    """Tell an observer of this process what a node in another one forwards, until that one ends."""
    tap = tap_of(observer)
    while line := await events.readline():
        match decode(line):
            case Opened(connection=connection):
                observer.opened(connection)
            case Judged(connection=connection, verdict=verdict):
                observer.judged(connection, verdict)
            case MessageSeen(connection=connection, direction=direction, wire=wire):
                observer.message(connection, direction, wire)
            case Closed(connection=connection, why=why):
                observer.closed(connection, why)
            case Chunk(connection=connection, direction=direction, data=data):
                if tap is not None:
                    tap.crossed(connection, direction, data)
            case Datagram(connection=connection, direction=direction, data=data, peer=peer):
                if tap is not None:
                    tap.datagram(connection, direction, data, peer)
            case other:
                raise HarnessError(f"expected an event of a node, seen {type(other).__name__}")
