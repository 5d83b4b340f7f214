"""What nodes and clusters know of each other, as values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from certs.errors import ConfigError
from harness.plan.topology import conference_domain


@dataclass(frozen=True, slots=True, kw_only=True)
class XmppNode:
    """A node as routers know it."""

    fqdn: str
    "Its full name."

    cluster: str
    "Its cluster's name."

    number: int
    "Its place in the cluster; the publisher is 1."

    domain: str
    "The presence domain of its cluster."

    address: str
    "Where its router listens."

    router_port: int
    "On which port."

    certificate: str
    "Its `cup-xmpp` certificate in PEM."

    @property
    def conference_domain(self) -> str:
        """The domain of its text conferences, made as the product makes it."""
        return conference_domain(self.number, self.cluster, self.domain)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterData:
    """What one cluster tells another one by the Intercluster Sync Agent."""

    cluster: str
    "The cluster's name."

    nodes: tuple[XmppNode, ...]
    "Its nodes with their XMPP certificates."

    users: Mapping[str, str]
    "Its users with the full names of their home nodes."


@dataclass(frozen=True, slots=True, kw_only=True)
class InterclusterPeer:
    """A line of Presence > Inter-Clustering."""

    address: str
    "Peer Address: the full name of the peer cluster's publisher, which its `tomcat` certificate carries."

    port: int = 8443
    "Where its Cisco Tomcat listens."

    axl_user: str
    "Username of the AXL application account on the peer."

    axl_password: str = field(repr=False)
    "Its password."

    def __post_init__(self) -> None:
        if not self.address.strip():
            raise ConfigError("Peer Address: expected the full name of the peer's publisher, seen nothing")
        if not self.axl_user:
            raise ConfigError("Username: expected the AXL application account of the peer, seen nothing")
        if not 0 < self.port < 65536:
            raise ConfigError(f"Port: expected a port, seen {self.port}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerStatus:
    """How synchronising with a peer goes: a line of the System Troubleshooter."""

    address: str
    "Peer Address."

    cluster: str = ""
    "The peer cluster's name; empty before the first synchronisation."

    synchronised_at: datetime | None = None
    "When its data were last taken over; None before the first time."

    reason: str = ""
    "Why the last attempt failed, in the words of verdicts; empty where no verdict was made, and where it succeeded."

    error: str = ""
    "What went wrong at the last attempt; empty where it succeeded."

    remedy: str = ""
    "What mends that."

    duplicate_users: tuple[str, ...] = ()
    "Users whom the peer has and somebody else too: this cluster's own, or another peer's."

    nodes: int = 0
    "How many nodes it has told of."

    users: int = 0
    "How many users it has told of."

    @property
    def is_synchronised(self) -> bool:
        """Whether the last attempt succeeded."""
        return self.synchronised_at is not None and not self.error
