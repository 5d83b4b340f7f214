"""Every wrong certificate, TLS 1.2 and 1.3, both TLS listeners, each verdict seen at both ends of the wire."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from certs.catalogue import CATALOGUE
from certs.credential import Credential
from certs.purposes import CertificatePurpose, ServiceName, TrustStoreName
from certs.verdict import Reason, Side, Verdict
from certs.wrong import FAULTS, Role, WrongCertificate, WrongCertificates
from harness.actors.sip import TlsAttempt, client_address, trust_in, try_tls
from harness.expectations import expect, expect_verdict
from harness.lab import Lab
from harness.scenario import ScenarioRun, scenario
from proxies.tls import TlsClientSettings, TlsVersion, TrustPolicy

CLIENT = "client.lab.example"
VERSIONS = (TlsVersion.TLS_1_2, TlsVersion.TLS_1_3)

ALERTS = {
    Reason.EXPIRED: "certificate_expired",
    Reason.NOT_YET_VALID: "bad_certificate",
    Reason.SUBJECT_NOT_IN_CONTEXT: "unknown_ca",
    Reason.HOST_NAME_MISMATCH: "bad_certificate",
    Reason.WRONG_KEY_USAGE: "unsupported_certificate",
    Reason.UNTRUSTED_ISSUER: "unknown_ca",
    Reason.INCOMPLETE_CHAIN: "unknown_ca",
    Reason.WEAK_KEY: "bad_certificate",
    Reason.WEAK_SIGNATURE: "bad_certificate",
}
"The alert that goes with each reason, under both versions (RFC 8446 6.2)."


@dataclass(frozen=True)
class Listeners:
    """imp1's two TLS listeners, and a client that is right in everything."""

    host: str
    peer_auth: int
    server_auth: int
    client: TlsClientSettings


@scenario(
    "tls-verdict-matrix",
    title="Every wrong certificate × TLS 1.2 and 1.3 × both TLS listeners, judged at the wire",
    covers=("G03", "G18", "G19"),
    limit=120.0,
)
async def tls_verdict_matrix(lab: Lab, run: ScenarioRun) -> None:
    imp1 = lab.imp[0]
    clients = WrongCertificates(CLIENT, client_address(lab), now=lab.clock.now())
    async with run.step(f"imp1 trusts the issuer of {CLIENT} and selects its subject"):
        administration = imp1.administration
        await administration.certificate_management.upload_certificate(
            TrustStoreName.CUP_TRUST, clients.anchor_pem
        )
        await administration.add_tls_peer_subject(CLIENT, "the client of the matrix")
        await administration.select_peer_subjects([CLIENT])
        await administration.restart(ServiceName.SIP_PROXY)
    listeners = Listeners(
        host=imp1.plan.address,
        peer_auth=imp1.plan.ports.sip_tls_peer_auth,
        server_auth=imp1.plan.ports.sip_tls_server_auth,
        client=TlsClientSettings(
            trust=trust_in(imp1),
            credential=clients.issue_good(),
            server_name=imp1.plan.fqdn,
            check_host_name=True,
        ),
    )
    for version in VERSIONS:
        await _judge_clients(lab, run, listeners, clients, version)
    await _judge_servers(lab, run, listeners)
    async with run.step("Both listeners answer as before"):
        for port in (listeners.peer_auth, listeners.server_auth):
            attempt = await try_tls(lab, listeners.client, listeners.host, port)
            expect("an answer to a SIP keep-alive", True, attempt.answered)


