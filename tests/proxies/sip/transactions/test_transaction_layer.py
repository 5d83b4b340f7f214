"""The transaction layer: who belongs to whom, what goes up once, what goes out again (RFC 3261 17)."""

import pytest

from certs.errors import LocalProtocolError
from certs.verdict import Reason, Side, Verdict
from proxies.sip.messages.message import Request, Response
from proxies.sip.transactions.events import (
    AckReceived,
    CancelReceived,
    LayerEvent,
    Outgoing,
    RequestReceived,
    ResponseReceived,
    ServerTransaction,
    StrayResponse,
    TransactionTerminated,
    TransactionTimedOut,
    TransportFailed,
)
from proxies.sip.transactions.layer import TransactionLayer
from proxies.sip.transport.flow import Destination, Flow, Transport
from tests.proxies.sip.wire import answer, make_flow, make_request

UDP_PEER = Destination(transport=Transport.UDP, host="127.0.0.3", port=5060)
TCP_PEER = Destination(transport=Transport.TCP, host="127.0.0.3", port=5060)


def events(layer: TransactionLayer) -> list[LayerEvent]:
    found = []
    while (event := layer.next_event()) is not None:
        found.append(event)
    return found


def outputs(layer: TransactionLayer) -> list[Outgoing]:
    found = []
    while (output := layer.next_output()) is not None:
        found.append(output)
    return found


def wires(layer: TransactionLayer) -> list[bytes]:
    return [output.wire for output in outputs(layer)]


def start_lines(layer: TransactionLayer) -> list[bytes]:
    return [wire.split(b"\r\n", 1)[0] for wire in wires(layer)]


def receive(layer: TransactionLayer, request: Request, flow: Flow, *, now: float = 0.0) -> ServerTransaction:
    """Hand a new request in; return its transaction."""
    layer.receive_message(request, flow, now=now)
    [event] = events(layer)
    assert isinstance(event, RequestReceived)
    return event.transaction


# Requests.


def test_a_request_goes_up_once_and_its_retransmission_gets_the_answer_again() -> None:
    layer, flow = TransactionLayer(), make_flow()
    transaction = receive(layer, make_request(), flow)
    layer.receive_message(make_request(), flow, now=0.5)
    assert events(layer) == []
    assert outputs(layer) == []
    layer.send_response(transaction, answer(transaction.request, 200), now=1.0)
    [first] = wires(layer)
    layer.receive_message(make_request(), flow, now=1.5)
    assert wires(layer) == [first]
    assert events(layer) == []


@pytest.mark.parametrize(
    ("via", "method"),
    [
        ("SIP/2.0/UDP 127.0.0.2;branch=z9hG4bKother", "MESSAGE"),
        ("SIP/2.0/UDP 127.0.0.2:5070;branch=z9hG4bK1", "MESSAGE"),
        ("SIP/2.0/UDP 127.0.0.2;branch=z9hG4bK1", "OPTIONS"),
    ],
)
def test_another_branch_sent_by_or_method_is_another_transaction(via: str, method: str) -> None:
    layer, flow = TransactionLayer(), make_flow()
    first = receive(layer, make_request(), flow)
    assert receive(layer, make_request(method, via=via), flow) is not first


def test_the_first_response_is_written_out_in_full() -> None:
    layer, flow = TransactionLayer(), make_flow()
    transaction = receive(layer, make_request(via="SIP/2.0/UDP host;branch=z9hG4bK1;rport"), flow)
    layer.send_response(transaction, answer(transaction.request, 200), now=0.0)
    [output] = outputs(layer)
    assert output.destination is flow
    assert output.transaction is transaction
    assert output.wire == (
        b"SIP/2.0 200 OK\r\n"
        b"Via: SIP/2.0/UDP host;branch=z9hG4bK1;rport=5060;received=127.0.0.2\r\n"
        b"From: Alice <sip:alice@example.com>;tag=a1\r\n"
        b"To: <sip:bob@example.com>;tag=b1\r\n"
        b"Call-ID: call-1\r\n"
        b"CSeq: 1 MESSAGE\r\n"
        b"Content-Length: 0\r\n"
        b"\r\n"
    )


def test_a_via_that_says_the_truth_stays_as_it_came() -> None:
    layer, flow = TransactionLayer(), make_flow()
    transaction = receive(layer, make_request(), flow)
    assert transaction.request.header("via") == "SIP/2.0/UDP 127.0.0.2;branch=z9hG4bK1"


