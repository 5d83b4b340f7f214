"""A node in a process of its own, with what a lab and its scenarios ask of a node."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Final, cast

from certs.errors import ConfigError, ConnectionFailed
from certs.fips.module import SelfTestFailed
from certs.issuing import CertificateSpec
from certs.key_store import KeyStore
from certs.purposes import CertificatePurpose, ServiceName
from harness.configuration.cucm_configuration import CucmConfiguration
from harness.configuration.imp_configuration import ImpConfiguration
from harness.faults.board import FaultBoard
from harness.nodes.administration import CucmAdministration, ImpAdministration
from harness.nodes.certificate_management import CertificateManagement
from harness.nodes.intercluster_administration import InterclusterAdministration
from harness.nodes.node import CucmNode, ImpNode
from harness.nodes.service_control import ServiceControl
from harness.nodes.service_runs import RestartNeeded
from harness.nodes.service_state import ServiceFailed
from harness.plan.topology import ClusterPlan, CucmNodePlan, ImpNodePlan
from harness.processes.fips_mode import tell_of_halt
from harness.processes.forwarding import retell
from harness.processes.machine import ProcessMachine
from harness.processes.orders import NodeOrder
from harness.processes.recovery import recover_node
from harness.processes.remote import remote
from harness.processes.supervisor import NodeProcess, ProcessState
from harness.processes.worker import ProcessStatus
from proxies.observer import Observer
from proxies.tasks import TaskKeeper

_LINGER_SECONDS: Final = 2.0


class ProcessNode:
    """What `ImpNode` and `CucmNode` offer, of a node that runs in another process.

    Not there: a service object itself (`services.running`), because it is not in this process.
    """

    def __init__(
        self,
        plan: ImpNodePlan | CucmNodePlan,
        cluster: ClusterPlan,
        order: NodeOrder,
        observer: Observer,
    ) -> None:
        self.plan = plan
        "Its names, address and ports."
        self.cluster = cluster
        "Its cluster."
        self.process = NodeProcess(order)
        "Its process."
        self.process.on_up = self._follow
        self.process.on_halt = self._tell_of_halt
        self.after_reboot: Callable[[], Coroutine[None, None, None]] | None = None
        "Called when a worker is up that is not the first."
        self._order = order
        self._observer = observer
        self._tasks = TaskKeeper()
        control = self.process.control
        kind = ImpNode if isinstance(plan, ImpNodePlan) else CucmNode
        self.purposes = kind.purposes
        "The certificates of its own."
        self.trust_stores = kind.trust_stores
        "Its trust stores."
        self.sip_certificates: tuple[CertificatePurpose, ...] = kind.sip_certificates
        "What its TLS listeners for SIP show."
        self.services: ServiceControl[Any] = remote(ServiceControl, "services", control)
        "Control Center."
        self.key_store = remote(KeyStore, "key_store", control)
        "Its certificates and trust stores."
        self.certificate_management = remote(
            CertificateManagement, "administration.certificate_management", control
        )
        "OS Administration > Security > Certificate Management."
        parts = {"certificate_management": self.certificate_management}
        administration, configuration = (
            (ImpAdministration, ImpConfiguration)
            if isinstance(plan, ImpNodePlan)
            else (CucmAdministration, CucmConfiguration)
        )
        self.administration: Any = remote(administration, "administration", control, **parts)
        "The guide's procedures, by the names of the product's pages."
        self.configuration: Any = remote(configuration, "configuration", control)
        "The cluster's settings, as this node reads and writes them."
        self.machine = remote(ProcessMachine, "machine", control)
        "The machine under it: its FIPS mode."
        self.intercluster = remote(InterclusterAdministration, "intercluster", control)
        "Presence > Inter-Clustering; an IM and Presence node has it."
        self._node: Any = remote(kind, "node", control)

    async def prepare(self) -> None:
        """Start the process, and wait until all is done that comes before the services."""
        await self.process.start()

    async def boot(self) -> tuple[ServiceFailed, ...]:
        """Start the services of the prepared node, and return what could not start."""
        failed: tuple[tuple[ServiceName, str], ...] = await self.process.control.call_later("process.boot")
        return tuple(ServiceFailed(self.plan.name, service, reason) for service, reason in failed)

    async def shut_down(self) -> tuple[ServiceFailed, ...]:
        """End the process."""
        await self.process.stop()
        with suppress(TimeoutError):
            async with asyncio.timeout(_LINGER_SECONDS):
                await self._tasks.join()  # what happened last is told
        await self._tasks.close()
        return ()

    async def reboot(self) -> None:
        """`utils system restart`: the process ends and another one starts; wait until it is up.

        Raises ConfigError where it does not come up.
        """
        await self.process.reboot()

    async def status(self) -> ProcessStatus:
        """Return what the process says of itself. Raises ConnectionFailed where there is none."""
        status: ProcessStatus = await self.process.control.call_later("process.status")
        return status

    async def read_settings(self) -> Any:
        """Return the cluster's settings as they are now."""
        return await self._node.read_settings()

    async def specify(self, purpose: CertificatePurpose) -> CertificateSpec:
        """Return what a new certificate of the node is to say."""
        spec: CertificateSpec = await self._node.specify(purpose)
        return spec

    async def restart_needed(self) -> tuple[RestartNeeded, ...]:
        """Return which services run on what is no longer present."""
        needed: tuple[RestartNeeded, ...] = await self._node.restart_needed()
        return needed

    async def follow_faults(self, board: FaultBoard) -> None:
        """Have the faults on that the lab has on, now and after a reboot; a node that is down starts with them.

        What a TLS listener shows changes with its service's restart.
        """
        faults = tuple(fault.text for fault in board.on)
        self.process.take_faults(faults, board.seed)
        if self.process.state is ProcessState.UP:
            await self.process.control.call_later("process.follow_faults", faults, board.seed)

    async def fault_anchors(self) -> tuple[bytes, ...]:
        """Return what clients have to trust for its faults, in PEM; nothing while it is down."""
        if self.process.state is not ProcessState.UP:
            return ()
        anchors: tuple[bytes, ...] = await self.process.control.call_later("process.fault_anchors")
        return anchors

    async def recover(self, backup: bytes | None = None, password: str = "") -> str:
        """Install the node anew, as `imp-harness recover` does; return what was done.

        Raises ConfigError where it runs, or where the backup cannot be restored.
        """
        return await recover_node(self._order, backup, password)

    async def power_on(self) -> None:
        """Start the process of a node that is down, and its services.

        Raises ConfigError where it does not come up, NodeHalted where a self-test keeps it from doing so.
        """
        self.process.holds = False
        await self.process.start()

    def _tell_of_halt(self, failure: SelfTestFailed) -> None:
        tell_of_halt(self._observer, self.plan, failure)

    def _follow(self) -> None:
        self._tasks.start(self._retell(), name=f"what happens on {self.plan.name}")
        if self.after_reboot is not None:
            self._tasks.start(self.after_reboot(), name=f"after a reboot of {self.plan.name}")

    async def _retell(self) -> None:
        with suppress(ConnectionFailed, asyncio.IncompleteReadError, OSError):
            events, closing = await self.process.control.follow()
            try:
                await retell(events, self._observer)
            finally:
                closing.close()


def as_process_node(node: ImpNode | CucmNode) -> ProcessNode:
    """Return a lab's node as what it is where it runs in a process of its own.

    Raises ConfigError where it does not.
    """
    if not isinstance(cast(object, node), ProcessNode):
        raise ConfigError(
            f"{node.plan.name} runs in the lab's own process; the lab file needs process = true"
        )
    return cast(ProcessNode, node)
