"""Which services the nodes have, in the order they start, and how each is built from its snapshot."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from certs.purposes import (
    CLIENT_CERTIFICATES,
    RESTARTS,
    SERVICE_CERTIFICATES,
    CertificatePurpose,
    ClientApplication,
    ServiceFunction,
    ServiceName,
    TrustStoreName,
)
from harness.configuration.snapshots import CucmSnapshot, ImpSnapshot
from harness.nodes.service_control import Service, ServiceEnvironment
from proxies.sip.presence.presence_engine import PresenceEngine, PresenceEngineSettings
from proxies.sip.proxy.sip_proxy import SipProxy
from proxies.sip.proxy.sip_proxy_settings import ClusterNode, SipProxySettings
from proxies.sip.transport.flow import Destination, Transport
from proxies.sip.trunk.call_manager_settings import CallManagerSettings
from proxies.sip.trunk.cucm_trunk import CallManager
from proxies.tls.settings import TrustPolicy


def sip_proxy_settings(snapshot: ImpSnapshot) -> SipProxySettings:
    """Return what the SIP proxy starts with: `cup`, `tomcat`, `cup-trust`, the TLS context (G02, G03, G19, G20)."""
    node, settings = snapshot.node, snapshot.settings
    store = SERVICE_CERTIFICATES[ServiceFunction.SIP_PROXY].trust
    return SipProxySettings(
        node=node.name,
        fqdn=node.fqdn,
        address=node.address,
        domains=frozenset({node.domain}),
        credential=snapshot.own[CertificatePurpose.CUP],
        server_auth_credential=snapshot.own[CLIENT_CERTIFICATES[ClientApplication.SIP_CLIENT]],
        trust=TrustPolicy(
            certificates=snapshot.trust[store],
            peer_subjects=settings.tls_context.selected_peer_subjects,
            trust_store=store,
            tls_context=settings.tls_context.name,
            services=RESTARTS[store],
            node=node.name,
        ),
        sip_port=node.ports.sip,
        server_auth_port=node.ports.sip_tls_server_auth,
        peer_auth_port=node.ports.sip_tls_peer_auth,
        tls_ciphers=":".join(settings.tls_context.selected_ciphers),
        incoming_access_list=tuple(entry.address_pattern for entry in settings.incoming_acl),
        digest_passwords=MappingProxyType({user.user_id: user.digest_password for user in settings.users})
        if settings.digest_authentication
        else None,
        users=MappingProxyType({user.user_id: user.home_node for user in settings.users}),
        cluster_nodes=tuple(
            ClusterNode(
                name=other.name,
                fqdn=other.fqdn,
                address=other.address,
                sip_port=other.ports.sip,
                peer_auth_port=other.ports.sip_tls_peer_auth,
            )
            for other in snapshot.cluster.imp
            if other != node
        ),
        proxy_to_proxy_transport=settings.proxy_to_proxy_transport,
        static_routes=settings.static_routes,
        presence_engine=Destination(
            transport=Transport.TCP, host=node.address, port=node.ports.presence_engine
        ),
    )


def build_sip_proxy(snapshot: ImpSnapshot, environment: ServiceEnvironment) -> SipProxy:
    """Return a node's Cisco SIP Proxy."""
    return SipProxy(
        sip_proxy_settings(snapshot),
        clock=environment.clock,
        resolver=environment.names,
        observer=environment.observer,
    )


def presence_engine_settings(snapshot: ImpSnapshot) -> PresenceEngineSettings:
    """Return what the presence engine starts with: `cup`, `cup-trust` and the node's users (G04)."""
    node = snapshot.node
    store = SERVICE_CERTIFICATES[ServiceFunction.PRESENCE_ENGINE].trust
    return PresenceEngineSettings(
        node=node.name,
        address=node.address,
        domains=frozenset({node.domain}),
        users=frozenset(user.user_id for user in snapshot.settings.users if user.home_node == node.name),
        credential=snapshot.own[CertificatePurpose.CUP],
        trust=TrustPolicy(
            certificates=snapshot.trust[store],
            trust_store=store,
            services=RESTARTS[store],
            node=node.name,
        ),
        sip_proxy=Destination(transport=Transport.TCP, host=node.address, port=node.ports.sip),
        tcp_port=node.ports.presence_engine,
        tls_port=node.ports.presence_engine_tls,
    )


def build_presence_engine(snapshot: ImpSnapshot, environment: ServiceEnvironment) -> PresenceEngine:
    """Return a node's Cisco Presence Engine."""
    return PresenceEngine(
        presence_engine_settings(snapshot),
        clock=environment.clock,
        resolver=environment.names,
        observer=environment.observer,
    )


def call_manager_settings(snapshot: CucmSnapshot) -> CallManagerSettings:
    """Return what Cisco CallManager starts with: `CallManager`, `Callmanager-trust` and the trunks (G12, G17)."""
    node, settings = snapshot.node, snapshot.settings
    return CallManagerSettings(
        node=node.name,
        address=node.address,
        credential=snapshot.own[CertificatePurpose.CALLMANAGER],
        trusted_certificates=snapshot.trust[TrustStoreName.CALLMANAGER_TRUST],
        security_profiles=settings.sip_trunk_security_profiles,
        trunks=settings.sip_trunks,
        lines=settings.lines,
        sip_port=node.ports.sip,
        sip_tls_port=node.ports.sip_tls,
    )


def build_call_manager(snapshot: CucmSnapshot, environment: ServiceEnvironment) -> CallManager:
    """Return a node's Cisco CallManager."""
    return CallManager(
        call_manager_settings(snapshot),
        resolver=environment.names,
        clock=environment.clock,
        observer=environment.observer,
    )


SIP_SERVICES: Final[Mapping[ServiceName, Callable[[ImpSnapshot, ServiceEnvironment], Service]]] = (
    MappingProxyType(
        {ServiceName.PRESENCE_ENGINE: build_presence_engine, ServiceName.SIP_PROXY: build_sip_proxy}
    )
)
"The SIP services of an IM and Presence node."

CUCM_SERVICES: Final[Mapping[ServiceName, Callable[[CucmSnapshot, ServiceEnvironment], Service]]] = (
    MappingProxyType({ServiceName.CALLMANAGER: build_call_manager})
)
"The services of a CUCM node."
