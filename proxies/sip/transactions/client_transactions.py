"""The client transactions (RFC 3261 17.1, RFC 6026 7.2)."""

from collections.abc import Mapping
from typing import ClassVar, Final

from proxies.sip.transactions.timers import DEFAULT_TIMERS, TransactionTimers
from proxies.sip.transactions.transaction import Transaction, TransactionEvent, TransactionState, Transitions

# Figure 5 of RFC 3261 as RFC 6026 7.2 changes it, one line per arrow.
_INVITE: Final[Transitions] = {
    (TransactionState.CALLING, TransactionEvent.TIMER_A_FIRED): TransactionState.CALLING,
    (TransactionState.CALLING, TransactionEvent.TIMER_B_FIRED): TransactionState.TERMINATED,
    (TransactionState.CALLING, TransactionEvent.TRANSPORT_FAILED): TransactionState.TERMINATED,
    (TransactionState.CALLING, TransactionEvent.PROVISIONAL_RECEIVED): TransactionState.PROCEEDING,
    (TransactionState.CALLING, TransactionEvent.SUCCESS_RECEIVED): TransactionState.ACCEPTED,
    (TransactionState.CALLING, TransactionEvent.FAILURE_RECEIVED): TransactionState.COMPLETED,
    (TransactionState.PROCEEDING, TransactionEvent.PROVISIONAL_RECEIVED): TransactionState.PROCEEDING,
    (TransactionState.PROCEEDING, TransactionEvent.SUCCESS_RECEIVED): TransactionState.ACCEPTED,
    (TransactionState.PROCEEDING, TransactionEvent.FAILURE_RECEIVED): TransactionState.COMPLETED,
    (TransactionState.PROCEEDING, TransactionEvent.TRANSPORT_FAILED): TransactionState.TERMINATED,
    (TransactionState.ACCEPTED, TransactionEvent.SUCCESS_RECEIVED): TransactionState.ACCEPTED,
    (TransactionState.ACCEPTED, TransactionEvent.TIMER_M_FIRED): TransactionState.TERMINATED,
    (TransactionState.ACCEPTED, TransactionEvent.TRANSPORT_FAILED): TransactionState.TERMINATED,
    (TransactionState.COMPLETED, TransactionEvent.FAILURE_RECEIVED): TransactionState.COMPLETED,
    (TransactionState.COMPLETED, TransactionEvent.TIMER_D_FIRED): TransactionState.TERMINATED,
    (TransactionState.COMPLETED, TransactionEvent.TRANSPORT_FAILED): TransactionState.TERMINATED,
}

# Figure 6 of RFC 3261, one line per arrow.
_NON_INVITE: Final[Transitions] = {
    (TransactionState.TRYING, TransactionEvent.TIMER_E_FIRED): TransactionState.TRYING,
    (TransactionState.TRYING, TransactionEvent.TIMER_F_FIRED): TransactionState.TERMINATED,
    (TransactionState.TRYING, TransactionEvent.TRANSPORT_FAILED): TransactionState.TERMINATED,
    (TransactionState.TRYING, TransactionEvent.PROVISIONAL_RECEIVED): TransactionState.PROCEEDING,
    (TransactionState.TRYING, TransactionEvent.SUCCESS_RECEIVED): TransactionState.COMPLETED,
    (TransactionState.TRYING, TransactionEvent.FAILURE_RECEIVED): TransactionState.COMPLETED,
    (TransactionState.PROCEEDING, TransactionEvent.TIMER_E_FIRED): TransactionState.PROCEEDING,
    (TransactionState.PROCEEDING, TransactionEvent.TIMER_F_FIRED): TransactionState.TERMINATED,
    (TransactionState.PROCEEDING, TransactionEvent.TRANSPORT_FAILED): TransactionState.TERMINATED,
    (TransactionState.PROCEEDING, TransactionEvent.PROVISIONAL_RECEIVED): TransactionState.PROCEEDING,
    (TransactionState.PROCEEDING, TransactionEvent.SUCCESS_RECEIVED): TransactionState.COMPLETED,
    (TransactionState.PROCEEDING, TransactionEvent.FAILURE_RECEIVED): TransactionState.COMPLETED,
    (TransactionState.COMPLETED, TransactionEvent.TIMER_K_FIRED): TransactionState.TERMINATED,
    (TransactionState.COMPLETED, TransactionEvent.TRANSPORT_FAILED): TransactionState.TERMINATED,
}


