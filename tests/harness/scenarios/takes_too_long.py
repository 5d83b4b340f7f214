"""A scenario that does not come to its end within its limit."""

import asyncio

from harness.lab import Lab
from harness.scenario import ScenarioRun, scenario


@scenario("takes-too-long", title="Waits for what never comes", covers=("G03",), limit=0.2)
async def takes_too_long(lab: Lab, run: ScenarioRun) -> None:
    async with run.step("Wait"):
        await asyncio.Event().wait()
