"""`imp-harness verdicts`: what each reason of a verdict means."""

import json
from typing import Annotated

import typer

from certs.errors import ConfigError


def verdicts(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[WORDS]", help="Words of the reason, as `subject not in context`; all without any."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the page docs/verdicts.md.")] = False,
) -> None:
    """Say what a reason means: its cause, what the peer sees, the rule and clause, and what mends it."""
    from harness.evidence.verdict_catalogue import as_markdown, catalogue_entries

    pattern = " ".join(words or ())
    entries = catalogue_entries(pattern)
    if not entries:
        raise ConfigError(f"no reason has the words {pattern!r}; `imp-harness verdicts` lists them all")
    if as_json:
        typer.echo(json.dumps([entry.as_json() for entry in entries], indent=2))
    elif markdown:
        typer.echo(as_markdown(entries), nl=False)
    elif len(entries) > 3:
        width = max(len(entry.reason) for entry in entries)
        for entry in entries:
            typer.echo(f"{entry.reason:{width}}  {entry.cause}")
        typer.echo("\n`imp-harness verdicts WORDS` says more about one of them.")
    else:
        for entry in entries:
            typer.secho(str(entry.reason), bold=True)
            for title, text in (
                ("cause", entry.cause),
                ("the peer sees", entry.at_peer),
                ("rule", f"{entry.rule} ({entry.source})"),
                ("remedy", entry.remedy or "none is needed"),
            ):
                typer.echo(f"  {title + ':':15}{text}")
