"""One heap of timers for many transactions or branches."""

import heapq
from typing import Final, Generic, Protocol, TypeVar


class Timed(Protocol):
    """What has a timer."""

    timer: tuple[float, int] | None
    "Its entry in the queue; the queue's own."

    def next_timer(self) -> float | None:
        """Return when it is due, or None."""
        ...


T = TypeVar("T", bound=Timed)

_TOLERATED: Final = 64
"So many dead entries stay in any case."


class TimerQueue(Generic[T]):
    """Knows whose timer is due next.

    A changed timer leaves its old entry behind; once most entries are dead the heap is made anew, so what has
    ended is not kept in memory until a timer of 64*T1 would have come.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, T]] = []
        self._number = 0
        self._dead = 0

    def __len__(self) -> int:
        return len(self._heap) - self._dead

    def update(self, owner: T) -> None:
        """Set the entry of one to what it says now."""
        when = owner.next_timer()
        entry = owner.timer
        if entry is not None:
            if entry[0] == when:
                return
            self._dead += 1
        if when is None:
            owner.timer = None
        else:
            self._number += 1
            owner.timer = (when, self._number)
            heapq.heappush(self._heap, (when, self._number, owner))
        if self._dead > _TOLERATED and self._dead > len(self._heap) // 2:
            self._heap = [entry for entry in self._heap if entry[2].timer == entry[:2]]
            heapq.heapify(self._heap)
            self._dead = 0

    def next_timer(self) -> float | None:
        """Return when the next timer is due, or None."""
        heap = self._heap
        while heap:
            when, number, owner = heap[0]
            if owner.timer == (when, number):
                return when
            heapq.heappop(heap)
            self._dead -= 1
        return None

    def pop_due(self, now: float) -> T | None:
        """Take out and return one whose timer is due."""
        when = self.next_timer()
        if when is None or when > now:
            return None
        owner = heapq.heappop(self._heap)[2]
        owner.timer = None
        return owner
