"""A SIP client is served `tomcat`, a peer that authenticates itself `cup`: which certificate a client must trust."""

from certs.purposes import CertificatePurpose, ServiceName, TrustStoreName
from certs.verdict import PresentedCertificate, Reason
from harness.actors.sip import self_signed_client, trust_in, try_tls, user_agent
from harness.expectations import expect, expect_outcome, expect_verdict
from harness.lab import Lab
from harness.procedures.sip import let_clients_in
from harness.scenario import ScenarioRun, scenario
from proxies.sip.transport.flow import Transport
from proxies.tls import TlsClientSettings

CUP, TOMCAT = CertificatePurpose.CUP, CertificatePurpose.TOMCAT
CLIENT = "client.lab.example"


@scenario(
    "sip-client-certificates",
    title="A SIP client is served tomcat, an authenticated peer cup",
    covers=("G02", "G03"),
)
async def sip_client_certificates(lab: Lab, run: ScenarioRun) -> None:
    imp1 = lab.imp[0]
    administration, address = imp1.administration, imp1.plan.address
    server_auth, peer_auth = imp1.plan.ports.sip_tls_server_auth, imp1.plan.ports.sip_tls_peer_auth
    await let_clients_in(lab, run)
    async with run.step("Let in a peer that authenticates itself, and restart Cisco SIP Proxy"):
        credential = self_signed_client(lab, CLIENT)
        store = administration.certificate_management
        await store.upload_certificate(TrustStoreName.CUP_TRUST, credential.chain_pem)
        await administration.add_tls_peer_subject(CLIENT, "the scenario's client")
        await administration.select_peer_subjects([CLIENT])
        await administration.restart(ServiceName.SIP_PROXY)

    def client(*trusted: CertificatePurpose) -> TlsClientSettings:
        trust = trust_in(imp1, *trusted)
        name = imp1.plan.fqdn
        return TlsClientSettings(trust=trust, credential=credential, server_name=name, check_host_name=True)

    for port, right, wrong in ((server_auth, TOMCAT, CUP), (peer_auth, CUP, TOMCAT)):
        async with run.step(f"Port {port} shows {right}.pem to a client that trusts it"):
            attempt = await try_tls(lab, client(right), address, port)
            expect_verdict("the server's certificate", attempt.verdict, Reason.ACCEPTED)
            expect("an answer to a SIP keep-alive", True, attempt.answered)
            _expect_certificate(lab, attempt.verdict.presented_chain, right)
            run.saw(f"{right}.pem, sha256 {attempt.verdict.presented_chain[0].sha256[:16]}…")
        async with run.step(f"A client that trusts only {wrong}.pem refuses it"):
            since = run.ledger.position
            attempt = await try_tls(lab, client(wrong), address, port)
            expect_verdict(
                "the server's certificate", attempt.verdict, Reason.UNTRUSTED_ISSUER, alert="unknown_ca"
            )
            await run.expect_verdict("the refusal", node="imp1", reason=Reason.PEER_ALERT, since=since)

    async with (
        run.step("A user agent registers over TLS at the listener without peer authentication"),
        user_agent(lab, "alice", imp1, transport=Transport.TLS) as alice,
    ):
        expect_outcome("the registration", await alice.register(), 200)

    old = client(TOMCAT)
    async with run.step("Regenerate tomcat: until Cisco SIP Proxy restarts the old one is shown"):
        needed = await store.regenerate(TOMCAT)
        services = {one.service for one in needed if TOMCAT in one.topics}
        expect("who shows the old one", {ServiceName.TOMCAT, ServiceName.SIP_PROXY}, services)
        attempt = await try_tls(lab, old, address, server_auth)
        expect_verdict("the old certificate", attempt.verdict, Reason.ACCEPTED)
    async with run.step("After the restart a client that trusts the old one refuses the new one"):
        await administration.restart(ServiceName.SIP_PROXY)
        attempt = await try_tls(lab, old, address, server_auth)
        expect_verdict("the new certificate", attempt.verdict, Reason.UNTRUSTED_ISSUER, alert="unknown_ca")
        attempt = await try_tls(lab, client(TOMCAT), address, server_auth)
        expect_verdict("to a client that trusts it", attempt.verdict, Reason.ACCEPTED)


def _expect_certificate(
    lab: Lab, chain: tuple[PresentedCertificate, ...], purpose: CertificatePurpose
) -> None:
    """The certificate on the wire is the one that Certificate Management lists under this name."""
    listed = {each.name: each.certificate for each in lab.imp[0].administration.certificate_management.find()}
    expect("the certificate on the wire", listed[purpose].sha256, chain[0].sha256)
