"""Runs one node in this process, until it is told to end or to reboot."""

import asyncio
import json
import os
import signal
import sys
import time
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from sqlalchemy.exc import IntegrityError, InterfaceError, OperationalError, ProgrammingError

from certs.authority import CertificateAuthority
from certs.errors import ConfigError, HarnessError
from certs.fips.issuing import ApprovedIssuer
from certs.issuing import LibraryIssuer
from certs.purposes import ServiceName
from harness.configuration.database import Database
from harness.configuration.provisioning import provision_cluster, provision_named_peers
from harness.event_loop import event_loop_factory
from harness.evidence.ledger import Ledger
from harness.faults.board import FaultBoard
from harness.faults.kinds import parse_fault
from harness.nodes.making import make_node
from harness.nodes.node import CucmNode, ImpNode
from harness.nodes.service_state import ServiceStatus
from harness.nodes.surroundings import NodeSurroundings
from harness.plan.names import LabNames
from harness.plan.topology import ImpNodePlan
from harness.processes.control import SOCKET_NAME, ControlServer
from harness.processes.folder import hold_folder, write_events
from harness.processes.forwarding import EventForwarder
from harness.processes.machine import ProcessMachine, check_fips_process
from harness.processes.orders import EXIT_REBOOT, MAXIMUM_ORDER, NodeOrder
from harness.processes.values import decode
from proxies.clock import LoopClock

DATABASE_SECONDS: Final = 60.0
"How long a node waits for its cluster's database, which may start later than the node does."

_RETRY_SECONDS: Final = 0.5
_PASSING: Final = (OSError, OperationalError, InterfaceError, IntegrityError, ProgrammingError)
"What may be better a moment later; a damaged database is not."


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessStatus:
    """What a node's process says of itself."""

    node: str
    "The node's name."

    pid: int
    "The number of its process; another one after every reboot."

    started_at: datetime
    "Since when the process runs, UTC."

    services: tuple[ServiceStatus, ...]
    "The lines of Control Center."


