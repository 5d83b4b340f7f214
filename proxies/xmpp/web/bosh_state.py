"""The states of a BOSH session and the arrows between them (XEP-0124 8, 10, 13)."""

from collections.abc import Mapping
from enum import Enum, auto
from types import MappingProxyType
from typing import Final


class BoshState(Enum):
    """Who waits for whom."""

    HOLDING = auto()
    IDLE = auto()
    PAUSED = auto()
    ENDING = auto()
    OVER = auto()


class BoshSignal(Enum):
    """What takes a session from one state to the next."""

    REQUEST_HELD = auto()
    ALL_ANSWERED = auto()
    PAUSE_ASKED = auto()
    TERMINATED = auto()
    EXPIRED = auto()


_S, _E = BoshState, BoshSignal

TRANSITIONS: Final[Mapping[tuple[BoshState, BoshSignal], BoshState]] = MappingProxyType(
    {
        (_S.IDLE, _E.REQUEST_HELD): _S.HOLDING,
        (_S.PAUSED, _E.REQUEST_HELD): _S.HOLDING,  # the inactivity time is the usual one again (XEP-0124 10)
        (_S.HOLDING, _E.REQUEST_HELD): _S.HOLDING,
        (_S.HOLDING, _E.ALL_ANSWERED): _S.IDLE,
        (_S.HOLDING, _E.PAUSE_ASKED): _S.PAUSED,
        (_S.HOLDING, _E.TERMINATED): _S.ENDING,
        (_S.IDLE, _E.TERMINATED): _S.OVER,  # nobody is there to be told
        (_S.PAUSED, _E.TERMINATED): _S.OVER,
        (_S.ENDING, _E.ALL_ANSWERED): _S.OVER,
        (_S.IDLE, _E.EXPIRED): _S.OVER,
        (_S.PAUSED, _E.EXPIRED): _S.OVER,
    }
)
"One line per arrow. Any other pair is an error."
