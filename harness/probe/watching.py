"""Takes down what a probe's own connections saw: verdicts and messages, and names for the connections."""

from certs.errors import ConnectionFailed
from certs.verdict import Reason, Verdict
from proxies.observer import ConnectionInfo, Direction


class ProbeObserver:
    """Implements `proxies.observer.Observer` for one probe."""

    def __init__(self) -> None:
        self.verdicts: list[Verdict] = []
        "How handshakes were judged, ours and, under TLS 1.3, the server's late refusal."

    def opened(self, connection: ConnectionInfo) -> None:
        """Take nothing down."""

    def judged(self, connection: ConnectionInfo, verdict: Verdict) -> None:
        """Keep the verdict."""
        self.verdicts.append(verdict)

    def message(self, connection: ConnectionInfo, direction: Direction, wire: bytes) -> None:
        """Take nothing down."""

    def closed(self, connection: ConnectionInfo, why: str) -> None:
        """Take nothing down."""


def describe(local: tuple[str, int], peer: tuple[str, int]) -> ConnectionInfo:
    """Name a connection of the probe."""
    return ConnectionInfo(
        id=f"probe {local[1]}",
        node="probe",
        service="probe",
        listener="outgoing",
        transport="TCP",
        local=(local[0], local[1]),
        peer=(peer[0], peer[1]),
    )


def require_reached(verdicts: list[Verdict]) -> None:
    """Raise ConnectionFailed where nobody listens there: then there is nothing to judge."""
    for verdict in verdicts:
        if verdict.reason is Reason.UNREACHABLE:
            raise ConnectionFailed(f"nobody answers at {verdict.detail}")
