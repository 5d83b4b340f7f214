"""A proxy core on a transaction layer, with time and messages moved by hand."""

from collections.abc import Callable, Sequence

from proxies.sip.messages.message import Request, Response, parse_head
from proxies.sip.proxy.forwarding import ProxyCoreSettings
from proxies.sip.proxy.proxy_core import ProxyCore, RouteNeeded, Target
from proxies.sip.transactions.events import ClientTransaction, Outgoing, ServerTransaction
from proxies.sip.transactions.layer import TransactionLayer
from proxies.sip.transport.flow import Destination, Flow, Transport
from tests.proxies.sip.wire import make_flow

PROXY = "127.0.0.1"
BOB = Destination(transport=Transport.TCP, host="127.0.0.3", port=5060)
CAROL = Destination(transport=Transport.TCP, host="127.0.0.4", port=5060)

SETTINGS = ProxyCoreSettings(
    hosts=frozenset({PROXY, "imp1.example.com"}),
    sent_by={Transport.UDP: (PROXY, 5060), Transport.TCP: (PROXY, 5060), Transport.TLS: (PROXY, 5062)},
    ports=frozenset({5060, 5061, 5062}),
    name="imp1.example.com",
)

Router = Callable[[ProxyCore, RouteNeeded], Sequence[Target] | Response]


def to_bob(core: ProxyCore, needed: RouteNeeded) -> Sequence[Target]:
    return [Target(uri="sip:bob@127.0.0.3", destination=BOB)]


def to_both(core: ProxyCore, needed: RouteNeeded) -> Sequence[Target]:
    return [*to_bob(core, needed), Target(uri="sip:bob@127.0.0.4", destination=CAROL)]


class ManualProxy:
    """Takes messages, answers what the router says, and collects what would go out."""

    def __init__(self, router: Router = to_bob, settings: ProxyCoreSettings = SETTINGS) -> None:
        self.now = 0.0
        self.layer = TransactionLayer()
        self.core = ProxyCore(settings, self)
        self.flow = make_flow(Transport.TCP)
        self._router = router
        self.sent: list[Outgoing] = []

    # What the core asks of its transactions.

    def send_request(self, request: Request, destination: Destination | Flow) -> ClientTransaction:
        return self.layer.send_request(request, destination, now=self.now)

    def send_response(self, transaction: ServerTransaction, response: Response) -> None:
        self.layer.send_response(transaction, response, now=self.now)

    def send_stateless(self, message: Request | Response, destination: Destination | Flow) -> None:
        self.layer.send_stateless(message, destination)

    def abandon(self, transaction: ServerTransaction) -> None:
        self.layer.abandon(transaction)

    # What the test does.

    def receive(self, message: Request | Response, flow: Flow | None = None) -> list[Outgoing]:
        """Hand a message in and return what goes out."""
        self.layer.receive_message(message, flow or self.flow, now=self.now)
        return self.pump()

    def fail(self, outgoing: Outgoing, reason: str) -> list[Outgoing]:
        """Report that a message could not be sent."""
        self.layer.delivery_failed(outgoing, reason, now=self.now)
        return self.pump()

    def wait(self, seconds: float) -> list[Outgoing]:
        """Let time pass, timer by timer."""
        end = self.now + seconds
        sent: list[Outgoing] = []
        while True:
            due = [t for t in (self.layer.next_timer(), self.core.next_timer()) if t is not None and t <= end]
            if not due:
                break
            self.now = max(self.now, min(due))
            self.layer.handle_timer(now=self.now)
            self.core.handle_timer(now=self.now)
            sent += self.pump()
        self.now = end
        return sent

    def pump(self) -> list[Outgoing]:
        sent: list[Outgoing] = []
        while True:
            if (outgoing := self.layer.next_output()) is not None:
                sent.append(outgoing)
            elif (event := self.layer.next_event()) is not None:
                self.core.handle_event(event, now=self.now)
                while (needed := self.core.next_event()) is not None:
                    found = self._router(self.core, needed)
                    if isinstance(found, Response):
                        self.core.reply(needed.context, found)
                    else:
                        self.core.forward(needed.context, found, now=self.now)
            else:
                return sent


def request_in(outgoing: Outgoing) -> Request:
    message = parse_head(outgoing.wire.partition(b"\r\n\r\n")[0])
    assert isinstance(message, Request)
    message.body = outgoing.wire.partition(b"\r\n\r\n")[2]
    return message


def response_in(outgoing: Outgoing) -> Response:
    message = parse_head(outgoing.wire.partition(b"\r\n\r\n")[0])
    assert isinstance(message, Response)
    return message
