"""Runs several scenarios at once, each in a process and on addresses of its own."""

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from harness.evidence.result import RunResult
from harness.evidence.terminal import SilentReporter
from harness.running.discovery import discover
from harness.running.runner import Reporter, RunOptions, run_scenario


def run_in_parallel(
    names: Sequence[str], options: RunOptions, reporter: Reporter, *, workers: int, path: Path | None
) -> Iterator[RunResult]:
    """Yield results as scenarios end, and report each as a whole so that lines do not mix."""
    catalogue = discover(path)
    # A fresh interpreter for each worker: forking would take our event loop's leftovers along.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=workers, mp_context=context) as pool:
        futures = {pool.submit(_run_one, name, options, path): name for name in names}
        try:
            for future in as_completed(futures):
                result = future.result()
                reporter.scenario_began(catalogue.load(futures[future]))
                if result.boot_seconds is not None:
                    reporter.lab_is_up(result.nodes, result.boot_seconds)
                for step in result.steps:
                    reporter.step_ended(step)
                reporter.scenario_ended(result)
                yield result
        finally:
            pool.shutdown(cancel_futures=True)


def _run_one(name: str, options: RunOptions, path: Path | None) -> RunResult:
    return run_scenario(discover(path).load(name), options, SilentReporter())
