"""The nodes of a lab: each has a folder, a key store, a connection to its cluster's database and services.

Nodes share nothing but sockets and the cluster's database, also where they run in one event loop.
"""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import ClassVar, Final, Generic

from certs.credential import Credential
from certs.errors import ConfigError
from certs.issuing import CertificateSpec
from certs.key_store import KeyStore
from certs.purposes import CertificatePurpose, ServiceName, TrustStoreName
from harness.access.accounts import Accounts
from harness.access.login_banner import LoginBanner
from harness.configuration.cluster_settings import OWNERS, CucmSettings, ImpSettings
from harness.configuration.cucm_configuration import CucmConfiguration
from harness.configuration.database import Database
from harness.configuration.imp_configuration import ImpConfiguration
from harness.configuration.snapshots import PlanT, SettingsT, Snapshot, present_digests, take_snapshot
from harness.evidence.handshakes import HandshakeLog
from harness.im_store.user_options import UserOptions, read_user_options
from harness.nodes.administration import CucmAdministration, ImpAdministration
from harness.nodes.certificate_management import CertificateManagement
from harness.nodes.disaster_recovery import DisasterRecovery
from harness.nodes.intercluster_administration import InterclusterAdministration
from harness.nodes.platform_services import build_platform_shell
from harness.nodes.service_control import Service, ServiceControl, ServiceEnvironment
from harness.nodes.service_runs import RestartNeeded, ServiceRuns, changed_since
from harness.nodes.service_state import ServiceFailed
from harness.nodes.services import CUCM_SERVICES, SIP_SERVICES
from harness.nodes.surroundings import NodeSurroundings
from harness.nodes.web_services import build_axl, build_tomcat
from harness.nodes.xmpp_services import XmppServices
from harness.plan.topology import ClusterPlan, CucmNodePlan, ImpNodePlan
from harness.platform.session import PlatformNode
from harness.platform.ssh.service import PlatformShell
from harness.replication.axl_source import ClusterAxlSource
from harness.replication.peers import InterclusterPeers
from harness.replication.replica import Replica
from harness.web.applications import applications_of_cucm, applications_of_imp
from proxies.http.tomcat import Tomcat, WebApplication
from proxies.sip.trunk.cucm_trunk import CallManager
from proxies.tasks import TaskKeeper

KEY_STORE_DIRECTORY: Final = "certificates"
"Where in a node's folder its certificates are."

_LAST_WRITES: Final = 60.0
"Seconds that a node which shuts down waits for its database to take the last of users' data."

_log: Final = logging.getLogger(__name__)


