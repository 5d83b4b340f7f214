"""`imp-harness coverage`: which scenarios drive which clause, and how they went last."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer


def coverage(
    runs: Annotated[Path, typer.Option(help="The folder of run folders.")] = Path("runs"),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print the guide's clauses, the scenarios that drive each, and their last results."""
    from harness.clauses import CLAUSES
    from harness.running.discovery import discover

    catalogue = discover()
    scenarios = [catalogue.load(name) for name in catalogue.names]
    last = _last_results(runs)
    rows = [
        {
            "clause": clause,
            "title": title,
            "scenarios": {s.name: last.get(s.name, "not run") for s in scenarios if clause in s.covers},
        }
        for clause, title in CLAUSES.items()
    ]
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    _print_table(rows)


def _last_results(runs: Path) -> dict[str, str]:
    """Return each scenario's last outcome; a folder without a readable result does not count."""
    last: dict[str, tuple[str, str]] = {}
    for path in runs.glob("*/result.json"):
        try:
            result = json.loads(path.read_text(encoding="utf-8"))
            name, at, outcome = result["name"], result["started_at"], result["outcome"]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        last[name] = max(last.get(name, ("", "")), (at, outcome))
    return {name: outcome for name, (_, outcome) in last.items()}


def _print_table(rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("clause", "title", "scenario", "last result", box=None, pad_edge=False)
    for row in rows:
        scenarios = row["scenarios"] or {"—": ""}
        for number, (name, outcome) in enumerate(scenarios.items()):
            first = (row["clause"], row["title"]) if number == 0 else ("", "")
            colour = {"passed": "green", "failed": "red", "error": "red"}.get(outcome, "dim")
            table.add_row(*first, name, f"[{colour}]{outcome}[/]")
    Console(highlight=False).print(table)
    driven = sum(bool(row["scenarios"]) for row in rows)
    typer.echo(f"{driven} of {len(rows)} clauses are driven by a scenario")
