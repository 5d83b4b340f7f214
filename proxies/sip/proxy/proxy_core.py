"""A stateful proxy (RFC 3261 16), without sockets: it asks where to, and does everything else."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol, assert_never

from certs.verdict import Reason, Verdict
from proxies.sip.messages.message import HeaderField, Request, Response
from proxies.sip.messages.routing_uri import parse_routing_uri
from proxies.sip.proxy.forwarding import ProxyCoreSettings, RequestForwarder
from proxies.sip.proxy.response_context import Branch, ResponseContext, best_response
from proxies.sip.transactions.events import (
    AckReceived,
    CancelReceived,
    ClientTransaction,
    LayerEvent,
    RequestReceived,
    ResponseReceived,
    ServerTransaction,
    StrayResponse,
    TransactionTerminated,
    TransactionTimedOut,
    TransportFailed,
)
from proxies.sip.transactions.matching import cancel, respond
from proxies.sip.transactions.timer_queue import TimerQueue
from proxies.sip.transactions.transaction import TransactionState
from proxies.sip.transport.flow import Destination, Flow

_DEFAULT_MAX_BREADTH: Final = 60
"What a request without Max-Breadth may be forked to, all proxies together (RFC 5393 5.3.3)."


class Transactions(Protocol):
    """What a proxy core asks of the transactions below it."""

    def send_request(self, request: Request, destination: Destination | Flow) -> ClientTransaction:
        """Send a request in a transaction of its own."""
        ...

    def send_response(self, transaction: ServerTransaction, response: Response) -> None:
        """Answer a request."""
        ...

    def send_stateless(self, message: Request | Response, destination: Destination | Flow) -> None:
        """Send an ACK for a 2xx response."""
        ...

    def abandon(self, transaction: ServerTransaction) -> None:
        """Forget a request without an answer."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One place to forward a request to."""

    uri: str
    "The Request-URI that it gets."

    destination: Destination | Flow
    "Where it is sent."


@dataclass(frozen=True, slots=True)
class RouteNeeded:
    """A request passed the checks; answer by `forward` or `reply` before the next event is handed in."""

    context: ResponseContext
    "Names the request in the answer."

    request: Request
    "The request, without the Route values that led here."

    flow: Flow
    "The way it came by."


