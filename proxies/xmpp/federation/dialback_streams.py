"""Server dialback without sockets (XEP-0220): who asks to send for a domain is called back at that domain.

A stream has one of two objects, each with two tasks. On the stream that we opened we ask to be let in (as
initiating server) and have others' keys verified (as receiving server). On the stream that the peer opened we are
asked both (as receiving and as authoritative server). One stream serves many domain pairs.
"""

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from types import MappingProxyType
from typing import Final

from certs.errors import LocalProtocolError, RemoteProtocolError
from proxies.xmpp.conditions import StanzaErrorCondition, StreamErrorCondition
from proxies.xmpp.federation.dialback import (
    DialbackElement,
    DialbackOutcome,
    DialbackTask,
    DomainPair,
    dialback_error,
    make_dialback_key,
)
from proxies.xmpp.stanza import Nonza

MAXIMUM_PAIRS: Final = 256
"Domain pairs that one stream may carry, and verifications that may be under way on it."


class PairState(Enum):
    """How far a domain pair has come on one stream."""

    UNKNOWN = auto()
    REQUESTED = auto()
    VERIFIED = auto()
    REFUSED = auto()


_REQUEST: Final = "request"

# XEP-0220 1.3 and 2.1.1, one line per arrow. A refused pair may ask again; a verified one stays so.
TRANSITIONS: Final[Mapping[tuple[PairState, str], PairState]] = MappingProxyType(
    {
        (PairState.UNKNOWN, _REQUEST): PairState.REQUESTED,
        (PairState.REFUSED, _REQUEST): PairState.REQUESTED,
        (PairState.REQUESTED, DialbackOutcome.VALID): PairState.VERIFIED,
        (PairState.REQUESTED, DialbackOutcome.INVALID): PairState.REFUSED,
        (PairState.REQUESTED, DialbackOutcome.ERROR): PairState.REFUSED,
    }
)


class _Pairs:
    """The domain pairs of one stream."""

    def __init__(self) -> None:
        self._states: dict[DomainPair, PairState] = {}

    def state(self, pair: DomainPair) -> PairState:
        return self._states.get(pair, PairState.UNKNOWN)

    def can_request(self, pair: DomainPair) -> bool:
        has_room = pair in self._states or len(self._states) < MAXIMUM_PAIRS
        return has_room and (self.state(pair), _REQUEST) in TRANSITIONS

    def targets(self) -> set[str]:
        return {pair.target_domain for pair in self._states}

    def requested(self) -> list[DomainPair]:
        return [pair for pair, state in self._states.items() if state is PairState.REQUESTED]

    def move(self, pair: DomainPair, step: str) -> None:
        state = TRANSITIONS.get((self.state(pair), step))
        if state is None:
            raise LocalProtocolError(f"{step} is not allowed for {pair}, which is {self.state(pair).name}")
        self._states[pair] = state


# The stream that we opened


@dataclass(frozen=True, slots=True)
class PairAccepted:
    """The receiving server lets us send for the pair."""

    pair: DomainPair
    "Which."


@dataclass(frozen=True, slots=True)
class PairRefused:
    """The receiving server does not let us send for the pair; what waits is to be bounced."""

    pair: DomainPair
    "Which."

    bounce: StanzaErrorCondition
    "The error for the stanzas that wait (XEP-0220 2.1.1)."

    detail: str
    "For the ledger, with Reason.DIALBACK_FAILED."


@dataclass(frozen=True, slots=True)
class KeyConfirmed:
    """The authoritative server knows the key: the pair may be accepted on the stream where it was asked for."""

    pair: DomainPair
    "Which."

    stream_id: str
    "The id of that stream."


@dataclass(frozen=True, slots=True)
class KeyRefused:
    """The authoritative server does not know the key, or nobody could say."""

    pair: DomainPair
    "Which."

    stream_id: str
    "The id of the stream on which the pair was asked for."

    answer: StanzaErrorCondition | None
    "What to refuse the pair with there; None for an invalid key."

    detail: str
    "For the ledger, with Reason.DIALBACK_FAILED."


OutboundEvent = PairAccepted | PairRefused | KeyConfirmed | KeyRefused
"What the answer to one of our requests means."


