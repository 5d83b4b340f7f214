"""What one node remembers of its own verdicts, for its Reporting pages: no node looks into another's evidence."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from certs.clock import Clock
from certs.verdict import Verdict
from proxies.observer import ConnectionInfo, Direction, Observer, WireTap, tap_of

REMEMBERED: Final = 2000
"Verdicts that a node remembers; the oldest go first."


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """One verdict of the node."""

    number: int
    "Counted from 1 since the node's start."

    at: datetime
    "When, UTC."

    connection: ConnectionInfo
    "On which connection."

    verdict: Verdict
    "How."


class HandshakeLog:
    """An observer that remembers verdicts and hands everything on to the lab's."""

    def __init__(self, observer: Observer, clock: Clock) -> None:
        self._observer = observer
        self._clock = clock
        self._count = 0
        self._entries: deque[Remembered] = deque(maxlen=REMEMBERED)

    def entries(self) -> Iterator[Remembered]:
        """Yield what is remembered, the newest first."""
        return reversed(tuple(self._entries))

    @property
    def tap(self) -> WireTap | None:
        """Who wants the bytes as well, as the lab's observer says."""
        return tap_of(self._observer)

    # proxies.observer.Observer

    def opened(self, connection: ConnectionInfo) -> None:
        """Hand on."""
        self._observer.opened(connection)

    def judged(self, connection: ConnectionInfo, verdict: Verdict) -> None:
        """Remember, and hand on."""
        self._count += 1
        self._entries.append(
            Remembered(number=self._count, at=self._clock.now(), connection=connection, verdict=verdict)
        )
        self._observer.judged(connection, verdict)

    def message(self, connection: ConnectionInfo, direction: Direction, wire: bytes) -> None:
        """Hand on."""
        self._observer.message(connection, direction, wire)

    def closed(self, connection: ConnectionInfo, why: str) -> None:
        """Hand on."""
        self._observer.closed(connection, why)
