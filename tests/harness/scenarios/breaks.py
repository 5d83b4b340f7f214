"""A scenario that cannot run."""

from harness.lab import Lab
from harness.scenario import ScenarioRun, scenario


@scenario("breaks", title="A mistake of its author", covers=("G03",))
async def breaks(lab: Lab, run: ScenarioRun) -> None:
    async with run.step("Divide by nothing"):
        _ = 1 / len(lab.imp[2:])
