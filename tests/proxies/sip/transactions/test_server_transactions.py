"""The server transactions, arrow by arrow (RFC 3261 figures 7 and 8, RFC 6026 7.1)."""

import pytest

from certs.errors import LocalProtocolError
from proxies.sip.transactions.server_transactions import InviteServerTransaction, NonInviteServerTransaction
from proxies.sip.transactions.transaction import TransactionState


def invite(*, reliable: bool = False) -> InviteServerTransaction:
    return InviteServerTransaction(trying=b"100", reliable_transport=reliable, now=0.0)


def test_retransmission_gets_the_same_answer() -> None:
    transaction = NonInviteServerTransaction(reliable_transport=False)
    transaction.receive_request("SUBSCRIBE")
    transaction.send_response(202, b"202", now=10.0)
    assert transaction.receive_request("SUBSCRIBE") == b"202"


def test_retransmission_before_any_answer_is_absorbed() -> None:
    transaction = NonInviteServerTransaction(reliable_transport=False)
    assert transaction.receive_request("MESSAGE") is None
    assert transaction.state is TransactionState.TRYING


def test_retransmission_gets_the_provisional_response_until_there_is_a_final_one() -> None:
    transaction = NonInviteServerTransaction(reliable_transport=False)
    transaction.send_response(183, b"183", now=0.0)
    assert transaction.receive_request("OPTIONS") == b"183"
    transaction.send_response(200, b"200", now=1.0)
    assert transaction.receive_request("OPTIONS") == b"200"


def test_timer_j_ends_a_non_invite_transaction_over_udp() -> None:
    transaction = NonInviteServerTransaction(reliable_transport=False)
    transaction.send_response(200, b"200", now=10.0)
    assert transaction.next_timer() == 42.0
    assert transaction.handle_timer(now=41.9) is None
    assert transaction.state is TransactionState.COMPLETED
    transaction.handle_timer(now=42.0)
    assert transaction.terminated
    assert not transaction.timed_out


def test_over_a_reliable_transport_a_non_invite_transaction_ends_with_its_final_response() -> None:
    transaction = NonInviteServerTransaction(reliable_transport=True)
    assert transaction.send_response(200, b"200", now=10.0) == b"200"
    assert transaction.terminated
    assert transaction.next_timer() is None


@pytest.mark.parametrize("status", [200, 404])
def test_a_second_final_response_is_discarded(status: int) -> None:
    transaction = NonInviteServerTransaction(reliable_transport=False)
    transaction.send_response(200, b"first", now=0.0)
    assert transaction.send_response(status, b"second", now=1.0) is None
    assert transaction.receive_request("MESSAGE") == b"first"


def test_a_provisional_response_after_the_final_one_is_our_error() -> None:
    transaction = NonInviteServerTransaction(reliable_transport=False)
    transaction.send_response(200, b"200", now=0.0)
    with pytest.raises(LocalProtocolError, match="PROVISIONAL_SENT is not allowed in COMPLETED"):
        transaction.send_response(180, b"180", now=1.0)


@pytest.mark.parametrize("method", ["INVITE", "ACK"])
def test_invite_and_ack_do_not_belong_to_a_non_invite_transaction(method: str) -> None:
    with pytest.raises(LocalProtocolError, match=method):
        NonInviteServerTransaction(reliable_transport=False).receive_request(method)


def test_a_slow_user_gets_100_sent_after_200_ms() -> None:
    transaction = invite(reliable=True)
    assert transaction.next_timer() == 0.2
    assert transaction.handle_timer(now=0.2) == b"100"
    assert transaction.next_timer() is None
    assert transaction.receive_request("INVITE", now=1.0) == b"100"


def test_a_quick_user_gets_no_100_sent() -> None:
    transaction = invite()
    transaction.send_response(180, b"180", now=0.1)
    assert transaction.next_timer() is None
    assert transaction.receive_request("INVITE", now=0.5) == b"180"


def test_timer_g_repeats_a_failure_at_doubling_intervals_up_to_t2() -> None:
    transaction = invite()
    transaction.send_response(486, b"486", now=0.0)
    fired = []
    while not transaction.terminated:
        now = transaction.next_timer()
        assert now is not None
        if transaction.handle_timer(now=now) == b"486":
            fired.append(now)
    assert fired == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert transaction.timed_out  # Timer H: no ACK came


def test_over_a_reliable_transport_a_failure_is_not_repeated_but_timer_h_runs() -> None:
    transaction = invite(reliable=True)
    transaction.send_response(486, b"486", now=0.0)
    assert transaction.next_timer() == 32.0
    transaction.handle_timer(now=32.0)
    assert transaction.timed_out


def test_ack_stops_the_repeating_and_timer_i_ends_the_transaction() -> None:
    transaction = invite()
    transaction.send_response(486, b"486", now=0.0)
    assert transaction.receive_request("ACK", now=0.3) is None
    assert transaction.state is TransactionState.CONFIRMED
    assert transaction.next_timer() == 5.3
    assert transaction.receive_request("INVITE", now=0.4) is None
    assert transaction.receive_request("ACK", now=0.5) is None
    transaction.handle_timer(now=5.3)
    assert transaction.terminated
    assert not transaction.timed_out


def test_over_a_reliable_transport_ack_ends_the_transaction_at_once() -> None:
    transaction = invite(reliable=True)
    transaction.send_response(486, b"486", now=0.0)
    transaction.receive_request("ACK", now=0.3)
    assert transaction.terminated


@pytest.mark.parametrize("reliable", [False, True])
def test_an_accepted_invite_absorbs_its_retransmissions_until_timer_l(reliable: bool) -> None:
    transaction = invite(reliable=reliable)
    assert transaction.send_response(200, b"200", now=1.0) == b"200"
    assert transaction.receive_request("INVITE", now=2.0) is None
    assert transaction.send_response(200, b"200 again", now=3.0) == b"200 again"
    assert transaction.next_timer() == 33.0
    transaction.handle_timer(now=33.0)
    assert transaction.terminated
    assert not transaction.timed_out


@pytest.mark.parametrize("status", [180, 486])
def test_nothing_but_2xx_follows_2xx(status: int) -> None:
    transaction = invite()
    transaction.send_response(200, b"200", now=0.0)
    with pytest.raises(LocalProtocolError, match="not allowed in ACCEPTED"):
        transaction.send_response(status, b"", now=1.0)


def test_an_early_ack_changes_nothing() -> None:
    transaction = invite()
    assert transaction.receive_request("ACK", now=0.0) is None
    assert transaction.state is TransactionState.PROCEEDING


def test_another_method_does_not_belong_to_an_invite_transaction() -> None:
    with pytest.raises(LocalProtocolError, match="BYE"):
        invite().receive_request("BYE", now=0.0)


def test_a_transport_failure_ends_a_transaction_in_any_state() -> None:
    transaction = invite()
    transaction.send_response(486, b"486", now=0.0)
    transaction.transport_failed()
    assert transaction.terminated
    assert transaction.next_timer() is None
    transaction.transport_failed()
