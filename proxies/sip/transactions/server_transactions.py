"""The server transactions (RFC 3261 17.2, RFC 6026 7.1)."""

from collections.abc import Mapping
from typing import ClassVar, Final

from certs.errors import LocalProtocolError
from proxies.sip.transactions.timers import DEFAULT_TIMERS, TransactionTimers
from proxies.sip.transactions.transaction import Transaction, TransactionEvent, TransactionState, Transitions

# Figure 7 of RFC 3261 as RFC 6026 7.1 changes it, one line per arrow.
_INVITE: Final[Transitions] = {
    (TransactionState.PROCEEDING, TransactionEvent.REQUEST_RECEIVED): TransactionState.PROCEEDING,
    (TransactionState.PROCEEDING, TransactionEvent.PROVISIONAL_SENT): TransactionState.PROCEEDING,
    (TransactionState.PROCEEDING, TransactionEvent.SUCCESS_SENT): TransactionState.ACCEPTED,
    (TransactionState.PROCEEDING, TransactionEvent.FAILURE_SENT): TransactionState.COMPLETED,
    (TransactionState.PROCEEDING, TransactionEvent.TRANSPORT_FAILED): TransactionState.TERMINATED,
    (TransactionState.ACCEPTED, TransactionEvent.REQUEST_RECEIVED): TransactionState.ACCEPTED,
    (TransactionState.ACCEPTED, TransactionEvent.ACK_RECEIVED): TransactionState.ACCEPTED,
    (TransactionState.ACCEPTED, TransactionEvent.SUCCESS_SENT): TransactionState.ACCEPTED,
    (TransactionState.ACCEPTED, TransactionEvent.TIMER_L_FIRED): TransactionState.TERMINATED,
    (TransactionState.ACCEPTED, TransactionEvent.TRANSPORT_FAILED): TransactionState.TERMINATED,
    (TransactionState.COMPLETED, TransactionEvent.REQUEST_RECEIVED): TransactionState.COMPLETED,
    (TransactionState.COMPLETED, TransactionEvent.TIMER_G_FIRED): TransactionState.COMPLETED,
    (TransactionState.COMPLETED, TransactionEvent.ACK_RECEIVED): TransactionState.CONFIRMED,
    (TransactionState.COMPLETED, TransactionEvent.TIMER_H_FIRED): TransactionState.TERMINATED,
    (TransactionState.COMPLETED, TransactionEvent.TRANSPORT_FAILED): TransactionState.TERMINATED,
    (TransactionState.CONFIRMED, TransactionEvent.REQUEST_RECEIVED): TransactionState.CONFIRMED,
    (TransactionState.CONFIRMED, TransactionEvent.ACK_RECEIVED): TransactionState.CONFIRMED,
    (TransactionState.CONFIRMED, TransactionEvent.TIMER_I_FIRED): TransactionState.TERMINATED,
    (TransactionState.CONFIRMED, TransactionEvent.TRANSPORT_FAILED): TransactionState.TERMINATED,
}

# Figure 8 of RFC 3261, one line per arrow.
_NON_INVITE: Final[Transitions] = {
    (TransactionState.TRYING, TransactionEvent.REQUEST_RECEIVED): TransactionState.TRYING,
    (TransactionState.TRYING, TransactionEvent.PROVISIONAL_SENT): TransactionState.PROCEEDING,
    (TransactionState.TRYING, TransactionEvent.SUCCESS_SENT): TransactionState.COMPLETED,
    (TransactionState.TRYING, TransactionEvent.FAILURE_SENT): TransactionState.COMPLETED,
    (TransactionState.TRYING, TransactionEvent.TRANSPORT_FAILED): TransactionState.TERMINATED,
    (TransactionState.PROCEEDING, TransactionEvent.REQUEST_RECEIVED): TransactionState.PROCEEDING,
    (TransactionState.PROCEEDING, TransactionEvent.PROVISIONAL_SENT): TransactionState.PROCEEDING,
    (TransactionState.PROCEEDING, TransactionEvent.SUCCESS_SENT): TransactionState.COMPLETED,
    (TransactionState.PROCEEDING, TransactionEvent.FAILURE_SENT): TransactionState.COMPLETED,
    (TransactionState.PROCEEDING, TransactionEvent.TRANSPORT_FAILED): TransactionState.TERMINATED,
    (TransactionState.COMPLETED, TransactionEvent.REQUEST_RECEIVED): TransactionState.COMPLETED,
    (TransactionState.COMPLETED, TransactionEvent.TIMER_J_FIRED): TransactionState.TERMINATED,
    (TransactionState.COMPLETED, TransactionEvent.TRANSPORT_FAILED): TransactionState.TERMINATED,
}


def _sent(status: int) -> TransactionEvent:
    if status < 200:
        return TransactionEvent.PROVISIONAL_SENT
    return TransactionEvent.SUCCESS_SENT if status < 300 else TransactionEvent.FAILURE_SENT


