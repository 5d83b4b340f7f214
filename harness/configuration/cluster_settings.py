"""What is configured in a cluster, as values: the words and defaults are those of the product's pages."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from certs.errors import ConfigError
from certs.purposes import RESTARTS, CertificatePurpose, ServiceName, TrustStoreName
from proxies.sip.proxy.sip_proxy_settings import StaticRoute
from proxies.sip.transport.flow import Transport
from proxies.sip.trunk.sip_trunk_profile import SipTrunk, SipTrunkSecurityProfile
from proxies.xmpp.federation.settings import FederationPolicy

DEFAULT_TLS_CONTEXT: Final = "Default_Cisco_UPS_SIP_Proxy_Peer_Auth_TLS_Context"
"The TLS context of the SIP proxy's peer-authenticated listener (G19)."


class SettingTopic(StrEnum):
    """A part of the configuration that takes effect as one; the value is its name on the product's pages."""

    TLS_PEER_SUBJECTS = "TLS Peer Subjects"
    TLS_CONTEXT = "TLS Context Configuration"
    INCOMING_ACL = "Incoming ACL"
    PROXY_TO_PROXY_TRANSPORT = "SIP Intra-cluster Proxy-to-Proxy Transport Protocol"
    DIGEST_AUTHENTICATION = "Digest Authentication"
    USERS = "User Assignment"
    STATIC_ROUTES = "Static Routes"
    XMPP_CLIENT_SECURE_MODE = "XMPP Client To IM/P Service Secure Mode"
    XMPP_ROUTER_SECURE_MODE = "XMPP Router-to-Router Secure Mode"
    WEB_CLIENT_SECURE_MODE = "Web Client to IM/P Service Secure Mode"
    XMPP_CERTIFICATE_SETTINGS = "XMPP Certificate Settings"
    XMPP_FEDERATION = "XMPP Federation Settings"
    INTER_CLUSTERING = "Inter-Clustering"
    SIP_TRUNK_SECURITY_PROFILES = "SIP Trunk Security Profile"
    SIP_TRUNKS = "SIP Trunk"
    LINES = "Directory Number"


Topic = SettingTopic | CertificatePurpose | TrustStoreName
"Whatever a service reads when it starts."

_SIP_PROXY = (ServiceName.SIP_PROXY,)
_CALLMANAGER = (ServiceName.CALLMANAGER,)

OWNERS: Final[Mapping[Topic, tuple[ServiceName, ...]]] = MappingProxyType(
    {
        **dict(RESTARTS.items()),
        # Beside Cisco Tomcat, the SIP proxy's listener without peer authentication shows it (G02).
        CertificatePurpose.TOMCAT: (*RESTARTS[CertificatePurpose.TOMCAT], ServiceName.SIP_PROXY),
        SettingTopic.TLS_PEER_SUBJECTS: _SIP_PROXY,
        SettingTopic.TLS_CONTEXT: _SIP_PROXY,
        SettingTopic.INCOMING_ACL: _SIP_PROXY,
        SettingTopic.PROXY_TO_PROXY_TRANSPORT: _SIP_PROXY,
        SettingTopic.DIGEST_AUTHENTICATION: _SIP_PROXY,
        SettingTopic.USERS: (ServiceName.SIP_PROXY, ServiceName.PRESENCE_ENGINE),
        SettingTopic.STATIC_ROUTES: _SIP_PROXY,
        # The router shows the certificate too; what it trusts it reads at each handshake, because replication
        # must take effect by itself (G22).
        CertificatePurpose.CUP_XMPP: (*RESTARTS[CertificatePurpose.CUP_XMPP], ServiceName.XCP_ROUTER),
        SettingTopic.XMPP_CLIENT_SECURE_MODE: (ServiceName.XCP_CONNECTION_MANAGER,),
        SettingTopic.XMPP_ROUTER_SECURE_MODE: (ServiceName.XCP_ROUTER,),
        SettingTopic.WEB_CLIENT_SECURE_MODE: (ServiceName.XCP_WEB_CONNECTION_MANAGER,),
        SettingTopic.XMPP_CERTIFICATE_SETTINGS: (ServiceName.XCP_ROUTER,),
        SettingTopic.XMPP_FEDERATION: (ServiceName.XCP_XMPP_FEDERATION,),
        # Routers of both clusters restart after a peer was added (Deployment Guide 9.0(1), "Intercluster router to
        # router connections").
        SettingTopic.INTER_CLUSTERING: (ServiceName.XCP_ROUTER,),
        SettingTopic.SIP_TRUNK_SECURITY_PROFILES: _CALLMANAGER,
        SettingTopic.SIP_TRUNKS: _CALLMANAGER,
        SettingTopic.LINES: _CALLMANAGER,
    }
)
"Which services read a topic when they start, and so must restart before a change takes effect (G15, G19, G20)."