def test_a_received_that_a_client_made_up_is_replaced() -> None:
    layer, flow = TransactionLayer(), make_flow()
    via = "SIP/2.0/UDP 127.0.0.2;received=127.9.9.9;branch=z9hG4bK1, SIP/2.0/UDP other;branch=z9hG4bK0"
    transaction = receive(layer, make_request(via=via), flow)
    assert transaction.request.header("via") == (
        "SIP/2.0/UDP 127.0.0.2;branch=z9hG4bK1;received=127.0.0.2, SIP/2.0/UDP other;branch=z9hG4bK0"
    )


def test_over_udp_a_transaction_stays_for_timer_j_and_then_its_request_is_new() -> None:
    layer, flow = TransactionLayer(), make_flow()
    transaction = receive(layer, make_request(), flow)
    layer.send_response(transaction, answer(transaction.request, 200), now=1.0)
    assert layer.next_timer() == 33.0
    layer.handle_timer(now=33.0)
    assert events(layer) == [TransactionTerminated(transaction)]
    assert len(layer) == 0
    assert receive(layer, make_request(), flow, now=34.0) is not transaction


def test_over_tcp_a_transaction_ends_with_its_final_response() -> None:
    layer, flow = TransactionLayer(), make_flow(Transport.TCP)
    transaction = receive(layer, make_request(), flow)
    layer.send_response(transaction, answer(transaction.request, 200), now=1.0)
    assert events(layer) == [TransactionTerminated(transaction)]
    assert layer.next_timer() is None
    layer.send_response(transaction, answer(transaction.request, 500), now=2.0)
    assert len(outputs(layer)) == 1


@pytest.mark.parametrize(
    ("broken", "status"),
    [
        (make_request(cseq="x MESSAGE"), b"400"),
        (make_request(cseq="4294967296 MESSAGE"), b"400"),
        (make_request(cseq="1 OPTIONS"), b"400"),
    ],
)
def test_a_request_without_what_transactions_rest_on_is_answered_400(broken: Request, status: bytes) -> None:
    layer, flow = TransactionLayer(), make_flow()
    layer.receive_message(broken, flow, now=0.0)
    [line] = start_lines(layer)
    assert line.split()[1] == status
    assert events(layer) == []
    assert len(layer) == 0


@pytest.mark.parametrize("name", ["From", "To", "Call-ID", "CSeq"])
def test_a_request_without_a_mandatory_header_is_answered_400(name: str) -> None:
    layer = TransactionLayer()
    request = make_request()
    request.remove_header(name)
    layer.receive_message(request, make_flow(), now=0.0)
    assert start_lines(layer) == [b"SIP/2.0 400 Bad Request"]


def test_a_request_without_via_is_dropped() -> None:
    layer = TransactionLayer()
    request = make_request()
    request.remove_header("Via")
    layer.receive_message(request, make_flow(), now=0.0)
    assert outputs(layer) == []
    assert events(layer) == []


def test_a_full_layer_answers_503_and_knows_the_ack_of_that() -> None:
    layer, flow = TransactionLayer(maximum_transactions=1), make_flow()
    receive(layer, make_request(branch="z9hG4bK1"), flow)
    layer.receive_message(make_request("INVITE", branch="z9hG4bK2"), flow, now=0.0)
    [wire] = wires(layer)
    assert wire.startswith(b"SIP/2.0 503 Service Unavailable\r\n")
    assert b"\r\nRetry-After: 5\r\n" in wire
    assert events(layer) == []
    to_tag = wire.split(b"\r\nTo: ")[1].split(b"tag=")[1].split(b"\r\n")[0].decode()
    layer.receive_message(make_request("ACK", branch="z9hG4bK2", to_tag=to_tag), flow, now=0.1)
    assert events(layer) == []


def test_a_layer_with_room_for_one_more_takes_it() -> None:
    layer, flow = TransactionLayer(maximum_transactions=2), make_flow()
    receive(layer, make_request(branch="z9hG4bK1"), flow)
    receive(layer, make_request("INVITE", branch="z9hG4bK2"), flow)


# INVITE, ACK, CANCEL.


