"""The tables of a cluster's database. Rows stay in here and in the modules that read and write them."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import JSON, DateTime
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Row(DeclarativeBase):
    """The base of all tables."""

    type_annotation_map: ClassVar[dict[Any, Any]] = {
        list[str]: JSON,
        dict[str, str]: JSON,
        datetime: DateTime(timezone=True),
    }


class SchemaRow(Row):
    """Says that a database is a cluster's, and which tables it has."""

    __tablename__ = "harness_schema"

    version: Mapped[int] = mapped_column(primary_key=True)


class SettingRow(Row):
    """A setting of the cluster that has one value, as on General Settings."""

    __tablename__ = "cluster_settings"

    key: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]


class TlsPeerSubjectRow(Row):
    """A line of System > Security > TLS Peer Subjects."""

    __tablename__ = "tls_peer_subjects"

    peer_subject_name: Mapped[str] = mapped_column(primary_key=True)
    description: Mapped[str]


class TlsContextRow(Row):
    """A TLS context with what was moved to its selected lists."""

    __tablename__ = "tls_contexts"

    name: Mapped[str] = mapped_column(primary_key=True)
    selected_peer_subjects: Mapped[list[str]]
    selected_ciphers: Mapped[list[str]]


class IncomingAclRow(Row):
    """A line of System > Security > Incoming ACL."""

    __tablename__ = "incoming_acl"

    address_pattern: Mapped[str] = mapped_column(primary_key=True)
    description: Mapped[str]


class UserRow(Row):
    """A user with the node that the user is assigned to."""

    __tablename__ = "users"

    user_id: Mapped[str] = mapped_column(primary_key=True)
    home_node: Mapped[str]
    digest_password: Mapped[str]


class StaticRouteRow(Row):
    """A line of Presence > Routing > Static Routes."""

    __tablename__ = "static_routes"

    destination_pattern: Mapped[str] = mapped_column(primary_key=True)
    next_hop: Mapped[str]
    next_hop_port: Mapped[int]
    protocol_type: Mapped[str]
    server_name: Mapped[str]
    route_type: Mapped[str]
    priority: Mapped[int]


class XmppNodeRow(Row):
    """A node of the cluster as XMPP routers know it (G22)."""

    __tablename__ = "xmpp_nodes"

    fqdn: Mapped[str] = mapped_column(primary_key=True)
    cluster: Mapped[str]
    number: Mapped[int]
    domain: Mapped[str]
    address: Mapped[str]
    router_port: Mapped[int]
    certificate: Mapped[str]


class ComponentPlaceRow(Row):
    """Which node's router an external component is attached to (XEP-0114)."""

    __tablename__ = "component_places"

    domain: Mapped[str] = mapped_column(primary_key=True)
    node: Mapped[str]


class ReplicatedTrustRow(Row):
    """The certificate of a node that replication put into another node's `cup-xmpp-trust` last."""

    __tablename__ = "replicated_trust"

    node: Mapped[str] = mapped_column(primary_key=True)
    source: Mapped[str] = mapped_column(primary_key=True)
    sha256: Mapped[str]


class PeerRow(Row):
    """A line of Presence > Inter-Clustering: the publisher of a peer cluster, and how its AXL is asked."""

    __tablename__ = "intercluster_peers"

    address: Mapped[str] = mapped_column(primary_key=True)
    port: Mapped[int]
    axl_user: Mapped[str]
    axl_password: Mapped[str]


class PeerStatusRow(Row):
    """How synchronising with a peer goes."""

    __tablename__ = "intercluster_status"

    peer: Mapped[str] = mapped_column(primary_key=True)
    cluster: Mapped[str]
    synchronised_at: Mapped[datetime | None]
    reason: Mapped[str]
    error: Mapped[str]
    remedy: Mapped[str]
    duplicate_users: Mapped[list[str]]


class PeerNodeRow(Row):
    """A node of a peer cluster, as synchronised (G22)."""

    __tablename__ = "peer_nodes"

    fqdn: Mapped[str] = mapped_column(primary_key=True)
    peer: Mapped[str]
    cluster: Mapped[str]
    number: Mapped[int]
    domain: Mapped[str]
    address: Mapped[str]
    router_port: Mapped[int]
    certificate: Mapped[str]


class PeerUserRow(Row):
    """A user of a peer cluster, as synchronised."""

    __tablename__ = "peer_users"

    peer: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[str] = mapped_column(primary_key=True)
    home_node: Mapped[str]


class LineRow(Row):
    """A line of a CUCM cluster."""

    __tablename__ = "lines"

    directory_number: Mapped[str] = mapped_column(primary_key=True)


class SipTrunkSecurityProfileRow(Row):
    """A SIP trunk security profile of a CUCM cluster."""

    __tablename__ = "sip_trunk_security_profiles"

    name: Mapped[str] = mapped_column(primary_key=True)
    description: Mapped[str]
    device_security_mode: Mapped[str]
    incoming_transport_type: Mapped[str]
    outgoing_transport_type: Mapped[str]
    x509_subject_names: Mapped[list[str]]
    incoming_port: Mapped[int]
    accept_presence_subscription: Mapped[bool]
    accept_out_of_dialog_refer: Mapped[bool]
    accept_unsolicited_notification: Mapped[bool]
    accept_replaces_header: Mapped[bool]


class SipTrunkRow(Row):
    """A SIP trunk of a CUCM cluster."""

    __tablename__ = "sip_trunks"

    name: Mapped[str] = mapped_column(primary_key=True)
    destination_address: Mapped[str]
    destination_port: Mapped[int]
    security_profile: Mapped[str]


class ServiceRunRow(Row):
    """A service that is started, and digests of what it started with."""

    __tablename__ = "service_runs"

    node: Mapped[str] = mapped_column(primary_key=True)
    service: Mapped[str] = mapped_column(primary_key=True)
    started_at: Mapped[datetime]
    digests: Mapped[dict[str, str]]
