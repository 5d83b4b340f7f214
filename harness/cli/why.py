"""`imp-harness why`: why a peer was refused, and what mends it."""

import json
from typing import Annotated, Any

import typer

from certs.errors import ConfigError
from harness.cli.lab import AsJson, LabName


def why(
    number: Annotated[
        int | None, typer.Argument(metavar="[NUMBER]", help="One refusal; the last ones without it.")
    ] = None,
    count: Annotated[int, typer.Option("-n", min=1, max=1000, help="How many, the newest.")] = 5,
    apply: Annotated[
        bool,
        typer.Option(
            "--apply", help="Do what mends it, where the lab can: the newest refusal, or that of NUMBER."
        ),
    ] = False,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Show refusals as they are made.")] = False,
    lab: LabName = None,
    as_json: AsJson = False,
) -> None:
    """Show the last refusals of the lab that runs: what the peer did, what it presented, the rule, what mends it.

    `--apply` exits 0 where something was done, 1 where the remedy lies with the client.
    """
    from harness.endpoint.control_client import ControlClient
    from harness.endpoint.showing import terminal
    from harness.endpoint.why.showing import show_refusal

    if apply and follow:
        raise ConfigError("--apply and --follow are given; expected one of them")
    client = ControlClient.of(lab)
    if apply:
        _apply(client.ask("apply", number=number), as_json=as_json)
        return
    console = terminal()
    if follow:
        try:
            for refusal in client.follow("follow-refusals"):
                typer.echo(json.dumps(refusal)) if as_json else show_refusal(console, refusal)
        except KeyboardInterrupt:
            pass
        return
    found: list[dict[str, Any]] = client.ask("why", number=number, limit=count)
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    for refusal in found:
        show_refusal(console, refusal)
    if not found:
        console.print("nobody was refused since the lab is ready")


def _apply(done: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(done, indent=2))
    elif done["applied"]:
        typer.echo(f"applied to refusal {done['number']}:")
        for each in done["did"]:
            typer.echo(f"  ✔ {each}")
        typer.echo("try again")
    else:
        typer.echo(f"not applied to refusal {done['number']}: {done['advice']}")
    if not done["applied"]:
        raise typer.Exit(1)
