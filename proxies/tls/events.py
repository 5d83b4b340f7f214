"""What one end of a TLS connection can report."""

from dataclasses import dataclass, field

from certs.verdict import Verdict


@dataclass(frozen=True, slots=True)
class HandshakeCompleted:
    """The handshake is done on our side. Under TLS 1.3 the server may still refuse the client."""

    verdict: Verdict
    "Accepted, with the peer's chain."


@dataclass(frozen=True, slots=True)
class HandshakeFailed:
    """The handshake is over without a connection; what is to send holds our alert, if we refused."""

    verdict: Verdict
    "Who refused, why, and what was presented."


@dataclass(frozen=True, slots=True)
class DataReceived:
    """Application data."""

    data: bytes = field(repr=False)
    "Decrypted."


@dataclass(frozen=True, slots=True)
class PeerRefused:
    """The peer sent a fatal alert after our handshake was done (RFC 8446 6.2)."""

    verdict: Verdict
    "PEER_ALERT with the alert's name."


@dataclass(frozen=True, slots=True)
class PeerClosed:
    """The peer will send no more."""

    clean: bool
    "Whether it said so by close_notify; otherwise data may be cut (RFC 8446 6.1)."


TlsEvent = HandshakeCompleted | HandshakeFailed | DataReceived | PeerRefused | PeerClosed