def test_the_ack_of_a_failure_is_absorbed_and_that_of_a_2xx_goes_up() -> None:
    layer, flow = TransactionLayer(), make_flow()
    refused = receive(layer, make_request("INVITE", branch="z9hG4bK1"), flow)
    layer.send_response(refused, answer(refused.request, 486), now=0.0)
    layer.receive_message(make_request("ACK", branch="z9hG4bK1", to_tag="b1"), flow, now=0.1)
    assert events(layer) == []
    accepted = receive(layer, make_request("INVITE", branch="z9hG4bK2"), flow)
    layer.send_response(accepted, answer(accepted.request, 200), now=0.0)
    ack = make_request("ACK", branch="z9hG4bK3", to_tag="b1")
    layer.receive_message(ack, flow, now=0.1)
    assert events(layer) == [AckReceived(ack, flow)]


def test_the_ack_of_a_2xx_that_uses_the_branch_of_its_invite_goes_up_too() -> None:
    layer, flow = TransactionLayer(), make_flow()
    accepted = receive(layer, make_request("INVITE"), flow)
    layer.send_response(accepted, answer(accepted.request, 200), now=0.0)
    ack = make_request("ACK", to_tag="b1")
    layer.receive_message(ack, flow, now=0.1)
    assert events(layer) == [AckReceived(ack, flow)]


def test_a_cancel_comes_with_the_invite_that_it_cancels() -> None:
    layer, flow = TransactionLayer(), make_flow()
    invite = receive(layer, make_request("INVITE"), flow)
    cancel = make_request("CANCEL")
    layer.receive_message(cancel, flow, now=0.1)
    [event] = events(layer)
    assert isinstance(event, CancelReceived)
    assert event.cancelled is invite
    assert event.transaction is not invite
    layer.receive_message(make_request("CANCEL"), flow, now=0.2)
    assert events(layer) == []


def test_a_cancel_with_another_branch_cancels_nothing() -> None:
    layer, flow = TransactionLayer(), make_flow()
    receive(layer, make_request("INVITE"), flow)
    layer.receive_message(make_request("CANCEL", branch="z9hG4bK2"), flow, now=0.1)
    [event] = events(layer)
    assert isinstance(event, CancelReceived)
    assert event.cancelled is None


def test_an_invite_that_nobody_answers_gets_100() -> None:
    layer, flow = TransactionLayer(), make_flow()
    receive(layer, make_request("INVITE"), flow)
    layer.handle_timer(now=0.2)
    assert start_lines(layer) == [b"SIP/2.0 100 Trying"]


# RFC 2543 clients: a branch without the magic cookie, or none.

OLD = "SIP/2.0/UDP 127.0.0.2"


def test_a_retransmission_of_an_rfc_2543_client_is_known() -> None:
    layer, flow = TransactionLayer(), make_flow()
    transaction = receive(layer, make_request(via=OLD), flow)
    layer.send_response(transaction, answer(transaction.request, 200), now=0.0)
    layer.receive_message(make_request(via=OLD), flow, now=0.5)
    assert events(layer) == []
    assert len(outputs(layer)) == 2


@pytest.mark.parametrize(
    "other",
    [
        make_request(via=OLD, uri="sip:carol@example.com"),
        make_request(via=OLD, cseq="2 MESSAGE"),
        make_request(via=OLD, to_tag="b7"),
        make_request(via="SIP/2.0/UDP 127.0.0.2;branch=1"),
    ],
)
def test_what_differs_is_another_request_of_an_rfc_2543_client(other: Request) -> None:
    layer, flow = TransactionLayer(), make_flow()
    first = receive(layer, make_request(via=OLD), flow)
    assert receive(layer, other, flow) is not first


@pytest.mark.parametrize(("to_tag", "absorbed"), [("b1", True), ("b2", False)])
def test_the_ack_of_an_rfc_2543_client_is_known_by_the_to_tag(to_tag: str, absorbed: bool) -> None:
    layer, flow = TransactionLayer(), make_flow()
    transaction = receive(layer, make_request("INVITE", via=OLD), flow)
    layer.send_response(transaction, answer(transaction.request, 486, to_tag="b1"), now=0.0)
    layer.receive_message(make_request("ACK", via=OLD, cseq="1 ACK", to_tag=to_tag), flow, now=0.1)
    assert (events(layer) == []) is absorbed
    layer.handle_timer(now=40.0)
    layer.handle_timer(now=40.0)
    assert len(layer) == 0


# Responses.


