"""What the SIP transports of one service are told. Frozen: a service keeps what it started with."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from certs.errors import ConfigError
from proxies.sip.transport.flow import Transport
from proxies.tls.settings import TlsClientSettings, TlsServerSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class SipListenerSettings:
    """One application listener."""

    name: str
    'Its name, as in "Default Cisco SIP Proxy TLS Listener - Peer Auth".'

    transport: Transport
    "What it takes."

    port: int
    "Its port; 0 lets the system choose, for tests."

    tls: TlsServerSettings | None = None
    "How it shakes hands; set exactly for TLS."

    def __post_init__(self) -> None:
        if (self.transport is Transport.TLS) != (self.tls is not None):
            raise ConfigError(f"listener {self.name!r}: TLS settings belong to TLS and only to it")


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportLimits:
    """Bounds on what peers can take from a service."""

    connections: int = 2048
    "Open stream connections; one more is closed as soon as it is made."

    udp_flows: int = 4096
    "Peers remembered over UDP; the one that was silent longest is forgotten first."

    waiting_messages: int = 1000
    "Messages that wait for one connection to be made; one more fails at once."

    write_buffer: int = 4 * 1024 * 1024
    "Bytes that may wait for a peer that reads slowly; past it the connection is dropped."

    write_stall: float = 10.0
    "Seconds a peer may leave a full socket unread before the connection is dropped."

    idle: float = 600.0
    "Seconds without a whole message before a connection is closed; bytes of a part do not count."

    pong: float = 10.0
    "Seconds in which a keep-alive ping is answered, or its connection has failed (RFC 5626 4.4.1)."

    connecting: float = 5.0
    "Seconds for a TCP connection to be made."


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportSettings:
    """The listeners of one service and how it dials."""

    node: str
    "The node's name in the lab."

    service: str
    "The service's product name, as in Control Center."

    address: str
    "The node's own address: it listens there, and peers see its connections come from there."

    listeners: tuple[SipListenerSettings, ...]
    "Where it listens."

    tls_client: TlsClientSettings | None = None
    "How it shakes hands when it dials; None dials no TLS."

    tls_client_by_peer: Mapping[tuple[str, int], TlsClientSettings] = field(
        default_factory=lambda: MappingProxyType({})
    )
    "Peers (host and port as in the destination) that need settings of their own."

    limits: TransportLimits = field(default_factory=TransportLimits)
    "Bounds on what peers can take."

    datagram_limit: int = 1300
    "A request longer than this goes over TCP instead of UDP (RFC 3261 18.1.1)."

    ping_interval: float | None = None
    "Seconds between our keep-alive pings on connections we dialled (RFC 5626 4.4.1); None sends none."
