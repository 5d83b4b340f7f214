"""What a service tells the world about its connections: the seam between the proxies and the evidence.

Calls are cheap and never fail: an observer appends, and formats later.
"""

import itertools
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from certs.verdict import Verdict

_CONNECTION_NUMBERS: Final = itertools.count(1)


def next_connection_number() -> int:
    """Return the number that the next connection's id ends with: a service that was restarted does not begin anew."""
    return next(_CONNECTION_NUMBERS)


class Direction(StrEnum):
    """Seen from the node that observes."""

    RECEIVED = "received"
    SENT = "sent"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionInfo:
    """Names one connection (or, for UDP, one pair of addresses) in the evidence."""

    id: str
    "Unique within the run: node, service and a number, as `imp1 sip-proxy 17`."

    node: str
    "The lab's name of the node that observes; for a user agent its name."

    service: str
    "The product's name of the service, as in Control Center."

    listener: str
    "The application listener's name, or `outgoing`."

    transport: str
    "`UDP`, `TCP` or `TLS`."

    local: tuple[str, int]
    "Our address and port."

    peer: tuple[str, int]
    "The other end's address and port."


class WireTap(Protocol):
    """Takes the bytes themselves as they cross sockets, for a capture: of TLS the records, not what is in them."""

    secrets_file: str | None
    "Where OpenSSL appends the secrets of handshakes, in the form of NSS key logs; None where it must not."

    def crossed(self, connection: ConnectionInfo, direction: Direction, data: bytes) -> None:
        """Bytes of a TCP connection crossed its socket."""
        ...

    def datagram(
        self, connection: ConnectionInfo, direction: Direction, data: bytes, peer: tuple[str, int]
    ) -> None:
        """A datagram crossed its socket; `peer` is where it came from or went to."""
        ...


class Observer(Protocol):
    """Takes what happens on sockets; the harness's ledger implements it."""

    def opened(self, connection: ConnectionInfo) -> None:
        """A connection was accepted or made; for TLS before the handshake."""
        ...

    def judged(self, connection: ConnectionInfo, verdict: Verdict) -> None:
        """A handshake ended, or a service let a request in or refused it."""
        ...

    def message(self, connection: ConnectionInfo, direction: Direction, wire: bytes) -> None:
        """A whole message crossed the socket (after decryption)."""
        ...

    def closed(self, connection: ConnectionInfo, why: str) -> None:
        """A connection ended."""
        ...


def tap_of(observer: Observer) -> WireTap | None:
    """Return an observer's `tap`, which most have not: who wants the bytes as well.

    Does not change while the observer is in use.
    """
    tap: WireTap | None = getattr(observer, "tap", None)
    return tap


class NullObserver:
    """Looks away."""

    def opened(self, connection: ConnectionInfo) -> None:
        """Take nothing down."""

    def judged(self, connection: ConnectionInfo, verdict: Verdict) -> None:
        """Take nothing down."""

    def message(self, connection: ConnectionInfo, direction: Direction, wire: bytes) -> None:
        """Take nothing down."""

    def closed(self, connection: ConnectionInfo, why: str) -> None:
        """Take nothing down."""