def test_a_response_goes_up_with_its_transaction_and_a_copy_does_not() -> None:
    layer, flow = TransactionLayer(), make_flow(peer=("127.0.0.3", 5060))
    request = make_request()
    transaction = layer.send_request(request, UDP_PEER, now=0.0)
    [output] = outputs(layer)
    assert output == Outgoing(wire=request.encode(), destination=UDP_PEER, transaction=transaction)
    response = answer(request, 200)
    layer.receive_message(response, flow, now=0.1)
    assert events(layer) == [ResponseReceived(transaction, response, flow)]
    layer.receive_message(response, flow, now=0.2)
    assert events(layer) == []
    layer.handle_timer(now=6.0)
    assert events(layer) == [TransactionTerminated(transaction)]
    assert len(layer) == 0


@pytest.mark.parametrize("change", [("Via", "SIP/2.0/UDP h;branch=z9hG4bKno"), ("CSeq", "1 OPTIONS")])
def test_a_response_with_another_branch_or_method_is_stray(change: tuple[str, str]) -> None:
    layer, flow = TransactionLayer(), make_flow()
    request = make_request()
    layer.send_request(request, UDP_PEER, now=0.0)
    response = answer(request, 200)
    response.set_header(*change)
    layer.receive_message(response, flow, now=0.1)
    assert events(layer) == [StrayResponse(response, flow)]


def test_a_response_without_via_is_stray() -> None:
    layer, flow = TransactionLayer(), make_flow()
    response = Response(200)
    layer.receive_message(response, flow, now=0.0)
    assert events(layer) == [StrayResponse(response, flow)]


def test_a_failure_of_an_invite_is_acknowledged_on_the_way_of_the_invite() -> None:
    layer, flow = TransactionLayer(), make_flow(Transport.TCP)
    invite = make_request(
        "INVITE",
        extra="Route: <sip:p1.example.com;lr>\nRoute: <sip:p2.example.com;lr>\nContact: <sip:a@127.0.0.2>\n",
    )
    transaction = layer.send_request(invite, TCP_PEER, now=0.0)
    layer.flow_bound(transaction, flow)
    outputs(layer)
    layer.receive_message(answer(invite, 486), flow, now=1.0)
    [output] = outputs(layer)
    assert output.destination is flow
    assert output.wire == (
        b"ACK sip:bob@example.com SIP/2.0\r\n"
        b"Via: SIP/2.0/UDP 127.0.0.2;branch=z9hG4bK1\r\n"
        b"Max-Forwards: 70\r\n"
        b"From: Alice <sip:alice@example.com>;tag=a1\r\n"
        b"Call-ID: call-1\r\n"
        b"Route: <sip:p1.example.com;lr>\r\n"
        b"Route: <sip:p2.example.com;lr>\r\n"
        b"To: <sip:bob@example.com>;tag=b1\r\n"
        b"CSeq: 1 ACK\r\n"
        b"Content-Length: 0\r\n"
        b"\r\n"
    )
    assert [type(event) for event in events(layer)] == [ResponseReceived, TransactionTerminated]


def test_every_2xx_of_an_invite_goes_up() -> None:
    layer, flow = TransactionLayer(), make_flow()
    invite = make_request("INVITE")
    layer.send_request(invite, UDP_PEER, now=0.0)
    for tag in ("b1", "b1", "b2"):
        layer.receive_message(answer(invite, 200, to_tag=tag), flow, now=0.1)
    assert [type(event) for event in events(layer)] == [ResponseReceived] * 3


def test_a_request_over_udp_is_repeated_and_then_given_up() -> None:
    layer = TransactionLayer()
    transaction = layer.send_request(make_request(), UDP_PEER, now=0.0)
    sent = wires(layer)
    while (when := layer.next_timer()) is not None:
        layer.handle_timer(now=when)
    sent += wires(layer)
    assert len(sent) == 11
    assert len(set(sent)) == 1
    assert events(layer) == [TransactionTimedOut(transaction), TransactionTerminated(transaction)]


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        (make_request("ACK"), "send_stateless"),
        (make_request(branch="old"), "topmost Via"),
        (make_request(cseq="1 OPTIONS"), "topmost Via or CSeq"),
        (make_request(branch="z9hG4bKused"), "in use"),
        (Request("MESSAGE", "sip:b@example.com"), "no via header"),
    ],
)
def test_a_request_that_cannot_have_a_transaction_is_our_error(request_: Request, why: str) -> None:
    layer = TransactionLayer()
    layer.send_request(make_request(branch="z9hG4bKused"), UDP_PEER, now=0.0)
    with pytest.raises(LocalProtocolError, match=why):
        layer.send_request(request_, UDP_PEER, now=0.0)


