"""Runs targets for a bounded time: what crashes, hangs or grows is kept with what repeats it."""

import contextlib
import gc
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from types import FrameType
from typing import Final

from tests.fuzz.mutation import chance

HANG: Final = 5.0
"Seconds of processor time that one input may take."

GROWTH: Final = 48 * 1024 * 1024
"Octets that the process may have more at the end of a target than after its first quarter."


class Hang(BaseException):
    """One input took too long; no `except Exception` on the way holds it up."""


@dataclass(frozen=True)
class Target:
    """Something that takes input from peers."""

    name: str
    run: Callable[[Random], None]
    "Takes one input, made from chance alone; raises where there is a bug."


@dataclass
class Report:
    """How a target did."""

    target: str
    inputs: int = 0
    seconds: float = 0.0
    grown: int = 0
    "Octets of memory."
    failure: str = ""
    "What went wrong, and what repeats it."

    def line(self) -> str:
        rate = self.inputs / self.seconds if self.seconds else 0.0
        end = "FAILED" if self.failure else "ok"
        return f"{self.target:<16} {self.inputs:>8} inputs {rate:>8.0f}/s {self.grown / 1024:>8.0f} KiB more  {end}"


def fuzz(target: Target, *, seed: int, seconds: float, maximum: int = 10**9, first: int = 0) -> Report:
    """Give a target inputs until the time is up or one is wrong."""
    report = Report(target.name)
    began = time.monotonic()
    settled = 0
    number = first
    while report.inputs < maximum and (report.seconds < seconds or report.inputs == 0):
        try:
            with _no_longer_than(HANG):
                target.run(chance(seed, number))
        except (Exception, Hang) as error:
            report.failure = (
                f"{target.name}, seed {seed}, input {number}: {type(error).__name__}: {error}\n"
                + "".join(traceback.format_exception(error)[-6:])
                + f"repeat it: python -m tests.fuzz --target {target.name} --seed {seed} --first {number} --inputs 1"
            )
        number += 1
        report.inputs += 1
        report.seconds = time.monotonic() - began
        if report.failure:
            return report
        if not settled and (report.seconds > seconds / 4 or report.inputs > maximum / 4):
            settled = _memory()
    report.grown = max(0, _memory() - settled) if settled else 0
    if report.grown > GROWTH:
        report.failure = (
            f"{target.name}, seed {seed}: {report.grown} octets of memory more after {number} inputs"
        )
    return report


@contextlib.contextmanager
def _no_longer_than(seconds: float) -> Iterator[None]:
    def stop(_: int, frame: FrameType | None) -> None:
        raise Hang(f"more than {seconds:g} s in {frame}")

    # Processor time of this process: other programs on the machine cannot make an input seem slow.
    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def _memory() -> int:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096
