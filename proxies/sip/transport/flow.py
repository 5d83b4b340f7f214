"""Where a SIP message came from and where one is to go, without a socket in sight.

A `Flow` is an open way to a peer (a connection, or a pair of addresses over UDP); a `Destination` says where
to send when no flow is chosen yet. The cores pass them around; only `proxies.sip.transport.transport` knows what is
behind them.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from certs.verdict import Verdict
from proxies.observer import ConnectionInfo


class Transport(StrEnum):
    """The transports of the lab, by their names in Via."""

    UDP = "UDP"
    TCP = "TCP"
    TLS = "TLS"

    @property
    def reliable(self) -> bool:
        """Whether retransmissions are the transport's work (RFC 3261 17)."""
        return self is not Transport.UDP

    @property
    def default_port(self) -> int:
        """The port that a Via or URI means when it names none (RFC 3261 18.1.1, 19.1.2)."""
        return 5061 if self is Transport.TLS else 5060


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Flow:
    """One open way to a peer (RFC 5626 3.1). Compared by identity: a new connection is a new flow."""

    connection: ConnectionInfo
    "Names it in the evidence."

    transport: Transport
    "What carries it."

    local: tuple[str, int]
    "Our address and port."

    peer: tuple[str, int]
    "The peer's address and port."

    verdict: Verdict | None = field(default=None, repr=False)
    "How the TLS handshake was judged, with the peer's chain; None without TLS."


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where to send a request for which no flow is chosen (RFC 3263 4)."""

    transport: Transport
    "What to send over."

    host: str
    "An address or a name of the lab."

    port: int
    "The port."

    server_name: str = ""
    "Over TLS: the name that the peer's certificate must carry (RFC 5922 7.3); empty checks none."

    def __str__(self) -> str:
        return f"{self.transport} {self.host}:{self.port}"