def test_an_ack_for_a_2xx_is_sent_without_a_transaction() -> None:
    layer = TransactionLayer()
    layer.send_stateless(make_request("ACK"), UDP_PEER)
    [output] = outputs(layer)
    assert output.transaction is None
    assert len(layer) == 0


# What the transport tells.

VERDICT = Verdict(accepted=False, reason=Reason.UNTRUSTED_ISSUER, side=Side.CLIENT)


def test_a_request_that_cannot_be_sent_fails_with_the_reason() -> None:
    layer = TransactionLayer()
    transaction = layer.send_request(make_request(), TCP_PEER, now=0.0)
    [output] = outputs(layer)
    layer.delivery_failed(output, "connection refused", now=0.1, verdict=VERDICT)
    assert events(layer) == [
        TransportFailed(transaction, "connection refused", VERDICT),
        TransactionTerminated(transaction),
    ]
    assert len(layer) == 0
    layer.delivery_failed(output, "once more", now=0.2)
    assert events(layer) == []


def test_a_response_whose_connection_is_gone_goes_to_the_address_in_its_via() -> None:
    layer, flow = TransactionLayer(), make_flow(Transport.TCP, peer=("127.0.0.2", 40001))
    invite = make_request("INVITE", via="SIP/2.0/TCP client.example.com:5070;branch=z9hG4bK1")
    transaction = receive(layer, invite, flow)
    layer.send_response(transaction, answer(invite, 200), now=0.0)
    [output] = outputs(layer)
    layer.delivery_failed(output, "reset", now=0.1)
    [again] = outputs(layer)
    assert again.wire == output.wire
    assert again.destination == Destination(transport=Transport.TCP, host="127.0.0.2", port=5070)
    layer.delivery_failed(again, "refused", now=0.2)
    assert events(layer) == [
        TransportFailed(transaction, "refused", None),
        TransactionTerminated(transaction),
    ]


def test_the_end_of_a_connection_fails_the_requests_that_wait_on_it() -> None:
    layer, flow, other = TransactionLayer(), make_flow(Transport.TCP), make_flow(Transport.TCP)
    waiting = layer.send_request(make_request(branch="z9hG4bK1"), flow, now=0.0)
    moved = layer.send_request(make_request(branch="z9hG4bK2"), TCP_PEER, now=0.0)
    layer.flow_bound(moved, flow)
    elsewhere = layer.send_request(make_request(branch="z9hG4bK3"), other, now=0.0)
    accepted = make_request("INVITE", branch="z9hG4bK4")
    layer.send_request(accepted, flow, now=0.0)
    layer.receive_message(answer(accepted, 200), flow, now=0.1)
    events(layer)
    layer.flow_failed(flow, "closed by the peer")
    failed = {event.transaction for event in events(layer) if isinstance(event, TransportFailed)}
    assert failed == {waiting, moved}
    assert not elsewhere.machine.terminated


def test_timers_of_ended_transactions_are_not_kept() -> None:
    layer, flow = TransactionLayer(), make_flow(Transport.TCP)
    for number in range(1000):
        request = make_request(branch=f"z9hG4bK{number}")
        layer.send_request(request, flow, now=0.0)
        layer.receive_message(answer(request, 200), flow, now=0.1)
    assert len(layer) == 0
    assert layer.next_timer() is None


@pytest.mark.parametrize("missing", ["CSeq", "From", "To", "Call-ID"])
def test_an_ack_that_lacks_what_every_request_has_goes_no_further(missing: str) -> None:
    """Found by fuzzing: the proxy's core read the CSeq of such an ACK."""
    layer = TransactionLayer()
    whole, broken = make_request("ACK", to_tag="b1"), make_request("ACK", to_tag="b1", branch="z9hG4bK2")
    broken.remove_header(missing)
    layer.receive_message(broken, make_flow(), now=0.0)
    assert layer.next_event() is None
    layer.receive_message(whole, make_flow(), now=0.0)
    assert isinstance(layer.next_event(), AckReceived)
