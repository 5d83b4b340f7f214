"""The module is damaged on disk: every restart halts, and only recovery helps (G27)."""

from certs.errors import ScenarioFailed
from harness.lab import Lab
from harness.procedures.fips import (
    APPROVED,
    CHACHA20,
    change_mode,
    damage_module,
    enable_fips,
    expect_halted,
    expect_new_certificates,
    expect_status,
    expect_suite,
    own_certificates,
)
from harness.processes.process_node import ProcessNode
from harness.processes.supervisor import NodeHalted
from harness.scenario import ScenarioRun, scenario

INTEGRITY = "HMAC (Module_Integrity)"


@scenario(
    "fips-self-test-persistent",
    title="A damaged module halts the node at every restart until it is recovered",
    covers=("G25", "G27"),
    topology="fips",
    limit=300.0,
)
async def fips_self_test_persistent(lab: Lab, run: ScenarioRun) -> None:
    node = await enable_fips(lab, run)
    before = own_certificates(node)

    async with run.step("One byte of the module changes on disk; the running node does not read it"):
        damage_module(node)
        await expect_suite(lab, run, node, APPROVED, accepted=True)

    for title in ("The reboot ends in a halt: the integrity check fails", "Another restart halts too"):
        async with run.step(title):
            since = run.ledger.position
            await expect_halted(lab, run, node, await _restart(node), INTEGRITY, since=since)

    async with run.step("imp-harness recover imp1: a fresh module and a fresh state"):
        run.saw(await node.recover())
        await node.power_on()
    async with run.step("The recovered node is as newly installed: not in FIPS mode, with new certificates"):
        await expect_status(lab, run, enabled=False)
        expect_new_certificates(node, run, before)
        await expect_suite(lab, run, node, CHACHA20, accepted=True)
    async with run.step("FIPS mode can be enabled again"):
        await change_mode(lab, run, node, "utils fips enable")
        await expect_status(lab, run, enabled=True)
        await expect_suite(lab, run, node, CHACHA20, accepted=False)


async def _restart(node: ProcessNode) -> NodeHalted:
    """Restart the node and return what halted it. Raises ScenarioFailed where it starts."""
    try:
        await (node.reboot() if node.process.pid is not None else node.power_on())
    except NodeHalted as halted:
        return halted
    raise ScenarioFailed("the node started although its module is damaged")
