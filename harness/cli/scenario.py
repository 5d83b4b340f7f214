"""`imp-harness scenario`: list and run."""

import json
import sys
import time
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from certs.errors import ConfigError

if TYPE_CHECKING:
    from harness.evidence.result import RunResult
    from harness.running.discovery import Catalogue
    from harness.running.runner import Reporter, RunOptions

app = typer.Typer(help="List and run scenarios.", no_args_is_help=True)

Folder = Annotated[
    Path | None, typer.Option("--path", help="A folder of scenarios of your own, instead of those shipped.")
]


class Loop(StrEnum):
    """The event loops."""

    UVLOOP = "uvloop"
    ASYNCIO = "asyncio"


@app.command("list")
def list_scenarios(
    path: Folder = None, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False
) -> None:
    """List the scenarios with their titles and the clauses they drive."""
    from harness.running.discovery import discover

    catalogue = discover(path)
    scenarios = [catalogue.load(name) for name in catalogue.names]
    if as_json:
        rows = [
            {"name": s.name, "title": s.title, "covers": s.covers, "topology": s.topology} for s in scenarios
        ]
        typer.echo(json.dumps(rows, indent=2))
        return
    width = max((len(s.name) for s in scenarios), default=0)
    for found in scenarios:
        typer.echo(f"{found.name:<{width}}  {found.title} ({', '.join(found.covers)})")


def _complete(incomplete: str) -> Iterator[str]:
    from harness.running.discovery import discover

    return (name for name in discover().names if name.startswith(incomplete))


@app.command("run")
def run(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", autocompletion=_complete, show_default=False)
    ] = None,
    run_all: Annotated[bool, typer.Option("--all", help="Run all scenarios.")] = False,
    path: Folder = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON, nothing else.")] = False,
    junit: Annotated[Path | None, typer.Option(help="Write JUnit XML of all results to this file.")] = None,
    summary: Annotated[
        Path | None,
        typer.Option(
            envvar="GITHUB_STEP_SUMMARY", show_envvar=True, help="Append a Markdown summary to this file."
        ),
    ] = None,
    keep_going: Annotated[bool, typer.Option("--keep-going", help="Go on after one that fails.")] = False,
    workers: Annotated[
        int, typer.Option("-n", min=1, max=64, help="How many run at once, each on addresses of its own.")
    ] = 1,
    seed: Annotated[
        int | None, typer.Option(help="The seed of the runs' chance; one is drawn otherwise.")
    ] = None,
    loop: Annotated[Loop, typer.Option(help="The event loop.")] = Loop.UVLOOP,
    runs: Annotated[Path, typer.Option(help="The folder of run folders.")] = Path("runs"),
    trace: Annotated[
        bool, typer.Option("--trace/--no-trace", help="Capture what crosses the sockets, in trace.pcapng.")
    ] = True,
    tls_secrets: Annotated[
        bool,
        typer.Option("--secrets/--no-secrets", help="Put the TLS secrets that decrypt it into trace.pcapng."),
    ] = True,
) -> None:
    """Run scenarios. Exit status: 0 passed, 1 failed, 2 could not run; of several the worst counts."""
    from harness.evidence.result import EXIT_STATUS, worst
    from harness.evidence.terminal import SilentReporter, TerminalReporter
    from harness.running.discovery import discover
    from harness.running.runner import RunOptions

    catalogue = discover(path)
    chosen = _choose(catalogue, names or [], run_all=run_all)
    options = RunOptions(
        runs=runs,
        loop=loop,
        seed=_draw_seed() if seed is None else seed,
        trace=trace,
        secrets=tls_secrets,
    )
    reporter = SilentReporter() if as_json else TerminalReporter(imports_seconds=_imports_seconds())
    results: list[RunResult] = []
    try:
        for result in _run_each(catalogue, chosen, options, reporter, workers=workers, path=path):
            results.append(result)
            if EXIT_STATUS[result.outcome] and not keep_going:
                break
    except KeyboardInterrupt:
        sys.stderr.write(f"interrupted; evidence of what ran is in {runs}\n")
        raise typer.Exit(130) from None
    finally:
        if junit is not None:
            _write_junit(junit, results)
        if summary is not None:
            _append_summary(summary, results)
    outcome = worst([result.outcome for result in results])
    if as_json:
        encoded = {"outcome": outcome, "results": [result.encode() for result in results]}
        typer.echo(json.dumps(encoded, indent=2, ensure_ascii=False))
    elif len(chosen) > 1:
        passed = sum(not EXIT_STATUS[result.outcome] for result in results)
        not_run = f", {len(chosen) - len(results)} not run" if len(results) < len(chosen) else ""
        typer.echo(f"{passed} passed, {len(results) - passed} failed{not_run}")
    raise typer.Exit(EXIT_STATUS[outcome])


def _choose(catalogue: "Catalogue", names: list[str], *, run_all: bool) -> list[str]:
    if run_all and names:
        raise ConfigError("give names or --all, not both")
    if run_all:
        return catalogue.names
    if not names:
        raise ConfigError(f"name a scenario, or give --all; there are {', '.join(catalogue.names)}")
    for name in names:
        catalogue.check(name)
    return names


def _run_each(
    catalogue: "Catalogue",
    names: list[str],
    options: "RunOptions",
    reporter: "Reporter",
    *,
    workers: int,
    path: Path | None,
) -> "Iterator[RunResult]":
    from harness.running.parallel import run_in_parallel
    from harness.running.runner import run_scenario

    if workers > 1:
        return run_in_parallel(names, options, reporter, workers=workers, path=path)
    return (run_scenario(catalogue.load(name), options, reporter) for name in names)


def _write_junit(path: Path, results: "list[RunResult]") -> None:
    from certs.storage import write_atomically
    from harness.evidence.junit import encode_junit

    write_atomically(path, encode_junit(results))


def _append_summary(path: Path, results: "list[RunResult]") -> None:
    from harness.evidence.report.summary import append_summary

    append_summary(path, results)


def _draw_seed() -> int:
    import secrets

    return secrets.randbelow(2**31)


def _imports_seconds() -> float:
    from harness import cli

    return time.perf_counter() - cli.STARTED
