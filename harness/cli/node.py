"""`imp-harness node`: one node of a lab in a process of its own, as a container runs it."""

import asyncio
import json
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from certs.errors import ConfigError

BACKUP_PASSWORD: Final = "IMP_HARNESS_BACKUP_PASSWORD"  # noqa: S105 - its name
"The variable that holds a backup's password, so that it is on no command line."

EXIT_HALTED: Final = 3
"The exit status of a node that a failed self-test halts."

if TYPE_CHECKING:
    from certs.fips.module import SelfTestFailed
    from harness.plan.lab_file import LabFile
    from harness.plan.topology import CucmNodePlan, ImpNodePlan
    from harness.processes.orders import NodeOrder


def node(
    name: Annotated[str, typer.Argument(metavar="NODE", help="The node's short name in the lab file.")],
    lab: Annotated[
        Path | None, typer.Option("--lab", metavar="FILE", help="The lab file; the built-in lab without one.")
    ] = None,
    database: Annotated[
        str,
        typer.Option(
            metavar="URL",
            help="The cluster's database, as postgresql+asyncpg://user:password@host/name; by default where the "
            "lab file says, or a SQLite file in the state folder.",
            envvar="IMP_HARNESS_DATABASE",
        ),
    ] = "",
    state: Annotated[
        Path, typer.Option(metavar="DIR", help="Where the lab's nodes keep their folders.")
    ] = Path("imp-state"),
    address: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NODE=]ADDRESS",
            help="Another address than the lab file's, for this node or for another one; a host name is looked up "
            "once. May come several times.",
        ),
    ] = None,
    authority: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The folder of the lab's CA, where the lab file asks for one."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Say what happens in JSON, one object a line.")
    ] = False,
) -> None:
    """Run one node of a lab until SIGTERM or Ctrl-C. A line on the standard output says that it is ready."""

    order, plan = _order(name, lab, database, state, address or [], authority)
    with asyncio.Runner() as runner:
        sys.exit(runner.run(_run(order, plan, as_json=as_json)))


