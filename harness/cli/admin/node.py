"""`imp-harness admin`: node, verdicts, banner, backup and restore, and any other operation."""

import base64
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote, urlencode

import typer

from certs.errors import ConfigError
from harness.cli.admin.session import Json, PasswordFile, print_changed, read_password, run

if TYPE_CHECKING:
    from harness.web.client import AdministrationClient

banner_app = typer.Typer(help="Show, upload and delete the login banner.", no_args_is_help=True)


def node(as_json: Json = False) -> None:
    """Show the node, and which services have to restart."""
    info = run(lambda client: client.get("/api/node"))
    if as_json:
        typer.echo(json.dumps(info, indent=2))
        return
    for name in ("fqdn", "address", "product", "cluster", "domain"):
        typer.echo(f"{name:<9}{info[name]}")
    for one in info["restart_needed"]:
        typer.echo(f"restart needed: {one['service']} on {one['node']} ({', '.join(one['topics'])})")


def verdicts(
    outcome: Annotated[str, typer.Option(help="accepted or refused.")] = "",
    reason: Annotated[str, typer.Option(help="As `untrusted issuer`.")] = "",
    service: Annotated[str, typer.Option(help='As "Cisco SIP Proxy".')] = "",
    text: Annotated[str, typer.Option(help="Somewhere in peer, subject or detail.")] = "",
    as_json: Json = False,
) -> None:
    """Show the verdicts that the node remembers, the newest first."""
    query = urlencode({"outcome": outcome, "reason": reason, "service": service, "text": text})
    found = run(lambda client: client.get(f"/api/verdicts?{query}"))
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    for one in found["verdicts"]:
        subject = f" CN={one['presented_chain'][0]['common_name']}" if one["presented_chain"] else ""
        typer.echo(
            f"{one['at'][:19]} {one['service']}: {one['peer']}{subject}: {one['reason']} ({one['clause']})"
        )
        if one["remedy"]:
            typer.echo(f"    remedy: {one['remedy']}")


def backup(
    file: Annotated[Path, typer.Argument(help="Where to write the backup.")],
    password_file: PasswordFile = None,
) -> None:
    """Save the node's state to a file that is encrypted with a password."""
    from certs.storage import write_atomically

    password = read_password(password_file, "Backup password: ")
    content = run(lambda client: client.post("/api/backup", {"password": password}))
    write_atomically(file, content)
    typer.echo(f"{file}: {len(content)} bytes")


def restore(
    file: Annotated[Path, typer.Argument(help="A backup of this node.")],
    password_file: PasswordFile = None,
    as_json: Json = False,
) -> None:
    """Bring the node's state back from a file."""
    content = _read(file)
    request = {
        "backup": base64.b64encode(content).decode("ascii"),
        "password": read_password(password_file, "Backup password: "),
    }
    restored = run(lambda client: client.post("/api/restore", request))
    done = (
        f"restored the state of {restored['saved_at']}: {restored['files']} files, {restored['rows']} lines"
    )
    print_changed(restored, done, as_json=as_json)


def call(
    method: Annotated[str, typer.Argument(help="As GET.")],
    path: Annotated[str, typer.Argument(help="As /api/tls-peer-subjects.")],
    data: Annotated[str, typer.Option(help="The body, in JSON.")] = "",
) -> None:
    """Call any operation of the API; /api/openapi.json lists them."""
    try:
        body = json.loads(data) if data else None
    except ValueError as error:
        raise ConfigError(f"--data: expected JSON, seen {error}") from error

    async def ask(client: "AdministrationClient") -> Any:
        return await client.call(method.upper(), quote(path, safe="/?&=%"), body)

    answer = run(ask)
    if isinstance(answer, bytes):
        typer.echo(answer.decode("utf-8", "replace"), nl=False)
    elif answer is not None:
        typer.echo(json.dumps(answer, indent=2))


@banner_app.command("show")
def show_banner() -> None:
    """Show the login banner."""
    text = run(lambda client: client.get("/api/banner"))
    typer.echo(text.decode("utf-8") if text else "there is none")


@banner_app.command("upload")
def upload_banner(file: Annotated[Path, typer.Argument(help="A .txt file.")]) -> None:
    """Upload a text file; it is shown on this node before and after login (G01)."""
    content = _read(file)

    async def send(client: "AdministrationClient") -> Any:
        return await client.call(
            "PUT", f"/api/banner?file_name={quote(file.name)}", content, media_type="text/plain"
        )

    run(send)
    typer.echo(f"{file.name} is shown on this node now")


@banner_app.command("delete")
def delete_banner() -> None:
    """Show no login banner any more."""
    run(lambda client: client.delete("/api/banner"))
    typer.echo("deleted")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
