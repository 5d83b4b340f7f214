"""The states of a stream and the arrows between them (RFC 6120 4.3, 5.4, 6.4, 7; XEP-0198 5)."""

from collections.abc import Mapping
from enum import Enum, auto
from types import MappingProxyType
from typing import Final


class StreamState(Enum):
    """How far a stream has come; the same on both sides."""

    OPENING = auto()
    NEGOTIATING = auto()
    TLS_REQUESTED = auto()
    SECURING = auto()
    AUTHENTICATING = auto()
    REOPENING = auto()
    AUTHENTICATED = auto()
    BINDING = auto()
    RESUMING = auto()
    ESTABLISHED = auto()
    CLOSING = auto()
    CLOSED = auto()


class StreamSignal(Enum):
    """What takes a stream from one state to the next."""

    OPENED = auto()
    TLS_REQUESTED = auto()
    TLS_PROCEEDED = auto()
    TLS_ESTABLISHED = auto()
    SASL_STARTED = auto()
    SASL_FAILED = auto()
    SASL_SUCCEEDED = auto()
    TRUSTED = auto()
    BIND_REQUESTED = auto()
    BIND_REFUSED = auto()
    BOUND = auto()
    RESUME_REQUESTED = auto()
    RESUME_REFUSED = auto()
    RESUMED = auto()
    CLOSE_SENT = auto()
    ENDED = auto()


_S, _E = StreamState, StreamSignal

TRANSITIONS: Final[Mapping[tuple[StreamState, StreamSignal], StreamState]] = MappingProxyType(
    {
        (_S.OPENING, _E.OPENED): _S.NEGOTIATING,
        (_S.NEGOTIATING, _E.TLS_REQUESTED): _S.TLS_REQUESTED,
        (_S.TLS_REQUESTED, _E.TLS_PROCEEDED): _S.SECURING,
        (_S.SECURING, _E.TLS_ESTABLISHED): _S.OPENING,
        (_S.NEGOTIATING, _E.SASL_STARTED): _S.AUTHENTICATING,
        (_S.AUTHENTICATING, _E.SASL_FAILED): _S.NEGOTIATING,
        (_S.AUTHENTICATING, _E.SASL_SUCCEEDED): _S.REOPENING,
        (_S.REOPENING, _E.OPENED): _S.AUTHENTICATED,
        # No SASL: a component's handshake (XEP-0114 3), dialback (XEP-0220); more domains may follow on one stream.
        (_S.NEGOTIATING, _E.TRUSTED): _S.ESTABLISHED,
        (_S.ESTABLISHED, _E.TRUSTED): _S.ESTABLISHED,
        # A server has nothing to bind.
        (_S.AUTHENTICATED, _E.TRUSTED): _S.ESTABLISHED,
        (_S.AUTHENTICATED, _E.BIND_REQUESTED): _S.BINDING,
        (_S.BINDING, _E.BIND_REFUSED): _S.AUTHENTICATED,
        (_S.BINDING, _E.BOUND): _S.ESTABLISHED,
        (_S.AUTHENTICATED, _E.RESUME_REQUESTED): _S.RESUMING,
        # A server's stream is ready at once, and asks while it is.
        (_S.ESTABLISHED, _E.RESUME_REQUESTED): _S.RESUMING,
        (_S.RESUMING, _E.RESUME_REFUSED): _S.AUTHENTICATED,
        (_S.RESUMING, _E.RESUMED): _S.ESTABLISHED,
        **{(state, _E.CLOSE_SENT): _S.CLOSING for state in _S if state not in (_S.CLOSING, _S.CLOSED)},
        **{(state, _E.ENDED): _S.CLOSED for state in _S},
    }
)
"One line per arrow. Any other pair is an error."

CARRIES_NOTHING_YET: Final = frozenset(_S) - {_S.ESTABLISHED, _S.CLOSING, _S.CLOSED}
"States that a peer may not stay in for long."
