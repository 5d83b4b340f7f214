"""`imp-harness ladder`: what a run's nodes and clients said to each other, as a ladder diagram."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from certs.errors import ConfigError
from harness.evidence.ladder.model import Kind

if TYPE_CHECKING:
    from harness.evidence.ladder.model import Ladder, Row

OFF_TERMINAL = 120
"Columns where the output goes to no terminal."


def ladder(
    run: Annotated[
        str | None,
        typer.Argument(
            metavar="[RUN]",
            help="A run folder, an events.jsonl, or a scenario's name for its last run; the last run without one.",
            show_default=False,
        ),
    ] = None,
    runs: Annotated[Path, typer.Option(help="The folder of run folders.")] = Path("runs"),
    node: Annotated[list[str] | None, typer.Option(help="Only rows that touch this node or actor.")] = None,
    connection: Annotated[
        list[str] | None, typer.Option(help="Only this connection, by its id or the id's beginning.")
    ] = None,
    protocol: Annotated[
        list[Kind] | None, typer.Option(help="Only these; tcp shows connections that open and close.")
    ] = None,
    begin: Annotated[float | None, typer.Option("--from", help="Seconds since the first event.")] = None,
    end: Annotated[float | None, typer.Option("--to", help="Seconds since the first event.")] = None,
    refused: Annotated[bool, typer.Option("--refused", help="Only refusals and errors.")] = False,
    show: Annotated[
        list[int] | None, typer.Option(metavar="NUMBER", help="Print these rows with all their details.")
    ] = None,
    details: Annotated[bool, typer.Option("--details", help="Print every row's details below it.")] = False,
    width: Annotated[int | None, typer.Option(min=40, max=1000, help="Columns to draw in.")] = None,
    ascii_only: Annotated[bool, typer.Option("--ascii", help="Draw without box characters.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the rows as JSON.")] = False,
) -> None:
    """Print a run's ladder diagram: who said what to whom, and every verdict.

    Exit status: 0, or 2 where there is no such run or node.
    """
    from harness.evidence.decoding import read_events
    from harness.evidence.ladder.building import build_ladder
    from harness.evidence.ladder.filtering import USUAL, LadderFilter
    from harness.evidence.run_folders import find_events

    path = find_events(runs, run)
    wanted = LadderFilter(
        nodes=tuple(node or ()),
        connections=tuple(connection or ()),
        kinds=frozenset(protocol) if protocol else USUAL,
        begin=begin,
        end=end,
        refused_only=refused,
    )
    whole = build_ladder(read_events(path))
    if show:
        _show(whole, show, as_json=as_json)
        return
    kept = wanted.apply(whole)
    if as_json:
        typer.echo(json.dumps(_encode(path, kept), indent=2, ensure_ascii=False))
        return
    _print(path, kept, width=width, details=details, ascii_only=ascii_only)


def _print(path: Path, ladder: "Ladder", *, width: int | None, details: bool, ascii_only: bool) -> None:
    from rich.console import Console

    from harness.evidence.ladder.text import LadderText

    console = Console(highlight=False, soft_wrap=True, markup=False)
    columns = width or (console.width if console.is_terminal else OFF_TERMINAL)
    cannot = "utf" not in (sys.stdout.encoding or "").lower()
    for line in LadderText(ladder, width=columns, details=details, ascii_only=ascii_only or cannot).lines():
        console.print(line)
    rows = sum(row.kind is not Kind.STEP for row in ladder.rows)
    left_out = f", {ladder.left_out} left out" if ladder.left_out else ""
    console.print(f"{rows} rows of {path}{left_out}; --show NUMBER prints a row's message or verdict")


def _show(ladder: "Ladder", numbers: list[int], *, as_json: bool) -> None:
    known = {row.number: row for row in ladder.rows}
    for number in numbers:
        if number not in known:
            raise ConfigError(f"the ladder has no row {number}; its rows are 1 to {len(known)}")
    rows = [known[number] for number in numbers]
    if as_json:
        typer.echo(json.dumps([_encode_row(ladder, row) for row in rows], indent=2, ensure_ascii=False))
        return
    for row in rows:
        between = f"{row.source} to {row.target}: " if row.source != row.target else f"{row.source}: "
        typer.echo(f"{row.number}  {row.at.isoformat(timespec='microseconds')}  {between}{row.label}")
        for line in row.details:
            typer.echo(f"    {line}".rstrip())


def _encode(path: Path, ladder: "Ladder") -> dict[str, Any]:
    return {
        "events": str(path),
        "began": ladder.began.isoformat(timespec="microseconds"),
        "lanes": ladder.lanes,
        "left_out": ladder.left_out,
        "rows": [_encode_row(ladder, row) for row in ladder.rows],
    }


def _encode_row(ladder: "Ladder", row: "Row") -> dict[str, Any]:
    return {
        "number": row.number,
        "at": row.at.isoformat(timespec="microseconds"),
        "seconds": round(ladder.seconds(row), 6),
        "kind": row.kind,
        "source": row.source,
        "target": row.target,
        "label": row.label,
        "mood": row.mood,
        "connections": row.connections,
        "details": row.details,
    }
