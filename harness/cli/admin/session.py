"""`imp-harness admin login` and `logout`, and the session that the other commands use."""

import asyncio
import json
import os
import ssl
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import urlsplit

import typer

from certs.errors import ConfigError, ConnectionFailed

if TYPE_CHECKING:
    from harness.web.client import AdministrationClient

SESSION_VARIABLE: Final = "IMP_HARNESS_SESSION"
"Names another file for the session, so that several nodes are administered side by side."

_LOG_IN: Final = "log in with `imp-harness admin login URL`"

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
PasswordFile = Annotated[
    Path | None,
    typer.Option("--password-file", help="A file with the password; `-` reads it from standard input."),
]


@dataclass(frozen=True, slots=True)
class SavedSession:
    """What `login` keeps for the other commands, in a file that only its owner reads."""

    url: str
    "Where the node is."

    sha256: str
    "The fingerprint of the certificate that it showed."

    token: str
    "The session's."


def login(
    url: Annotated[str, typer.Argument(help="Where the node is, as https://127.20.0.11:8443.")],
    user: Annotated[str, typer.Option(help="The account.")] = "administrator",
    password_file: PasswordFile = None,
    ca: Annotated[
        Path | None,
        typer.Option(help="PEM file of what signed the node's certificate, or of the certificate."),
    ] = None,
    fingerprint: Annotated[
        str, typer.Option(help="The SHA-256 fingerprint that the node's certificate must have.")
    ] = "",
) -> None:
    """Log in at a node. Its certificate is remembered; without --ca or --fingerprint you are asked about it."""
    from harness.web.client import AdministrationClient, trust_certificates, trust_fingerprint

    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname:
        raise ConfigError(f"URL: expected https://HOST:PORT, seen {url!r}")
    base = f"https://{parts.hostname}:{parts.port or 8443}"
    shown = asyncio.run(_shown_certificate(parts.hostname, parts.port or 8443))
    if fingerprint and fingerprint.replace(":", "").lower() != shown:
        raise ConfigError(f"fingerprint: expected {fingerprint}, the node shows {shown}")
    if not fingerprint and ca is None:
        _ask_about(base, shown)
    trust = trust_certificates(_read(ca)) if ca is not None else trust_fingerprint(shown)
    password = read_password(password_file, f"Password of {user}: ")

    async def enter() -> str:
        async with AdministrationClient(base, trust) as client:
            await client.log_in(user, password)
            return client.token

    save(SavedSession(url=base, sha256=shown, token=asyncio.run(enter())))
    typer.echo(f"logged in at {base} as {user}")


def logout() -> None:
    """End the session."""

    async def leave(client: "AdministrationClient") -> None:
        await client.post("/api/logout")

    try:
        run(leave)
    finally:
        session_file().unlink(missing_ok=True)
    typer.echo("logged out")


def run(work: "Callable[[AdministrationClient], Awaitable[Any]]") -> Any:
    """Do something in the session that `login` began. Raises ConfigError where there is none or it has ended."""
    from harness.web.client import AdministrationClient, AdministrationRefused, trust_fingerprint

    saved = load()

    async def enter() -> Any:
        async with AdministrationClient(
            saved.url, trust_fingerprint(saved.sha256), token=saved.token
        ) as client:
            return await work(client)

    try:
        return asyncio.run(enter())
    except AdministrationRefused as refused:
        if refused.status == 401:
            raise ConfigError(f"{saved.url}: the session has ended; {_LOG_IN}") from refused
        raise


def session_file() -> Path:
    """Return where the session is kept."""
    named = os.environ.get(SESSION_VARIABLE)
    if named:
        return Path(named)
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "imp-harness" / "admin-session.json"


def save(session: SavedSession) -> None:
    """Keep a session."""
    from certs.storage import write_atomically

    write_atomically(session_file(), json.dumps(asdict(session), indent=1).encode())


def load() -> SavedSession:
    """Return the session. Raises ConfigError where there is none."""
    path = session_file()
    try:
        return SavedSession(**json.loads(path.read_text("utf-8")))
    except FileNotFoundError:
        raise ConfigError(f"nobody has logged in; {_LOG_IN}") from None
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(f"{path} cannot be read ({error}); {_LOG_IN}") from error


def read_password(file: Path | None, prompt: str) -> str:
    """Return a password from a file, standard input or, on a terminal, a person. Raises ConfigError without one."""
    if file is not None and str(file) != "-":
        return _read(file).decode("utf-8", "replace").strip("\r\n")
    if file is not None or not sys.stdin.isatty():
        password = sys.stdin.readline().strip("\r\n")
        if not password:
            raise ConfigError("password: expected one on standard input; or name a file with --password-file")
        return password
    return str(typer.prompt(prompt.rstrip(": "), hide_input=True))


def print_changed(answer: Any, done: str, *, as_json: bool) -> None:
    """Print what a change asks for."""
    if as_json:
        typer.echo(json.dumps(answer, indent=2))
        return
    typer.echo(done)
    for one in (answer or {}).get("restart_needed", ()):
        typer.echo(f"restart needed: {one['service']} on {one['node']} ({', '.join(one['topics'])})")


def _ask_about(url: str, sha256: str) -> None:
    if not sys.stdin.isatty():
        raise ConfigError(
            f"{url} shows a certificate with the fingerprint {sha256}; compare it and log in with "
            f"--fingerprint {sha256}, or with --ca"
        )
    typer.echo(f"{url} shows a certificate with the SHA-256 fingerprint\n{sha256}")
    if not typer.confirm("Is that the node's tomcat certificate?"):
        raise ConfigError("not logged in")


async def _shown_certificate(host: str, port: int) -> str:
    from harness.web.client import fingerprint_of

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # it is looked at, and nothing is sent
    try:
        async with asyncio.timeout(10):
            _, writer = await asyncio.open_connection(host, port, ssl=context)
    except (OSError, TimeoutError) as error:
        raise ConnectionFailed(f"https://{host}:{port} cannot be reached: {error or 'no answer'}") from error
    try:
        connection = writer.get_extra_info("ssl_object")
        return fingerprint_of(connection.getpeercert(binary_form=True))
    finally:
        writer.close()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
