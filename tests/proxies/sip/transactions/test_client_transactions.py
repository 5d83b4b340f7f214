"""The client transactions, arrow by arrow (RFC 3261 figures 5 and 6, RFC 6026 7.2)."""

import pytest

from proxies.sip.transactions.client_transactions import InviteClientTransaction, NonInviteClientTransaction
from proxies.sip.transactions.transaction import TransactionState


def invite(*, reliable: bool = False) -> InviteClientTransaction:
    return InviteClientTransaction(b"INVITE", reliable_transport=reliable, now=0.0)


def message(*, reliable: bool = False) -> NonInviteClientTransaction:
    return NonInviteClientTransaction(b"MESSAGE", reliable_transport=reliable, now=0.0)


def run_out(transaction: InviteClientTransaction | NonInviteClientTransaction) -> list[float]:
    """Let every timer fire; return when the request was repeated."""
    repeated = []
    while (when := transaction.next_timer()) is not None:
        if transaction.handle_timer(now=when) is not None:
            repeated.append(when)
    return repeated


def test_timer_a_repeats_an_invite_at_doubling_intervals_until_timer_b() -> None:
    transaction = invite()
    assert run_out(transaction) == [0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
    assert transaction.terminated
    assert transaction.timed_out


def test_over_a_reliable_transport_an_invite_is_sent_once_and_timer_b_runs() -> None:
    transaction = invite(reliable=True)
    assert transaction.next_timer() == 32.0
    assert run_out(transaction) == []
    assert transaction.timed_out


def test_a_provisional_response_stops_the_timers_of_an_invite() -> None:
    transaction = invite()
    assert transaction.receive_response(180, now=0.1)
    assert transaction.receive_response(183, now=0.2)
    assert transaction.state is TransactionState.PROCEEDING
    assert transaction.next_timer() is None


@pytest.mark.parametrize("provisional", [False, True])
def test_a_failure_goes_up_once_and_each_copy_of_it_is_acknowledged(provisional: bool) -> None:
    transaction = invite()
    if provisional:
        transaction.receive_response(100, now=0.1)
    assert transaction.receive_response(486, now=1.0)
    assert transaction.must_acknowledge(486)
    assert not transaction.receive_response(486, now=2.0)
    assert transaction.must_acknowledge(486)
    assert transaction.next_timer() == 33.0
    assert run_out(transaction) == []
    assert not transaction.timed_out


def test_over_a_reliable_transport_a_failure_ends_an_invite_at_once() -> None:
    transaction = invite(reliable=True)
    assert transaction.receive_response(486, now=1.0)
    assert transaction.must_acknowledge(486)
    assert transaction.terminated


@pytest.mark.parametrize("reliable", [False, True])
def test_every_2xx_goes_up_until_timer_m(reliable: bool) -> None:
    transaction = invite(reliable=reliable)
    assert transaction.receive_response(200, now=1.0)
    assert transaction.receive_response(200, now=2.0)
    assert not transaction.must_acknowledge(200)
    assert transaction.state is TransactionState.ACCEPTED
    assert transaction.next_timer() == 33.0
    assert run_out(transaction) == []
    assert not transaction.timed_out


@pytest.mark.parametrize("status", [180, 486])
def test_what_comes_after_a_2xx_and_is_none_changes_nothing(status: int) -> None:
    transaction = invite()
    transaction.receive_response(200, now=1.0)
    assert not transaction.receive_response(status, now=2.0)
    assert not transaction.must_acknowledge(status)
    assert transaction.state is TransactionState.ACCEPTED


@pytest.mark.parametrize("status", [180, 200])
def test_what_comes_after_a_failure_and_is_none_changes_nothing(status: int) -> None:
    transaction = invite()
    transaction.receive_response(486, now=1.0)
    assert not transaction.receive_response(status, now=2.0)
    assert not transaction.must_acknowledge(status)
    assert transaction.state is TransactionState.COMPLETED


def test_timer_e_repeats_a_request_at_intervals_up_to_t2_until_timer_f() -> None:
    transaction = message()
    assert run_out(transaction) == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert transaction.timed_out


def test_a_provisional_response_slows_timer_e_to_t2() -> None:
    transaction = message()
    assert transaction.receive_response(100, now=0.1)
    assert run_out(transaction) == [0.5, 4.5, 8.5, 12.5, 16.5, 20.5, 24.5, 28.5]
    assert transaction.timed_out


def test_over_a_reliable_transport_a_request_is_sent_once_and_timer_f_runs() -> None:
    transaction = message(reliable=True)
    assert run_out(transaction) == []
    assert transaction.timed_out


@pytest.mark.parametrize("status", [200, 404])
def test_a_final_response_goes_up_once_and_timer_k_absorbs_its_copies(status: int) -> None:
    transaction = message()
    assert transaction.receive_response(status, now=1.0)
    assert not transaction.receive_response(status, now=2.0)
    assert transaction.next_timer() == 6.0
    assert run_out(transaction) == []
    assert not transaction.timed_out


@pytest.mark.parametrize("status", [200, 404])
def test_over_a_reliable_transport_a_final_response_ends_a_request_at_once(status: int) -> None:
    transaction = message(reliable=True)
    assert transaction.receive_response(status, now=1.0)
    assert transaction.terminated