class InviteServerTransaction(Transaction):
    """Answers an INVITE, and repeats a failure until its ACK comes (17.2.1)."""

    __slots__ = ("_response", "_trying")

    TRANSITIONS: ClassVar = _INVITE
    REPEATS: ClassVar[Mapping[TransactionState, TransactionEvent]] = {
        TransactionState.COMPLETED: TransactionEvent.TIMER_G_FIRED,
    }
    ENDS: ClassVar[Mapping[TransactionState, TransactionEvent]] = {
        TransactionState.ACCEPTED: TransactionEvent.TIMER_L_FIRED,
        TransactionState.COMPLETED: TransactionEvent.TIMER_H_FIRED,
        TransactionState.CONFIRMED: TransactionEvent.TIMER_I_FIRED,
    }

    def __init__(
        self,
        *,
        trying: bytes,
        reliable_transport: bool,
        now: float,
        timers: TransactionTimers = DEFAULT_TIMERS,
    ) -> None:
        super().__init__(TransactionState.PROCEEDING, reliable_transport=reliable_transport, timers=timers)
        self._trying = trying
        self._response: bytes | None = None
        self._repeat_at = now + timers.trying

    def receive_request(self, method: str, *, now: float) -> bytes | None:
        """Take the INVITE, its retransmission, or an ACK that matches; return what to send again."""
        if method == "ACK":
            if (self.state, TransactionEvent.ACK_RECEIVED) not in self.TRANSITIONS:
                return None  # no final response was sent yet that it could mean
            before = self.state
            self._move(TransactionEvent.ACK_RECEIVED)
            if before is TransactionState.COMPLETED:
                self._end_after(0.0 if self._reliable else self._timers.t4, now=now)
            return None
        if method != "INVITE":
            raise LocalProtocolError(f"{method} does not belong to an INVITE transaction")
        state = self._move(TransactionEvent.REQUEST_RECEIVED)
        if state in (TransactionState.PROCEEDING, TransactionState.COMPLETED):
            return self._response
        return None

    def send_response(self, status: int, wire: bytes, *, now: float) -> bytes | None:
        """Take a response from the transaction user; return it, or None where it must not go out.

        Raises LocalProtocolError for a response that cannot follow the one before.
        """
        if status >= 300 and self.state in (TransactionState.COMPLETED, TransactionState.CONFIRMED):
            return None  # a second final response is discarded, as 17.2.2 says of the other kind
        before = self.state
        state = self._move(_sent(status))
        self._response = wire
        if state is TransactionState.PROCEEDING:
            self._repeat_at = None
        elif state is not before:
            self._end_after(self._timers.timeout, now=now)
            if state is TransactionState.COMPLETED:
                self._repeat_from(now)
        return wire

    def handle_timer(self, *, now: float) -> bytes | None:
        """Let a timer fire that is due; return the 100 that the transaction user left out, or a failure."""
        if (
            self.state is TransactionState.PROCEEDING
            and self._repeat_at is not None
            and now >= self._repeat_at
        ):
            return self.send_response(100, self._trying, now=now)
        return super().handle_timer(now=now)

    def _repeated_message(self) -> bytes | None:
        return self._response


class NonInviteServerTransaction(Transaction):
    """Answers a request other than INVITE and ACK, and its retransmissions (17.2.2)."""

    __slots__ = ("_response",)

    TRANSITIONS: ClassVar = _NON_INVITE
    REPEATS: ClassVar[Mapping[TransactionState, TransactionEvent]] = {}
    ENDS: ClassVar[Mapping[TransactionState, TransactionEvent]] = {
        TransactionState.COMPLETED: TransactionEvent.TIMER_J_FIRED,
    }

    def __init__(self, *, reliable_transport: bool, timers: TransactionTimers = DEFAULT_TIMERS) -> None:
        super().__init__(TransactionState.TRYING, reliable_transport=reliable_transport, timers=timers)
        self._response: bytes | None = None

    def receive_request(self, method: str) -> bytes | None:
        """Take the request or its retransmission; return the response to send again."""
        if method in ("INVITE", "ACK"):
            raise LocalProtocolError(f"{method} does not belong to a non-INVITE transaction")
        self._move(TransactionEvent.REQUEST_RECEIVED)
        return self._response

    def send_response(self, status: int, wire: bytes, *, now: float) -> bytes | None:
        """Take a response from the transaction user; return it, or None where it must not go out.

        Raises LocalProtocolError for a provisional response after the final one.
        """
        if status >= 200 and self.state is TransactionState.COMPLETED:
            return None  # a second final response is discarded (17.2.2)
        state = self._move(_sent(status))
        self._response = wire
        if state is TransactionState.COMPLETED:
            self._end_after(0.0 if self._reliable else self._timers.timeout, now=now)
        return wire

    def _repeated_message(self) -> bytes | None:
        return None  # only a retransmitted request makes it repeat its response
