"""A lab that stays up for outside clients: the lab, its clients' files, its description and its control socket."""

import asyncio
import importlib.metadata
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import IPv4Address
from pathlib import Path
from typing import Final

from harness.endpoint.control_server import ControlServer
from harness.endpoint.description import (
    CertificateFiles,
    DnsDescription,
    LabDescription,
    NodeDescription,
    UserDescription,
    write_description,
)
from harness.endpoint.dns.answering import Resolver
from harness.endpoint.dns.server import DEFAULT_PORT, DnsServer
from harness.endpoint.dns.zones import zones_of
from harness.endpoint.hosts import hosts_text
from harness.endpoint.lab_faults import LabFaults
from harness.endpoint.ready import ClientFiles, make_ready
from harness.endpoint.runtime import CONTROL, DESCRIPTION, lab_folder
from harness.endpoint.state import KeptState
from harness.endpoint.table import endpoints
from harness.evidence.capture.recorder import WireRecorder
from harness.evidence.capture.trace import finish_trace
from harness.evidence.ledger import Ledger
from harness.evidence.live.server import serve_live
from harness.faults.board import FaultBoard
from harness.faults.kinds import Fault
from harness.lab import PASSWORD_FILE, Lab
from harness.plan.lab_file import LabFile
from proxies.clock import LoopClock

_NAME_SERVER: Final = 2
"The place of the name server's address in the lab's range."


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointOptions:
    """How a lab is to be kept up."""

    lab_file: LabFile
    "Which lab."

    folder: Path
    "The run's folder, for the evidence."

    state: Path | None = None
    "Where the lab's state outlives the run; None keeps nothing."

    exchanged: bool = True
    "Exchange the nodes' certificates and let a test client in, or leave the nodes as installed."

    dns_port: int = DEFAULT_PORT
    "Where the name server listens."

    live_port: int | None = None
    "Where the live page is served, 0 for a free port; None serves none."

    trace: bool = False
    "Whether to capture what crosses the sockets, in `trace.pcapng`."

    tls_secrets: bool = True
    "Whether the capture holds the TLS secrets that decrypt it."

    faults: tuple[Fault, ...] = ()
    "What is on from the start."

    seed: int = field(default_factory=lambda: secrets.randbits(32))
    "The seed of the run's chance."


@dataclass(slots=True, kw_only=True)
class LabSession:
    """A lab that is up: what operations of the control socket work on."""

    lab: Lab
    "The lab."

    ledger: Ledger
    "What crossed its sockets."

    description: LabDescription
    "What it says of itself."

    files: ClientFiles | None
    "The clients' files."

    faults: LabFaults
    "The faults, on and off."

    client_ended: dict[int, asyncio.Event] = field(default_factory=dict)
    "Expectations that wait, by number: set where the client that is expected to do something has ended."

    ready_at: int
    "The ledger's position when the lab was ready: what was before is the lab's own work."

    stopping: asyncio.Event
    "Set when the lab is to stop."