class Node(ABC, Generic[PlanT, SettingsT]):
    """What the nodes of both kinds of clusters have."""

    purposes: ClassVar[tuple[CertificatePurpose, ...]]
    "The certificates of its own, made at first boot."

    trust_stores: ClassVar[tuple[TrustStoreName, ...]]
    "Its trust stores."

    product: ClassVar[str]
    "What it is called in the product's own words."

    version: ClassVar[str]
    "The product's version, as `show version active` names it."

    sip_certificates: ClassVar[tuple[CertificatePurpose, ...]]
    "What its TLS listeners for SIP show: with peer authentication `cup`, without it `tomcat` (G02, G03)."

    def __init__(
        self,
        plan: PlanT,
        cluster: ClusterPlan,
        surroundings: NodeSurroundings,
        database: Database,
        builders: Mapping[ServiceName, Callable[[Snapshot[PlanT, SettingsT], ServiceEnvironment], Service]],
    ) -> None:
        """Take the node's own connection to its cluster's database, which the node closes when it shuts down."""
        self.plan = plan
        "Its names, address and ports."
        self.cluster = cluster
        "Its cluster."
        self.surroundings = surroundings
        "Its folder, resolver, time and keys."
        self.key_store = KeyStore(surroundings.directory / KEY_STORE_DIRECTORY)
        "Its certificates and trust stores."
        self._database = database
        self._runs = ServiceRuns(database)
        self.handshakes = HandshakeLog(surroundings.observer, surroundings.clock)
        "What it remembers of its own verdicts, for Reporting."
        self.disaster_recovery = DisasterRecovery(
            plan.name, surroundings.directory, self.key_store, database, now=surroundings.clock.now
        )
        "Backup and restore."
        self.later = TaskKeeper()
        "Restarts that were asked for through a service that they end."
        self._restarting = False
        self.services: ServiceControl[Snapshot[PlanT, SettingsT]] = ServiceControl(
            plan.name,
            # The platform command line comes last: it is the first to stop, so that nobody starts what has stopped.
            builders={
                ServiceName.TOMCAT: self._build_tomcat,
                **builders,
                ServiceName.SSH: self._build_platform_shell,
            },
            take_snapshot=self.take_snapshot,
            environment=ServiceEnvironment(
                clock=surroundings.clock,
                observer=self.handshakes,
                names=surroundings.names,
                interpose=surroundings.interpose,
            ),
            runs=self._runs,
        )
        "Control Center."
        self.accounts = Accounts(
            surroundings.directory / "accounts.json",
            installed_password=surroundings.administrator_password,
            user_password=self.user_password,
            clock=surroundings.clock,
        )
        "Who may log in, to pages, API and command line."
        self.login_banner = LoginBanner(surroundings.directory / "login-banner.txt")
        "What is read before and after login (G01)."
        self._certificate_management = CertificateManagement(
            plan,
            self.key_store,
            purposes=self.purposes,
            trust_stores=self.trust_stores,
            key_algorithm=surroundings.key_algorithm,
            issuer=surroundings.issuer,
            specify=self.specify,
            restart_needed=self.restart_needed,
        )

    @abstractmethod
    async def read_settings(self) -> SettingsT:
        """Return the cluster's settings as they are now."""

    @abstractmethod
    def web_applications(self) -> tuple[WebApplication, ...]:
        """Return what the node's Cisco Tomcat serves; asked for at each of its starts."""

    async def prepare(self) -> None:
        """Open the database and make what certificates are missing: all that comes before the services."""
        await self._database.prepare()
        await asyncio.to_thread(self._make_certificates)

    async def boot(self) -> tuple[ServiceFailed, ...]:
        """Start the services of a prepared node, and return what could not start."""
        return await self.services.boot()

    async def shut_down(self) -> tuple[ServiceFailed, ...]:
        """Stop the services, close the database, and return what hung."""
        try:
            await self.later.join()
            return await self.services.shut_down()
        finally:
            try:
                await self._finish_writing()
            finally:
                await self._database.aclose()

    async def _finish_writing(self) -> None:
        """Wait for what stopped services still write to the database."""

    async def take_snapshot(self, service: ServiceName) -> Snapshot[PlanT, SettingsT]:
        """Return what a service would start with now.

        Raises CertificateError where one of its certificates is missing or damaged.
        """
        settings = await self.read_settings()
        return take_snapshot(self.plan, self.cluster, service, settings, self.key_store)

    async def restart_needed(self) -> tuple[RestartNeeded, ...]:
        """Return which services run on what is no longer present.

        The settings are the cluster's, so all nodes of the cluster are told of; certificates and trust stores
        are this node's own.
        """
        here = present_digests(tuple(OWNERS), await self.read_settings(), self.key_store)
        everywhere = {topic: digest for topic, digest in here.items() if topic not in _OF_ONE_NODE}
        needed = []
        for run in await self._runs.started():
            topics = changed_since(run, here if run.node == self.plan.name else everywhere)
            if topics:
                needed.append(RestartNeeded(node=run.node, service=run.service, topics=topics))
        return tuple(needed)

    async def user_password(self, user_id: str) -> str | None:
        """Return the password of a user of the cluster; None where there is no such user."""
        return None

    async def specify(self, purpose: CertificatePurpose) -> CertificateSpec:
        """Return what a new certificate of the node is to say."""
        return self._spec()

    @property
    def platform(self) -> PlatformNode:
        """What its platform command line reaches."""
        return PlatformNode(
            name=self.plan.name,
            fqdn=self.plan.fqdn,
            product=self.product,
            version=self.version,
            certificates=self._certificate_management,
            services=self.services,
            machine=self.surroundings.machine,
            request_restart=self.request_restart,
        )

    def request_restart(self) -> None:
        """Restart once whoever asks has been answered: its process ends, or all services stop and start."""
        if self.surroundings.machine is not None:
            self.surroundings.machine.reboot()
        elif not self._restarting:
            self._restarting = True
            self.later.start(self._restart(), name=f"restart {self.plan.name}")

    async def _restart(self) -> None:
        try:
            for failure in (*await self.services.shut_down(), *await self.services.boot()):
                _log.warning("%s", failure)
        finally:
            self._restarting = False

    def restart_later(self, service: ServiceName) -> None:
        """Restart a service once whoever asks has been answered: a page cannot wait for its own server's end."""
        self.later.start(self._restart_when_answered(service), name=f"restart {service}")

    async def _restart_when_answered(self, service: ServiceName) -> None:
        with suppress(ServiceFailed):  # its line in Control Center says why
            await self.services.restart(service)

    def _build_tomcat(self, snapshot: Snapshot[PlanT, SettingsT], environment: ServiceEnvironment) -> Tomcat:
        return build_tomcat(snapshot, environment, self.web_applications())

    def _build_platform_shell(
        self, snapshot: Snapshot[PlanT, SettingsT], environment: ServiceEnvironment
    ) -> PlatformShell:
        return build_platform_shell(
            snapshot,
            environment,
            directory=self.surroundings.directory,
            node=self.platform,
            accounts=self.accounts,
            login_banner=self.login_banner,
        )

    def _spec(self, domain: str = "") -> CertificateSpec:
        now = self.surroundings.clock.now()
        return CertificateSpec.for_node(self.plan.fqdn, self.plan.address, now=now, domain=domain)

    def _make_certificates(self) -> None:
        first_boot = not any(self.key_store.digest(purpose) for purpose in self.purposes)
        self.key_store.ensure_own(self.purposes, lambda _: self._issue_first())
        authority = self.surroundings.authority
        # Later on the trust stores are the administrator's: what was deleted stays deleted.
        if authority is not None and first_boot:
            for store in self.trust_stores:
                self.key_store.add_trust(store, authority.root_pem)

    def _issue_first(self) -> Credential:
        authority = self.surroundings.authority
        if authority is None:
            return self.surroundings.issuer.issue_self_signed(self._spec(), self.surroundings.key_algorithm)
        return authority.issue(self._spec(), self.surroundings.key_algorithm)


