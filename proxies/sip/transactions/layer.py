"""The transaction layer (RFC 3261 17): finds a message's transaction, repeats, times out, hands up once."""

import secrets
from collections import deque
from typing import Final

from certs.errors import LocalProtocolError, RemoteProtocolError
from certs.verdict import Verdict
from proxies.sip.messages.message import Request, Response
from proxies.sip.transactions.client_transactions import InviteClientTransaction, NonInviteClientTransaction
from proxies.sip.transactions.events import (
    AckReceived,
    CancelReceived,
    ClientTransaction,
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
from proxies.sip.transactions.matching import (
    MAGIC_COOKIE,
    Key,
    acknowledge,
    acknowledgement_key,
    client_key,
    cseq_of,
    respond,
    sent_by,
    server_key,
    stamp_via,
    tag_of,
)
from proxies.sip.transactions.server_transactions import InviteServerTransaction, NonInviteServerTransaction
from proxies.sip.transactions.timer_queue import TimerQueue
from proxies.sip.transactions.timers import DEFAULT_TIMERS, TransactionTimers
from proxies.sip.transactions.transaction import TransactionState
from proxies.sip.transport.flow import Destination, Flow, Transport

MAXIMUM_TRANSACTIONS: Final = 65536
"Transactions that a layer holds unless told otherwise."

_MANDATORY: Final = ("from", "to", "call-id")
"With CSeq and Via, what no request lacks (8.1.1); many leave Max-Forwards out, and 16.3 lets them."

_WAITING: Final = frozenset({TransactionState.CALLING, TransactionState.TRYING, TransactionState.PROCEEDING})
"The states in which a client transaction has no final response yet."

_RETRY_AFTER: Final = 5
"Seconds after which a peer that met a full layer may come back (21.5.4)."


class TransactionLayer:
    """Owns the transactions of one service.

    Events and outgoing messages are pulled after each call; time is an argument. It sends what it is given
    as it is, so the caller has put the topmost Via with its branch.
    """

    def __init__(
        self,
        *,
        timers: TransactionTimers = DEFAULT_TIMERS,
        maximum_transactions: int = MAXIMUM_TRANSACTIONS,
    ) -> None:
        self._timers = timers
        self._maximum = maximum_transactions
        self._servers: dict[Key, ServerTransaction] = {}
        self._clients: dict[Key, ClientTransaction] = {}
        self._by_flow: dict[Flow, set[ClientTransaction]] = {}
        self._queue: TimerQueue[ServerTransaction | ClientTransaction] = TimerQueue()
        self._events: deque[LayerEvent] = deque()
        self._outputs: deque[Outgoing] = deque()
        # Marks the answers that are given without a transaction, so that their ACKs are known too.
        self._stateless_tag = secrets.token_hex(8)

    def __len__(self) -> int:
        return len(self._servers) + len(self._clients)

    # What the layer tells.

    def next_event(self) -> LayerEvent | None:
        """Return what happened next, or None."""
        return self._events.popleft() if self._events else None

    def next_output(self) -> Outgoing | None:
        """Return the next message to send, or None."""
        return self._outputs.popleft() if self._outputs else None

    def next_timer(self) -> float | None:
        """Return when `handle_timer` is due, or None."""
        return self._queue.next_timer()

    # What the transport tells.

    def receive_message(self, message: Request | Response, flow: Flow, *, now: float) -> None:
        """Take a message from the transport.

        A request that lacks what transactions rest on is answered by 400, where it says whom to answer.
        """
        if isinstance(message, Response):
            self._receive_response(message, flow, now=now)
            return
        try:
            key = server_key(message, method="INVITE" if message.method == "ACK" else message.method)
            stamp_via(message, flow.peer)
            self._receive_request(message, key, flow, now=now)
        except RemoteProtocolError as error:
            if message.method != "ACK" and message.header("via") is not None:
                self._refuse(message, flow, int(error.reply))

    def delivery_failed(
        self, outgoing: Outgoing, reason: str, *, now: float, verdict: Verdict | None = None
    ) -> None:
        """Take note that a message could not be sent (18.4).

        A response whose connection is gone is tried once more, at the address in its Via (18.2.2).
        """
        transaction = outgoing.transaction
        if transaction is None:
            return
        if isinstance(transaction, ServerTransaction) and isinstance(outgoing.destination, Flow):
            # Over a stream a final response has ended the transaction already: Timer J is zero there.
            fallback = _response_destination(transaction)
            if fallback is not None:
                self._send(outgoing.wire, fallback, transaction)
                return
        if not transaction.machine.terminated:
            self._fail(transaction, reason, verdict)

    def flow_bound(self, transaction: ClientTransaction, flow: Flow) -> None:
        """Take note that a request left by this flow: what follows it goes the same way."""
        if transaction.machine.terminated:
            return
        self._unbind(transaction)
        transaction.target = flow
        self._by_flow.setdefault(flow, set()).add(transaction)

    def flow_failed(self, flow: Flow, reason: str, *, verdict: Verdict | None = None) -> None:
        """Take note that a connection ended: responses to the requests it carried will not come."""
        for transaction in list(self._by_flow.get(flow, ())):
            if transaction.machine.state in _WAITING:
                self._fail(transaction, reason, verdict)

    def handle_timer(self, *, now: float) -> None:
        """Let the timers fire that are due."""
        while (transaction := self._queue.pop_due(now)) is not None:
            wire = transaction.machine.handle_timer(now=now)
            if wire is not None:
                target = (
                    transaction.flow if isinstance(transaction, ServerTransaction) else transaction.target
                )
                self._send(wire, target, transaction)
            self._settle(transaction)

    # What the transaction user asks for.

    def send_request(
        self, request: Request, destination: Destination | Flow, *, now: float
    ) -> ClientTransaction:
        """Send a request in a transaction of its own and return that.

        Raises LocalProtocolError for an ACK, which has none, and for a branch that is missing or in use.
        """
        if request.method == "ACK":
            raise LocalProtocolError("an ACK has no transaction: use send_stateless")
        try:
            key = client_key(request)
        except RemoteProtocolError as error:
            raise LocalProtocolError(str(error)) from error
        if not key[0].startswith(MAGIC_COOKIE) or key[1] != request.method:
            raise LocalProtocolError(f"the topmost Via or CSeq is not that of a new {request.method}: {key}")
        if key in self._clients:
            raise LocalProtocolError(f"the branch {key[0]} is in use")
        wire = request.encode()
        kind = InviteClientTransaction if request.method == "INVITE" else NonInviteClientTransaction
        machine = kind(wire, reliable_transport=destination.transport.reliable, now=now, timers=self._timers)
        transaction = ClientTransaction(machine=machine, request=request, target=destination, keys=[key])
        self._clients[key] = transaction
        if isinstance(destination, Flow):
            self.flow_bound(transaction, destination)
        self._send(wire, destination, transaction)
        self._queue.update(transaction)
        return transaction

    def send_response(self, transaction: ServerTransaction, response: Response, *, now: float) -> None:
        """Answer a request. Where its transaction has ended nobody waits, and nothing is sent.

        Raises LocalProtocolError for a response that cannot follow the one before.
        """
        machine = transaction.machine
        if machine.terminated:
            return
        wire = machine.send_response(response.status, response.encode(), now=now)
        if wire is None:
            return
        self._send(wire, transaction.flow, transaction)
        if response.status >= 300 and transaction.request.method == "INVITE":
            key = acknowledgement_key(transaction.request, response)
            if key is not None and self._servers.setdefault(key, transaction) is transaction:
                transaction.keys.append(key)
        self._settle(transaction)

    def send_stateless(self, message: Request | Response, destination: Destination | Flow) -> None:
        """Send a message that belongs to no transaction: the ACK for a 2xx response (13.2.2.4, 16.11)."""
        self._send(message.encode(), destination, None)

    def abandon(self, transaction: ServerTransaction) -> None:
        """Forget a request without an answer: the peer's own timer has told it (RFC 4320 4.2)."""
        if not transaction.machine.terminated:
            transaction.machine.transport_failed()
            self._queue.update(transaction)
            self._forget(transaction)

    # How requests are taken.

    def _receive_request(self, request: Request, key: Key, flow: Flow, *, now: float) -> None:
        method = request.method
        known = self._servers.get(key)
        if known is None or method == "ACK":  # what goes up to the transaction user is whole (8.1.1)
            if cseq_of(request)[1] != method:
                raise RemoteProtocolError(f"CSeq {request.header('cseq')!r} is not of a {method}")
            for name in _MANDATORY:
                request.required(name)
        if known is not None:
            self._receive_again(known, request, flow, now=now)
            return
        if method == "ACK":
            if tag_of(request.required("to")) != self._stateless_tag:
                self._events.append(AckReceived(request, flow))
            return
        if len(self) >= self._maximum:
            self._refuse(request, flow, 503)
            return
        self._start_server_transaction(request, key, flow, now=now)

    def _start_server_transaction(self, request: Request, key: Key, flow: Flow, *, now: float) -> None:
        reliable = flow.transport.reliable
        machine: InviteServerTransaction | NonInviteServerTransaction
        if request.method == "INVITE":
            machine = InviteServerTransaction(
                trying=respond(request, 100).encode(),
                reliable_transport=reliable,
                now=now,
                timers=self._timers,
            )
        else:
            machine = NonInviteServerTransaction(reliable_transport=reliable, timers=self._timers)
        transaction = ServerTransaction(machine=machine, request=request, flow=flow, keys=[key])
        self._servers[key] = transaction
        self._queue.update(transaction)
        if request.method == "CANCEL":
            cancelled = self._servers.get((*key[:-1], "INVITE"))
            self._events.append(CancelReceived(transaction, cancelled, request, flow))
        else:
            self._events.append(RequestReceived(transaction, request, flow))

    def _receive_again(self, known: ServerTransaction, request: Request, flow: Flow, *, now: float) -> None:
        machine = known.machine
        if isinstance(machine, NonInviteServerTransaction):
            wire = machine.receive_request(request.method)
        else:
            wire = machine.receive_request(request.method, now=now)
            if request.method == "ACK" and machine.state is TransactionState.ACCEPTED:
                self._events.append(AckReceived(request, flow))
        if wire is not None:
            self._send(wire, flow, known)
        self._settle(known)

    def _refuse(self, request: Request, flow: Flow, status: int) -> None:
        response = respond(request, status, to_tag=self._stateless_tag)
        if status == 503:
            response.add_header("Retry-After", str(_RETRY_AFTER))
        self._send(response.encode(), flow, None)

    # How responses are taken.

    def _receive_response(self, response: Response, flow: Flow, *, now: float) -> None:
        try:
            transaction = self._clients.get(client_key(response))
        except RemoteProtocolError:
            transaction = None
        if transaction is None:
            self._events.append(StrayResponse(response, flow))
            return
        machine = transaction.machine
        if machine.receive_response(response.status, now=now):
            self._events.append(ResponseReceived(transaction, response, flow))
        if isinstance(machine, InviteClientTransaction) and machine.must_acknowledge(response.status):
            ack = acknowledge(transaction.request, response)
            self._send(ack.encode(), transaction.target, transaction)
        self._settle(transaction)

    # How transactions end.

    def _settle(self, transaction: ServerTransaction | ClientTransaction) -> None:
        """Bring the timers up to date, and forget the transaction where it has ended."""
        self._queue.update(transaction)
        if not transaction.machine.terminated:
            return
        if transaction.machine.timed_out:
            self._events.append(TransactionTimedOut(transaction))
        self._forget(transaction)

    def _fail(
        self, transaction: ServerTransaction | ClientTransaction, reason: str, verdict: Verdict | None
    ) -> None:
        transaction.machine.transport_failed()
        self._queue.update(transaction)
        self._events.append(TransportFailed(transaction, reason, verdict))
        self._forget(transaction)

    def _forget(self, transaction: ServerTransaction | ClientTransaction) -> None:
        if isinstance(transaction, ServerTransaction):
            for key in transaction.keys:
                del self._servers[key]
        else:
            for key in transaction.keys:
                del self._clients[key]
            self._unbind(transaction)
        self._events.append(TransactionTerminated(transaction))

    def _unbind(self, transaction: ClientTransaction) -> None:
        if isinstance(transaction.target, Flow):
            bound = self._by_flow.get(transaction.target)
            if bound is not None:
                bound.discard(transaction)
                if not bound:
                    del self._by_flow[transaction.target]

    def _send(
        self,
        wire: bytes,
        destination: Destination | Flow,
        transaction: ServerTransaction | ClientTransaction | None,
    ) -> None:
        self._outputs.append(Outgoing(wire=wire, destination=destination, transaction=transaction))


def _response_destination(transaction: ServerTransaction) -> Destination | None:
    """Return where a response goes once the request's connection is gone (18.2.2); UDP has none to lose."""
    flow = transaction.flow
    if flow.transport is Transport.UDP:
        return None
    host, port = sent_by(transaction.request)
    return Destination(
        transport=flow.transport,
        host=flow.peer[0],
        port=port or flow.transport.default_port,
        server_name=host if flow.transport is Transport.TLS else "",
    )