@asynccontextmanager
async def keep_up(options: EndpointOptions, *, stopping: asyncio.Event) -> AsyncIterator[LabSession]:
    """Bring a lab up with all that outside clients need, and take it down and write its evidence at the end.

    The lab's user sets `stopping`, or `imp-harness down` does; who holds the session waits for it.
    Raises ConfigError where the lab cannot be as it is asked for, ServiceFailed where a service cannot start.
    """
    from harness.endpoint.operations import OPERATIONS

    clock = LoopClock()
    tap = WireRecorder(now=clock.now, keep_secrets=options.tls_secrets) if options.trace else None
    ledger = Ledger(now=clock.now, tap=tap)
    addresses: dict[str, str] = {}
    ledger.note(f"seed {options.seed}")
    for fault in options.faults:
        ledger.note(f"fault from the start: {fault}")
    board = FaultBoard(seed=options.seed, clock=clock, note=ledger.note)
    kept = KeptState.of(options.state, options.lab_file)
    work = (options.state or options.folder) / "lab"
    lab_id = f"{options.lab_file.name}-{os.getpid()}"
    try:
        async with AsyncExitStack() as stack:
            runtime = stack.enter_context(lab_folder(lab_id))
            lab = await stack.enter_async_context(
                Lab.start(
                    options.lab_file,
                    work_directory=work,
                    observer=ledger,
                    clock=clock,
                    network=kept.network,
                    interpose=board.interposer,
                )
            )
            ledger.lab_is_up(lab.plan)
            addresses |= {node.address: node.fqdn for node in lab.plan.nodes}
            kept.keep(lab.network)
            clients = (options.state or options.folder) / "clients"
            files = await make_ready(lab, clients) if options.exchanged else None
            clients.mkdir(mode=0o700, exist_ok=True)
            hosts = (clients / "hosts").absolute()
            hosts.write_text(hosts_text(lab.plan), encoding="utf-8")
            dns = await _serve_names(stack, lab, options.dns_port)
            live = None
            if options.live_port is not None:
                live = await stack.enter_async_context(serve_live(ledger, port=options.live_port))
            description = await _describe(lab, files, options, lab_id, runtime, hosts, dns, live)
            session = LabSession(
                faults=await LabFaults.of(lab, board, files.trust if files else None),
                lab=lab,
                ledger=ledger,
                description=description,
                files=files,
                stopping=stopping,
                ready_at=ledger.position,
            )
            for fault in options.faults:
                await session.faults.turn_on(fault)
            server = ControlServer(session, OPERATIONS)
            stack.push_async_callback(server.close)
            await server.start(runtime / CONTROL)
            write_description(runtime / DESCRIPTION, description)
            yield session
    finally:
        ledger.write(options.folder / "events.jsonl")
        finish_trace(options.folder, ledger, addresses=addresses)


async def _serve_names(stack: AsyncExitStack, lab: Lab, port: int) -> DnsDescription:
    """Start the name server: on an address of its own, or beside the first node of a lab that is bound elsewhere."""
    own, first = lab.network[_NAME_SERVER], lab.plan.nodes[0].address
    address = str(own) if IPv4Address(first) in lab.network else first
    server = DnsServer(Resolver(zones_of(lab.plan, address)))
    stack.push_async_callback(server.close)
    await server.start(address, port)
    return DnsDescription(address=address, port=port)


async def _describe(
    lab: Lab,
    files: ClientFiles | None,
    options: EndpointOptions,
    lab_id: str,
    runtime: Path,
    hosts: Path,
    dns: DnsDescription,
    live: str | None,
) -> LabDescription:
    users = []
    for user_id in lab.user_ids:
        user = await lab.user(user_id)
        users.append(
            UserDescription(
                user_id=user_id,
                jid=f"{user_id}@{lab.node(user.home_node).plan.domain}",
                home_node=user.home_node,
                password=user.digest_password,
            )
        )
    first = next((c.domain for c in lab.plan.clusters if c.imp), options.lab_file.domain)
    return LabDescription(
        id=lab_id,
        name=lab.plan.name,
        pid=os.getpid(),
        started_at=datetime.now(UTC),
        version=importlib.metadata.version("imp-harness"),
        boot_seconds=lab.boot_seconds,
        seed=options.seed,
        folder=options.folder.absolute(),
        state=options.state.absolute() if options.state else None,
        control=runtime / CONTROL,
        domain=first,
        nodes=tuple(
            NodeDescription(
                name=node.name,
                fqdn=node.fqdn,
                kind=cluster.kind,
                cluster=cluster.name,
                domain=cluster.domain,
                address=node.address,
            )
            for cluster in lab.plan.clusters
            for node in cluster.nodes
        ),
        endpoints=tuple(endpoints(lab.plan)),
        users=tuple(users),
        certificates=None
        if files is None
        else CertificateFiles(
            trust=files.trust.absolute(), client=files.good.absolute(), stranger=files.stranger.absolute()
        ),
        administrator_password_file=(lab.work_directory / PASSWORD_FILE).absolute(),
        hosts=hosts,
        dns=dns,
        web=live,
    )