_OF_ONE_NODE: Final = frozenset({*CertificatePurpose, *TrustStoreName})
"Topics that each node of a cluster has for itself."


class ImpNode(Node[ImpNodePlan, ImpSettings]):
    """An IM and Presence node."""

    purposes = (
        CertificatePurpose.TOMCAT,
        CertificatePurpose.CUP,
        CertificatePurpose.CUP_XMPP,
        CertificatePurpose.CUP_XMPP_S2S,
    )
    trust_stores = (TrustStoreName.CUP_TRUST, TrustStoreName.CUP_XMPP_TRUST, TrustStoreName.TOMCAT_TRUST)
    sip_certificates = (CertificatePurpose.CUP, CertificatePurpose.TOMCAT)
    product = "Cisco Unified Communications Manager IM and Presence"
    version = "9.0.1.10000-21"

    def __init__(
        self, plan: ImpNodePlan, cluster: ClusterPlan, surroundings: NodeSurroundings, database: Database
    ) -> None:
        key_store = KeyStore(surroundings.directory / KEY_STORE_DIRECTORY)
        self._replica = Replica(plan, cluster, database, key_store)
        peers = InterclusterPeers(database)
        xmpp = self._xmpp = XmppServices(self._replica, key_store, database, peers)
        super().__init__(plan, cluster, surroundings, database, {**xmpp.builders(), **SIP_SERVICES})
        self.configuration = ImpConfiguration(database)
        "The cluster's settings, as this node reads and writes them."
        self.administration = ImpAdministration(self, self._certificate_management)
        "The guide's procedures, by the names of the product's pages."
        self._axl = ClusterAxlSource(cluster, database)
        self.intercluster = InterclusterAdministration(self, peers, self._axl)
        "Presence > Inter-Clustering."
        self._web_applications = (
            *applications_of_imp(self),
            build_axl(self.plan, self._axl, surroundings.observer),
        )

    async def prepare(self) -> None:
        """Prepare as every node does, and tell the cluster of this node's XMPP certificate (G22)."""
        await super().prepare()
        await self._replica.publish()

    async def _finish_writing(self) -> None:
        """Wait for users' data: a service that was left behind after its time writes on."""
        try:
            async with asyncio.timeout(_LAST_WRITES):
                await self._xmpp.finished()
        except TimeoutError:
            _log.error("%s: users' data were not written within %g s", self.plan.name, _LAST_WRITES)

    async def specify(self, purpose: CertificatePurpose) -> CertificateSpec:
        """Return what a new certificate is to say: those for XMPP may carry the domain name (G24)."""
        settings = (await self.read_settings()).xmpp_certificates
        named = purpose is CertificatePurpose.CUP_XMPP_S2S or (
            purpose is CertificatePurpose.CUP_XMPP and settings.use_domain_name
        )
        spec = self._spec(settings.domain_name if named else "")
        if purpose is CertificatePurpose.CUP_XMPP_S2S and settings.domain_name:
            # Text conferences are federated too, and other servers ask for their domains by name.
            spec = replace(spec, names=(*spec.names, *self.cluster.conference_domains))
        return spec

    async def read_settings(self) -> ImpSettings:
        """Return the cluster's settings as they are now."""
        return await self.configuration.settings()

    async def user_password(self, user_id: str) -> str | None:
        """Return the password of a user of the cluster; None where there is no such user."""
        users = (await self.read_settings()).users
        return next((user.digest_password for user in users if user.user_id == user_id), None)

    def web_applications(self) -> tuple[WebApplication, ...]:
        """Return what this node's Cisco Tomcat serves."""
        return self._web_applications

    async def user_options(self, user_id: str) -> UserOptions:
        """Return a user's own settings. Raises ConfigError where the cluster has no such user."""
        for user in (await self.read_settings()).users:
            if user.user_id == user_id:
                return await read_user_options(
                    self._database, f"{user_id}@{self.plan.domain}", user.home_node
                )
        raise ConfigError(f"{self.plan.cluster} has no user {user_id!r}")


