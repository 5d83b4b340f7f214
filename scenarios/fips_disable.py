"""FIPS mode is disabled: that takes a reboot too, and new keys (G26)."""

from harness.lab import Lab
from harness.procedures.fips import (
    CHACHA20,
    change_mode,
    enable_fips,
    expect_new_certificates,
    expect_status,
    expect_suite,
    own_certificates,
)
from harness.scenario import ScenarioRun, scenario


@scenario(
    "fips-disable",
    title="A node leaves FIPS mode by a reboot, and takes again what was refused",
    covers=("G25", "G26"),
    topology="fips",
    limit=240.0,
)
async def fips_disable(lab: Lab, run: ScenarioRun) -> None:
    node = await enable_fips(lab, run)
    before = own_certificates(node)
    async with run.step("In FIPS mode ChaCha20 is refused"):
        await expect_suite(lab, run, node, CHACHA20, accepted=False)
    async with run.step("A reboot alone leaves the mode as it is"):
        await node.reboot()
        await expect_status(lab, run, enabled=True)
    async with run.step("utils fips disable on imp1: confirm, and the node reboots"):
        await change_mode(lab, run, node, "utils fips disable")
        await expect_status(lab, run, enabled=False)
    async with run.step("All keys and certificates were made anew"):
        expect_new_certificates(node, run, before)
    async with run.step("ChaCha20 is taken again"):
        await expect_suite(lab, run, node, CHACHA20, accepted=True)
