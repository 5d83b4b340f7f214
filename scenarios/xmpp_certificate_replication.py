"""The XMPP certificate is replicated within the cluster by itself, as an XMPP trust certificate (G22)."""

from certs.purposes import CertificatePurpose, ServiceName, TrustStoreName
from certs.verdict import Reason
from harness.expectations import expect, expect_soon
from harness.lab import Lab
from harness.procedures.xmpp import (
    expect_link_over_tls,
    own_certificate,
    pass_messages,
    restart_router,
    restart_routers,
    set_router_secure_mode,
    trusted_certificates,
)
from harness.scenario import ScenarioRun, scenario

XMPP, TRUST = CertificatePurpose.CUP_XMPP, TrustStoreName.CUP_XMPP_TRUST


@scenario(
    "xmpp-certificate-replication",
    title="XMPP certificates replicate by themselves",
    covers=("G22",),
)
async def xmpp_certificate_replication(lab: Lab, run: ScenarioRun) -> None:
    imp1, imp2 = lab.imp
    async with run.step("On a fresh lab each node trusts the other's cup-xmpp, and nobody imported it"):
        for node, peer in ((imp1, imp2), (imp2, imp1)):
            expect(
                f"cup-xmpp-trust on {node.plan.name}",
                True,
                own_certificate(peer) in trusted_certificates(node),
            )
            run.saw(f"{node.plan.name} trusts {own_certificate(peer)[:16]}… of {peer.plan.name}")

    await set_router_secure_mode(lab, run, enabled=True)
    since = run.ledger.position
    await restart_routers(lab, run)
    async with run.step("The routers believe each other by it"):
        await expect_link_over_tls(lab, run, since=since)

    async with run.step(
        "Stop Cisco Intercluster Sync Agent on imp1, regenerate its cup-xmpp: imp2 learns nothing"
    ):
        await imp1.services.stop(ServiceName.INTERCLUSTER_SYNC_AGENT)
        await imp1.administration.certificate_management.regenerate(XMPP)
    since = run.ledger.position
    await restart_router(lab, run, imp1)
    async with run.step("imp1 shows its new certificate, and imp2 refuses it"):
        seen = await run.expect_verdict(
            "imp1 at imp2", node="imp2", reason=Reason.UNTRUSTED_ISSUER, since=since
        )
        expect("what imp2 was shown", own_certificate(imp1), seen.presented_chain[0].sha256)
        run.saw(f"alert {seen.alert_sent}; remedy: {seen.remedy}")

    since = run.ledger.position
    async with run.step(
        "Start the agent: the new certificate is replicated, and the links come back by themselves"
    ):
        await imp1.services.start(ServiceName.INTERCLUSTER_SYNC_AGENT)
        await expect_soon(
            "imp2's trust in it",
            True,
            lambda: own_certificate(imp1) in trusted_certificates(imp2),
            clock=lab.clock,
        )
        await expect_link_over_tls(lab, run, since=since)
        await imp1.administration.restart(ServiceName.XCP_CONNECTION_MANAGER)
        await pass_messages(lab)
    async with run.step(
        "What an administrator deletes from the store stays deleted, and the link is refused"
    ):
        await imp2.administration.certificate_management.delete(TRUST, own_certificate(imp1))
        since = run.ledger.position
        await restart_router(lab, run, imp1)
        await run.expect_verdict("imp1 at imp2", node="imp2", reason=Reason.UNTRUSTED_ISSUER, since=since)
