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
    certificates,
    coverage,
    expect,
    fault,
    lab,
    ladder,
    platform,
    probe,
    scenario,
    verdicts,
    why,
)

app = typer.Typer(
    help="A lab of Cisco IM and Presence clusters and CUCM nodes on real TLS, SIP and XMPP sockets.\n\n"
    "Try `imp-harness scenario run sip-intracluster-tls`, or `imp-harness up` for a lab to point a client at.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(scenario.app, name="scenario")
app.add_typer(certificates.app, name="certs")
app.add_typer(fault.app, name="fault")
app.command("coverage")(coverage.coverage)
app.command("ladder")(ladder.ladder)
app.command("cli")(platform.cli)
app.command("probe")(probe.probe)
app.command("up")(lab.up)
app.command("verdicts")(verdicts.verdicts)
app.command("status")(lab.status)
app.command("down")(lab.down)
app.command("env")(lab.env)
app.command("why")(why.why)
app.command("expect")(expect.expect)


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


# Commands of nodes in processes of their own.
from harness.cli import fips, node  # noqa: E402

app.command("node")(node.node)
app.command("recover")(node.recover)
app.command("fips-provider")(fips.provider)

# A node's administration over its API.
from harness.cli import admin  # noqa: E402

app.add_typer(admin.app, name="admin")


def main() -> None:
    """Run the command line; errors of ours are one line and exit status 2."""
    try:
        app()
    except HarnessError as error:
        if os.environ.get("IMP_HARNESS_DEBUG"):
            raise
        sys.stderr.write(f"imp-harness: {error}\n")
        sys.exit(2)
