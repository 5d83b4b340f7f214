"""The command `imp-harness`. Commands import what they need when they run, so that `--help` is quick."""

import time

STARTED = time.perf_counter()  # before anything else is imported: the start of "imports of Python took"

import importlib.metadata  # noqa: E402
import os  # noqa: E402
import sys  # noqa: E402
from typing import Annotated  # noqa: E402

import typer  # noqa: E402

from certs.errors import HarnessError  # noqa: E402
from harness.cli import (  # noqa: E402
    admin,
    certificates,
    coverage,
    expect,
    fault,
    fips,
    lab,
    ladder,
    node,
    platform,
    probe,
    scenario,
    verdicts,
    why,
)
from harness.garbage import collect_seldom  # noqa: E402

app = typer.Typer(
    help="A lab of Cisco IM and Presence clusters and CUCM nodes on real TLS, SIP and XMPP sockets.\n\n"
    "Try `imp-harness scenario run sip-intracluster-tls`, or `imp-harness up` for a lab to point a client at.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_SCENARIOS = "Scenarios"
app.add_typer(scenario.app, name="scenario", rich_help_panel=_SCENARIOS)
app.command("coverage", rich_help_panel=_SCENARIOS)(coverage.coverage)
app.command("ladder", rich_help_panel=_SCENARIOS)(ladder.ladder)

_LAB = "A lab for clients of your own"
app.command("up", rich_help_panel=_LAB)(lab.up)
app.command("status", rich_help_panel=_LAB)(lab.status)
app.command("down", rich_help_panel=_LAB)(lab.down)
app.command("env", rich_help_panel=_LAB)(lab.env)
app.command("why", rich_help_panel=_LAB)(why.why)
app.command("expect", rich_help_panel=_LAB)(expect.expect)
app.add_typer(fault.app, name="fault", rich_help_panel=_LAB)

_ADMINISTRATION = "Administration of its nodes"
app.add_typer(admin.app, name="admin", rich_help_panel=_ADMINISTRATION)
app.command("cli", rich_help_panel=_ADMINISTRATION)(platform.cli)

_NODES = "Nodes in processes of their own"
app.command("node", rich_help_panel=_NODES)(node.node)
app.command("recover", rich_help_panel=_NODES)(node.recover)
app.command("fips-provider", rich_help_panel=_NODES)(fips.provider)

_WITHOUT_A_LAB = "Without a lab"
app.command("probe", rich_help_panel=_WITHOUT_A_LAB)(probe.probe)
app.command("verdicts", rich_help_panel=_WITHOUT_A_LAB)(verdicts.verdicts)
app.add_typer(certificates.app, name="certs", rich_help_panel=_WITHOUT_A_LAB)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"imp-harness {importlib.metadata.version('imp-harness')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.")] = False,
) -> None:
    """Keep what holds for all commands."""
    if debug:
        os.environ["IMP_HARNESS_DEBUG"] = "1"


def main() -> None:
    """Run the command line; errors of ours are one line and exit status 2."""
    collect_seldom()
    try:
        app()
    except HarnessError as error:
        if os.environ.get("IMP_HARNESS_DEBUG"):
            raise
        sys.stderr.write(f"imp-harness: {error}\n")
        sys.exit(2)
