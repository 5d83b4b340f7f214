"""Time as a value that is handed in, so that a certificate can expire in the middle of a scenario."""

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """What code that needs the time of day takes."""

    def now(self) -> datetime:
        """Return the wall-clock time, in UTC, aware."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never go back, for timers."""
        ...


class SystemClock:
    """The machine's own time."""

    def now(self) -> datetime:
        """Return the machine's time of day in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return the machine's monotonic seconds."""
        return time.monotonic()


class ManualClock:
    """A clock that moves only when told; for tests and replays."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._now = start
        self._monotonic = 0.0

    def now(self) -> datetime:
        """Return the time of day it was last moved to."""
        return self._now

    def monotonic(self) -> float:
        """Return the seconds it has been moved by."""
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Move both times forward by so many seconds."""
        self._now += timedelta(seconds=seconds)
        self._monotonic += seconds
