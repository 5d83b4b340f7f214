"""What the Cisco SIP Proxy is told when it starts (System > Security, System > Topology, Static Routes)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from certs.credential import Credential
from certs.errors import ConfigError
from certs.purposes import ServiceName
from proxies.sip.proxy.forwarding import ProxyCoreSettings
from proxies.sip.proxy.registrar import RegistrationLimits
from proxies.sip.transactions.timers import DEFAULT_TIMERS, TransactionTimers
from proxies.sip.transport.flow import Destination, Transport
from proxies.sip.transport.settings import SipListenerSettings, TransportLimits, TransportSettings
from proxies.tls.settings import TlsClientSettings, TlsServerSettings, TlsVersion, TrustPolicy

PEER_AUTH_LISTENER: Final = "Default Cisco SIP Proxy TLS Listener - Peer Auth"
SERVER_AUTH_LISTENER: Final = "Default Cisco SIP Proxy TLS Listener - Server Auth"
TCP_LISTENER: Final = "Default Cisco SIP Proxy TCP Listener"
UDP_LISTENER: Final = "Default Cisco SIP Proxy UDP Listener"


class RouteType(StrEnum):
    """What a static route's destination pattern is compared with."""

    USER = "user"
    DOMAIN = "domain"


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticRoute:
    """One row of Presence > Routing > Static Routes, as for a CUCM trunk."""

    destination_pattern: str
    "A user (`.` is any character, `*` any number of them), or a domain from its end: `.com.example.*`."

    next_hop: Destination
    "Where its requests go; over TLS with the name that the peer's certificate must carry."

    route_type: RouteType = RouteType.USER
    "What the pattern means."

    priority: int = 1
    "The lowest number of those that match wins."


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterNode:
    """Another node of the cluster."""

    name: str
    "Its name in the topology."

    fqdn: str
    "The name in its certificate."

    address: str
    "Its address."

    sip_port: int = 5060
    "Where its SIP proxy takes TCP."

    peer_auth_port: int = 5062
    "Where its SIP proxy takes peer-authenticated TLS."


@dataclass(frozen=True, slots=True, kw_only=True)
class SipProxySettings:
    """One node's SIP proxy. Frozen: it keeps them until it restarts (G15)."""

    node: str
    "The node's name in the topology."

    fqdn: str
    "The node's full name, as in its certificate."

    address: str
    "The node's address."

    domains: frozenset[str]
    "The domains whose users the cluster has, in lower case."

    credential: Credential = field(repr=False)
    "The `cup` certificate: for peers that authenticate themselves, and for dialling (G03)."

    server_auth_credential: Credential = field(repr=False)
    "The `tomcat` certificate: what the listener without peer authentication shows to SIP clients (G02)."

    trust: TrustPolicy
    "`cup-trust` and the selected peer subjects of the peer-authenticated TLS context (G03, G19)."

    sip_port: int = 5060
    "UDP and TCP."

    server_auth_port: int = 5061
    "TLS with server authentication only."

    peer_auth_port: int = 5062
    "TLS with peer authentication."

    tls_ciphers: str = ""
    "The selected TLS ciphers of the TLS context; empty for the library's default."

    tls_minimum_version: TlsVersion = TlsVersion.TLS_1_2
    "The lowest version of TLS."

    tls_maximum_version: TlsVersion = TlsVersion.TLS_1_3
    "The highest version of TLS."

    incoming_access_list: tuple[str, ...] = ()
    """Who may send requests without a certificate: addresses, networks, host names, domains, or ALL.

    Empty, as on a fresh product, lets in only peers that TLS has authenticated, and the cluster's own nodes.
    """

    digest_passwords: Mapping[str, str] | None = field(default=None, repr=False)
    """The password of each user, where clients that TLS has not authenticated must prove whom they send for.

    None, as on a fresh product, asks nobody.
    """

    users: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    "The home node's name of each user of the domains."

    cluster_nodes: tuple[ClusterNode, ...] = ()
    "The other nodes of the cluster."

    proxy_to_proxy_transport: Transport = Transport.TLS
    "SIP intra-cluster proxy-to-proxy transport protocol: TLS or TCP (G20)."

    static_routes: tuple[StaticRoute, ...] = ()
    "Where requests for other domains and for lines of CUCM go."

    presence_engine: Destination | None = None
    "The node's own presence engine; None leaves presence to the users' clients."

    registration: RegistrationLimits = field(default_factory=RegistrationLimits)
    "Bounds of registrations."

    limits: TransportLimits = field(default_factory=TransportLimits)
    "Bounds of connections."

    timers: TransactionTimers = DEFAULT_TIMERS
    "The transactions' timers."

    timer_c: float = 181.0
    "Seconds that an INVITE may ring."

    def __post_init__(self) -> None:
        if self.proxy_to_proxy_transport is Transport.UDP:
            raise ConfigError("proxy_to_proxy_transport: UDP is not offered, TLS and TCP are")
        known = {self.node, *(node.name for node in self.cluster_nodes)}
        for user, home in self.users.items():
            if home not in known:
                raise ConfigError(
                    f"users: the home node {home!r} of {user!r} is not in the cluster of {sorted(known)}"
                )

    def for_core(self) -> ProxyCoreSettings:
        """Return what the proxy core needs."""
        return ProxyCoreSettings(
            hosts=frozenset({self.fqdn.lower(), self.address}),
            sent_by={
                Transport.UDP: (self.address, self.sip_port),
                Transport.TCP: (self.address, self.sip_port),
                Transport.TLS: (self.address, self.peer_auth_port),
            },
            ports=frozenset({self.sip_port, self.server_auth_port, self.peer_auth_port}),
            name=self.fqdn,
            timer_c=self.timer_c,
            cancel_timeout=self.timers.timeout,
        )

    def for_transport(self) -> TransportSettings:
        """Return the listeners and how the proxy dials."""
        peer_auth, server_auth = (
            TlsServerSettings(
                credential=credential,
                require_client_certificate=required,
                trust=self.trust,
                minimum_version=self.tls_minimum_version,
                maximum_version=self.tls_maximum_version,
                ciphers=self.tls_ciphers,
            )
            for credential, required in ((self.credential, True), (self.server_auth_credential, False))
        )
        tcp, udp, tls = Transport.TCP, Transport.UDP, Transport.TLS
        return TransportSettings(
            node=self.node,
            service=ServiceName.SIP_PROXY,
            address=self.address,
            listeners=(
                SipListenerSettings(name=UDP_LISTENER, transport=udp, port=self.sip_port),
                SipListenerSettings(name=TCP_LISTENER, transport=tcp, port=self.sip_port),
                SipListenerSettings(
                    name=SERVER_AUTH_LISTENER, transport=tls, port=self.server_auth_port, tls=server_auth
                ),
                SipListenerSettings(
                    name=PEER_AUTH_LISTENER, transport=tls, port=self.peer_auth_port, tls=peer_auth
                ),
            ),
            tls_client=TlsClientSettings(
                trust=self.trust,
                credential=self.credential,
                minimum_version=self.tls_minimum_version,
                maximum_version=self.tls_maximum_version,
                ciphers=self.tls_ciphers,
            ),
            limits=self.limits,
        )
