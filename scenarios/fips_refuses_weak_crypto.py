"""What is not approved is refused at run time: suites, keys, signatures, uploads (G25)."""

import re
from dataclasses import replace

from certs.credential import Credential
from certs.errors import ConfigError, ConnectionFailed, ScenarioFailed
from certs.fips.approved import NotFipsApproved
from certs.purposes import ServiceName, TrustStoreName
from certs.verdict import Reason
from certs.wrong import Role, WrongCertificate, WrongCertificates
from harness.actors.sip import client_address, trust_in, try_tls, user_agent
from harness.actors.ssh import type_command
from harness.expectations import expect, expect_outcome
from harness.lab import Lab
from harness.nodes.service_state import ServiceFailed
from harness.procedures.fips import APPROVED, CHACHA20, STATIC_RSA, enable_fips, expect_suite, fips_node
from harness.procedures.sip import let_clients_in
from harness.scenario import ScenarioRun, scenario
from proxies.sip.messages.digest import DigestAlgorithm
from proxies.tls import TlsClientSettings

CLIENT = "client.lab.example"
SSH_CHACHA20 = "chacha20-poly1305@openssh.com"


@scenario(
    "fips-refuses-weak-crypto",
    title="A node in FIPS mode refuses what is not approved, and says so",
    covers=("G25",),
    topology="fips",
    limit=240.0,
)
async def fips_refuses_weak_crypto(lab: Lab, run: ScenarioRun) -> None:
    node = fips_node(lab)
    administration = lab.imp[0].administration
    management = administration.certificate_management
    issuer = WrongCertificates(CLIENT, client_address(lab, 15), now=lab.clock.now())
    good = issuer.issue_good()
    weak = {
        "SHA-1": issuer.issue(WrongCertificate.SHA1, Role.CLIENT),
        "1024 bits": issuer.issue(WrongCertificate.WEAK_KEY, Role.CLIENT),
    }

    await let_clients_in(lab, run)
    async with run.step("Digest authentication is on; outside FIPS mode alice registers by MD5 too"):
        await administration.set_digest_authentication(enabled=True)
        await administration.restart(ServiceName.SIP_PROXY)
        await _expect_registration(lab, run, DigestAlgorithm.MD5, offered=["SHA-256", "MD5"], accepted=True)

    async with run.step(
        "Outside FIPS mode ChaCha20 and static RSA are taken, and weak certificates uploaded"
    ):
        await type_command(lab, lab.imp[0], "show version active", ciphers=[SSH_CHACHA20])
        await expect_suite(lab, run, node, CHACHA20, accepted=True)
        await expect_suite(lab, run, node, STATIC_RSA, accepted=True)
        for credential in (good, *weak.values()):
            await management.upload_certificate(TrustStoreName.CUP_TRUST, credential.chain_pem)
        await administration.add_tls_peer_subject(CLIENT, "a test client")
        await administration.select_peer_subjects([CLIENT])
        await administration.restart(ServiceName.SIP_PROXY)

    await enable_fips(lab, run)

    async with run.step("Cipher suites: ChaCha20 and static RSA are refused, an approved one is taken"):
        for ciphers in (CHACHA20, STATIC_RSA):
            await expect_suite(lab, run, node, ciphers, accepted=False)
        await expect_suite(lab, run, node, f"{CHACHA20}:{APPROVED}", accepted=True)

    client = TlsClientSettings(trust=trust_in(lab.imp[0]), server_name=node.plan.fqdn, check_host_name=True)

    async def show(credential: Credential) -> tuple[Reason, str]:
        since = run.ledger.position
        settings = replace(client, credential=credential, security_level=0)
        attempt = await try_tls(lab, settings, node.plan.address, lab.imp[0].plan.ports.sip_tls_peer_auth)
        reason = Reason.ACCEPTED if attempt.verdict.accepted else Reason.NOT_FIPS_APPROVED
        seen = await run.expect_verdict("the client", node="imp1", reason=reason, since=since)
        return reason, seen.detail

    async with run.step("Peers: a trusted certificate that is weak is refused, its twin is let in"):
        for what, credential in weak.items():
            reason, detail = await show(credential)
            expect(f"the certificate with {what}", Reason.NOT_FIPS_APPROVED, reason)
            expect("the detail", True, what in detail)
            run.saw(f"refused: {detail}")
        reason, _ = await show(good)
        expect("the good certificate", Reason.ACCEPTED, reason)

    async with run.step("Certificate Management > Upload Certificate: SHA-1 and RSA 1024 are refused"):
        for what, credential in weak.items():
            try:
                await management.upload_certificate(TrustStoreName.CUP_TRUST, credential.chain_pem)
            except NotFipsApproved as refusal:
                run.saw(str(refusal))
                expect("the reason", True, what in str(refusal))
            else:
                raise ScenarioFailed(f"a certificate with {what} was uploaded in FIPS mode")
        await management.upload_certificate(TrustStoreName.CUP_TRUST, good.chain_pem)

    async with run.step("SIP digest: the challenge offers SHA-256 alone, and an answer by MD5 is refused"):
        await _expect_registration(lab, run, DigestAlgorithm.MD5, offered=["SHA-256"], accepted=False)
        await _expect_registration(lab, run, DigestAlgorithm.SHA_256, offered=["SHA-256"], accepted=True)

    async with run.step(
        "System SSH: a client that offers only ChaCha20 is refused, its twin with AES-GCM is let in"
    ):
        try:
            await type_command(lab, lab.imp[0], "show version active", ciphers=[SSH_CHACHA20])
        except ConnectionFailed as refusal:
            run.saw(str(refusal))
        else:
            raise ScenarioFailed("System SSH took ChaCha20 in FIPS mode")
        await type_command(lab, lab.imp[0], "show version active", ciphers=["aes256-gcm@openssh.com"])

    async with run.step("TLS Context Configuration on imp1: ChaCha20 cannot be selected"):
        try:
            await administration.select_ciphers([CHACHA20])
        except ConfigError as refusal:
            run.saw(str(refusal))
            expect("the reason", True, "not FIPS-approved" in str(refusal))
        else:
            raise ScenarioFailed("a suite that is not approved was selected in FIPS mode")

    async with run.step(
        "Selected on imp2, which is not in FIPS mode, it keeps imp1's SIP proxy from starting"
    ):
        await lab.imp[1].administration.select_ciphers([CHACHA20])
        try:
            await administration.restart(ServiceName.SIP_PROXY)
        except ServiceFailed as refusal:
            run.saw(str(refusal))
            expect("the reason", True, "FIPS-approved" in str(refusal))
        else:
            raise ScenarioFailed("the SIP proxy started with a suite that is not approved")
        await lab.imp[1].administration.select_ciphers([APPROVED])
        await administration.restart(ServiceName.SIP_PROXY)
        await expect_suite(lab, run, node, APPROVED, accepted=True)


async def _expect_registration(
    lab: Lab, run: ScenarioRun, algorithm: DigestAlgorithm, *, offered: list[str], accepted: bool
) -> None:
    """Register alice over TCP with a digest by one algorithm; expect what the challenge offers, and how it ends."""
    since = run.ledger.position
    password = (await lab.user("alice")).digest_password
    async with user_agent(lab, "alice", lab.imp[0], password=password, insist_on=algorithm) as alice:
        outcome = await alice.register()
    expect_outcome(f"the registration by {algorithm}", outcome, 200 if accepted else 401)
    challenge = await run.expect_message(
        "the challenge",
        lambda message: message.connection.node == "imp1" and message.wire.startswith(b"SIP/2.0 401"),
        since=since,
    )
    algorithms = re.findall(r"algorithm=([\w-]+)", challenge.wire.decode())
    expect("the algorithms of the challenge", offered, algorithms)
    run.saw(f"{algorithm}: {outcome.status}; the challenge offers {', '.join(algorithms)}")
    if not accepted:
        seen = await run.expect_verdict("alice", node="imp1", reason=Reason.NOT_FIPS_APPROVED, since=since)
        run.saw(f"refused: {seen.detail}")
