"""`imp-harness certs`: certificates that are wrong on purpose, for client developers."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from certs.errors import ConfigError

app = typer.Typer(help="Make certificates for tests of your own.", no_args_is_help=True)


@app.command("wrong")
def wrong(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]...", help="Which ones; all where none is named.", show_default=False),
    ] = None,
    common_name: Annotated[
        str, typer.Option("--cn", help="The host that they are for.")
    ] = "client.lab.example",
    address: Annotated[str, typer.Option(help="Its address.")] = "127.0.0.1",
    role: Annotated[str, typer.Option(help="Which side will show them: server or client.")] = "client",
    folder: Annotated[Path, typer.Option(help="Where to write them.")] = Path("wrong-certificates"),
    show: Annotated[bool, typer.Option("--list", help="List the names and what is wrong with each.")] = False,
) -> None:
    """Write certificates that are wrong in one thing each, their good twin, and the CA to trust."""
    from certs.storage import write_atomically
    from certs.wrong import FAULTS, Role, WrongCertificate, WrongCertificates

    if show:
        for kind, fault in FAULTS.items():
            typer.echo(f"{kind:<22}{fault.description}")
        return
    try:
        side = Role(role)
        kinds = [WrongCertificate(name) for name in names] if names else list(WrongCertificate)
    except ValueError as error:
        known = ", ".join(WrongCertificate)
        raise ConfigError(f"{error}; the roles are server and client, the certificates {known}") from error
    issuer = WrongCertificates(common_name, address, now=datetime.now(UTC))
    made = {"good": issuer.issue_good()} | {kind: issuer.issue(kind, side) for kind in kinds}
    write_atomically(folder / "ca.pem", issuer.anchor_pem)
    for name, credential in made.items():
        write_atomically(folder / f"{name}.pem", credential.chain_pem + credential.key_pem)
        typer.echo(f"{folder / f'{name}.pem'}")
    typer.echo(f"{folder / 'ca.pem'}: what the other side trusts")