class OutboundDialback:
    """Dialback on a stream that we opened (XEP-0220 2.1)."""

    def __init__(self, secret: str, *, stream_id: str, peer_handles_errors: bool) -> None:
        """Begin on a stream: its id is the peer's, and so is the feature that says it handles errors."""
        self._secret = secret
        self._stream_id = stream_id
        self._peer_handles_errors = peer_handles_errors
        self._pairs = _Pairs()
        self._verifications: set[tuple[DomainPair, str]] = set()

    def is_verified(self, pair: DomainPair) -> bool:
        """Whether stanzas of the pair may be sent on this stream."""
        return self._pairs.state(pair) is PairState.VERIFIED

    def can_request(self, pair: DomainPair) -> bool:
        """Whether the pair may be asked for here: another target domain needs a peer that handles errors."""
        targets = self._pairs.targets()
        may_share = self._peer_handles_errors or not targets or pair.target_domain in targets
        return may_share and self._pairs.can_request(pair)

    def request(self, pair: DomainPair) -> Nonza:
        """Return the element that asks to send for a pair (step 1)."""
        if not self.can_request(pair):
            raise LocalProtocolError(
                f"{pair} cannot be asked for on this stream (XEP-0220 2.5), where it is "
                f"{self._pairs.state(pair).name}"
            )
        self._pairs.move(pair, _REQUEST)
        return DialbackElement(
            task=DialbackTask.RESULT,
            from_domain=pair.sender_domain,
            to_domain=pair.target_domain,
            key=make_dialback_key(self._secret, pair, self._stream_id),
        ).encode()

    def verify(self, pair: DomainPair, stream_id: str, key: str) -> Nonza:
        """Return the element that has a key verified (step 2), which came on the stream with the id."""
        if len(self._verifications) >= MAXIMUM_PAIRS or (pair, stream_id) in self._verifications:
            raise LocalProtocolError(f"{pair} cannot be verified on this stream now")
        self._verifications.add((pair, stream_id))
        return DialbackElement(
            task=DialbackTask.VERIFY,
            from_domain=pair.target_domain,
            to_domain=pair.sender_domain,
            stream_id=stream_id,
            key=key,
        ).encode()

    def receive_nonza(self, nonza: Nonza) -> OutboundEvent:
        """Take an answer.

        Raises RemoteProtocolError with a stream error where nobody asked for it (XEP-0220 3.1).
        """
        element = DialbackElement.parse(nonza)
        if element.outcome is None:
            raise dialback_error(
                StreamErrorCondition.INVALID_FROM,
                f"<db:{element.task}/> that asks, on the stream that we opened",
            )
        if element.task is DialbackTask.RESULT:
            return self._receive_result(element, element.outcome)
        return self._receive_verification(element, element.outcome)

    def close(self) -> tuple[PairRefused | KeyRefused, ...]:
        """Take the end of the stream, which answers nothing: return what has failed by it."""
        pairs = self._pairs.requested()
        verifications, self._verifications = self._verifications, set()
        for pair in pairs:
            self._pairs.move(pair, DialbackOutcome.ERROR)
        timeout, detail = StanzaErrorCondition.REMOTE_SERVER_TIMEOUT, "the stream ended without an answer"
        return (
            *(PairRefused(pair, timeout, detail) for pair in pairs),
            *(KeyRefused(pair, stream_id, timeout, detail) for pair, stream_id in verifications),
        )

    def _receive_result(self, element: DialbackElement, outcome: DialbackOutcome) -> OutboundEvent:
        pair = DomainPair(element.to_domain, element.from_domain)
        if self._pairs.state(pair) is not PairState.REQUESTED:
            raise _unsolicited(element)
        self._pairs.move(pair, outcome)
        match outcome:
            case DialbackOutcome.VALID:
                return PairAccepted(pair)
            case DialbackOutcome.INVALID:
                return PairRefused(
                    pair, StanzaErrorCondition.INTERNAL_SERVER_ERROR, "the peer says our key is invalid"
                )
            case DialbackOutcome.ERROR:
                return PairRefused(
                    pair, StanzaErrorCondition.REMOTE_SERVER_TIMEOUT, f"the peer says {element.condition}"
                )

    def _receive_verification(self, element: DialbackElement, outcome: DialbackOutcome) -> OutboundEvent:
        pair = DomainPair(element.from_domain, element.to_domain)
        if (pair, element.stream_id) not in self._verifications:
            raise _unsolicited(element)
        self._verifications.discard((pair, element.stream_id))
        match outcome:
            case DialbackOutcome.VALID:
                return KeyConfirmed(pair, element.stream_id)
            case DialbackOutcome.INVALID:
                return KeyRefused(
                    pair, element.stream_id, None, f"{pair.sender_domain} says the key is not its own"
                )
            case DialbackOutcome.ERROR:
                return KeyRefused(
                    pair,
                    element.stream_id,
                    StanzaErrorCondition.REMOTE_SERVER_NOT_FOUND,  # whatever it was, XEP-0220 2.4
                    f"{pair.sender_domain} says {element.condition}",
                )


# The stream that the peer opened


