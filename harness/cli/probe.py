"""`imp-harness probe`: looks at a server of somebody's own from the client's side."""

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from certs.errors import ConfigError, ConnectionFailed
from harness.probe.kinds import Outcome, Protocol, TlsMode

if TYPE_CHECKING:
    from harness.probe.report import ProbeReport

_MARKS = {Outcome.OK: "[green]✔[/]", Outcome.WRONG: "[red]✘[/]", Outcome.NOTE: "[dim]·[/]"}


def probe(
    target: Annotated[
        str, typer.Argument(metavar="HOST[:PORT]", help="The server; without a port SRV records are asked.")
    ],
    protocol: Annotated[Protocol, typer.Option("--as", help="What to take the server for.")],
    tls: Annotated[
        TlsMode | None,
        typer.Option(help="When TLS begins; by default starttls for XMPP, direct for the others."),
    ] = None,
    udp: Annotated[bool, typer.Option("--udp", help="SIP over UDP, without TLS.")] = False,
    ca: Annotated[
        Path | None, typer.Option(help="PEM file of what to trust, instead of what this machine trusts.")
    ] = None,
    cert: Annotated[Path | None, typer.Option(help="PEM file of a client certificate to show.")] = None,
    key: Annotated[Path | None, typer.Option(help="Its private key, where --cert does not hold it.")] = None,
    server_name: Annotated[
        str, typer.Option(help="The name that the certificate must carry; by default the domain or host.")
    ] = "",
    domain: Annotated[str, typer.Option(help="The XMPP or SIP domain to ask for; by default the host.")] = "",
    sender: Annotated[
        str, typer.Option("--from", help="xmpp-server: the domain to ask in the name of.")
    ] = "",
    path: Annotated[str, typer.Option(help="bosh: the path.")] = "/httpbinding",
    dns: Annotated[
        str, typer.Option(metavar="HOST[:PORT]", help="The DNS server to ask for SRV records.")
    ] = "",
    timeout: Annotated[float, typer.Option(min=0.1, max=600, help="Seconds for each step.")] = 10.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Look at a server from the client's side. Exit status: 0 all is well, 1 something is wrong, 2 nobody answers."""
    from harness.probe.probe import probe as look

    looking = look(
        target, protocol, mode=tls, udp=udp, ca=ca, certificate=cert, key=key, server_name=server_name,
        domain=domain, sender=sender, path=path, dns=dns, within=timeout,
    )  # fmt: skip
    try:
        report = asyncio.run(looking)
    except ConnectionFailed as error:
        raise ConfigError(f"{error}; check address and port, and that the server is started") from None
    if as_json:
        typer.echo(json.dumps(report.encode(), indent=2, ensure_ascii=False))
    else:
        _show(report)
    raise typer.Exit(0 if report.is_ok else 1)


def _show(report: "ProbeReport") -> None:
    from rich.console import Console
    from rich.markup import escape

    console = Console(highlight=False, soft_wrap=True)
    console.print(f"[bold]{escape(report.host)}:{report.port}[/] as {report.protocol}")
    chain_is_shown = False
    for finding in report.findings:
        console.print(f"  {_MARKS[finding.outcome]} {escape(finding.what)}: {escape(finding.seen)}")
        if not chain_is_shown and finding.verdict is not None and finding.verdict.presented_chain:
            chain_is_shown = True
            for number, shown in enumerate(report.chain):
                names = ", ".join(shown.subject_alternative_names) or "no subject alternative name"
                console.print(f"      {number}: {escape(shown.subject or 'unreadable')} ({escape(names)})")
                console.print(
                    f"         [dim]{shown.not_before:%Y-%m-%d} to {shown.not_after:%Y-%m-%d}, {escape(shown.key)}, "
                    f"{escape(shown.signature_algorithm)}, issued by {escape(shown.issuer)}[/]"
                )
                console.print(f"         [dim]SHA-256 {shown.sha256}[/]")
        if finding.remedy:
            console.print(f"      next: {escape(finding.remedy)}")
    wrong = sum(finding.outcome is Outcome.WRONG for finding in report.findings)
    console.print(
        f"{_MARKS[Outcome.OK]} all is well" if not wrong else f"{_MARKS[Outcome.WRONG]} {wrong} wrong"
    )
