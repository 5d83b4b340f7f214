"""`imp-harness up`, `status`, `down` and `env`: a lab that stays up for clients from outside."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from certs.errors import ConfigError, ConnectionFailed

if TYPE_CHECKING:
    from harness.endpoint.description import LabDescription
    from harness.endpoint.session import EndpointOptions, LabSession

LabName = Annotated[
    str | None,
    typer.Option("--lab", help="Which lab, where several run: its id, name, run folder or state folder."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, nothing else.")]

DEFAULT_TOPOLOGY = "two-clusters"
"The lab that comes up where none is named."

_START_SECONDS = 120.0
"How long a detached lab may take to be ready."

_STOP_SECONDS = 20.0


def complete_node(incomplete: str) -> list[str]:
    """Return the names of the running labs' nodes that begin so, for the shell."""
    from harness.endpoint.runtime import running_labs

    names = (node.name for lab in running_labs() for node in lab.nodes)
    return [name for name in dict.fromkeys(names) if name.startswith(incomplete)]


def up(
    lab_file: Annotated[
        Path | None, typer.Argument(metavar="[LABFILE]", help="A lab file; the built-in lab without one.")
    ] = None,
    runs: Annotated[Path, typer.Option(help="The folder of run folders.")] = Path("runs"),
    topology: Annotated[
        str | None, typer.Option(help="A built-in topology, instead of a lab file.", show_default=False)
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option(
            help="Keep the lab's state in this folder for the next run: addresses, certificates, database, users.",
            show_default=False,
        ),
    ] = None,
    exchanged: Annotated[
        bool,
        typer.Option(
            "--exchanged/--fresh",
            help="Exchange the nodes' certificates and let a test client in, or leave the nodes as installed.",
        ),
    ] = True,
    bind: Annotated[
        str | None,
        typer.Option(
            help="Listen on these addresses, comma-separated, one for each node, instead of loopback ones. "
            "Other machines may reach the lab then.",
            show_default=False,
        ),
    ] = None,
    dns_port: Annotated[
        int, typer.Option(min=1, max=65535, help="Where the name server listens, UDP and TCP; 53 needs root.")
    ] = 1053,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            help="A fault that is on from the start, as stanza-delay,node=imp1,seconds=0.5.",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="The seed of the run's chance; one is drawn otherwise.")
    ] = None,
    live: Annotated[
        bool, typer.Option("--live/--no-live", help="Serve the live page, on this machine only.")
    ] = True,
    live_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Where the live page is served; 0 takes a free port.")
    ] = 0,
    trace: Annotated[
        bool, typer.Option("--trace", help="Capture what crosses the sockets, in trace.pcapng.")
    ] = False,
    tls_secrets: Annotated[
        bool,
        typer.Option("--secrets/--no-secrets", help="Put the TLS secrets that decrypt it into trace.pcapng."),
    ] = True,
    detach: Annotated[
        bool, typer.Option("--detach", help="Return once the lab is ready; it goes on.")
    ] = False,
    folder: Annotated[Path | None, typer.Option(hidden=True)] = None,
) -> None:
    """Bring a lab up and keep it up until Ctrl-C; connections and verdicts are shown as they happen."""
    from harness.endpoint.binding import bind_to
    from harness.plan.lab_file import load_lab_file, load_topology

    if lab_file is not None and topology is not None:
        raise ConfigError("--topology and LABFILE are given; expected one of them")
    file = load_lab_file(lab_file) if lab_file is not None else load_topology(topology or DEFAULT_TOPOLOGY)
    if bind is not None:
        file = bind_to(file, bind.split(","))
    if folder is None:
        folder = runs / f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{file.name}"
        folder.mkdir(parents=True)
    if detach:
        _detach(folder)
        return
    from harness.endpoint.session import EndpointOptions
    from harness.event_loop import event_loop_factory
    from harness.faults.kinds import parse_fault

    faults = tuple(map(parse_fault, (*file.faults, *(fault or ()))))
    chance = {} if seed is None else {"seed": seed}
    options = EndpointOptions(
        lab_file=file,
        folder=folder,
        state=state,
        exchanged=exchanged,
        dns_port=dns_port,
        live_port=live_port if live else None,
        trace=trace,
        tls_secrets=tls_secrets,
        faults=faults,
        **chance,
    )
    with asyncio.Runner(loop_factory=event_loop_factory()) as runner:
        runner.run(_run(options))


async def _run(options: "EndpointOptions") -> None:
    from harness.endpoint.session import keep_up
    from harness.endpoint.showing import show_lab, terminal
    from harness.evidence.capture.trace import TRACE

    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    console = terminal()
    async with keep_up(options, stopping=stopped) as session:
        show_lab(console, session.description)
        console.print("ready; Ctrl-C stops the lab")
        await _follow(session)
    also = f", {options.folder / TRACE}" if options.trace else ""
    typer.echo(f"\nlab stopped; evidence: {options.folder / 'events.jsonl'}{also}")