class ProxyCore:
    """Forwards requests and responses. What must change in them changes; the rest keeps its bytes."""

    def __init__(self, settings: ProxyCoreSettings, transactions: Transactions) -> None:
        self._settings = settings
        self._transactions = transactions
        self._forwarder = RequestForwarder(settings)
        self._contexts: dict[ServerTransaction, ResponseContext] = {}
        self._branches: dict[ClientTransaction, Branch] = {}
        self._queue: TimerQueue[Branch] = TimerQueue()
        self._events: deque[RouteNeeded] = deque()

    def next_event(self) -> RouteNeeded | None:
        """Return the next request that needs a route, or None."""
        return self._events.popleft() if self._events else None

    def next_timer(self) -> float | None:
        """Return when `handle_timer` is due, or None."""
        return self._queue.next_timer()

    def is_own(self, uri: str) -> bool:
        """Return whether a URI leads to this proxy, whoever its user is."""
        return self._forwarder.is_own(parse_routing_uri(uri))

    def handle_event(self, event: LayerEvent, *, now: float) -> None:
        """Take what happened to a transaction."""
        match event:
            case RequestReceived():
                self._receive_request(event)
            case ResponseReceived():
                branch = self._branches.get(event.transaction)
                if branch is not None:
                    self._receive_response(branch, event.response, now=now)
            case CancelReceived():
                self._receive_cancel(event, now=now)
            case AckReceived():
                self._receive_ack(event)
            case TransactionTimedOut():
                self._end_branch(event.transaction, 408, [], now=now)
            case TransportFailed():
                self._end_branch(event.transaction, 503, self._explain(event.reason, event.verdict), now=now)
            case TransactionTerminated():
                self._forget(event.transaction)
            case StrayResponse():
                pass  # it must not be forwarded (RFC 6026 6)
            case _:
                assert_never(event)

    def handle_timer(self, *, now: float) -> None:
        """Give up branches that have rung too long (16.8) or do not end after their CANCEL (9.1)."""
        while (branch := self._queue.pop_due(now)) is not None:
            branch.deadline = None
            if branch.provisional and not branch.cancelled:
                self._cancel(branch, now=now)
            else:
                self._finish(branch, self._forwarder.refuse(branch.context.received, 408), now=now)

    # What the router answers.

    def forward(self, context: ResponseContext, targets: Sequence[Target], *, now: float) -> None:
        """Send the request to all targets at once (16.6); without any it is answered by 480."""
        targets = targets[: self._settings.maximum_targets]
        if context.transaction is None:
            self._forward_ack(context, targets)
            return
        if not targets:
            self.reply(context, self.refuse(context, 480))
            return
        breadth = self._breadth(context.request, len(targets))
        if breadth == 0:
            self.reply(context, self.refuse(context, 440))
            return
        for target in targets:
            request = self._forwarder.prepare(
                context.request,
                target.uri,
                target.destination,
                came_by=context.flow,
                branch=self._forwarder.new_branch(context.received),
            )
            if breadth is not None:
                request.set_header("Max-Breadth", str(breadth))
            transaction = self._transactions.send_request(request, target.destination)
            branch = Branch(context=context, transaction=transaction)
            context.branches.append(branch)
            self._branches[transaction] = branch
            if request.method == "INVITE":
                self._set_deadline(branch, now + self._settings.timer_c)

    def reply(self, context: ResponseContext, response: Response) -> None:
        """Answer the request here. An ACK has no answer and is dropped."""
        if context.answered or context.transaction is None:
            return
        context.answered = response.status >= 200
        self._transactions.send_response(context.transaction, response)

    def refuse(self, context: ResponseContext, status: int) -> Response:
        """Return a final response with a tag of its own, for `reply`."""
        return self._forwarder.refuse(context.received, status)

    # Requests.

    def _receive_request(self, event: RequestReceived) -> None:
        request = event.request.copy()
        refusal = self._forwarder.check(event.request) or self._forwarder.take_own_routes(request)
        if refusal is not None:
            self._transactions.send_response(event.transaction, refusal)
            return
        if request.method == "INVITE":
            self._transactions.send_response(event.transaction, respond(event.request, 100))
        context = ResponseContext(
            transaction=event.transaction, received=event.request, request=request, flow=event.flow
        )
        self._contexts[event.transaction] = context
        self._events.append(RouteNeeded(context, request, event.flow))

    def _receive_ack(self, event: AckReceived) -> None:
        request = event.request.copy()
        if self._forwarder.check(event.request) or self._forwarder.take_own_routes(request):
            return  # there is no answer to an ACK
        context = ResponseContext(transaction=None, received=event.request, request=request, flow=event.flow)
        self._events.append(RouteNeeded(context, request, event.flow))

    def _forward_ack(self, context: ResponseContext, targets: Sequence[Target]) -> None:
        for target in targets[:1]:
            request = self._forwarder.prepare(
                context.request,
                target.uri,
                target.destination,
                came_by=context.flow,
                branch=self._forwarder.stateless_branch(context.received),
            )
            self._transactions.send_stateless(request, target.destination)

    def _breadth(self, request: Request, targets: int) -> int | None:
        """Return the Max-Breadth of each copy (RFC 5393 5.3.3); None leaves the header as it is.

        A request that goes to one target and says nothing keeps its bytes: it grows nowhere.
        """
        value = request.header("max-breadth")
        if targets == 1 and value != "0":
            return None
        allowed = int(value) if value and value.isascii() and value.isdecimal() else _DEFAULT_MAX_BREADTH
        return allowed // targets

    # Responses.

    def _receive_response(self, branch: Branch, response: Response, *, now: float) -> None:
        status = response.status
        context = branch.context
        if status < 200:
            branch.provisional = True
            if branch.cancelled:
                self._send_cancel(branch)
            elif branch.deadline is not None and status > 100:
                self._set_deadline(branch, now + self._settings.timer_c)
            if status > 100 and not context.answered:
                self._forward_response(context, response)
            return
        if status < 300:
            branch.final = response
            self._set_deadline(branch, None)
            # Each 2xx of an INVITE is a dialog of its own, and goes up (16.7 step 5).
            if context.received.method == "INVITE" or not context.answered:
                self._forward_response(context, response)
            self._cancel_others(context, now=now)
            return
        # A 503 speaks of the next hop alone; forwarded it would speak of us (16.7 step 6).
        final = response if status != 503 else Response(500, fields=response.fields, body=response.body)
        self._finish(branch, final, now=now, via=True)

    def _finish(self, branch: Branch, final: Response, *, now: float, via: bool = False) -> None:
        """Take a branch's failure, and answer once every branch has one."""
        if branch.final is not None:
            return
        if via:
            final = _without_top_via(final)
        context = branch.context
        branch.final = final
        self._set_deadline(branch, None)
        if final.status >= 600:
            self._cancel_others(context, now=now)
        if not context.answered and not context.open_branches:
            best = best_response([b.final for b in context.branches if b.final is not None])
            self._answer(context, best)

    def _answer(self, context: ResponseContext, best: Response) -> None:
        assert context.transaction is not None
        context.answered = True
        if best.status == 408 and context.received.method != "INVITE":
            # The sender's own Timer F has fired, and a 408 now would be stray everywhere (RFC 4320 4.2).
            self._transactions.abandon(context.transaction)
        else:
            self._transactions.send_response(context.transaction, best)

    def _forward_response(self, context: ResponseContext, response: Response) -> None:
        """Send a response up at once (16.7 step 8)."""
        assert context.transaction is not None
        final = response.status >= 200
        state = context.transaction.machine.state
        if state is TransactionState.COMPLETED or (state is TransactionState.ACCEPTED and not final):
            return  # a late one: its transaction has been answered otherwise
        context.answered = context.answered or final
        self._transactions.send_response(context.transaction, _without_top_via(response))

    def _end_branch(
        self,
        transaction: ServerTransaction | ClientTransaction,
        status: int,
        explanation: list[HeaderField],
        *,
        now: float,
    ) -> None:
        """Let a response of our own stand for one that does not come (16.8, 16.9)."""
        if isinstance(transaction, ServerTransaction):
            context = self._contexts.get(transaction)
            if context is not None:
                context.answered = True
                self._cancel_others(context, now=now)
            return
        branch = self._branches.get(transaction)
        if branch is not None:
            response = self._forwarder.refuse(branch.context.received, status)
            response.fields[-1:-1] = explanation
            self._finish(branch, response, now=now)

    def _explain(self, reason: str, verdict: Verdict | None) -> list[HeaderField]:
        """Return the headers that say why a next hop was out of reach (20.43), and whether to come back (20.33).

        A peer that was refused stays so until a person acts, so only then there is no Retry-After.
        """
        text = reason.replace("\\", "\\\\").replace('"', '\\"').replace("\r", " ").replace("\n", " ")
        fields = [HeaderField.make("Warning", f'399 {self._settings.name} "{text}"')]
        if verdict is None or verdict.reason is Reason.UNREACHABLE:
            fields.append(HeaderField.make("Retry-After", str(self._settings.retry_after)))
        return fields

    # CANCEL.

    def _receive_cancel(self, event: CancelReceived, *, now: float) -> None:
        """Answer a CANCEL and cancel all branches (16.10). We forward no INVITE without keeping its state."""
        context = self._contexts.get(event.cancelled) if event.cancelled is not None else None
        if context is None:
            self._transactions.send_response(event.transaction, self._forwarder.refuse(event.request, 481))
            return
        self._transactions.send_response(event.transaction, self._forwarder.refuse(event.request, 200))
        self._cancel_others(context, now=now)

    def _cancel_others(self, context: ResponseContext, *, now: float) -> None:
        if context.received.method == "INVITE":
            for branch in context.open_branches:
                self._cancel(branch, now=now)

    def _cancel(self, branch: Branch, *, now: float) -> None:
        branch.cancelled = True
        self._set_deadline(branch, now + self._settings.cancel_timeout)
        if branch.provisional:
            self._send_cancel(branch)

    def _send_cancel(self, branch: Branch) -> None:
        if not branch.cancel_sent:
            branch.cancel_sent = True
            self._transactions.send_request(cancel(branch.transaction.request), branch.transaction.target)

    # Inside.

    def _set_deadline(self, branch: Branch, deadline: float | None) -> None:
        branch.deadline = deadline
        self._queue.update(branch)

    def _forget(self, transaction: ServerTransaction | ClientTransaction) -> None:
        if isinstance(transaction, ServerTransaction):
            self._contexts.pop(transaction, None)
        else:
            self._branches.pop(transaction, None)


def _without_top_via(response: Response) -> Response:
    """Return the response without our Via; the original stays for the evidence (16.7 step 3)."""
    copy = response.copy()
    copy.remove_first_value("via")
    return copy
