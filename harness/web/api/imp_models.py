"""What travels over the API of an IM and Presence node: the settings of its pages."""

from typing import Literal

from pydantic import Field

from harness.web.api.operation import Body
from proxies.sip.proxy.sip_proxy_settings import RouteType
from proxies.xmpp.federation.settings import FederationSecurityMode


class TlsPeerSubject(Body):
    """A line of TLS Peer Subjects (G18)."""

    peer_subject_name: str = Field(min_length=1, max_length=256)
    description: str = Field(default="", max_length=1024)


class TlsPeerSubjects(Body):
    """TLS Peer Subjects."""

    tls_peer_subjects: list[TlsPeerSubject]


class TlsContext(Body):
    """TLS Context Configuration (G19)."""

    selected_peer_subjects: list[str] = Field(max_length=1000)
    selected_ciphers: list[str] = Field(default=[], max_length=100)


class GeneralSettings(Body):
    """General Settings (G20)."""

    sip_intracluster_proxy_to_proxy_transport: Literal["TLS", "TCP"]


class SecuritySettings(Body):
    """Settings: the XMPP secure modes (G21 to G23) and certificate settings (G24)."""

    xmpp_client_secure_mode: bool
    router_to_router_secure_mode: bool
    web_client_secure_mode: bool
    domain_name: str = Field(default="", max_length=253, description="XMPP Server-to-Server Domain Name.")
    use_domain_name: bool = Field(
        default=False, description="Use Domain Name for XMPP Certificate Subject Common Name."
    )


class FederationSettings(Body):
    """XMPP Federation > Settings and Policy (G11). The dialback secret is taken and never returned."""

    security_mode: FederationSecurityMode = FederationSecurityMode.TLS_OPTIONAL
    require_client_side_certificates: bool = False
    enable_sasl_external: bool = True
    dialback_secret: str | None = Field(
        default=None, max_length=256, description="None keeps the present one."
    )
    allowed_domains: list[str] | None = Field(default=None, max_length=1000, description="None allows all.")


class AclEntry(Body):
    """A line of the incoming ACL."""

    address_pattern: str = Field(min_length=1, max_length=256)
    description: str = Field(default="", max_length=1024)


class IncomingAcl(Body):
    """The incoming ACL."""

    entries: list[AclEntry]


class StaticRouteEntry(Body):
    """A static route."""

    destination_pattern: str = Field(min_length=1, max_length=256)
    next_hop: str = Field(min_length=1, max_length=253)
    next_hop_port: int = Field(ge=1, le=65535)
    protocol_type: Literal["TLS", "TCP", "UDP"] = "TCP"
    server_name: str = Field(default="", max_length=253)
    route_type: RouteType = RouteType.USER
    priority: int = Field(default=1, ge=0, le=9999)


class StaticRoutes(Body):
    """The static routes."""

    static_routes: list[StaticRouteEntry]


class User(Body):
    """A user of the cluster."""

    user_id: str
    home_node: str


class Users(Body):
    """The users of the cluster."""

    users: list[User]


class ContactLine(Body):
    """A contact of the user."""

    address: str
    name: str
    groups: list[str]
    subscription: str


class OwnSettings(Body):
    """User Options."""

    address: str
    home_node: str
    contacts: list[ContactLine]
    blocked: list[str]


class ImpSettingsList(Body):
    """All settings of the cluster."""

    general: GeneralSettings
    security: SecuritySettings
    tls_context: TlsContext
    xmpp_federation: FederationSettings
