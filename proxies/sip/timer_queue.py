"""One heap of timers for many transactions."""

import heapq
from typing import Final

from proxies.sip.transaction_events import ClientTransaction, ServerTransaction

_TOLERATED: Final = 64
"So many dead entries stay in any case."


class TimerQueue:
    """Knows which transaction's timer is due next.

    A changed timer leaves its old entry behind; once most entries are dead the heap is made anew, so ended
    transactions are not kept in memory until a timer of 64*T1 would have come.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, ServerTransaction | ClientTransaction]] = []
        self._number = 0
        self._dead = 0

    def __len__(self) -> int:
        return len(self._heap) - self._dead

    def update(self, transaction: ServerTransaction | ClientTransaction) -> None:
        """Set the transaction's entry to what its machine says now."""
        when = transaction.machine.next_timer()
        entry = transaction.timer
        if entry is not None:
            if entry[0] == when:
                return
            self._dead += 1
        if when is None:
            transaction.timer = None
        else:
            self._number += 1
            transaction.timer = (when, self._number)
            heapq.heappush(self._heap, (when, self._number, transaction))
        if self._dead > _TOLERATED and self._dead > len(self._heap) // 2:
            self._heap = [entry for entry in self._heap if entry[2].timer == entry[:2]]
            heapq.heapify(self._heap)
            self._dead = 0

    def next_timer(self) -> float | None:
        """Return when the next timer is due, or None."""
        heap = self._heap
        while heap:
            when, number, transaction = heap[0]
            if transaction.timer == (when, number):
                return when
            heapq.heappop(heap)
            self._dead -= 1
        return None

    def pop_due(self, now: float) -> ServerTransaction | ClientTransaction | None:
        """Take out and return a transaction whose timer is due."""
        when = self.next_timer()
        if when is None or when > now:
            return None
        transaction = heapq.heappop(self._heap)[2]
        transaction.timer = None
        return transaction
