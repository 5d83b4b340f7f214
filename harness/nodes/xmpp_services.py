"""How the XMPP services of an IM and Presence node are built from a snapshot and from what is replicated."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from certs.key_store import KeyStore
from certs.purposes import (
    CLIENT_CERTIFICATES,
    SERVICE_CERTIFICATES,
    CertificatePurpose,
    ClientApplication,
    ServiceFunction,
    ServiceName,
    TrustStoreName,
)
from harness.configuration.database import Database
from harness.configuration.snapshots import ImpSnapshot
from harness.im_store.store import DatabaseImStore
from harness.nodes.service_control import Service, ServiceEnvironment
from harness.replication.component_places import DatabaseComponentPlaces
from harness.replication.intercluster_sync import InterclusterSync
from harness.replication.peers import InterclusterPeers
from harness.replication.replica import Replica
from harness.replication.sync_agent import InterclusterSyncAgent
from proxies.clock import SchedulingClock
from proxies.tls import TrustPolicy
from proxies.xmpp.clients.connection_manager import ConnectionManager, ConnectionManagerSettings
from proxies.xmpp.federation.manager import FederationConnectionManager
from proxies.xmpp.federation.settings import FederationSettings
from proxies.xmpp.router.attachment import RouterAttachment
from proxies.xmpp.router.xcp_router import OpenImStore, XcpRouter, XcpRouterSettings
from proxies.xmpp.web.cross_origin import CrossOriginPolicy
from proxies.xmpp.web.web_connection_manager import WebConnectionManager, WebConnectionManagerSettings


class XmppServices:
    """What the XMPP services of one node share: the router's place, the replica, the key store, the database."""

    def __init__(
        self, replica: Replica, key_store: KeyStore, database: Database, peers: InterclusterPeers
    ) -> None:
        self._peers = peers
        self._replica = replica
        self._database = database
        self._key_store = key_store
        self._attachment = RouterAttachment()
        self._store: DatabaseImStore | None = None

    async def finished(self) -> None:
        """Wait until all that a stopped router has left to write is in the database."""
        if self._store is not None:
            await self._store.finished()

    def builders(self) -> Mapping[ServiceName, Callable[[ImpSnapshot, ServiceEnvironment], Service]]:
        """Return how each service is built, in the order in which they start."""
        return MappingProxyType(
            {
                ServiceName.INTERCLUSTER_SYNC_AGENT: self._build_sync_agent,
                ServiceName.XCP_ROUTER: self._build_router,
                ServiceName.XCP_CONNECTION_MANAGER: self._build_connection_manager,
                ServiceName.XCP_XMPP_FEDERATION: self._build_federation,
                ServiceName.XCP_WEB_CONNECTION_MANAGER: self._build_web_connection_manager,
            }
        )

    def _build_sync_agent(
        self, snapshot: ImpSnapshot, environment: ServiceEnvironment
    ) -> InterclusterSyncAgent:
        """Build the agent: on the publisher it asks peer clusters, by `tomcat` and `tomcat-trust` (G06)."""
        node, cluster = snapshot.node, snapshot.cluster
        intercluster = InterclusterSync(
            self._peers,
            node=node,
            cluster=cluster,
            key_store=self._key_store,
            resolver=environment.names,
            clock=environment.clock,
            observer=environment.observer,
        )
        return InterclusterSyncAgent(
            self._replica,
            intercluster if node == cluster.imp[0] else None,
            node=node.name,
            clock=environment.clock,
        )

    def _build_router(self, snapshot: ImpSnapshot, environment: ServiceEnvironment) -> XcpRouter:
        """Build the router: own `cup-xmpp`, `cup-xmpp-trust` as it is at each handshake (G22)."""
        node = snapshot.node
        return XcpRouter(
            XcpRouterSettings(
                node=node.name,
                fqdn=node.fqdn,
                address=node.address,
                port=node.ports.xcp_router,
                component_port=node.ports.xcp_component,
                components=snapshot.cluster.components,
                domains=frozenset({node.domain}),
                conference_domain=self._replica.conference_domain,
                secure_mode=snapshot.settings.secure_modes.router_to_router,
                intercluster_routers=snapshot.settings.intercluster_routers,
                credential=snapshot.own[CertificatePurpose.CUP_XMPP],
            ),
            attachment=self._attachment,
            directory=self._replica,
            trusted=self._trusted,
            places=DatabaseComponentPlaces(self._database, node.fqdn),
            open_store=lambda: self._open_store(node.name, environment.clock),
            clock=environment.clock,
            observer=environment.observer,
        )

    def _build_connection_manager(
        self, snapshot: ImpSnapshot, environment: ServiceEnvironment
    ) -> ConnectionManager:
        """Build the connection manager: clients are served `cup-xmpp` (G02, G21)."""
        node = snapshot.node
        return ConnectionManager(
            ConnectionManagerSettings(
                node=node.name,
                fqdn=node.fqdn,
                address=node.address,
                port=node.ports.xmpp_client,
                domains=frozenset({node.domain}),
                secure_mode=snapshot.settings.secure_modes.xmpp_client,
                credential=snapshot.own[CLIENT_CERTIFICATES[ClientApplication.XMPP_CLIENT]],
            ),
            attachment=self._attachment,
            directory=self._replica,
            find_credentials=self._replica.find_credentials,
            clock=environment.clock,
            observer=environment.observer,
        )

    def _build_federation(
        self, snapshot: ImpSnapshot, environment: ServiceEnvironment
    ) -> FederationConnectionManager:
        """Build the federation connection manager: own `cup-xmpp-s2s`, trusts `cup-xmpp-trust` (G11)."""
        node, settings = snapshot.node, snapshot.settings
        use = SERVICE_CERTIFICATES[ServiceFunction.XMPP_FEDERATION]
        assert use.own is not None
        return FederationConnectionManager(
            FederationSettings(
                node=node.name,
                address=node.address,
                port=node.ports.xmpp_federation,
                domains=frozenset({node.domain}),
                policy=settings.federation,
                dialback_secret=settings.federation.dialback_secret or settings.drawn_dialback_secret,
                credential=snapshot.own[use.own],
                trusted=snapshot.trust[use.trust],
            ),
            attachment=self._attachment,
            directory=self._replica,
            names=environment.names,
            clock=environment.clock,
            observer=environment.observer,
        )

    def _build_web_connection_manager(
        self, snapshot: ImpSnapshot, environment: ServiceEnvironment
    ) -> WebConnectionManager:
        """Build the web connection manager: own `cup-xmpp`, clients' certificates in `cup-xmpp-trust` (G23)."""
        node = snapshot.node
        store = TrustStoreName.CUP_XMPP_TRUST
        return WebConnectionManager(
            WebConnectionManagerSettings(
                node=node.name,
                fqdn=node.fqdn,
                address=node.address,
                port=node.ports.http_binding,
                tls_port=node.ports.http_binding_tls,
                domains=frozenset({node.domain}),
                secure_mode=snapshot.settings.secure_modes.web_client,
                credential=snapshot.own[CLIENT_CERTIFICATES[ClientApplication.XMPP_CLIENT]],
                trust=TrustPolicy(
                    certificates=snapshot.trust[store],
                    trust_store=store,
                    services=(ServiceName.XCP_WEB_CONNECTION_MANAGER,),
                    node=node.name,
                    clause="G23",
                ),
                cross_origin=CrossOriginPolicy(allowed_origins=snapshot.cluster.web_client_origins),
            ),
            attachment=self._attachment,
            directory=self._replica,
            find_credentials=self._replica.find_credentials,
            clock=environment.clock,
            observer=environment.observer,
        )

    def _trusted(self) -> tuple[bytes, ...]:
        return tuple(each.pem for each in self._key_store.trust(TrustStoreName.CUP_XMPP_TRUST))

    async def _open_store(self, node: str, clock: SchedulingClock) -> OpenImStore:
        await self.finished()  # else what the last router did would come after what this one reads
        domain = self._replica.conference_domain
        self._store = await DatabaseImStore.open(self._database, clock, node=node, conference_domain=domain)
        return self._store
