"""A clock on the event loop: timers of services follow it, and a scenario can move it forward."""

import asyncio
import heapq
import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol

from certs.clock import Clock


class TimerHandle:
    """A timer that can be cancelled."""

    __slots__ = ("callback", "when")

    def __init__(self, when: float, callback: Callable[[], None]) -> None:
        self.when = when
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        """Never call the callback."""
        self.callback = None


class SchedulingClock(Clock, Protocol):
    """A clock that also calls back; `when` is in its own monotonic seconds."""

    def call_at(self, when: float, callback: Callable[[], None]) -> TimerHandle:
        """Call back once `monotonic()` has reached `when`."""
        ...


class LoopClock:
    """The machine's time plus an offset that `advance` enlarges; due timers run in order.

    One loop timer serves all handles, so an idle connection costs an entry in a heap.
    """

    def __init__(self) -> None:
        self._offset = 0.0
        self._heap: list[tuple[float, int, TimerHandle]] = []
        self._numbers = itertools.count()
        self._armed: asyncio.TimerHandle | None = None
        self._armed_for = 0.0

    def now(self) -> datetime:
        """Return the time of day in UTC, with the offset."""
        return datetime.now(UTC) + timedelta(seconds=self._offset)

    def monotonic(self) -> float:
        """Return the loop's seconds, with the offset."""
        return asyncio.get_running_loop().time() + self._offset

    def call_at(self, when: float, callback: Callable[[], None]) -> TimerHandle:
        """Call back once `monotonic()` has reached `when`."""
        handle = TimerHandle(when, callback)
        heapq.heappush(self._heap, (when, next(self._numbers), handle))
        self._arm()
        return handle

    def advance(self, seconds: float) -> None:
        """Move the time forward; what has become due runs at the loop's next turn."""
        if seconds < 0:
            raise ValueError(f"a clock cannot go back: {seconds}")
        self._offset += seconds
        self._disarm()
        self._arm()

    def _arm(self) -> None:
        while self._heap and self._heap[0][2].callback is None:
            heapq.heappop(self._heap)
        if not self._heap:
            return
        when = self._heap[0][0]
        if self._armed is not None and self._armed_for <= when:
            return
        self._disarm()
        self._armed_for = when
        self._armed = asyncio.get_running_loop().call_at(when - self._offset, self._run_due)

    def _disarm(self) -> None:
        if self._armed is not None:
            self._armed.cancel()
            self._armed = None

    def _run_due(self) -> None:
        self._armed = None
        # The loop may wake us within its clock's resolution before the time asked for.
        now = self.monotonic() + 0.001
        try:
            while self._heap and self._heap[0][0] <= now:
                callback = heapq.heappop(self._heap)[2].callback
                if callback is not None:
                    callback()
        finally:
            self._arm()


async def wait(clock: SchedulingClock, seconds: float) -> None:
    """Return when the clock has gone on by so many seconds."""
    passed = asyncio.Event()
    timer = clock.call_at(clock.monotonic() + seconds, passed.set)
    try:
        await passed.wait()
    finally:
        timer.cancel()
