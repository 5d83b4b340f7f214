"""`imp-harness admin certificates`: Certificate Management and the Certificate Import Tool."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from certs.errors import ConfigError
from harness.cli.admin.session import Json, print_changed, run

if TYPE_CHECKING:
    from harness.web.client import AdministrationClient

app = typer.Typer(help="Find, download, upload, regenerate and import certificates.", no_args_is_help=True)

Own = Annotated[str, typer.Argument(help="A certificate of the node's own, as `cup`.")]
Store = Annotated[str, typer.Argument(help="A trust store, as `cup-trust`.")]
PemFile = Annotated[Path, typer.Argument(help="A file in PEM.")]
Output = Annotated[
    Path | None, typer.Option("--output", "-o", help="Where to write it; by default to the terminal.")
]

_PEM = "application/x-pem-file"


@app.command("list")
def find(as_json: Json = False) -> None:
    """Show the node's own certificates and those it trusts."""
    listed = run(lambda client: client.get("/api/certificates"))
    if as_json:
        typer.echo(json.dumps(listed, indent=2))
        return
    for one in listed["certificates"]:
        certificate = one["certificate"]
        typer.echo(
            f"{one['name']:<16}{certificate['common_name']:<28}{certificate['not_after'][:10]}  "
            f"{certificate['sha256']}"
        )
    for one in listed["damaged"]:
        typer.echo(f"{one['name']:<16}damaged: {one['error']}")


@app.command("download")
def download(name: Own, output: Output = None) -> None:
    """Download a certificate of the node's own in PEM."""
    from harness.web.client import path_of

    _write(run(lambda client: client.get(path_of("certificates", name, "pem"))), output)


@app.command("upload")
def upload(store: Store, file: PemFile, as_json: Json = False) -> None:
    """Upload certificates into a trust store."""
    _upload(store, file, as_json=as_json, method="POST", room="trust-stores", end=())


@app.command("upload-signed")
def upload_signed(name: Own, file: PemFile, as_json: Json = False) -> None:
    """Upload what a CA made of the pending CSR."""
    _upload(name, file, as_json=as_json, method="PUT", room="certificates", end=("pem",))


@app.command("regenerate")
def regenerate(name: Own, as_json: Json = False) -> None:
    """Make a new self-signed certificate with a new key."""
    from harness.web.client import path_of

    answer = run(lambda client: client.post(path_of("certificates", name, "regenerate")))
    print_changed(answer, f"regenerated: {name}", as_json=as_json)


@app.command("csr")
def csr(name: Own, output: Output = None) -> None:
    """Make a signing request and download it."""
    from harness.web.client import path_of

    _write(run(lambda client: client.post(path_of("certificates", name, "csr"))), output)


@app.command("delete")
def delete(
    store: Store,
    sha256: Annotated[str, typer.Argument(help="The fingerprint, as `list` shows it.")],
    as_json: Json = False,
) -> None:
    """Delete a certificate of a trust store."""
    from harness.web.client import path_of

    answer = run(lambda client: client.delete(path_of("trust-stores", store, sha256)))
    print_changed(answer, f"deleted from {store}", as_json=as_json)


@app.command("import")
def import_certificate(
    store: Store,
    address: Annotated[str, typer.Argument(help="IP address, host name or FQDN of the peer.")],
    port: Annotated[int, typer.Argument(help="Where it speaks TLS.")],
    as_json: Json = False,
) -> None:
    """Fetch a peer's certificate into a trust store. Exit status 1 where that failed."""

    async def submit(client: "AdministrationClient") -> Any:
        return await client.post(
            "/api/certificate-import", {"store": store, "address": address, "port": port}
        )

    report = run(submit)
    if as_json:
        typer.echo(json.dumps(report, indent=2))
    else:
        typer.echo(f"connected: {_yes(report['connected'])}, downloaded: {_yes(report['downloaded'])}")
        if report["downloaded"]:
            print_changed(report, f"CN={report['subject']} is now in {store}", as_json=False)
        else:
            typer.echo(f"{report['reason']}: {report['detail']}\nrecommended action: {report['remedy']}")
    if not report["downloaded"]:
        raise typer.Exit(1)


def _upload(name: str, file: Path, *, as_json: bool, method: str, room: str, end: tuple[str, ...]) -> None:
    from harness.web.client import path_of

    try:
        content = file.read_bytes()
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}") from error

    async def send(client: "AdministrationClient") -> Any:
        return await client.call(method, path_of(room, name, *end), content, media_type=_PEM)

    print_changed(run(send), f"uploaded to {name}", as_json=as_json)


def _write(content: bytes, output: Path | None) -> None:
    if output is None:
        typer.echo(content.decode("ascii"), nl=False)
        return
    try:
        output.write_bytes(content)
    except OSError as error:
        raise ConfigError(f"{output}: {error.strerror}") from error
    typer.echo(f"{output}: {len(content)} bytes")


def _yes(value: bool) -> str:
    return "yes" if value else "no"
