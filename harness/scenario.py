"""How a scenario is declared, and what it works with while it runs.

    @scenario("sip-intracluster-tls", title="SIP between two nodes over mutual TLS", covers=("G03", "G19"))
    async def run(lab: Lab, run: ScenarioRun) -> None:
        async with run.step("Import the certificate of imp2 on imp1"):
            ...

A file of `scenarios/` declares one; its name is the file's, with dashes.
"""

import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.clauses import check_clauses
from harness.evidence.ledger import Ledger
from harness.expectations import ScenarioExpectations
from harness.running.steps import Step, Steps

if TYPE_CHECKING:
    from harness.lab import Lab

Body = Callable[["Lab", "ScenarioRun"], Awaitable[None]]
"What a scenario does."


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A declared scenario."""

    name: str
    "The NAME in `make scenario NAME=...`."

    title: str
    "What it shows, in a line."

    topology: str
    "The lab it runs on: the name of a built-in lab file."

    covers: tuple[str, ...]
    "The ids of the guide's clauses that it drives."

    limit: float
    "Seconds it may take."

    body: Body = field(repr=False)
    "What it does."


def scenario(
    name: str,
    *,
    title: str,
    covers: Iterable[str],
    topology: str = "two-imp-one-cucm",
    limit: float = 60.0,
) -> Callable[[Body], Scenario]:
    """Declare the function below as a scenario.

    Raises ConfigError where `covers` names a clause that the guide does not have.
    """
    checked = check_clauses(covers)

    def declare(body: Body) -> Scenario:
        return Scenario(name=name, title=title, topology=topology, covers=checked, limit=limit, body=body)

    return declare


class ScenarioRun(ScenarioExpectations):
    """One run of a scenario: its steps, its evidence, its chance."""

    def __init__(self, *, steps: Steps, ledger: Ledger, seed: int) -> None:
        super().__init__(ledger)
        self.steps = steps
        "What was done so far."
        self.random = random.Random(seed)  # noqa: S311 - repeatable on purpose
        "The only source of chance; its seed is in the result."

    @asynccontextmanager
    async def step(self, title: str) -> AsyncIterator[Step]:
        """Run what is inside as one step of the procedure."""
        self.ledger.note(title)
        async with self.steps.step(title) as step:
            yield step

    def saw(self, text: str) -> None:
        """Add a line of evidence to the step that runs."""
        self.steps.saw(text)
