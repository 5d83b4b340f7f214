"""XMPP router-to-router secure mode off, as on a fresh product: plain TCP, and only from the routers' addresses."""

from certs.verdict import Reason
from harness.actors.links import try_link
from harness.expectations import expect
from harness.lab import Lab
from harness.procedures.xmpp import (
    expect_link_in_the_clear,
    expect_link_over_tls,
    pass_messages,
    restart_routers,
    set_router_secure_mode,
)
from harness.scenario import ScenarioRun, scenario


@scenario(
    "xmpp-router-tcp",
    title="XMPP routers of one cluster over plain TCP",
    covers=("G22",),
)
async def xmpp_router_tcp(lab: Lab, run: ScenarioRun) -> None:
    imp1, imp2 = lab.imp
    async with run.step("By default the routers speak plain TCP"):
        await expect_link_in_the_clear(lab, run)
        await pass_messages(lab)
    async with run.step("A router's name from another address is refused"):
        since = run.ledger.position
        attempt = await try_link(lab, imp1, sender=imp2.plan.fqdn)
        expect("TLS offered", False, attempt.offers_tls)
        expect("mechanisms", (), attempt.mechanisms)
        seen = await run.expect_verdict("the router", node="imp1", reason=Reason.UNKNOWN_ROUTER, since=since)
        run.saw(f"{seen.detail}; remedy: {seen.remedy}")
    async with run.step("The twin: from imp2's address it is believed"):
        attempt = await try_link(lab, imp1, sender=imp2.plan.fqdn, address=imp2.plan.address)
        expect("mechanisms", ("EXTERNAL",), attempt.mechanisms)

    await set_router_secure_mode(lab, run, enabled=True)
    since = run.ledger.position
    await restart_routers(lab, run)
    async with run.step("With secure mode on they speak TLS"):
        await expect_link_over_tls(lab, run, since=since)
    await set_router_secure_mode(lab, run, enabled=False)
    async with run.step("Turned off again, TLS stays until Cisco XCP Router restarts"):
        attempt = await try_link(lab, imp1, sender=imp2.plan.fqdn)
        expect("TLS offered", True, attempt.offers_tls)
    since = run.ledger.position
    await restart_routers(lab, run)
    async with run.step("Then it is plain TCP"):
        await expect_link_in_the_clear(lab, run, since=since)
        await pass_messages(lab)
