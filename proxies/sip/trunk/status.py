"""Whether a SIP trunk is in service, as its OPTIONS pings tell (Security Guide; CUCM "SIP OPTIONS ping")."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from certs.verdict import Verdict
from proxies.sip.agent.request_sender import RequestOutcome

DOWN: Final = frozenset({408, 503})
"Answers, real ones and those that stand for none, by which the peer is out of service; any other shows it lives."


class ServiceState(StrEnum):
    """The states that the trunk's page shows."""

    UNKNOWN = "Unknown"
    IN_SERVICE = "In Service"
    OUT_OF_SERVICE = "Out of Service"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrunkStatus:
    """A trunk's line on the trunks' page."""

    trunk: str
    "The trunk's name."

    state: ServiceState
    "Whether it can be used; unknown until the first ping has ended."

    since: datetime
    "When it came into this state."

    reason: str = ""
    "Why it is out of service, in words."

    verdict: Verdict | None = None
    "Who refused and why, where a handshake decided."

    def after(self, outcome: RequestOutcome, *, now: datetime) -> "TrunkStatus":
        """Return the status after a ping; the time stays while the state does."""
        down = outcome.status in DOWN
        state = ServiceState.OUT_OF_SERVICE if down else ServiceState.IN_SERVICE
        return TrunkStatus(
            trunk=self.trunk,
            state=state,
            since=self.since if state is self.state else now,
            reason=outcome.reason if down else "",
            verdict=outcome.verdict if down else None,
        )