async def _judge_clients(
    lab: Lab, run: ScenarioRun, listeners: Listeners, clients: WrongCertificates, version: TlsVersion
) -> None:
    """The client shows what is wrong: the peer-authenticated listener judges, the other one does not ask."""
    right = replace(listeners.client, minimum_version=version, maximum_version=version)
    async with run.step(f"{version}: the good twin is let in at both listeners"):
        for port in (listeners.peer_auth, listeners.server_auth):
            attempt = await try_tls(lab, right, listeners.host, port)
            expect("an answer to a SIP keep-alive", True, attempt.answered)
            expect("the version", version, attempt.verdict.tls_version)
    for fault in WrongCertificate:
        reason = FAULTS[fault].reason_as_client
        wrong = replace(right, credential=clients.issue(fault, Role.CLIENT))
        async with run.step(f"{version}: a client shows {fault} ({FAULTS[fault].description})"):
            since = run.ledger.position
            attempt = await try_tls(lab, wrong, listeners.host, listeners.peer_auth)
            seen = await run.expect_verdict("the client", node="imp1", reason=reason, since=since)
            _expect_both_ends(attempt, seen, reason, version)
            run.saw(f"peer auth: {seen.reason} {seen.alert_sent}".rstrip())
            attempt = await try_tls(lab, wrong, listeners.host, listeners.server_auth)
            expect_verdict("the listener that asks for none", attempt.verdict, Reason.ACCEPTED)
            run.saw("server auth: asks for no certificate, accepted")


def _expect_both_ends(attempt: TlsAttempt, seen: Verdict, reason: Reason, version: TlsVersion) -> None:
    expect("the listener's side", Side.SERVER, seen.side)
    expect("the version that the listener saw", version, seen.tls_version)
    expect("a presented chain", True, bool(seen.presented_chain))
    if reason is Reason.ACCEPTED:
        expect("an answer to a SIP keep-alive", True, attempt.answered)
        return
    expect("the alert that the listener sent", ALERTS[reason], seen.alert_sent)
    expect_verdict("the client's end", attempt.verdict, Reason.PEER_ALERT, alert=ALERTS[reason])
    expect("the clause", CATALOGUE[reason].clause, seen.clause)
    expect("a remedy", True, bool(seen.remedy))


async def _judge_servers(lab: Lab, run: ScenarioRun, listeners: Listeners) -> None:
    """imp1 itself shows what is wrong, at both listeners; the client judges."""
    imp1 = lab.imp[0]
    servers = WrongCertificates(imp1.plan.fqdn, imp1.plan.address, now=lab.clock.now())
    right = {purpose: imp1.key_store.own(purpose) for purpose in imp1.sip_certificates}
    strict = replace(listeners.client, trust=TrustPolicy(certificates=(servers.anchor_pem,)))
    for fault in WrongCertificate:
        await _judge_server(lab, run, listeners, strict, fault, servers.issue(fault, Role.SERVER))
    async with run.step("imp1 shows its own certificate again"):
        await _show(lab, right)


async def _judge_server(
    lab: Lab,
    run: ScenarioRun,
    listeners: Listeners,
    strict: TlsClientSettings,
    fault: WrongCertificate,
    credential: Credential,
) -> None:
    reason = FAULTS[fault].reason_as_server
    async with run.step(f"imp1 shows {fault} ({FAULTS[fault].description})"):
        await _show(lab, dict.fromkeys(lab.imp[0].sip_certificates, credential))
        for version in VERSIONS:
            for port in (listeners.peer_auth, listeners.server_auth):
                since = run.ledger.position
                settings = replace(strict, minimum_version=version, maximum_version=version)
                attempt = await try_tls(lab, settings, listeners.host, port)
                expect_verdict("the server", attempt.verdict, reason, alert=ALERTS[reason])
                seen = await run.expect_verdict(
                    "the client's refusal", node="imp1", reason=Reason.PEER_ALERT, since=since
                )
                expect("the alert that the listener got", ALERTS[reason], seen.alert_received)
        run.saw(f"the client refused it: {reason}, {ALERTS[reason]}")


async def _show(lab: Lab, credentials: Mapping[CertificatePurpose, Credential]) -> None:
    """Have imp1's listeners show certificates, as if they had been uploaded."""
    for purpose, credential in credentials.items():
        lab.imp[0].key_store.set_own(purpose, credential)
    await lab.imp[0].administration.restart(ServiceName.SIP_PROXY)
