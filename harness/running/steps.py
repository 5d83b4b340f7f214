"""The steps of a running scenario: named, timed, and told to whoever listens."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum


class Outcome(StrEnum):
    """How a step or a scenario ended."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"


@dataclass(slots=True)
class Step:
    """One step of the procedure."""

    title: str
    "What is done, as the guide says it."

    duration: float = 0.0
    "Seconds it took."

    outcome: Outcome | None = None
    "How it ended; None while it runs."

    details: list[str] = field(default_factory=list)
    "What was seen, a line each."


class Steps:
    """Runs a scenario's steps one after the other.

    `async with steps.step("Restart Cisco SIP Proxy on imp1"): ...`; `steps.saw(...)` adds a line to it.
    """

    def __init__(self, *, began: Callable[[Step], None], ended: Callable[[Step], None]) -> None:
        self.steps: list[Step] = []
        "All steps so far, in order."
        self._began = began
        self._ended = ended

    @asynccontextmanager
    async def step(self, title: str) -> AsyncIterator[Step]:
        """Run what is inside as one step; what it raises ends the scenario."""
        step = Step(title)
        self.steps.append(step)
        self._began(step)
        start = time.perf_counter()
        try:
            yield step
        except BaseException:
            step.outcome = Outcome.FAILED
            raise
        else:
            step.outcome = Outcome.PASSED
        finally:
            step.duration = time.perf_counter() - start
            self._ended(step)

    def saw(self, text: str) -> None:
        """Add a line of evidence to the step that runs."""
        if self.steps:
            self.steps[-1].details.append(text)