async def _follow(session: "LabSession") -> None:
    """Print what happens, until the lab is to stop."""
    from harness.endpoint.showing import LiveLog, terminal

    log = LiveLog(terminal(), session.description)
    async with asyncio.TaskGroup() as group:
        following = group.create_task(session.ledger.follow(log.take), name="follow the ledger")
        await session.stopping.wait()
        following.cancel()


def _detach(folder: Path) -> None:
    """Run the same command in a process of its own, and return when its lab is ready."""
    from harness.endpoint.runtime import DESCRIPTION, runtime_folder
    from harness.endpoint.showing import show_lab, terminal

    arguments = [argument for argument in sys.argv[1:] if argument != "--detach"]
    log = folder / "lab.log"
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - our own command line
            [sys.executable, "-m", "harness.cli", *arguments, "--folder", str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        )
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end:
        for path in runtime_folder().glob(f"*-{process.pid}/{DESCRIPTION}"):
            show_lab(terminal(), _read(path))
            typer.echo(f"{'log:':<22}{log.absolute()}\nready; `imp-harness down` stops the lab")
            return
        if process.poll() is not None:
            raise ConfigError(log.read_text(encoding="utf-8").strip().removeprefix("imp-harness: "))
        time.sleep(0.02)
    process.kill()
    raise ConfigError(f"the lab was not ready within {_START_SECONDS:g} s; see {log}")


def _read(path: Path) -> "LabDescription":
    from harness.endpoint.description import read_description

    return read_description(path)


def status(lab: LabName = None, as_json: AsJson = False) -> None:
    """Show the lab that runs: its endpoints, services, and what has to restart. Exits 1 where none runs."""
    from harness.endpoint.control_client import ControlClient
    from harness.endpoint.runtime import NO_LAB, running_labs
    from harness.endpoint.showing import show_lab, show_status, terminal

    if not running_labs():
        typer.echo(json.dumps({"running": False}) if as_json else NO_LAB)
        raise typer.Exit(1)
    client = ControlClient.of(lab)
    now: dict[str, Any] = client.ask("status")
    if as_json:
        described = client.description.model_dump(mode="json")
        for user in described["users"]:
            del user["password"]  # what is printed ends in logs of CI
        typer.echo(json.dumps({"running": True, "lab": described, "now": now}, indent=2))
        return
    console = terminal()
    show_lab(console, client.description)
    show_status(console, now)


def down(
    lab: LabName = None,
    stop_all: Annotated[bool, typer.Option("--all", help="Stop all labs of this user.")] = False,
) -> None:
    """Stop a lab that runs, and say where its evidence is."""
    from harness.endpoint.control_client import ControlClient
    from harness.endpoint.runtime import running_labs

    labs = running_labs()
    if not labs:
        typer.echo("no lab runs")
        return
    for description in labs if stop_all else (ControlClient.of(lab).description,):
        evidence = ControlClient(description).ask("stop")["evidence"]
        end = time.monotonic() + _STOP_SECONDS
        while description.control.parent.exists():
            if time.monotonic() > end:
                raise ConnectionFailed(f"lab {description.id} (process {description.pid}) does not stop")
            time.sleep(0.02)
        typer.echo(f"lab {description.id} stopped; evidence: {evidence}")


class EnvFormat(StrEnum):
    """How variables are printed."""

    SH = "sh"
    JSON = "json"
    GITHUB = "github"


def env(
    lab: LabName = None,
    form: Annotated[
        EnvFormat, typer.Option("--format", help="Shell, JSON, or for >> $GITHUB_ENV.")
    ] = EnvFormat.SH,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
) -> None:
    """Print the lab's addresses, files and test users as variables for scripts and CI jobs.

    Use it as `eval "$(imp-harness env)"`, or `imp-harness env --format github >> "$GITHUB_ENV"`. The users'
    passwords are among them.
    """
    import shlex

    from harness.endpoint.runtime import find_lab
    from harness.endpoint.variables import secret_names, variables

    description = find_lab(lab)
    found = variables(description)
    if as_json or form is EnvFormat.JSON:
        typer.echo(json.dumps(found, indent=2))
    elif form is EnvFormat.GITHUB:
        for name in secret_names(description):
            typer.echo(f"::add-mask::{found[name]}", err=True)
        for name, value in found.items():
            typer.echo(f"{name}={value}")
    else:
        for name, value in found.items():
            typer.echo(f"export {name}={shlex.quote(value)}")
