"""The timers of SIP transactions (RFC 3261 17 and table 4, RFC 6026 7)."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionTimers:
    """The base values in seconds; every lettered timer follows from them."""

    t1: float = 0.5
    "Estimate of the round-trip time."

    t2: float = 4.0
    "The longest time between retransmissions of a non-INVITE request or of a response to INVITE."

    t4: float = 5.0
    "The longest time a message stays in the network."

    timer_d: float = 32.0
    "How long a client absorbs repeated failure responses to INVITE over UDP; at least the servers' Timer H."

    trying: float = 0.2
    "How long the user of an INVITE server transaction may take before it sends 100 by itself (17.2.1)."

    @property
    def timeout(self) -> float:
        """64*T1: the timers B, F, H, J over UDP, L and M."""
        return 64 * self.t1


DEFAULT_TIMERS: Final = TransactionTimers()
"The values of RFC 3261."
