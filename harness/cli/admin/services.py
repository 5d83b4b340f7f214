"""`imp-harness admin services`: Control Center and Service Activation."""

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli.admin.session import Json, print_changed, run

if TYPE_CHECKING:
    from harness.web.client import AdministrationClient

app = typer.Typer(help="List, start, stop and restart services.", no_args_is_help=True)

Service = Annotated[str, typer.Argument(help='As "Cisco SIP Proxy".')]


@app.command("list")
def list_services(as_json: Json = False) -> None:
    """Show Control Center."""
    services = run(lambda client: client.get("/api/services"))
    if as_json:
        typer.echo(json.dumps(services, indent=2))
        return
    for one in services["services"]:
        activated = "" if one["activated"] else "  deactivated"
        reason = f"  {one['reason']}" if one["reason"] else ""
        typer.echo(f"{one['service']:<44}{one['state']:<10}{one['control_center']}{activated}{reason}")


@app.command("start")
def start(service: Service, as_json: Json = False) -> None:
    """Start a service on the present settings."""
    _control(service, "start", as_json=as_json)


@app.command("stop")
def stop(service: Service, as_json: Json = False) -> None:
    """Stop a service."""
    _control(service, "stop", as_json=as_json)


@app.command("restart")
def restart(service: Service, as_json: Json = False) -> None:
    """Restart a service, so that what was saved takes effect."""
    _control(service, "restart", as_json=as_json)


@app.command("activate")
def activate(service: Service, as_json: Json = False) -> None:
    """Activate a service and start it."""
    _control(service, "activate", as_json=as_json)


@app.command("deactivate")
def deactivate(service: Service, as_json: Json = False) -> None:
    """Stop a service and keep it from being started."""
    _control(service, "deactivate", as_json=as_json)


def _control(service: str, action: str, *, as_json: bool) -> None:
    from harness.web.client import path_of

    async def ask(client: "AdministrationClient") -> Any:
        return await client.post(path_of("services", service, action))

    print_changed(run(ask), f"{service}: {action} done", as_json=as_json)
