"""What a transaction layer and its user, a proxy core or a user agent, tell each other."""

from dataclasses import dataclass, field

from certs.verdict import Verdict
from proxies.sip.messages.message import Request, Response
from proxies.sip.transactions.client_transactions import InviteClientTransaction, NonInviteClientTransaction
from proxies.sip.transactions.matching import Key
from proxies.sip.transactions.server_transactions import InviteServerTransaction, NonInviteServerTransaction
from proxies.sip.transport.flow import Destination, Flow


@dataclass(slots=True, eq=False, kw_only=True)
class ServerTransaction:
    """A request that came in and is to be answered. Its user reads it; the layer alone changes it."""

    machine: InviteServerTransaction | NonInviteServerTransaction
    "Its state machine."

    request: Request
    "The request as it came, with `received` and `rport` in its topmost Via."

    flow: Flow
    "The way it came by; responses go back there."

    keys: list[Key]
    "Under what the layer finds it."

    timer: tuple[float, int] | None = None
    "Its entry in the layer's timers."

    def next_timer(self) -> float | None:
        """Return when its machine's next timer is due, or None."""
        return self.machine.next_timer()

    def __repr__(self) -> str:
        return f"<ServerTransaction {self.request.method} {self.machine.state.name}>"


@dataclass(slots=True, eq=False, kw_only=True)
class ClientTransaction:
    """A request that we sent. Its user reads it; the layer alone changes it."""

    machine: InviteClientTransaction | NonInviteClientTransaction
    "Its state machine."

    request: Request
    "The request as it was sent."

    target: Destination | Flow
    "Where it was sent; the flow, once the transport said which one carries it. ACK and CANCEL go there too."

    keys: list[Key]
    "Under what the layer finds it."

    timer: tuple[float, int] | None = None
    "Its entry in the layer's timers."

    def next_timer(self) -> float | None:
        """Return when its machine's next timer is due, or None."""
        return self.machine.next_timer()

    def __repr__(self) -> str:
        return f"<ClientTransaction {self.request.method} {self.machine.state.name}>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A message that the transport must send now."""

    wire: bytes = field(repr=False)
    "Its bytes."

    destination: Destination | Flow
    "Where to."

    transaction: ServerTransaction | ClientTransaction | None
    "Whose it is; None for what is sent without one (ACK for 2xx, stateless answers)."


@dataclass(frozen=True, slots=True)
class RequestReceived:
    """A new request; it is handed up once, however often it comes."""

    transaction: ServerTransaction
    "Answers it."

    request: Request
    "The request."

    flow: Flow
    "The way it came by."


@dataclass(frozen=True, slots=True)
class AckReceived:
    """An ACK for a 2xx response: it belongs to a dialog, not to a transaction (17.2.3, RFC 6026 7.1)."""

    request: Request
    "The ACK."

    flow: Flow
    "The way it came by."


@dataclass(frozen=True, slots=True)
class CancelReceived:
    """A CANCEL; the user answers it by 200 or, where it cancels nothing, 481 (9.2)."""

    transaction: ServerTransaction
    "The CANCEL's own transaction."

    cancelled: ServerTransaction | None
    "The INVITE that it cancels, if that is known."

    request: Request
    "The CANCEL."

    flow: Flow
    "The way it came by."


@dataclass(frozen=True, slots=True)
class ResponseReceived:
    """A response that is no retransmission, or a 2xx for INVITE, each of which goes up (RFC 6026 7.2)."""

    transaction: ClientTransaction
    "What it answers."

    response: Response
    "The response."

    flow: Flow
    "The way it came by."


@dataclass(frozen=True, slots=True)
class StrayResponse:
    """A response that matches no transaction; it must not be forwarded (RFC 6026 6)."""

    response: Response
    "The response."

    flow: Flow
    "The way it came by."


@dataclass(frozen=True, slots=True)
class TransactionTimedOut:
    """The peer did not answer, or did not acknowledge (Timer B, F or H)."""

    transaction: ServerTransaction | ClientTransaction
    "What ended."


@dataclass(frozen=True, slots=True)
class TransportFailed:
    """A message could not be sent (17.1.4, 17.2.4)."""

    transaction: ServerTransaction | ClientTransaction
    "What ended."

    reason: str
    "Why, in words."

    verdict: Verdict | None
    "How the peer was judged, where that is why."


@dataclass(frozen=True, slots=True)
class TransactionTerminated:
    """A transaction is over; the layer has forgotten it."""

    transaction: ServerTransaction | ClientTransaction
    "Which."


LayerEvent = (
    RequestReceived
    | AckReceived
    | CancelReceived
    | ResponseReceived
    | StrayResponse
    | TransactionTimedOut
    | TransportFailed
    | TransactionTerminated
)
"All that a transaction layer tells its user."