class Worker:
    """One node with its control socket."""

    def __init__(self, order: NodeOrder) -> None:
        self._order = order
        self._clock = LoopClock()
        self._ledger = Ledger(now=self._clock.now)
        self._events = EventForwarder(self._ledger, captures=order.captures, secrets_file=order.secrets_file)
        self._plan = order.plan
        self._node_plan, self._cluster, self._entry = order.find(self._plan)
        self._directory = Path(order.work_directory) / self._cluster.name / order.node
        self._faults = FaultBoard(seed=order.fault_seed, clock=self._clock, note=lambda text: None)
        self._ended = asyncio.Event()
        self._machine = ProcessMachine(self._directory, reboot=self.reboot)
        self._reboots = False
        self._node: ImpNode | CucmNode | None = None
        self._started_at = self._clock.now()

    @property
    def node(self) -> ImpNode | CucmNode:
        """The node, once it is made."""
        assert self._node is not None
        return self._node

    # What the control socket offers as `process`.

    def status(self) -> ProcessStatus:
        """Return what the process does."""
        return ProcessStatus(
            node=self._order.node,
            pid=os.getpid(),
            started_at=self._started_at,
            services=self.node.services.services(),
        )

    async def boot(self) -> tuple[tuple[ServiceName, str], ...]:
        """Start the services of a node that held; return which could not start, and why."""
        return tuple((failure.service, failure.reason) for failure in await self.node.boot())

    def follow_faults(self, faults: tuple[str, ...], seed: int) -> None:
        """Have the faults on that the lab has on; what a TLS listener shows changes with its service's restart.

        Raises ConfigError where there is none of a name.
        """
        self._faults.seed = seed
        self._faults.follow(tuple(map(parse_fault, faults)))

    def fault_anchors(self) -> tuple[bytes, ...]:
        """Return what clients have to trust so that a wrong certificate is wrong in its one thing only, in PEM."""
        return self._faults.anchors

    def reboot(self) -> None:
        """End this process and have it started again."""
        self._reboots = True
        self._ended.set()

    def end(self) -> None:
        """End this process."""
        self._ended.set()

    # The process.

    async def run(self) -> int:
        """Run the node; return the exit status.

        Raises ConfigError where the folder is another process's or the database cannot be reached.
        """
        if self._order.fips:
            check_fips_process()
        with hold_folder(self._directory):
            async with AsyncExitStack() as stack:
                self._listen_to_signals()
                database = Database(self._order.database)
                stack.push_async_callback(database.aclose)
                await self._prepare_database(database)
                self._prepare_faults()
                self._node = make_node(
                    self._node_plan, self._cluster, self._surroundings(), self._order.database
                )
                control = ControlServer(self._directory / SOCKET_NAME, self._roots(), self._events)
                stack.push_async_callback(control.close)
                stack.push_async_callback(self._shut_down)
                await self.node.prepare()
                if self._order.keys_to_make:
                    await self._make_keys_again()
                await control.start()
                if not self._order.holds:
                    for failure in await self.node.boot():
                        sys.stderr.write(f"{failure}\n")
                _say("prepared" if self._order.holds else "ready", self._order.node)
                await self._ended.wait()
        return EXIT_REBOOT if self._reboots else 0

    async def _make_keys_again(self) -> None:
        """Make new keys and certificates after a change of the FIPS mode (G25)."""
        self.node.key_store.discard_requests()
        for purpose in self.node.purposes:
            await self.node.administration.certificate_management.regenerate(purpose)
        await self.node.prepare()  # the cluster is told of the new XMPP certificate
        self._machine.fips.keys_made()

    def _prepare_faults(self) -> None:
        nodes = self._plan.nodes
        imp = frozenset(node.name for node in nodes if isinstance(node, ImpNodePlan))
        self._faults.know_nodes({node.name: node.address for node in nodes}, imp)
        self.follow_faults(self._order.faults, self._order.fault_seed)

    def _surroundings(self) -> NodeSurroundings:
        authority = self._order.authority
        return NodeSurroundings(
            directory=self._directory,
            names=LabNames(self._plan),
            clock=self._clock,
            observer=self._events,
            key_algorithm=self._order.lab_file.key_algorithm,
            authority=CertificateAuthority.load_or_create(Path(authority)) if authority else None,
            issuer=ApprovedIssuer(self._machine.fips.module) if self._order.fips else LibraryIssuer(),
            machine=self._machine,
            interpose=self._faults.interposer,
            administrator_password=self._order.administrator_password,
        )

    def _roots(self) -> dict[str, object]:
        node = self.node
        roots: dict[str, object] = {"intercluster": node.intercluster} if isinstance(node, ImpNode) else {}
        return roots | {
            "process": self,
            "machine": self._machine,
            "node": node,
            "services": node.services,
            "configuration": node.configuration,
            "administration": node.administration,
            "key_store": node.key_store,
        }

    async def _prepare_database(self, database: Database) -> None:
        """Make the cluster's tables and users, whichever of its nodes comes first."""
        end = time.monotonic() + DATABASE_SECONDS
        while True:
            try:
                await database.prepare()
                await provision_cluster(self._entry, self._cluster, self._order.lab_file, database)
                await provision_named_peers(self._entry, self._plan, self._order.lab_file, database)
            except ConfigError as error:
                # Another node makes the tables at this moment, or the database's machine is not up yet.
                if time.monotonic() > end or not isinstance(error.__cause__, _PASSING):
                    raise
            else:
                return
            await asyncio.sleep(_RETRY_SECONDS)

    async def _shut_down(self) -> None:
        for failure in await self.node.shut_down():
            sys.stderr.write(f"{failure}\n")
        self._events.finish()
        write_events(self._directory, self._ledger)

    def _listen_to_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._ended.set)
        # A terminal that closes is no reason to reread anything: services keep what they started with.
        loop.add_signal_handler(signal.SIGHUP, lambda: None)
        loop.add_reader(0, self._read_supervisor)

    def _read_supervisor(self) -> None:
        """End with whoever started this process: its end of our standard input closes, however it dies."""
        if not os.read(sys.stdin.fileno(), 4096):
            asyncio.get_running_loop().remove_reader(0)
            self._ended.set()


def run_worker() -> int:
    """Read the order from the standard input, run the node, return the exit status of this process."""
    line = sys.stdin.buffer.readline(MAXIMUM_ORDER)
    try:
        order = decode(line)
        if not isinstance(order, NodeOrder):
            raise ConfigError("expected the order for a node on the standard input")
        with asyncio.Runner(loop_factory=event_loop_factory()) as runner:
            return runner.run(_run(order))
    except HarnessError as error:
        _say("failed", str(error))
        return 2


async def _run(order: NodeOrder) -> int:
    return await Worker(order).run()


def _say(word: str, text: str) -> None:
    """Tell the supervisor, as a line of JSON on the standard output."""
    with suppress(BrokenPipeError):  # whoever started this process has gone; it ends by its standard input
        sys.stdout.write(json.dumps({word: text}) + "\n")
        sys.stdout.flush()
