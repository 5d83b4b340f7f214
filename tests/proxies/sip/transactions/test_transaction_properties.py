"""Random sequences and lossy networks: transactions stay inside their tables and always end."""

import heapq
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from certs.errors import LocalProtocolError, RemoteProtocolError
from proxies.sip.messages.message import Request, parse_head
from proxies.sip.transactions.client_transactions import InviteClientTransaction, NonInviteClientTransaction
from proxies.sip.transactions.events import (
    RequestReceived,
    ResponseReceived,
    TransactionTerminated,
    TransactionTimedOut,
)
from proxies.sip.transactions.layer import TransactionLayer
from proxies.sip.transactions.server_transactions import InviteServerTransaction, NonInviteServerTransaction
from proxies.sip.transactions.transaction import Transaction, TransactionState
from proxies.sip.transport.flow import Transport
from tests.proxies.sip.wire import answer, make_flow, make_request

STATUSES = st.sampled_from([100, 180, 200, 202, 302, 404, 486, 503, 600])
STEPS = st.lists(
    st.tuples(st.sampled_from(["request", "ack", "response", "time", "fail"]), STATUSES), max_size=30
)


def make_machine(kind: str, *, reliable: bool) -> Transaction:
    if kind == "invite client":
        return InviteClientTransaction(b"", reliable_transport=reliable, now=0.0)
    if kind == "client":
        return NonInviteClientTransaction(b"", reliable_transport=reliable, now=0.0)
    if kind == "invite server":
        return InviteServerTransaction(trying=b"", reliable_transport=reliable, now=0.0)
    return NonInviteServerTransaction(reliable_transport=reliable)


def drive(machine: Transaction, step: str, status: int, now: float) -> None:
    match machine, step:
        case _, "fail":
            machine.transport_failed()
        case InviteServerTransaction(), "request":
            machine.receive_request("INVITE", now=now)
        case InviteServerTransaction(), "ack":
            machine.receive_request("ACK", now=now)
        case NonInviteServerTransaction(), "request":
            machine.receive_request("MESSAGE")
        case ((InviteServerTransaction() | NonInviteServerTransaction()), "response"):
            machine.send_response(status, b"", now=now)
        case ((InviteClientTransaction() | NonInviteClientTransaction()), "response"):
            machine.receive_response(status, now=now)


@given(
    kind=st.sampled_from(["invite client", "client", "invite server", "server"]),
    reliable=st.booleans(),
    steps=STEPS,
)
@settings(max_examples=300, deadline=None)
def test_a_transaction_never_leaves_its_table_silently(
    kind: str, reliable: bool, steps: list[tuple[str, int]]
) -> None:
    machine = make_machine(kind, reliable=reliable)
    now = 0.0
    for step, status in steps:
        before = machine.state
        if step == "time":
            now = machine.next_timer() or now
            machine.handle_timer(now=now)
        elif not machine.terminated:
            try:
                drive(machine, step, status, now)
            except LocalProtocolError:
                assert machine.state is before  # what is refused changes nothing
        if machine.state is not before:
            assert (before, machine.state) in {(pair[0], to) for pair, to in machine.TRANSITIONS.items()} or (
                machine.terminated and reliable  # a timer of zero seconds fired at once
            )
        assert (
            (machine.next_timer() is not None)
            or machine.terminated
            or machine.state
            in (
                TransactionState.PROCEEDING,
                TransactionState.TRYING,
            )
        )
        if reliable and kind != "invite server":
            assert machine.handle_timer(now=now) is None
    for _ in range(100):
        if (when := machine.next_timer()) is None:
            break
        machine.handle_timer(now=when)
    assert machine.next_timer() is None


