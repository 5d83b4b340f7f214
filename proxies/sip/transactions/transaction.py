"""What the four transactions of RFC 3261 17 have in common: states, arrows and timers."""

from collections.abc import Mapping
from enum import Enum, auto
from typing import ClassVar, Final

from certs.errors import LocalProtocolError
from proxies.sip.transactions.timers import TransactionTimers


class TransactionState(Enum):
    """The states of the figures 5 to 8 and of RFC 6026."""

    CALLING = auto()
    TRYING = auto()
    PROCEEDING = auto()
    ACCEPTED = auto()
    COMPLETED = auto()
    CONFIRMED = auto()
    TERMINATED = auto()


class TransactionEvent(Enum):
    """What the arrows of the figures are labelled with."""

    REQUEST_RECEIVED = auto()
    ACK_RECEIVED = auto()
    PROVISIONAL_RECEIVED = auto()
    SUCCESS_RECEIVED = auto()
    FAILURE_RECEIVED = auto()
    PROVISIONAL_SENT = auto()
    SUCCESS_SENT = auto()
    FAILURE_SENT = auto()
    TIMER_A_FIRED = auto()
    TIMER_B_FIRED = auto()
    TIMER_D_FIRED = auto()
    TIMER_E_FIRED = auto()
    TIMER_F_FIRED = auto()
    TIMER_G_FIRED = auto()
    TIMER_H_FIRED = auto()
    TIMER_I_FIRED = auto()
    TIMER_J_FIRED = auto()
    TIMER_K_FIRED = auto()
    TIMER_L_FIRED = auto()
    TIMER_M_FIRED = auto()
    TRANSPORT_FAILED = auto()


Transitions = Mapping[tuple[TransactionState, TransactionEvent], TransactionState]
"One line per arrow of a figure. Any other pair is an error."

_TIMEOUTS: Final = frozenset(
    {TransactionEvent.TIMER_B_FIRED, TransactionEvent.TIMER_F_FIRED, TransactionEvent.TIMER_H_FIRED}
)
"The timers by which a transaction gives its peer up; the others end it in good order."


class Transaction:
    """A state machine with at most two timers: one that repeats a message and one that ends the state.

    Methods return the bytes that are to be sent now, or None.
    """

    __slots__ = ("_ends_at", "_interval", "_reliable", "_repeat_at", "_timers", "state", "timed_out")

    TRANSITIONS: ClassVar[Transitions]
    "The figure."

    REPEATS: ClassVar[Mapping[TransactionState, TransactionEvent]]
    "The timer that repeats a message in a state."

    ENDS: ClassVar[Mapping[TransactionState, TransactionEvent]]
    "The timer that ends a state."

    def __init__(
        self, state: TransactionState, *, reliable_transport: bool, timers: TransactionTimers
    ) -> None:
        self._reliable = reliable_transport
        self._timers = timers
        self._repeat_at: float | None = None
        self._ends_at: float | None = None
        self._interval = timers.t1
        self.state = state
        "Where in the figure the transaction is."
        self.timed_out = False
        "Whether it ended because the peer did not answer (Timer B, F or H)."

    @property
    def terminated(self) -> bool:
        """Whether it is over and can be forgotten."""
        return self.state is TransactionState.TERMINATED

    def next_timer(self) -> float | None:
        """Return when `handle_timer` is due, or None."""
        if self._repeat_at is None:
            return self._ends_at
        if self._ends_at is None:
            return self._repeat_at
        return min(self._repeat_at, self._ends_at)

    def handle_timer(self, *, now: float) -> bytes | None:
        """Let a timer fire that is due; return what it repeats."""
        if self._ends_at is not None and now >= self._ends_at:
            self._end_state()
        elif self._repeat_at is not None and now >= self._repeat_at:
            self._move(self.REPEATS[self.state])
            self._interval = self._next_interval()
            self._repeat_at = now + self._interval
            return self._repeated_message()
        return None

    def transport_failed(self) -> None:
        """End the transaction: its message could not be sent (17.1.4, 17.2.4)."""
        if not self.terminated:
            self._move(TransactionEvent.TRANSPORT_FAILED)

    def _move(self, event: TransactionEvent) -> TransactionState:
        try:
            state = self.TRANSITIONS[self.state, event]
        except KeyError:
            raise LocalProtocolError(
                f"{event.name} is not allowed in {self.state.name} of {type(self).__name__}"
            ) from None
        self.state = state
        if state is TransactionState.TERMINATED:
            self._repeat_at = self._ends_at = None
        return state

    def _end_after(self, seconds: float, *, now: float) -> None:
        """Set the timer that ends this state; one of zero seconds fires at once (17.1.1.2 and others)."""
        self._repeat_at = None
        self._ends_at = now + seconds
        if seconds == 0:
            self._end_state()

    def _end_state(self) -> None:
        event = self.ENDS[self.state]
        self.timed_out = event in _TIMEOUTS
        self._move(event)

    def _repeat_from(self, now: float) -> None:
        """Start to repeat a message, over UDP only."""
        if not self._reliable:
            self._repeat_at = now + self._interval

    def _next_interval(self) -> float:
        return min(2 * self._interval, self._timers.t2)

    def _repeated_message(self) -> bytes | None:
        raise NotImplementedError
