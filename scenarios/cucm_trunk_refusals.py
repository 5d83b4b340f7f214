"""What keeps a secure SIP trunk from coming up, one thing at a time, until it does (G12, G17)."""

from certs.purposes import ServiceName
from certs.verdict import Reason
from harness.actors.sip import user_agent
from harness.expectations import expect, expect_outcome, expect_verdict
from harness.lab import Lab
from harness.nodes.node import CucmNode
from harness.procedures.sip import (
    TRUNK,
    call_manager,
    import_cucm_certificate,
    let_clients_in,
    restart_call_manager,
    restart_sip_proxies,
    route_lines_to_cucm,
    secure_profile,
    trunk_to,
    upload_cup_to_cucm,
)
from harness.scenario import ScenarioRun, scenario
from proxies.sip.trunk.status import ServiceState

OTHER = "other.lab.example"


@scenario(
    "cucm-trunk-refusals",
    title="What keeps a secure SIP trunk down: profile, subject, Callmanager-trust, restart",
    covers=("G12", "G13", "G15", "G17"),
)
async def cucm_trunk_refusals(lab: Lab, run: ScenarioRun) -> None:
    imp1, cucm1 = lab.imp[0], lab.cucm[0]
    administration = cucm1.administration
    await let_clients_in(lab, run)
    await route_lines_to_cucm(lab, run)
    await import_cucm_certificate(lab, run)
    await restart_sip_proxies(lab, run)

    async with run.step("A trunk without a security profile does not come up"):
        await administration.save_sip_trunk(trunk_to(imp1, profile=""))
    await restart_call_manager(lab, run)
    async with run.step("The trunk is out of service, and the lab says which is missing"):
        await _expect_out_of_service(run, cucm1, Reason.NO_SECURITY_PROFILE)

    async with run.step("The profile with another X.509 subject name, selected in the trunk"):
        await administration.save_sip_trunk_security_profile(secure_profile(OTHER))
        await administration.save_sip_trunk(trunk_to(imp1))
    await restart_call_manager(lab, run)
    async with run.step("CUCM does not trust imp1: its certificate is not in Callmanager-trust"):
        await _expect_out_of_service(run, cucm1, Reason.UNTRUSTED_ISSUER)

    await upload_cup_to_cucm(lab, run)
    async with run.step("Uploaded, but Cisco CallManager has not restarted: the old trust still holds"):
        await _expect_out_of_service(run, cucm1, Reason.UNTRUSTED_ISSUER)

    await restart_call_manager(lab, run)
    async with run.step("imp1's connection to CUCM carries a subject that the profile does not name"):
        since = run.ledger.position
        await _expect_answer_to_alice(lab, 403)
        seen = await run.expect_verdict(
            "imp1", node="cucm1", reason=Reason.SUBJECT_NOT_IN_PROFILE, since=since
        )
        expect("the subject", imp1.plan.fqdn, seen.subject)
        run.saw(f"remedy: {seen.remedy}")
    async with run.step("CUCM's own connections are not asked for a subject: its ping is answered"):
        await _expect_in_service(cucm1)

    async with run.step("X.509 Subject Name: imp1's CN beside the other one, Save"):
        await administration.save_sip_trunk_security_profile(secure_profile(f"{OTHER}, {imp1.plan.fqdn}"))
    await restart_call_manager(lab, run)
    async with run.step("Now the trunk is up in both directions"):
        await _expect_answer_to_alice(lab, 200)
        await _expect_in_service(cucm1)

    async with run.step("A trunk that nobody configured: without it the same peer is refused"):
        await administration.delete_sip_trunk(TRUNK)
    await restart_call_manager(lab, run)
    async with run.step("CUCM says that no trunk is for this peer"):
        since = run.ledger.position
        await _expect_answer_to_alice(lab, 403)
        await run.expect_verdict("imp1", node="cucm1", reason=Reason.NO_TRUNK, since=since)


async def _expect_out_of_service(run: ScenarioRun, cucm: CucmNode, reason: Reason) -> None:
    status = await call_manager(cucm).ping(TRUNK)
    expect("the trunk's state", ServiceState.OUT_OF_SERVICE, status.state)
    assert status.verdict is not None
    expect_verdict("the trunk", status.verdict, reason)
    run.saw(f"{status.trunk}: {status.state}: {status.reason}")
    run.saw(f"remedy: {status.verdict.remedy}")


async def _expect_in_service(cucm: CucmNode) -> None:
    status = await call_manager(cucm).ping(TRUNK)
    expect(f"the trunk's state ({status.reason})", ServiceState.IN_SERVICE, status.state)


async def _expect_answer_to_alice(lab: Lab, status: int) -> None:
    """Ask line 1001 what it can do, over a connection that imp1 opens."""
    # Without its restart imp1 would use the connection of CUCM's ping in the other direction (RFC 5923).
    await lab.imp[0].administration.restart(ServiceName.SIP_PROXY)
    async with user_agent(lab, "alice", lab.imp[0]) as alice:
        expect_outcome("the OPTIONS", await alice.options("sip:1001@lab.example"), status)
