"""TLS peer subjects: who is trusted is not yet let in (G18, G19)."""

from certs.errors import ConfigError, ScenarioFailed
from certs.purposes import ServiceName, TrustStoreName
from certs.verdict import Reason
from harness.actors.sip import self_signed_client, trust_in, try_tls
from harness.expectations import expect, expect_verdict
from harness.lab import Lab
from harness.scenario import ScenarioRun, scenario
from proxies.tls import TlsClientSettings

CLIENT = "client.lab.example"


@scenario(
    "tls-context-subjects",
    title="A trusted peer is let in only while its subject is selected in the TLS context",
    covers=("G03", "G15", "G18", "G19"),
)
async def tls_context_subjects(lab: Lab, run: ScenarioRun) -> None:
    imp1 = lab.imp[0]
    administration = imp1.administration
    credential = self_signed_client(lab, CLIENT)
    settings = TlsClientSettings(
        trust=trust_in(imp1), credential=credential, server_name=imp1.plan.fqdn, check_host_name=True
    )

    async def expect_client(reason: Reason) -> None:
        since = run.ledger.position
        attempt = await try_tls(lab, settings, imp1.plan.address, imp1.plan.ports.sip_tls_peer_auth)
        if reason is Reason.ACCEPTED:
            expect_verdict("the client's end", attempt.verdict, Reason.ACCEPTED)
            expect("an answer to a SIP keep-alive", True, attempt.answered)
        else:
            expect_verdict("the client's end", attempt.verdict, Reason.PEER_ALERT, alert="unknown_ca")
        seen = await run.expect_verdict("the client", node="imp1", reason=reason, since=since)
        expect("the subject", CLIENT, seen.subject)

    async def restart() -> None:
        await administration.restart(ServiceName.SIP_PROXY)

    async with run.step("Upload the client's certificate to cup-trust, restart: trusted, but not selected"):
        await administration.certificate_management.upload_certificate(
            TrustStoreName.CUP_TRUST, credential.chain_pem
        )
        await restart()
        await expect_client(Reason.SUBJECT_NOT_IN_CONTEXT)

    async with run.step("Selecting a subject that is not among the available ones is refused"):
        try:
            await administration.select_peer_subjects([CLIENT])
        except ConfigError as error:
            run.saw(str(error))
        else:
            raise ScenarioFailed("an unknown TLS peer subject was selected")

    async with run.step("TLS Peer Subjects > Add New: available, restart: still not selected"):
        await administration.add_tls_peer_subject(CLIENT, "a test client")
        await restart()
        await expect_client(Reason.SUBJECT_NOT_IN_CONTEXT)

    async with run.step("TLS Context Configuration: move it to Selected TLS Peer Subjects, Save"):
        needed = await administration.select_peer_subjects([CLIENT])
        run.saw("; ".join(map(str, needed)))
        await expect_client(Reason.SUBJECT_NOT_IN_CONTEXT)

    async with run.step("Restart Cisco SIP Proxy: the client is let in"):
        await restart()
        await expect_client(Reason.ACCEPTED)

    async with run.step("Take it out of the selected ones: until the restart the client is let in"):
        await administration.select_peer_subjects([])
        await expect_client(Reason.ACCEPTED)

    async with run.step("Restart Cisco SIP Proxy: the client is refused again"):
        await restart()
        await expect_client(Reason.SUBJECT_NOT_IN_CONTEXT)
