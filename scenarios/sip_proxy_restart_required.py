"""What is saved changes nothing until Cisco SIP Proxy restarts, and the lab says what needs a restart (G15)."""

from certs.purposes import CertificatePurpose, ServiceName
from certs.verdict import Reason
from harness.actors.sip import user_agent
from harness.expectations import expect, expect_outcome
from harness.lab import Lab
from harness.nodes.node import ImpNode
from harness.procedures.sip import import_cup_certificates, let_clients_in, restart_sip_proxies
from harness.scenario import ScenarioRun, scenario

BOB = "sip:bob@lab.example"


@scenario(
    "sip-proxy-restart-required",
    title="Cisco SIP Proxy runs on what it started with until it restarts",
    covers=("G03", "G14", "G15", "G19"),
)
async def sip_proxy_restart_required(lab: Lab, run: ScenarioRun) -> None:
    imp1, imp2 = lab.imp

    async with run.step("A fresh lab needs no restart"):
        expect("what needs a restart", (), await imp1.restart_needed())

    async with run.step("An edit that is taken back needs none either"):
        await imp1.administration.add_incoming_acl("127.0.0.1")
        expect("the nodes that need a restart", {"imp1", "imp2"}, await _needing_restart(imp1))
        needed = await imp1.administration.delete_incoming_acl("127.0.0.1")
        expect("after it was taken back", (), needed)

    await let_clients_in(lab, run)
    async with run.step("Before the restart the test clients are refused by 403"):
        async with user_agent(lab, "alice", imp1) as alice:
            expect_outcome("the registration", await alice.register(), 403)
        await run.expect_verdict("the client", node="imp1", reason=Reason.NOT_IN_ACCESS_LIST)

    await import_cup_certificates(lab, run)
    async with run.step("Restart Cisco SIP Proxy on imp1 alone: imp2 still runs on the old settings"):
        await imp1.administration.restart(ServiceName.SIP_PROXY)
        expect("the nodes that need a restart", {"imp2"}, await _needing_restart(imp1))
        since = run.ledger.position
        async with user_agent(lab, "alice", imp1) as alice:
            expect_outcome("alice's registration", await alice.register(), 200)
            expect_outcome("the message", await alice.message(BOB, "one-sided"), 503)
        await run.expect_verdict("imp1 at imp2", node="imp2", reason=Reason.UNTRUSTED_ISSUER, since=since)

    await restart_sip_proxies(lab, run)
    async with run.step("After both restarts the message passes, and nothing needs a restart"):
        await _expect_message_passes(lab)
        expect("the nodes that need a restart", set(), await _needing_restart(imp1))

    async with run.step("Regenerate cup on imp2: until its restart it shows the old certificate"):
        await imp2.administration.certificate_management.regenerate(CertificatePurpose.CUP)
        expect("the nodes that need a restart", {"imp2"}, await _needing_restart(imp2))
        await _expect_message_passes(lab)

    async with run.step("After its restart imp1 no longer believes it"):
        await imp2.administration.restart(ServiceName.SIP_PROXY)
        since = run.ledger.position
        async with user_agent(lab, "alice", imp1) as alice:
            expect_outcome("the message", await alice.message(BOB, "new certificate"), 503)
        await run.expect_verdict("imp2 at imp1", node="imp1", reason=Reason.UNTRUSTED_ISSUER, since=since)

    await import_cup_certificates(lab, run)
    await restart_sip_proxies(lab, run)
    async with run.step("Imported again and restarted, the message passes"):
        await _expect_message_passes(lab)


async def _needing_restart(node: ImpNode) -> set[str]:
    """Return the nodes whose Cisco SIP Proxy needs a restart, as this node tells it."""
    return {one.node for one in await node.restart_needed() if one.service is ServiceName.SIP_PROXY}


async def _expect_message_passes(lab: Lab) -> None:
    imp1, imp2 = lab.imp
    async with user_agent(lab, "alice", imp1) as alice, user_agent(lab, "bob", imp2) as bob:
        expect_outcome("bob's registration", await bob.register(), 200)
        expect_outcome("the message", await alice.message(BOB, "hello"), 200)