@dataclass(frozen=True, slots=True)
class AuthorizationRequested:
    """The peer wants to send for a pair: have the key verified, then accept or refuse."""

    pair: DomainPair
    "Which. Its sender domain leads to the authoritative server."

    key: str = field(repr=False)
    "To be verified together with this stream's id."


@dataclass(frozen=True, slots=True)
class RequestAnswered:
    """The peer asked what we know ourselves."""

    task: DialbackTask
    "What it asked for."

    pair: DomainPair
    "For which pair."

    outcome: DialbackOutcome
    "What we answered."

    answer: Nonza
    "The answer to send."


InboundEvent = AuthorizationRequested | RequestAnswered
"What a request of the peer asks us to do."


class InboundDialback:
    """Dialback on a stream that the peer opened (XEP-0220 2.2)."""

    def __init__(self, secret: str, *, stream_id: str, is_local: Callable[[str], bool]) -> None:
        """Begin on a stream: its id is ours; `is_local` says which domains we serve."""
        self._secret = secret
        self.stream_id = stream_id
        "The id that a verification names."
        self._is_local = is_local
        self._pairs = _Pairs()

    def is_verified(self, pair: DomainPair) -> bool:
        """Whether stanzas of the pair may be taken from this stream."""
        return self._pairs.state(pair) is PairState.VERIFIED

    def receive_nonza(self, nonza: Nonza) -> InboundEvent:
        """Take a request.

        Raises RemoteProtocolError with a stream error for an answer, which nobody asked for here.
        """
        element = DialbackElement.parse(nonza)
        if element.outcome is not None:
            raise _unsolicited(element)
        if element.task is DialbackTask.VERIFY:
            return self._receive_verification(element)
        return self._receive_request(element)

    def accept(self, pair: DomainPair) -> Nonza:
        """Let the peer send for a pair it asked for; return the answer (step 4)."""
        return self._answer(pair, DialbackOutcome.VALID)

    def refuse(self, pair: DomainPair, condition: StanzaErrorCondition | None) -> Nonza:
        """Refuse a pair that the peer asked for; return the answer (step 4).

        Without a condition the key was invalid: send the answer, then close the stream (XEP-0220 2.2.1).
        """
        outcome = DialbackOutcome.ERROR if condition is not None else DialbackOutcome.INVALID
        return self._answer(pair, outcome, condition)

    def _answer(
        self, pair: DomainPair, outcome: DialbackOutcome, condition: StanzaErrorCondition | None = None
    ) -> Nonza:
        self._pairs.move(pair, outcome)
        return DialbackElement(
            task=DialbackTask.RESULT,
            from_domain=pair.target_domain,
            to_domain=pair.sender_domain,
            outcome=outcome,
            condition=condition,
        ).encode()

    def _receive_request(self, element: DialbackElement) -> InboundEvent:
        pair = DomainPair(element.from_domain, element.to_domain)
        if not self._is_local(pair.target_domain):
            return _answered(element, pair, DialbackOutcome.ERROR, StanzaErrorCondition.ITEM_NOT_FOUND)
        if self.is_verified(pair):
            return _answered(element, pair, DialbackOutcome.VALID)
        if not self._pairs.can_request(pair):
            # One call back at a time for a pair, and a bounded number of pairs: each costs us a connection.
            return _answered(element, pair, DialbackOutcome.ERROR, StanzaErrorCondition.RESOURCE_CONSTRAINT)
        self._pairs.move(pair, _REQUEST)
        return AuthorizationRequested(pair, element.key)

    def _receive_verification(self, element: DialbackElement) -> InboundEvent:
        pair = DomainPair(element.to_domain, element.from_domain)
        if not self._is_local(pair.sender_domain):
            return _answered(element, pair, DialbackOutcome.ERROR, StanzaErrorCondition.ITEM_NOT_FOUND)
        expected = make_dialback_key(self._secret, pair, element.stream_id)
        is_ours = hmac.compare_digest(expected.encode(), element.key.encode())
        return _answered(element, pair, DialbackOutcome.VALID if is_ours else DialbackOutcome.INVALID)


def _answered(
    request: DialbackElement,
    pair: DomainPair,
    outcome: DialbackOutcome,
    condition: StanzaErrorCondition | None = None,
) -> RequestAnswered:
    return RequestAnswered(request.task, pair, outcome, request.answer(outcome, condition).encode())


def _unsolicited(element: DialbackElement) -> RemoteProtocolError:
    return dialback_error(
        StreamErrorCondition.INVALID_FROM,
        f"<db:{element.task} from={element.from_domain!r} to={element.to_domain!r}/> answers no request of "
        "this stream",
    )
