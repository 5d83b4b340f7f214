"""A self-test fails once: the node halts, and the next restart mends it (G27)."""

from certs.errors import ScenarioFailed
from certs.fips.module import SelfTestFault
from harness.expectations import expect
from harness.lab import Lab
from harness.procedures.fips import (
    APPROVED,
    CHACHA20,
    enable_fips,
    expect_halted,
    expect_status,
    expect_suite,
    own_certificates,
)
from harness.processes.supervisor import NodeHalted
from harness.scenario import ScenarioRun, scenario

FAULT = SelfTestFault(description="AES_GCM", kind="KAT_Cipher")


@scenario(
    "fips-self-test-transient",
    title="A self-test that fails once halts the node until it is restarted",
    covers=("G25", "G27"),
    topology="fips",
    limit=240.0,
)
async def fips_self_test_transient(lab: Lab, run: ScenarioRun) -> None:
    node = await enable_fips(lab, run)
    certificates = own_certificates(node)

    async with run.step(
        "The provider's own hook spoils what AES-GCM computes in the next self-tests: the node halts"
    ):
        since = run.ledger.position
        node.process.fips.spoil_next_boot(FAULT)
        try:
            await node.reboot()
        except NodeHalted as halted:
            await expect_halted(lab, run, node, halted, "AES_GCM (KAT_Cipher)", since=since)
        else:
            raise ScenarioFailed("the node started although a self-test failed")

    async with run.step("The next restart mends it: same mode, same certificates"):
        await node.power_on()
        await expect_status(lab, run, enabled=True)
        expect("the certificates", certificates, own_certificates(node))
        await expect_suite(lab, run, node, APPROVED, accepted=True)
        await expect_suite(lab, run, node, CHACHA20, accepted=False)