class CucmNode(Node[CucmNodePlan, CucmSettings]):
    """A CUCM node."""

    purposes = (CertificatePurpose.TOMCAT, CertificatePurpose.CALLMANAGER)
    trust_stores = (TrustStoreName.CALLMANAGER_TRUST, TrustStoreName.TOMCAT_TRUST)
    sip_certificates = (CertificatePurpose.CALLMANAGER,)
    product = "Cisco Unified Communications Manager"
    version = "9.0.1.10000-37"

    def __init__(
        self, plan: CucmNodePlan, cluster: ClusterPlan, surroundings: NodeSurroundings, database: Database
    ) -> None:
        super().__init__(plan, cluster, surroundings, database, CUCM_SERVICES)
        self.configuration = CucmConfiguration(database)
        "The cluster's settings, as this node reads and writes them."
        self.administration = CucmAdministration(self, self._certificate_management)
        "The guide's procedures, by the names of the product's pages."
        self._web_applications = applications_of_cucm(self)

    async def read_settings(self) -> CucmSettings:
        """Return the cluster's settings as they are now."""
        return await self.configuration.settings()

    def web_applications(self) -> tuple[WebApplication, ...]:
        """Return what this node's Cisco Tomcat serves."""
        return self._web_applications

    @property
    def call_manager(self) -> CallManager:
        """Cisco CallManager as it runs, for its phones and for the status of its trunks.

        Raises ServiceFailed where it does not run. A restart makes another one.
        """
        running = self.services.running(ServiceName.CALLMANAGER)
        assert isinstance(running, CallManager)
        return running
