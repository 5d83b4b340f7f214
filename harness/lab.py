"""A lab that runs: all nodes of a lab file, up on their own addresses."""

import asyncio
import fcntl
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, contextmanager
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Final, cast

from certs.authority import CertificateAuthority
from certs.errors import ConfigError
from certs.purposes import ServiceName
from certs.storage import make_directory
from harness.configuration.cluster_settings import User
from harness.configuration.database import Database
from harness.configuration.provisioning import (
    PASSWORD_FILE,
    database_url,
    installed_password,
    provision_cluster,
    provision_peer,
)
from harness.near_matches import did_you_mean
from harness.nodes.making import make_node
from harness.nodes.node import CucmNode, ImpNode
from harness.nodes.service_state import ServiceFailed
from harness.nodes.surroundings import NodeSurroundings
from harness.plan.addresses import LOOPBACK, ReservedRange, reserve_exactly, reserve_range
from harness.plan.lab_file import CertificateSource, CucmClusterEntry, ImpClusterEntry, LabFile
from harness.plan.names import LabNames
from harness.plan.topology import ClusterPlan, CucmNodePlan, ImpNodePlan, LabPlan, plan_lab
from harness.processes.orders import order_for
from harness.processes.process_node import ProcessNode
from proxies.clock import LoopClock
from proxies.interposing import Interposer, Nobody
from proxies.observer import NullObserver, Observer, tap_of

__all__ = ["PASSWORD_FILE", "Lab"]

Interpose = Callable[[str, ServiceName], Interposer]
"Says who stands between a service of a node and its sockets."

_log: Final = logging.getLogger(__name__)


