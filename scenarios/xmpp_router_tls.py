"""XMPP router-to-router secure mode on: mutual TLS, by certificates that replicate by themselves."""

from certs.purposes import CertificatePurpose
from certs.verdict import Reason
from harness.actors.links import try_link
from harness.actors.sip import self_signed_client
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

TLS_REFUSALS = {
    "without a certificate": Reason.NO_CERTIFICATE,
    "with imp2's name and a certificate of its own": Reason.UNTRUSTED_ISSUER,
}


@scenario(
    "xmpp-router-tls",
    title="XMPP routers of one cluster over mutual TLS",
    covers=("G22",),
)
async def xmpp_router_tls(lab: Lab, run: ScenarioRun) -> None:
    imp1, imp2 = lab.imp
    await set_router_secure_mode(lab, run, enabled=True)
    async with run.step("Before Cisco XCP Router restarts, the routers speak TCP as before"):
        await expect_link_in_the_clear(lab, run)
        await pass_messages(lab)
    since = run.ledger.position
    await restart_routers(lab, run)
    async with run.step("Now each router shows cup-xmpp to the other and trusts it by cup-xmpp-trust"):
        await expect_link_over_tls(lab, run, since=since)
    async with run.step("alice at imp1 and bob at imp2 exchange messages over the links"):
        await pass_messages(lab)

    credential = self_signed_client(lab, imp2.plan.fqdn)
    for title, reason in TLS_REFUSALS.items():
        async with run.step(f"A router {title} is refused"):
            since = run.ledger.position
            shown = credential if reason is Reason.UNTRUSTED_ISSUER else None
            attempt = await try_link(lab, imp1, sender=imp2.plan.fqdn, credential=shown)
            expect("TLS offered", True, attempt.offers_tls)
            expect("mechanisms", (), attempt.mechanisms)
            seen = await run.expect_verdict("the router", node="imp1", reason=reason, since=since)
            run.saw(f"{seen.reason}, alert {seen.alert_sent}; remedy: {seen.remedy}")
    async with run.step("The twin: with imp2's own certificate the same stranger is offered EXTERNAL"):
        own = imp2.key_store.own(CertificatePurpose.CUP_XMPP)
        attempt = await try_link(lab, imp1, sender=imp2.plan.fqdn, credential=own)
        expect("mechanisms", ("EXTERNAL",), attempt.mechanisms)
    async with run.step("imp2's certificate does not speak for another router"):
        since = run.ledger.position
        attempt = await try_link(lab, imp1, sender=imp1.plan.fqdn, credential=own)
        expect("mechanisms", (), attempt.mechanisms)
        await run.expect_verdict("the router", node="imp1", reason=Reason.UNKNOWN_ROUTER, since=since)
