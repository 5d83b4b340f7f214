"""What a stateful proxy keeps of a request while it is answered (RFC 3261 16.2, 16.7)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from proxies.sip.messages.message import Request, Response, split_first
from proxies.sip.messages.routing_uri import address_of
from proxies.sip.transactions.events import ClientTransaction, ServerTransaction
from proxies.sip.transport.flow import Flow

_CHALLENGES: Final = ("www-authenticate", "proxy-authenticate")

_PREFERRED: Final = frozenset({401, 407, 415, 420, 484})
"Responses that tell the client how to try again (16.7 step 6)."


@dataclass(slots=True, eq=False)
class Branch:
    """One target of a request."""

    context: "ResponseContext"
    "The request's context."

    transaction: ClientTransaction
    "The transaction with the target."

    final: Response | None = None
    "Its final response, or the one that stands for it; None while it is open."

    cancelled: bool = False
    "Whether it is to end; the CANCEL goes out once a provisional response has come (9.1)."

    cancel_sent: bool = False
    "Whether the CANCEL is out."

    provisional: bool = False
    "Whether a provisional response has come."

    deadline: float | None = None
    "When Timer C fires, or when a cancelled INVITE is given up."

    timer: tuple[float, int] | None = None
    "Its entry in the proxy's timers."

    def next_timer(self) -> float | None:
        """Return when the branch is given up."""
        return self.deadline


@dataclass(slots=True, eq=False)
class ResponseContext:
    """A request that is being routed. Whoever routes it reads it; the proxy core alone changes it."""

    transaction: ServerTransaction | None
    "The request's server transaction; None for an ACK."

    received: Request
    "The request as it came."

    request: Request
    "The request without the Route values that led here; the copies are made of it."

    flow: Flow
    "The way it came by."

    branches: list[Branch] = field(default_factory=list)
    "Its targets."

    answered: bool = False
    "Whether a final response went upstream."

    @property
    def next_hop(self) -> str:
        """The URI that says where to send: the first Route value, or the Request-URI (16.6 step 7)."""
        route = self.request.header("route")
        return self.request.uri if route is None else address_of(split_first(route)[0])

    @property
    def open_branches(self) -> list[Branch]:
        """The targets that have not answered finally."""
        return [branch for branch in self.branches if branch.final is None]


def best_response(responses: Sequence[Response]) -> Response:
    """Return the final response that goes upstream: a 6xx, or else one of the lowest class (16.7 step 6).

    Challenges of the other targets are added to a 401 or 407 (step 7).
    """
    best = min(responses, key=_rank)
    if best.status in (401, 407):
        merged = best.copy()
        for other in responses:
            if other is not best and other.status in (401, 407):
                _add_challenges(merged, other)
        return merged
    return best


def _add_challenges(best: Response, other: Response) -> None:
    have = {challenge.raw for challenge in best.fields}
    best.fields.extend(
        challenge for challenge in other.fields if challenge.name in _CHALLENGES and challenge.raw not in have
    )


def _rank(response: Response) -> tuple[int, int]:
    status = response.status
    if status >= 600:
        return 0, 0
    if status in _PREFERRED:
        return status // 100, 0
    return status // 100, 2 if status in (408, 503) else 1
