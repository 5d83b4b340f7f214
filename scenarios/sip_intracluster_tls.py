"""Two nodes exchange certificates and pass SIP both ways over mutual TLS."""

from dataclasses import replace

from certs.purposes import ServiceName, TrustStoreName
from certs.verdict import Reason
from harness.actors.sip import self_signed_client, trust_in, try_tls, user_agent
from harness.expectations import expect, expect_outcome, expect_verdict
from harness.lab import Lab
from harness.procedures.sip import import_cup_certificates, let_clients_in, restart_sip_proxies
from harness.scenario import ScenarioRun, scenario
from proxies.sip.agent.calls import CallState
from proxies.tls import TlsClientSettings, TlsVersion

NOT_SELECTED = "not-selected.lab.example"


@scenario(
    "sip-intracluster-tls",
    title="SIP between two IM and Presence nodes over mutual TLS",
    covers=("G03", "G13", "G14", "G15", "G18", "G19", "G20"),
)
async def sip_intracluster_tls(lab: Lab, run: ScenarioRun) -> None:
    imp1, imp2 = lab.imp
    await let_clients_in(lab, run)
    async with run.step("Restart Cisco SIP Proxy so that the test clients get in"):
        for node in lab.imp:
            await node.administration.restart(ServiceName.SIP_PROXY)

    async with run.step("Without an exchange of certificates imp1 does not believe imp2"):
        async with user_agent(lab, "alice", imp1) as alice:
            outcome = await alice.message("sip:bob@lab.example", "too early")
        expect_outcome("the message", outcome, 503)
        await run.expect_verdict("imp2's certificate", node="imp1", reason=Reason.UNTRUSTED_ISSUER)
        run.saw(f"{outcome.status} {outcome.warning}")

    await import_cup_certificates(lab, run)

    async with run.step("The import selected the TLS peer subjects by itself"):
        selected = (await imp1.administration.tls_context()).selected_peer_subjects
        expect("the selected TLS peer subjects", {"imp1.lab.example", "imp2.lab.example"}, set(selected))

    async with run.step("Before Cisco SIP Proxy restarts, nothing has changed"):
        since = run.ledger.position
        async with user_agent(lab, "alice", imp1) as alice:
            expect_outcome("the message", await alice.message("sip:bob@lab.example", "still"), 503)
        await run.expect_verdict(
            "imp2's certificate", node="imp1", reason=Reason.UNTRUSTED_ISSUER, since=since
        )

    await restart_sip_proxies(lab, run)

    since = run.ledger.position
    async with user_agent(lab, "alice", imp1) as alice, user_agent(lab, "bob", imp2) as bob:
        async with run.step("alice registers at imp1, bob at imp2"):
            expect_outcome("alice's registration", await alice.register(), 200)
            expect_outcome("bob's registration", await bob.register(), 200)
        async with run.step("alice's message reaches bob over mutual TLS"):
            expect_outcome("the message", await alice.message("sip:bob@lab.example", "to bob"), 200)
            expect("what bob got", b"to bob", (await bob.next_request()).body)
            for name, peer in (("imp1", "imp2"), ("imp2", "imp1")):
                verdict = await run.expect_verdict(
                    f"{peer}'s certificate", node=name, reason=Reason.ACCEPTED, since=since
                )
                expect(f"the subject that {name} saw", f"{peer}.lab.example", verdict.subject)
                run.saw(f"{name} accepted CN={verdict.subject} over {verdict.tls_version} {verdict.cipher}")
        async with run.step("bob's message reaches alice, the other way"):
            expect_outcome("the message", await bob.message("sip:alice@lab.example", "to alice"), 200)
            expect("what alice got", b"to alice", (await alice.next_request()).body)
        async with run.step("alice calls bob, and bob's phone is told that she has hung up"):
            outcome, call = await alice.invite("sip:bob@lab.example")
            expect_outcome("the INVITE", outcome, 200)
            assert call is not None
            expect_outcome("the BYE", await alice.hang_up(call), 200)
            expect("the call", CallState.ENDED, call.state)
            expect("what bob got", ["INVITE", "BYE"], [(await bob.next_request()).method for _ in range(2)])

    await _show_refusals(lab, run)


async def _show_refusals(lab: Lab, run: ScenarioRun) -> None:
    """Each refusal differs from what was just accepted in one thing."""
    imp1 = lab.imp[0]
    port = imp1.plan.ports.sip_tls_peer_auth
    client = TlsClientSettings(trust=trust_in(imp1), server_name=imp1.plan.fqdn, check_host_name=True)
    alerts = {TlsVersion.TLS_1_2: "handshake_failure", TlsVersion.TLS_1_3: "certificate_required"}

    for version, alert in alerts.items():
        one_version = replace(client, minimum_version=version, maximum_version=version)
        async with run.step(f"A peer without a certificate is refused under {version}"):
            since = run.ledger.position
            attempt = await try_tls(lab, one_version, imp1.plan.address, port)
            expect_verdict("the client's end", attempt.verdict, Reason.PEER_ALERT, alert=alert)
            await run.expect_verdict("the peer", node="imp1", reason=Reason.NO_CERTIFICATE, since=since)

    stranger = self_signed_client(lab, "imp2.lab.example")
    async with run.step("A certificate with imp2's name that nobody imported is refused"):
        since = run.ledger.position
        attempt = await try_tls(lab, replace(client, credential=stranger), imp1.plan.address, port)
        expect_verdict("the client's end", attempt.verdict, Reason.PEER_ALERT, alert="unknown_ca")
        await run.expect_verdict("the peer", node="imp1", reason=Reason.UNTRUSTED_ISSUER, since=since)

    trusted = self_signed_client(lab, NOT_SELECTED)
    management = imp1.administration.certificate_management
    async with run.step("A trusted certificate whose subject is not selected is refused"):
        await management.upload_certificate(TrustStoreName.CUP_TRUST, trusted.chain_pem)
        await imp1.administration.restart(ServiceName.SIP_PROXY)
        since = run.ledger.position
        attempt = await try_tls(lab, replace(client, credential=trusted), imp1.plan.address, port)
        expect_verdict("the client's end", attempt.verdict, Reason.PEER_ALERT, alert="unknown_ca")
        seen = await run.expect_verdict(
            "the peer", node="imp1", reason=Reason.SUBJECT_NOT_IN_CONTEXT, since=since
        )
        run.saw(f"remedy: {seen.remedy}")
    async with run.step("With its subject selected, the same certificate is let in"):
        selected = (await imp1.administration.tls_context()).selected_peer_subjects
        await imp1.administration.add_tls_peer_subject(NOT_SELECTED, "a test client")
        await imp1.administration.select_peer_subjects([*selected, NOT_SELECTED])
        await imp1.administration.restart(ServiceName.SIP_PROXY)
        attempt = await try_tls(lab, replace(client, credential=trusted), imp1.plan.address, port)
        expect_verdict("the client's end", attempt.verdict, Reason.ACCEPTED)
        expect("an answer to a SIP keep-alive", True, attempt.answered)
