"""`imp-harness admin settings`: the pages' settings as JSON."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from certs.errors import ConfigError
from harness.cli.admin.session import Json, print_changed, run

if TYPE_CHECKING:
    from harness.web.client import AdministrationClient

app = typer.Typer(help="List, get and put settings.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="As `general`, `security`, `tls-context`, `xmpp-federation`.")]


@app.command("list")
def list_settings(as_json: Json = False) -> None:
    """Show all settings as they are saved; services may still run on older ones."""

    async def ask(client: "AdministrationClient") -> Any:
        return await client.get("/api/settings")

    everything = run(ask)
    if as_json:
        typer.echo(json.dumps(everything, indent=2))
        return
    for name, values in everything.items():
        typer.echo(name.replace("_", "-"))
        for key, value in values.items():
            typer.echo(f"  {key} = {json.dumps(value)}")


@app.command("get")
def get(name: Name, as_json: Json = False) -> None:
    """Show one page's settings."""
    values = run(lambda client: client.get(_path(name)))
    if as_json:
        typer.echo(json.dumps(values, indent=2))
        return
    for key, value in values.items():
        typer.echo(f"{key} = {json.dumps(value)}")


@app.command("put")
def put(
    name: Name,
    assignments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[KEY=VALUE]...", help="What to change; a value is JSON, or text.", show_default=False
        ),
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--from", help="A JSON file with the whole page's settings.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Save settings of one page, and show which services must restart."""
    if (file is None) == (not assignments):
        raise ConfigError("put: expected KEY=VALUE, or --from FILE")
    wholly = _read_json(file) if file is not None else None
    changes = dict(map(_parse_assignment, assignments or ()))

    async def save(client: "AdministrationClient") -> Any:
        values = wholly if wholly is not None else {**(await client.get(_path(name))), **changes}
        return await client.put(_path(name), values)

    print_changed(run(save), f"saved: {name}", as_json=as_json)


def _path(name: str) -> str:
    from harness.web.client import path_of

    return path_of("settings", name)


def _parse_assignment(text: str) -> tuple[str, Any]:
    key, found, value = text.partition("=")
    if not found or not key:
        raise ConfigError(f"put: expected KEY=VALUE, seen {text!r}")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"{path}: expected JSON, seen {error}") from error
