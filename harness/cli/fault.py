"""`imp-harness fault`: have the lab that runs misbehave, by name."""

import json
from typing import Annotated, Any

import typer

from harness.cli.lab import AsJson, LabName, complete_node

app = typer.Typer(help="Have the lab that runs misbehave, by name.", no_args_is_help=True)


def _complete(incomplete: str) -> list[str]:
    from harness.faults.kinds import KINDS

    return [name for name in KINDS if name.startswith(incomplete)]


def _complete_service(incomplete: str) -> list[str]:
    from certs.purposes import ServiceName

    return [name.value for name in ServiceName if name.value.startswith(incomplete)]


@app.command("list")
def list_faults(lab: LabName = None, as_json: AsJson = False) -> None:
    """List the faults, what each can be told, and which are on in the lab that runs."""
    from harness.endpoint.control_client import ControlClient
    from harness.endpoint.runtime import running_labs
    from harness.faults.board import describe_kinds

    on: list[dict[str, Any]] = ControlClient.of(lab).ask("faults") if running_labs() else []
    if as_json:
        typer.echo(json.dumps({"faults": describe_kinds(), "on": on}, indent=2))
        return
    for kind in describe_kinds():
        told = "".join(f", {name}=" for name in kind["settings"])
        typer.echo(f"{kind['name']:<34}{kind['description']}{f' [node=, service={told}]' if told else ''}")
    _show_on(on)


@app.command("on")
def turn_on(
    name: Annotated[
        str, typer.Argument(help="The fault; `list` prints the names.", autocompletion=_complete)
    ],
    node: Annotated[
        str,
        typer.Option(
            help="At this node; without it at every IM and Presence node.", autocompletion=complete_node
        ),
    ] = "",
    service: Annotated[
        str,
        typer.Option(
            help="Of this service, by its name in Control Center; without it the fault's own.",
            autocompletion=_complete_service,
        ),
    ] = "",
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="NAME=VALUE", help="What the fault is told: seconds=3, bytes=100, share=0.5."
        ),
    ] = None,
    lab: LabName = None,
    as_json: AsJson = False,
) -> None:
    """Turn a fault on, in place of one of the same name; services that read it when they start restart."""
    from harness.endpoint.control_client import ControlClient

    words = [name, *([f"node={node}"] if node else []), *([f"service={service}"] if service else [])]
    on = ControlClient.of(lab).ask("fault-on", fault=",".join((*words, *(settings or ()))))
    typer.echo(json.dumps(on, indent=2)) if as_json else _show_on(on)


@app.command("off")
def turn_off(
    name: Annotated[str, typer.Argument(help="The fault, or `all`.", autocompletion=_complete)] = "all",
    lab: LabName = None,
    as_json: AsJson = False,
) -> None:
    """Turn a fault off, or all."""
    from harness.endpoint.control_client import ControlClient

    on = ControlClient.of(lab).ask("fault-off", fault=name)
    typer.echo(json.dumps(on, indent=2)) if as_json else _show_on(on)


def _show_on(on: list[dict[str, Any]]) -> None:
    for each in on:
        typer.echo(f"on: {each['text']}")
    if not on:
        typer.echo("no fault is on")
