"""The secure SIP trunk between CUCM and imp1 carries everything, both ways (G02, G12 to G17)."""

from certs.verdict import Reason
from harness.actors.sip import user_agent
from harness.expectations import expect, expect_outcome
from harness.lab import Lab
from harness.procedures.sip import (
    TRUNK,
    call_manager,
    configure_trunk,
    import_cucm_certificate,
    let_clients_in,
    restart_call_manager,
    restart_sip_proxies,
    upload_cup_to_cucm,
)
from harness.scenario import ScenarioRun, scenario
from proxies.sip.agent.user_agent import UserAgent
from proxies.sip.messages.pidf import parse_pidf, simple_document
from proxies.sip.trunk.cucm_trunk import CallManager
from proxies.sip.trunk.status import ServiceState

ALICE, LINE = "sip:alice@lab.example", "sip:1001@lab.example"
PATIENCE = 3.0


@scenario(
    "cucm-trunk-tls",
    title="A secure SIP trunk between CUCM and IM and Presence, in both directions",
    covers=("G03", "G04", "G12", "G13", "G14", "G15", "G16", "G17"),
)
async def cucm_trunk_tls(lab: Lab, run: ScenarioRun) -> None:
    imp1, cucm1 = lab.imp[0], lab.cucm[0]
    await let_clients_in(lab, run)
    await configure_trunk(lab, run, subject_names=imp1.plan.fqdn)
    await import_cucm_certificate(lab, run)
    await restart_sip_proxies(lab, run)
    await upload_cup_to_cucm(lab, run)
    since = run.ledger.position
    await restart_call_manager(lab, run)

    cucm = call_manager(cucm1)
    async with run.step("Device > Trunk: an OPTIONS ping finds the trunk in service"):
        status = await cucm.ping(TRUNK)
        expect(f"the trunk's state ({status.reason})", ServiceState.IN_SERVICE, status.state)
        for node, peer in ((imp1, cucm1), (cucm1, imp1)):
            verdict = await run.expect_verdict(
                "the trunk's peer", node=node.plan.name, reason=Reason.ACCEPTED, since=since
            )
            expect(f"the subject that {node.plan.name} saw", peer.plan.fqdn, verdict.subject)
            run.saw(
                f"{node.plan.name} accepted CN={verdict.subject} over {verdict.tls_version} {verdict.cipher}"
            )

    async with user_agent(lab, "alice", imp1) as alice:
        expect_outcome("alice's registration", await alice.register(), 200)
        await _from_cucm(run, cucm, alice)
        await _to_cucm(run, cucm, alice)


async def _from_cucm(run: ScenarioRun, cucm: CallManager, alice: UserAgent) -> None:
    async with run.step("From CUCM: line 1001 calls alice and hangs up"):
        made = await cucm.invite(TRUNK, "1001", ALICE)
        expect_outcome("the INVITE", made.outcome, 200)
        assert made.call is not None
        expect_outcome("the BYE", await cucm.hang_up(made.call), 200)
        expect("what alice got", ["INVITE", "BYE"], [(await alice.next_request()).method for _ in range(2)])
    async with run.step("From CUCM: a MESSAGE reaches alice"):
        expect_outcome("the MESSAGE", await cucm.message(TRUNK, "1001", ALICE, "from 1001"), 200)
        expect("what alice got", b"from 1001", (await alice.next_request()).body)
    async with run.step("From CUCM: 1001 watches alice, alice comes online, and NOTIFY says so"):
        subscription = await cucm.subscribe(TRUNK, "1001", ALICE)
        assert subscription.outcome is not None
        expect_outcome("the SUBSCRIBE", subscription.outcome, 200)
        first = parse_pidf((await subscription.next_notification(time_limit=PATIENCE)).body)
        expect("alice at first", False, first.is_open)
        expect_outcome("alice's PUBLISH", await alice.publish(simple_document(ALICE, is_open=True)), 200)
        second = parse_pidf((await subscription.next_notification(time_limit=PATIENCE)).body)
        expect("alice then", True, second.is_open)
        expect_outcome("the end of it", await cucm.unsubscribe(subscription), 200)
    async with run.step("From CUCM: PUBLISH, as for a line that is on the phone"):
        document = simple_document(ALICE, is_open=True, tuple_id="line-1001", note="On the phone")
        published = expect_outcome("the PUBLISH", await cucm.publish(TRUNK, "1001", ALICE, document), 200)
        assert published.response is not None
        run.saw(f"SIP-ETag: {published.response.required('sip-etag')}")


async def _to_cucm(run: ScenarioRun, cucm: CallManager, alice: UserAgent) -> None:
    async with run.step("To CUCM: alice calls line 1001 and hangs up"):
        outcome, call = await alice.invite(LINE)
        expect_outcome("the INVITE", outcome, 200)
        assert call is not None
        expect_outcome("the BYE", await alice.hang_up(call), 200)
    async with run.step("To CUCM: a MESSAGE reaches line 1001"):
        expect_outcome("the MESSAGE", await alice.message(LINE, "to 1001"), 200)
        await run.expect_message(
            "the MESSAGE at CUCM",
            lambda seen: seen.connection.node == "cucm1" and seen.wire.endswith(b"to 1001"),
        )
    async with run.step("To CUCM: alice watches 1001, PUBLISH changes its state, and NOTIFY says so"):
        subscription = await alice.subscribe(LINE)
        assert subscription.outcome is not None
        expect_outcome("the SUBSCRIBE", subscription.outcome, 200)
        first = parse_pidf((await subscription.next_notification(time_limit=PATIENCE)).body)
        expect("the line at first", False, first.is_open)
        document = simple_document(LINE, is_open=True)
        expect_outcome("the PUBLISH", await alice.publish(document, uri=LINE), 200)
        second = parse_pidf((await subscription.next_notification(time_limit=PATIENCE)).body)
        expect("the line then", True, second.is_open)
    async with run.step("A line that CUCM does not have is not found"):
        expect_outcome("the MESSAGE", await alice.message("sip:1999@lab.example", "?"), 404)
