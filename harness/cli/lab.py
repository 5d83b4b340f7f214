"""`imp-harness up`: a lab that stays up for clients from outside."""

import asyncio
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from harness.evidence.ledger import Ledger
    from harness.lab import Lab
    from harness.plan.lab_file import LabFile
    from harness.ready import ClientFiles


def up(
    lab_file: Annotated[
        Path | None, typer.Argument(metavar="[LABFILE]", help="A lab file; the built-in lab without one.")
    ] = None,
    runs: Annotated[Path, typer.Option(help="The folder of run folders.")] = Path("runs"),
    exchanged: Annotated[
        bool,
        typer.Option(
            "--exchanged/--fresh",
            help="Exchange the nodes' certificates and let a test client in, or leave the nodes as installed.",
        ),
    ] = True,
) -> None:
    """Bring a lab up and keep it up until Ctrl-C; verdicts are shown as they are made."""
    from harness.plan.lab_file import load_lab_file, load_topology

    file = load_topology() if lab_file is None else load_lab_file(lab_file)
    folder = runs / f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{file.name}"
    folder.mkdir(parents=True)
    try:
        import uvloop
    except ImportError:
        factory = None
    else:
        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(_run(file, folder, exchanged=exchanged))


async def _run(file: "LabFile", folder: Path, *, exchanged: bool) -> None:
    from harness.evidence.ledger import Ledger
    from harness.lab import Lab
    from harness.ready import make_ready
    from proxies.clock import LoopClock

    clock = LoopClock()
    ledger = Ledger(now=clock.now)
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    try:
        async with Lab.start(file, work_directory=folder / "lab", observer=ledger, clock=clock) as lab:
            files = await make_ready(lab, folder / "clients") if exchanged else None
            await _show_lab(lab, files)
            await _follow(ledger, stopped)
    finally:
        ledger.write(folder / "events.jsonl")
        sys.stdout.write(f"\nlab stopped; evidence: {folder / 'events.jsonl'}\n")


async def _show_lab(lab: "Lab", files: "ClientFiles | None") -> None:
    from rich.console import Console
    from rich.table import Table

    from harness.lab import PASSWORD_FILE

    # Off a terminal rich assumes 80 columns, and the table has a few more.
    console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 140)
    console.print(f"lab {lab.plan.name}: {len(lab.plan.nodes)} nodes up in {lab.boot_seconds * 1000:.0f} ms")
    table = Table("node", "service", "address", "port", "expects", box=None, pad_edge=False)
    for imp in lab.imp:
        name, where, ports = imp.plan.fqdn, imp.plan.address, imp.plan.ports
        table.add_row(name, "Cisco SIP Proxy", where, str(ports.sip), "UDP, TCP")
        table.add_row(
            "", "", where, str(ports.sip_tls_server_auth), "TLS, server authentication: shows tomcat"
        )
        table.add_row("", "", where, str(ports.sip_tls_peer_auth), "TLS, peer authentication: shows cup")
        table.add_row(
            "", "Cisco Presence Engine", where, str(ports.presence_engine_tls), "TLS, peer authentication"
        )
        table.add_row(
            "", "Cisco XCP Connection Manager", where, str(ports.xmpp_client), "XMPP clients, STARTTLS"
        )
        table.add_row("", "Cisco XCP Router", where, str(ports.xcp_router), "XCP routers of other nodes")
        table.add_row("", "", where, str(ports.xcp_component), "external components (XEP-0114)")
        service = "Cisco XCP XMPP Federation Connection Manager"
        table.add_row("", service, where, str(ports.xmpp_federation), "servers of other domains, STARTTLS")
        table.add_row("", "Cisco Tomcat", where, str(ports.tomcat), f"https://{where}:{ports.tomcat}/")
    for cucm in lab.cucm:
        name, where, trunk_ports = cucm.plan.fqdn, cucm.plan.address, cucm.plan.ports
        table.add_row(name, "Cisco CallManager", where, str(trunk_ports.sip), "SIP trunks: UDP, TCP")
        table.add_row("", "", where, str(trunk_ports.sip_tls), "SIP trunks: TLS, peer authentication")
        port = trunk_ports.tomcat
        table.add_row("", "Cisco Tomcat", where, str(port), f"https://{where}:{port}/")
    console.print(table)
    for user_id in lab.user_ids:
        user = await lab.user(user_id)
        domain = lab.node(user.home_node).plan.domain
        console.print(f"user {user.user_id}@{domain}, home node {user.home_node}")
    console.print(f"administrator's password: {lab.work_directory / PASSWORD_FILE}")
    if files is not None:
        console.print(f"what the nodes show:    {files.trust}")
        console.print(f"client to be let in:    {files.good}")
        console.print(f"client to be refused:   {files.stranger}")
        peer = lab.imp[0].plan
        console.print(
            f"try: openssl s_client -connect {peer.address}:{peer.ports.sip_tls_peer_auth} "
            f"-CAfile {files.trust} -cert {files.good}"
        )
    console.print("ready; Ctrl-C stops the lab")


async def _follow(ledger: "Ledger", stopped: asyncio.Event) -> None:
    """Print verdicts as they are made, until the lab is to stop."""
    from rich.console import Console

    from harness.evidence.terminal import print_judged

    console = Console(highlight=False, soft_wrap=True)
    async with asyncio.TaskGroup() as group:
        following = group.create_task(
            ledger.follow(lambda entry: print_judged(console, entry)), name="follow the ledger"
        )
        await stopped.wait()
        following.cancel()