def _received(status: int) -> TransactionEvent:
    if status < 200:
        return TransactionEvent.PROVISIONAL_RECEIVED
    return TransactionEvent.SUCCESS_RECEIVED if status < 300 else TransactionEvent.FAILURE_RECEIVED


class InviteClientTransaction(Transaction):
    """Sends an INVITE until it is answered (17.1.1). Made when the INVITE is sent for the first time."""

    __slots__ = ("_wire",)

    TRANSITIONS: ClassVar = _INVITE
    REPEATS: ClassVar[Mapping[TransactionState, TransactionEvent]] = {
        TransactionState.CALLING: TransactionEvent.TIMER_A_FIRED,
    }
    ENDS: ClassVar[Mapping[TransactionState, TransactionEvent]] = {
        TransactionState.CALLING: TransactionEvent.TIMER_B_FIRED,
        TransactionState.ACCEPTED: TransactionEvent.TIMER_M_FIRED,
        TransactionState.COMPLETED: TransactionEvent.TIMER_D_FIRED,
    }

    def __init__(
        self,
        wire: bytes,
        *,
        reliable_transport: bool,
        now: float,
        timers: TransactionTimers = DEFAULT_TIMERS,
    ) -> None:
        super().__init__(TransactionState.CALLING, reliable_transport=reliable_transport, timers=timers)
        self._wire = wire
        self._repeat_from(now)
        self._ends_at = now + timers.timeout

    def receive_response(self, status: int, *, now: float) -> bool:
        """Take a response that matches; return whether it goes up to the transaction user."""
        before = self.state
        event = _received(status)
        # Stray arrows: a response of another class after the final one changes nothing (figure 5 has none).
        if before in self.ENDS and (before, event) not in self.TRANSITIONS:
            return False
        state = self._move(event)
        if state is TransactionState.PROCEEDING:
            self._repeat_at = self._ends_at = None
        elif state is not before:
            accepted = state is TransactionState.ACCEPTED
            self._end_after(self._timers.timeout if accepted else self._absorbing_time(), now=now)
        return before is not TransactionState.COMPLETED

    def must_acknowledge(self, status: int) -> bool:
        """Return whether the response just taken asks for an ACK from this transaction (17.1.1.3)."""
        return status >= 300 and self.state is not TransactionState.ACCEPTED

    def _absorbing_time(self) -> float:
        return 0.0 if self._reliable else self._timers.timer_d

    def _next_interval(self) -> float:
        return 2 * self._interval  # Timer A knows no upper bound; Timer B ends it

    def _repeated_message(self) -> bytes | None:
        return self._wire


class NonInviteClientTransaction(Transaction):
    """Sends a request other than INVITE and ACK until it is answered (17.1.2)."""

    __slots__ = ("_wire",)

    TRANSITIONS: ClassVar = _NON_INVITE
    REPEATS: ClassVar[Mapping[TransactionState, TransactionEvent]] = {
        TransactionState.TRYING: TransactionEvent.TIMER_E_FIRED,
        TransactionState.PROCEEDING: TransactionEvent.TIMER_E_FIRED,
    }
    ENDS: ClassVar[Mapping[TransactionState, TransactionEvent]] = {
        TransactionState.TRYING: TransactionEvent.TIMER_F_FIRED,
        TransactionState.PROCEEDING: TransactionEvent.TIMER_F_FIRED,
        TransactionState.COMPLETED: TransactionEvent.TIMER_K_FIRED,
    }

    def __init__(
        self,
        wire: bytes,
        *,
        reliable_transport: bool,
        now: float,
        timers: TransactionTimers = DEFAULT_TIMERS,
    ) -> None:
        super().__init__(TransactionState.TRYING, reliable_transport=reliable_transport, timers=timers)
        self._wire = wire
        self._repeat_from(now)
        self._ends_at = now + timers.timeout

    def receive_response(self, status: int, *, now: float) -> bool:
        """Take a response that matches; return whether it goes up to the transaction user."""
        if self.state is TransactionState.COMPLETED:
            return False  # a retransmission (17.1.2.2)
        if self._move(_received(status)) is TransactionState.COMPLETED:
            self._end_after(0.0 if self._reliable else self._timers.t4, now=now)
        return True

    def _next_interval(self) -> float:
        if self.state is TransactionState.PROCEEDING:
            return self._timers.t2
        return super()._next_interval()

    def _repeated_message(self) -> bytes | None:
        return self._wire