class Lab:
    """All nodes of a lab file, up on their own addresses. Made by `Lab.start`."""

    def __init__(
        self,
        plan: LabPlan,
        lab_file: LabFile,
        work_directory: Path,
        clock: LoopClock,
        observer: Observer,
        network: IPv4Network,
        interpose: Interpose,
    ) -> None:
        self.plan = plan
        "Clusters and nodes with names and addresses."
        self.work_directory = work_directory
        "Where the nodes keep their folders and the clusters their databases."
        self.clock = clock
        "The time of all nodes; `advance` moves it forward."
        self.observer = observer
        "What takes down what happens on sockets."
        self.names = LabNames(plan)
        "The lab's names, as a client beside the nodes sees them."
        self.network = network
        "The range of its addresses; those before the first node's are for the lab's own use."
        self.boot_seconds = 0.0
        "How long it took until all services had started."
        self.administrator_password = ""
        "What the nodes were installed with: the password of their account `administrator`."
        self._lab_file = lab_file
        self._interpose = interpose
        self._nodes: dict[str, ImpNode | CucmNode] = {}

    @classmethod
    @asynccontextmanager
    async def start(
        cls,
        lab_file: LabFile,
        *,
        work_directory: Path,
        observer: Observer | None = None,
        clock: LoopClock | None = None,
        network: IPv4Network | None = None,
        interpose: Interpose = lambda node, service: Nobody(),
    ) -> AsyncIterator["Lab"]:
        """Bring all nodes up on a range of addresses of their own, and take them down at the end.

        A lab whose state was kept names the range that it had: its certificates carry the addresses. Raises
        ConfigError where the lab cannot be as the file says, ServiceFailed where a service cannot start.
        """
        began = time.perf_counter()
        with _hold(work_directory), _reserve(lab_file, network) as reserved:
            plan = plan_lab(lab_file, reserved.network)
            _warn_of_addresses(plan)
            lab = cls(
                plan,
                lab_file,
                work_directory,
                clock or LoopClock(),
                observer or NullObserver(),
                reserved.network,
                interpose,
            )
            try:
                await lab._boot()
                lab.boot_seconds = time.perf_counter() - began
                yield lab
            finally:
                await lab._shut_down()

    @property
    def nodes(self) -> tuple[ImpNode | CucmNode, ...]:
        """All nodes, in the lab file's order."""
        return tuple(self._in_order())

    @property
    def imp(self) -> tuple[ImpNode, ...]:
        """The IM and Presence nodes, in the lab file's order."""
        nodes = (node for node in self._in_order() if isinstance(node.plan, ImpNodePlan))
        return cast(tuple[ImpNode, ...], tuple(nodes))

    @property
    def cucm(self) -> tuple[CucmNode, ...]:
        """The CUCM nodes, in the lab file's order."""
        nodes = (node for node in self._in_order() if isinstance(node.plan, CucmNodePlan))
        return cast(tuple[CucmNode, ...], tuple(nodes))

    @property
    def process_nodes(self) -> tuple[ProcessNode, ...]:
        """The nodes that run in processes of their own, in the lab file's order."""
        nodes = (cast(object, node) for node in self._in_order())
        return tuple(node for node in nodes if isinstance(node, ProcessNode))

    def node(self, name: str) -> ImpNode | CucmNode:
        """Return a node by its short or full name. Raises ConfigError where there is none."""
        for node in self._nodes.values():
            if name in (node.plan.name, node.plan.fqdn):
                return node
        raise ConfigError(f"no node is called {name!r}{did_you_mean(name, self._nodes)}")

    def resolve(self, name: str) -> str:
        """Return the address of a host of the lab. Raises ConnectionFailed where there is none."""
        return self.names.resolve(name)

    @property
    def user_ids(self) -> tuple[str, ...]:
        """The users of the lab file, in its order."""
        return tuple(user.user_id for user in self._lab_file.users)

    async def user(self, user_id: str) -> User:
        """Return a user as the home cluster's database has it, the digest password too.

        Raises ConfigError where the lab has no such user.
        """
        known: list[str] = []
        for node in self.imp:
            for user in (await node.read_settings()).users:
                if user.user_id == user_id:
                    return user
                known.append(user.user_id)
        raise ConfigError(f"no user is called {user_id!r}{did_you_mean(user_id, known)}")

    def _in_order(self) -> Iterator[ImpNode | CucmNode]:
        return (self._nodes[plan.name] for plan in self.plan.nodes)

    async def _boot(self) -> None:
        authority = None
        if self._lab_file.certificates is CertificateSource.CA_SIGNED:
            authority = CertificateAuthority.load_or_create(self.work_directory / "ca")
        self.administrator_password = installed_password(self._lab_file, self.work_directory)
        self._make_nodes(authority)
        failures: list[ServiceFailed] = []
        try:
            await self._provision()
            async with asyncio.TaskGroup() as group:
                for cluster in self.plan.clusters:
                    group.create_task(self._boot_cluster(cluster, failures), name=f"boot {cluster.name}")
        except BaseExceptionGroup as errors:
            raise _first(errors) from None
        if failures:
            for other in failures[1:]:
                failures[0].add_note(str(other))
            raise failures[0]

    def _make_nodes(self, authority: CertificateAuthority | None) -> None:
        for cluster, entry in zip(self.plan.clusters, self._lab_file.clusters, strict=True):
            url = database_url(entry, self.work_directory)
            apart = {node.name for node in entry.nodes if node.process}
            for plan in cluster.nodes:
                if plan.name in apart:
                    self._nodes[plan.name] = self._make_process_node(plan, cluster)
                    continue
                surroundings = NodeSurroundings(
                    directory=self.work_directory / cluster.name / plan.name,
                    names=LabNames(self.plan),
                    clock=self.clock,
                    observer=self.observer,
                    key_algorithm=self._lab_file.key_algorithm,
                    authority=authority,
                    administrator_password=self.administrator_password,
                    interpose=self._interpose,
                )
                self._nodes[plan.name] = make_node(plan, cluster, surroundings, url)

    def _make_process_node(
        self, plan: ImpNodePlan | CucmNodePlan, cluster: ClusterPlan
    ) -> ImpNode | CucmNode:
        order = order_for(
            self._lab_file,
            plan,
            network=self.network,
            work_directory=self.work_directory,
            administrator_password=self.administrator_password,
            authority=self.work_directory / "ca",
            holds=True,
            tap=tap_of(self.observer),
        )
        # It has what scenarios and pages use of a node, and is no node of this process.
        return cast(ImpNode | CucmNode, ProcessNode(plan, cluster, order, self.observer))

    async def _provision(self) -> None:
        """Install what the lab file names: each cluster for itself, then the peers, who are told of each other."""
        clusters = {cluster.name: cluster for cluster in self.plan.clusters}
        entries = {entry.name: entry for entry in self._lab_file.clusters}
        async with AsyncExitStack() as stack:
            databases = {
                name: await stack.enter_async_context(
                    aclosing(Database(database_url(entry, self.work_directory)))
                )
                for name, entry in entries.items()
            }
            async with asyncio.TaskGroup() as group:
                for name, entry in entries.items():
                    group.create_task(self._provision_cluster(entry, clusters[name], databases[name]))
            for name, entry in entries.items():
                for peer in entry.peers if isinstance(entry, ImpClusterEntry) else ():
                    await provision_peer(databases[name], clusters[peer], databases[peer])

    async def _provision_cluster(
        self, entry: ImpClusterEntry | CucmClusterEntry, cluster: ClusterPlan, database: Database
    ) -> None:
        make_directory(self.work_directory / cluster.name)
        await database.prepare()
        await provision_cluster(entry, cluster, self._lab_file, database)

    async def _boot_cluster(self, cluster: ClusterPlan, failures: list[ServiceFailed]) -> None:
        # All nodes are prepared before the first service starts, so that each finds what the others replicate.
        async with asyncio.TaskGroup() as group:
            for plan in cluster.nodes:
                group.create_task(self._nodes[plan.name].prepare(), name=f"prepare {plan.name}")
        async with asyncio.TaskGroup() as group:
            for plan in cluster.nodes:
                group.create_task(self._boot_node(self._nodes[plan.name], failures), name=f"boot {plan.name}")

    async def _boot_node(self, node: ImpNode | CucmNode, failures: list[ServiceFailed]) -> None:
        failures.extend(await node.boot())

    async def _shut_down(self) -> None:
        # Not a task group: a node that fails must not keep the others from closing their sockets.
        ends = await asyncio.gather(
            *(node.shut_down() for node in self._nodes.values()), return_exceptions=True
        )
        for end in ends:
            for failure in [end] if isinstance(end, BaseException) else end:
                _log.warning("%s", failure)


def _reserve(lab_file: LabFile, network: IPv4Network | None) -> ReservedRange:
    return reserve_exactly(network) if network else reserve_range(lab_file.address_range)


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    first = errors.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first


@contextmanager
def _hold(work_directory: Path) -> Iterator[None]:
    """Keep another run out of the lab's folder; the kernel lets go of the lock when the process ends."""
    make_directory(work_directory)
    with (work_directory / "lab.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(f"{work_directory} belongs to a lab that runs; name another folder") from None
        yield


def _warn_of_addresses(plan: LabPlan) -> None:
    for foreign in plan.foreign_domains:
        if IPv4Address(foreign.address) not in LOOPBACK:
            _log.warning(
                "%s is at %s: the lab may connect to another machine", foreign.domain, foreign.address
            )
    for node in plan.nodes:
        if IPv4Address(node.address) not in LOOPBACK:
            _log.warning("%s listens on %s: other machines may reach it", node.name, node.address)