class Network:
    """Carries messages between a client's and a server's layer, losing and doubling them by a seed."""

    def __init__(self, seed: int, *, loss: float, duplication: float, transport: Transport) -> None:
        self._random = random.Random(seed)
        self._loss = loss
        self._duplication = duplication
        self._wires: list[tuple[float, int, bytes, TransactionLayer]] = []
        self._number = 0
        self.flow = make_flow(transport)
        self.client = TransactionLayer()
        self.server = TransactionLayer()
        self.now = 0.0

    def collect(self) -> None:
        for sender, receiver in ((self.client, self.server), (self.server, self.client)):
            while (output := sender.next_output()) is not None:
                copies = 0 if self._random.random() < self._loss else 1
                if copies and self._random.random() < self._duplication:
                    copies += 1
                for _ in range(copies):
                    self._number += 1
                    delay = self._random.uniform(0.01, 0.3)
                    heapq.heappush(self._wires, (self.now + delay, self._number, output.wire, receiver))

    def step(self) -> bool:
        """Let the next thing happen; return whether there was one."""
        self.collect()
        times = [layer.next_timer() for layer in (self.client, self.server)]
        due = [when for when in (*times, self._wires[0][0] if self._wires else None) if when is not None]
        if not due:
            return False
        self.now = max(self.now, min(due))
        for layer in (self.client, self.server):
            layer.handle_timer(now=self.now)
        while self._wires and self._wires[0][0] <= self.now:
            _, _, wire, receiver = heapq.heappop(self._wires)
            receiver.receive_message(parse_head(wire.partition(b"\r\n\r\n")[0]), self.flow, now=self.now)
        return True


@pytest.mark.parametrize("method", ["MESSAGE", "INVITE"])
@pytest.mark.parametrize("status", [200, 486])
@pytest.mark.parametrize("loss", [0.0, 0.3, 0.8, 1.0])
def test_over_a_lossy_network_a_request_goes_up_once_and_its_sender_learns_one_end(
    method: str, status: int, loss: float
) -> None:
    for seed in range(15):
        network = Network(seed, loss=loss, duplication=0.3 * loss, transport=Transport.UDP)
        request = make_request(method)
        sent = network.client.send_request(request, network.flow, now=0.0)
        requests = finals = timeouts = 0
        ended = set()
        while network.step():
            while (event := network.server.next_event()) is not None:
                if isinstance(event, RequestReceived):
                    requests += 1
                    response = answer(event.request, status)
                    network.server.send_response(event.transaction, response, now=network.now)
            while (event := network.client.next_event()) is not None:
                match event:
                    case ResponseReceived():
                        finals += 1
                    case TransactionTimedOut():
                        timeouts += 1
                    case TransactionTerminated():
                        ended.add(event.transaction)
        assert requests <= 1
        if method == "INVITE" and status == 200:
            assert finals == 0 or timeouts == 0  # each copy of a 2xx goes up
        else:
            assert finals + timeouts == 1
        if loss == 0.0:
            assert (requests, timeouts) == (1, 0)
        if loss == 1.0:
            assert (finals, timeouts) == (0, 1)
        assert ended == {sent}
        assert len(network.client) == len(network.server) == 0


@pytest.mark.parametrize("method", ["MESSAGE", "INVITE"])
@pytest.mark.parametrize("status", [200, 486])
def test_over_a_stream_each_message_is_sent_once(method: str, status: int) -> None:
    network = Network(0, loss=0.0, duplication=0.0, transport=Transport.TCP)
    network.client.send_request(make_request(method), network.flow, now=0.0)
    carried = 0
    while network.step():
        carried += 1
        while (event := network.server.next_event()) is not None:
            if isinstance(event, RequestReceived):
                network.server.send_response(
                    event.transaction, answer(event.request, status), now=network.now
                )
    messages = 3 if (method, status) == ("INVITE", 486) else 2  # with the ACK of the failure
    timers = 2 if (method, status) == ("INVITE", 200) else 0  # L and M
    assert carried <= messages + timers
    assert len(network.client) == len(network.server) == 0


@given(data=st.binary(max_size=300), cut=st.integers(0, 400))
@settings(max_examples=200, deadline=None)
def test_random_bytes_in_a_head_meet_an_answer_or_nothing(data: bytes, cut: int) -> None:
    head = make_request("INVITE").encode()[:-4]
    mangled = head[:cut] + data + head[cut + len(data) :]
    layer, flow = TransactionLayer(), make_flow()
    try:
        message = parse_head(mangled)
    except RemoteProtocolError:
        return
    layer.receive_message(message, flow, now=0.0)
    event, output = layer.next_event(), layer.next_output()
    assert not (event is not None and output is not None)
    if isinstance(message, Request) and message.method not in ("ACK",) and message.header("via"):
        assert event is not None or output is not None
