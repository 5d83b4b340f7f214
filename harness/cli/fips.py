"""`imp-harness fips-provider`: OpenSSL's FIPS provider, shown, or got where there is none."""

import json
import sys
from typing import Annotated

import typer


def provider(
    get: Annotated[
        bool, typer.Option("--get", help="Get or build one into the cache where the system has none.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show which FIPS provider nodes in FIPS mode would use; exit status 2 where there is none."""
    from certs.fips.building import get_provider
    from certs.fips.provider import find_provider

    found = get_provider(lambda what: _say(what)) if get else find_provider()
    if as_json:
        typer.echo(json.dumps({"path": str(found.path), "origin": found.origin}))
    else:
        typer.echo(f"{found.path} ({found.origin})")


def _say(what: str) -> None:
    sys.stderr.write(f"{what}\n")
    sys.stderr.flush()