def topics_of(service: ServiceName) -> tuple[Topic, ...]:
    """Return what a service reads when it starts."""
    return tuple(topic for topic, owners in OWNERS.items() if service in owners)


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsPeerSubject:
    """A line of System > Security > TLS Peer Subjects (G18)."""

    peer_subject_name: str
    "The CN that the peer's certificate carries."

    description: str = ""
    "The peer's name, for people."

    def __post_init__(self) -> None:
        if not self.peer_subject_name.strip():
            raise ConfigError(
                "Peer Subject Name: expected the subject CN of the peer's certificate, seen nothing"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsContext:
    """A page of System > Security > TLS Context Configuration (G19)."""

    name: str = DEFAULT_TLS_CONTEXT
    "Its name."

    selected_peer_subjects: frozenset[str] = frozenset()
    "Selected TLS Peer Subjects: the peers that are let in."

    selected_ciphers: tuple[str, ...] = ()
    "Selected TLS Ciphers for TLS 1.2 and lower; none selected means the library's."


@dataclass(frozen=True, slots=True, kw_only=True)
class IncomingAcl:
    """A line of System > Security > Incoming ACL: who may send requests without a certificate."""

    address_pattern: str
    "An address, a network, a host name, a domain, or ALL."

    description: str = ""
    "Free text for people."

    def __post_init__(self) -> None:
        if not self.address_pattern.strip():
            raise ConfigError("Address Pattern: expected an address, network, host name, domain or ALL")


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A user who is assigned to a node."""

    user_id: str
    "The user part of the address."

    home_node: str
    "The short name of the node."

    digest_password: str = field(repr=False)
    "What SIP digest authentication asks for."


@dataclass(frozen=True, slots=True, kw_only=True)
class SecureModes:
    """The XMPP secure modes of System > Security > Settings (G21 to G23)."""

    xmpp_client: bool = True
    "Enable XMPP Client To IM/P Service Secure Mode; the product turns it on by default."

    router_to_router: bool = False
    "Enable XMPP Router-to-Router Secure Mode."

    web_client: bool = False
    "Enable Web Client to IM/P Service Secure Mode."


@dataclass(frozen=True, slots=True, kw_only=True)
class XmppCertificateSettings:
    """The XMPP certificate settings of System > Security > Settings (G24)."""

    domain_name: str = ""
    "XMPP Server-to-Server Domain Name of the cluster, the subject of `cup-xmpp-s2s`; empty until it is entered."

    use_domain_name: bool = False
    "Use Domain Name for XMPP Certificate Subject Common Name: for the general `cup-xmpp` certificate too."


@dataclass(frozen=True, slots=True, kw_only=True)
class ImpSettings:
    """What an IM and Presence cluster's database says at one moment."""

    tls_peer_subjects: tuple[TlsPeerSubject, ...]
    "The available TLS peer subjects."

    tls_context: TlsContext
    "The TLS context of the peer-authenticated listener."

    incoming_acl: tuple[IncomingAcl, ...]
    "The incoming access list."

    proxy_to_proxy_transport: Transport
    "TLS or TCP between the SIP proxies of the cluster (G20)."

    users: tuple[User, ...]
    "The cluster's users."

    digest_authentication: bool = False
    "Whether the SIP proxy asks clients without a certificate for their user's digest password."

    static_routes: tuple[StaticRoute, ...] = ()
    "Where requests for other domains and for lines of CUCM go."

    secure_modes: SecureModes = field(default_factory=SecureModes)
    "The XMPP secure modes (G21 to G23)."

    xmpp_certificates: XmppCertificateSettings = field(default_factory=XmppCertificateSettings)
    "The XMPP certificate settings (G24)."

    federation: FederationPolicy = field(default_factory=FederationPolicy)
    "The XMPP federation policy."

    drawn_dialback_secret: str = field(default="", repr=False)
    "What the cluster drew when it was installed: used where the policy names no dialback secret."

    intercluster_routers: frozenset[str] = frozenset()
    "The full names of the peer clusters' nodes, as synchronised."

    def topics(self) -> Mapping[SettingTopic, object]:
        """Return the settings by what takes effect as one."""
        return {
            # Descriptions are for people: no service reads them when it starts. Passwords are read with digest
            # authentication only.
            SettingTopic.TLS_PEER_SUBJECTS: tuple(each.peer_subject_name for each in self.tls_peer_subjects),
            SettingTopic.TLS_CONTEXT: self.tls_context,
            SettingTopic.INCOMING_ACL: tuple(each.address_pattern for each in self.incoming_acl),
            SettingTopic.PROXY_TO_PROXY_TRANSPORT: self.proxy_to_proxy_transport,
            SettingTopic.DIGEST_AUTHENTICATION: self.digest_authentication
            and tuple((user.user_id, user.digest_password) for user in self.users),
            SettingTopic.USERS: tuple((user.user_id, user.home_node) for user in self.users),
            SettingTopic.STATIC_ROUTES: self.static_routes,
            SettingTopic.XMPP_CLIENT_SECURE_MODE: self.secure_modes.xmpp_client,
            SettingTopic.XMPP_ROUTER_SECURE_MODE: self.secure_modes.router_to_router,
            SettingTopic.WEB_CLIENT_SECURE_MODE: self.secure_modes.web_client,
            SettingTopic.XMPP_CERTIFICATE_SETTINGS: self.xmpp_certificates,
            SettingTopic.XMPP_FEDERATION: self.federation,
            SettingTopic.INTER_CLUSTERING: self.intercluster_routers,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class CucmSettings:
    """What a CUCM cluster's database says at one moment."""

    sip_trunk_security_profiles: tuple[SipTrunkSecurityProfile, ...]
    "The SIP trunk security profiles."

    sip_trunks: tuple[SipTrunk, ...]
    "The SIP trunks."

    lines: frozenset[str]
    "The directory numbers of its phones."

    def topics(self) -> Mapping[SettingTopic, object]:
        """Return the settings by what takes effect as one."""
        return {
            SettingTopic.SIP_TRUNK_SECURITY_PROFILES: self.sip_trunk_security_profiles,
            SettingTopic.SIP_TRUNKS: self.sip_trunks,
            SettingTopic.LINES: self.lines,
        }