def recover(
    name: Annotated[str, typer.Argument(metavar="NODE", help="The node's short name in the lab file.")],
    lab: Annotated[
        Path | None, typer.Option("--lab", metavar="FILE", help="The lab file; the built-in lab without one.")
    ] = None,
    database: Annotated[
        str, typer.Option(metavar="URL", help="The cluster's database.", envvar="IMP_HARNESS_DATABASE")
    ] = "",
    state: Annotated[
        Path, typer.Option(metavar="DIR", help="Where the lab's nodes keep their folders.")
    ] = Path("imp-state"),
    backup: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="A backup of the node by the Disaster Recovery System, to restore."
        ),
    ] = None,
    password: Annotated[
        str,
        typer.Option(help="The backup's password; asked for where it is not given.", envvar=BACKUP_PASSWORD),
    ] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Install a node that does not run anew: a fresh module, a fresh state, a backup restored where one is named.

    It is the only help for a node that a damaged module halts at every start (G27). Its next start makes new
    certificates, and is not in FIPS mode.
    """
    from harness.processes.recovery import read_backup, recover_node

    order, plan = _order(name, lab, database, state, [], None)
    content = read_backup(backup) if backup is not None else None
    if content is not None and not password:
        password = typer.prompt("Password of the backup", hide_input=True)
    if not yes:
        typer.confirm(f"All that {plan.fqdn} keeps in {order.directory} will be gone. Continue?", abort=True)
    typer.echo(asyncio.run(recover_node(order, content, password)))


def _order(
    name: str, lab: Path | None, database: str, state: Path, addresses: list[str], authority: Path | None
) -> "tuple[NodeOrder, ImpNodePlan | CucmNodePlan]":
    from harness.configuration.provisioning import installed_password
    from harness.near_matches import did_you_mean
    from harness.plan.lab_file import load_lab_file, load_topology
    from harness.plan.topology import plan_lab
    from harness.processes.orders import order_for

    lab_file = load_topology() if lab is None else load_lab_file(lab)
    lab_file = _with_addresses(lab_file, name, addresses)
    plan = plan_lab(lab_file, lab_file.address_range)
    found = {each.name: each for each in plan.nodes}
    if name not in found:
        raise ConfigError(f"no node is called {name!r}{did_you_mean(name, found)}; known: {', '.join(found)}")
    order = order_for(
        lab_file,
        found[name],
        network=lab_file.address_range,
        work_directory=state,
        database=database,
        administrator_password=installed_password(lab_file, state),
        authority=authority,
    )
    return order, found[name]


async def _run(order: "NodeOrder", plan: "ImpNodePlan | CucmNodePlan", *, as_json: bool) -> int:
    from harness.processes.supervisor import NodeProcess

    process = NodeProcess(order)
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    loop.add_signal_handler(signal.SIGHUP, lambda: None)  # as in the worker: nothing is read again

    def say_ready() -> None:
        seen = {"event": "ready", "node": plan.name, "fqdn": plan.fqdn, "address": plan.address}
        seen |= {"pid": str(process.pid), "boots": str(process.boots)}
        again = "" if process.boots == 1 else f", boot {process.boots}"
        _say(seen, f"ready: {plan.fqdn} on {plan.address}, process {process.pid}{again}", as_json=as_json)

    process.on_up = say_ready
    waiting = asyncio.ensure_future(ended.wait())
    running = asyncio.ensure_future(process.run())
    try:
        await asyncio.wait({waiting, running}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
        await process.stop()
        await running
    if process.halted_by is not None and not ended.is_set():
        _say_halted(process.halted_by, order, plan, as_json=as_json)
        return EXIT_HALTED
    if process.failure and not ended.is_set():
        raise ConfigError(f"{plan.name} does not run: {process.failure}")
    _say({"event": "ended", "node": plan.name}, f"ended: {plan.fqdn}", as_json=as_json)
    return 0


def _say_halted(
    failure: "SelfTestFailed", order: "NodeOrder", plan: "ImpNodePlan | CucmNodePlan", *, as_json: bool
) -> None:
    """Tell which self-test halted the node (G27), here and in the node's evidence."""
    from harness.evidence.ledger import Ledger
    from harness.processes.fips_mode import HOW_TO_MEND, tell_of_halt
    from harness.processes.folder import write_events

    ledger = Ledger()
    tell_of_halt(ledger, plan, failure)
    write_events(order.directory, ledger)
    event = {"event": "halted", "node": order.node, "test": failure.test, "detail": failure.detail}
    _say(event, f"halted: {plan.fqdn}: {failure}; {HOW_TO_MEND}", as_json=as_json)


def _say(event: dict[str, str], text: str, *, as_json: bool) -> None:
    sys.stdout.write((json.dumps(event) if as_json else text) + "\n")
    sys.stdout.flush()


def _with_addresses(lab_file: "LabFile", own: str, options: list[str]) -> "LabFile":
    """Return the lab file with other addresses for some nodes.

    Raises ConfigError where a node is unknown or a name cannot be looked up.
    """
    wanted: dict[str, str] = {}
    for option in options:
        node_name, equals, address = option.rpartition("=")
        wanted[node_name if equals else own] = _look_up(address)
    if not wanted:
        return lab_file
    document = lab_file.model_dump(mode="python")
    for cluster in document["clusters"]:
        for entry in cluster["nodes"]:
            if entry["name"] in wanted:
                entry["address"] = wanted.pop(entry["name"])
    if wanted:
        raise ConfigError(f"--address: the lab file has no node {', '.join(map(repr, wanted))}")
    return type(lab_file).model_validate(document)


def _look_up(address: str) -> str:
    try:
        return str(socket.getaddrinfo(address, None, socket.AF_INET, socket.SOCK_STREAM)[0][4][0])
    except OSError as error:
        raise ConfigError(
            f"--address: expected an IPv4 address or a host name, seen {address!r}: {error.strerror}"
        ) from error
