"""The result of a run: a value that the terminal, result.json, JUnit and the coverage table read."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from certs.verdict import Verdict
from harness.evidence.ledger import encode_verdict
from harness.running.steps import Outcome, Step

EXIT_STATUS = {Outcome.PASSED: 0, Outcome.FAILED: 1, Outcome.ERROR: 2}
"The exit status of `imp-harness scenario run`; of several outcomes the worst one counts."


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a run did not pass."""

    message: str
    "What was not as expected, or what went wrong."

    difference: str = ""
    "Expected against seen, a line each."

    remedy: str = ""
    "What to do next."

    details: str = ""
    "The traceback, of errors that nobody foresaw."


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedPeer:
    """A verdict with the node that gave it."""

    node: str
    "The node."

    service: str
    "Its service."

    verdict: Verdict
    "The verdict."


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """How a scenario went."""

    name: str
    "The scenario's name."

    title: str
    "What it shows."

    covers: tuple[str, ...]
    "The clauses that it drives."

    outcome: Outcome
    "How it ended."

    started_at: datetime
    "When, UTC."

    duration: float
    "Seconds, the lab's start and stop included."

    boot_seconds: float | None
    "Seconds until the lab's nodes were up; None where they did not come up."

    nodes: int
    "How many nodes the lab has."

    seed: int
    "The seed of the run's chance."

    loop: str
    "The event loop it ran on."

    folder: str
    "Where its evidence is."

    steps: tuple[Step, ...] = ()
    "What was done."

    verdicts: tuple[JudgedPeer, ...] = field(default=(), repr=False)
    "All verdicts of the run, in order."

    failure: Failure | None = None
    "Why it did not pass."

    def encode(self) -> dict[str, Any]:
        """Return the result as JSON values."""
        failure = self.failure
        return {
            "name": self.name,
            "title": self.title,
            "covers": list(self.covers),
            "outcome": self.outcome,
            "started_at": self.started_at.isoformat(timespec="milliseconds"),
            "duration": round(self.duration, 3),
            "boot_seconds": None if self.boot_seconds is None else round(self.boot_seconds, 3),
            "nodes": self.nodes,
            "seed": self.seed,
            "loop": self.loop,
            "folder": self.folder,
            "steps": [
                {
                    "title": step.title,
                    "duration": round(step.duration, 4),
                    "outcome": step.outcome,
                    "details": step.details,
                }
                for step in self.steps
            ],
            "verdicts": [
                {"node": judged.node, "service": judged.service} | encode_verdict(judged.verdict)
                for judged in self.verdicts
            ],
            "failure": failure
            and {
                "message": failure.message,
                "difference": failure.difference,
                "remedy": failure.remedy,
                "details": failure.details,
            },
        }


def worst(outcomes: list[Outcome]) -> Outcome:
    """Return the worst of several outcomes; none at all could not run."""
    return max(outcomes, key=lambda outcome: EXIT_STATUS[outcome], default=Outcome.ERROR)
