"""`imp-harness node`: one node of a lab in a process of its own, as a container runs it."""

import asyncio
import json
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from certs.errors import ConfigError

if TYPE_CHECKING:
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
    from harness.near_matches import did_you_mean
    from harness.plan.lab_file import load_lab_file, load_topology
    from harness.plan.topology import plan_lab
    from harness.processes.orders import order_for

    lab_file = load_topology() if lab is None else load_lab_file(lab)
    lab_file = _with_addresses(lab_file, name, address or [])
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
        authority=authority,
    )
    with asyncio.Runner() as runner:
        sys.exit(runner.run(_run(order, found[name], as_json=as_json)))


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
    if process.failure and not ended.is_set():
        raise ConfigError(f"{plan.name} does not run: {process.failure}")
    _say({"event": "ended", "node": plan.name}, f"ended: {plan.fqdn}", as_json=as_json)
    return 0


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
