"""One router secure, the other not: what the guide's "available to establish a TLS connection" means on the wire."""

from harness.actors.links import try_link
from harness.expectations import expect
from harness.lab import Lab
from harness.procedures.xmpp import (
    expect_link_in_the_clear,
    expect_link_over_tls,
    pass_messages,
    restart_router,
    set_router_secure_mode,
)
from harness.scenario import ScenarioRun, scenario


@scenario(
    "xmpp-router-mixed",
    title="A secure XMPP router and one that is not",
    covers=("G22",),
)
async def xmpp_router_mixed(lab: Lab, run: ScenarioRun) -> None:
    imp1, imp2 = lab.imp
    await set_router_secure_mode(lab, run, enabled=True)
    since = run.ledger.position
    await restart_router(lab, run, imp1)
    async with run.step("imp1 is secure and offers TLS, imp2 was not restarted and offers none"):
        attempt = await try_link(lab, imp1, sender=imp2.plan.fqdn)
        expect("TLS offered by imp1", True, attempt.offers_tls)
        attempt = await try_link(lab, imp2, sender=imp1.plan.fqdn)
        expect("TLS offered by imp2", False, attempt.offers_tls)
    async with run.step("imp2 is not available for TLS: both links are plain TCP, and messages pass"):
        await expect_link_in_the_clear(lab, run, since=since)
        await pass_messages(lab)
    since = run.ledger.position
    await restart_router(lab, run, imp2)
    async with run.step("Once imp2 is secure too, both links are TLS"):
        await expect_link_over_tls(lab, run, since=since)
        await pass_messages(lab)
