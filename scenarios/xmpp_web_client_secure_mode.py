"""Web client secure mode (G23): off, logins travel in the clear; on, TLS lets in whose certificate is trusted."""

from dataclasses import replace

from certs.authority import CertificateAuthority
from certs.credential import Credential
from certs.issuing import CertificateSpec, KeyAlgorithm
from certs.purposes import CertificatePurpose, ServiceName, TrustStoreName
from certs.verdict import Reason
from harness.actors.sip import client_address, self_signed_client, trust_in, try_tls
from harness.actors.web import REFUSED_BY_ALERT, WebCarrier, web_client, web_context
from harness.actors.xmpp import expect_login, expect_refused, xmpp_client
from harness.expectations import expect, expect_verdict
from harness.lab import Lab
from harness.nodes.node import ImpNode
from harness.scenario import ScenarioRun, scenario
from proxies.tls import TlsClientSettings

WEB = ServiceName.XCP_WEB_CONNECTION_MANAGER
TRUST = TrustStoreName.CUP_XMPP_TRUST
CLIENT, SIGNED = "web.lab.example", "signed.lab.example"


@scenario(
    "xmpp-web-client-secure-mode",
    title="Web client secure mode off and on: plain HTTP binding, or TLS with client certificates",
    covers=("G02", "G23"),
)
async def xmpp_web_client_secure_mode(lab: Lab, run: ScenarioRun) -> None:
    imp1, imp2 = lab.imp
    store = imp1.administration.certificate_management
    known, authority = self_signed_client(lab, CLIENT), CertificateAuthority.create()
    signed = authority.issue(
        CertificateSpec.for_node(SIGNED, client_address(lab), now=lab.clock.now()), KeyAlgorithm.EC_P256
    )

    async with run.step("Secure mode is off by default: alice logs in over plain HTTP, and the lab warns"):
        for carrier in WebCarrier:
            since = run.ledger.position
            await _exchange(lab, carrier)
            seen = await run.expect_verdict("the login", node="imp1", reason=Reason.ACCEPTED, since=since)
            expect("the warning's clause", "G23", seen.clause)
            expect("the warning", True, "secure mode is off" in seen.rule)
            run.saw(f"{carrier}: {seen.detail}; {seen.remedy}")
    async with run.step("With a wrong password the same client is refused"):
        await _expect_wrong_password(lab, run, None)
    async with run.step("A user of the other node is sent there"):
        since = run.ledger.position
        async with web_client(lab, "bob", imp1) as bob:
            outcome = expect_refused("bob's login at imp1", await bob.outcome, "see-other-host")
        expect("where he is sent", imp2.plan.fqdn, outcome.text)
        await run.expect_verdict("the login", node="imp1", reason=Reason.NOT_HOME_NODE, since=since)

    await _set_secure_mode(lab, run, enabled=True)
    async with run.step("Before Cisco XCP Web Connection Manager restarts nothing has changed"):
        await _exchange(lab, WebCarrier.WEBSOCKET)
        await _expect_closed(lab, imp1, secure=True)
    await _restart(lab, run)
    async with run.step("Now nothing listens on the plain port: there is no way past TLS"):
        await _expect_closed(lab, imp1, secure=False)
    async with run.step("Plain HTTP on the TLS port is refused with an alert"):
        since = run.ledger.position
        async with web_client(lab, "alice", imp1, port=imp1.plan.ports.http_binding_tls) as alice:
            expect("whether it logged in", False, (await alice.outcome).accepted)
        seen = await run.expect_verdict("the request", node="imp1", reason=Reason.PLAIN_TEXT, since=since)
        expect("our alert", "unexpected_message", seen.alert_sent)
    async with run.step("A client without a certificate is refused"):
        await _expect_refused(lab, run, None, Reason.NO_CERTIFICATE, "certificate_required")
    async with run.step(f"A client with the certificate of {CLIENT}, which nobody trusts yet, is refused"):
        await _expect_refused(lab, run, known, Reason.UNTRUSTED_ISSUER, "unknown_ca")

    async with run.step(f"Upload its certificate to {TRUST}: until the restart it is still refused"):
        needed = await store.upload_certificate(TRUST, known.chain_pem)
        expect("whether the service must restart", True, WEB in {one.service for one in needed})
        await _expect_refused(lab, run, known, Reason.UNTRUSTED_ISSUER, "unknown_ca")
    await _restart(lab, run)
    async with run.step("After the restart it is let in, over TLS, and served cup-xmpp"):
        for carrier in WebCarrier:
            since = run.ledger.position
            await _exchange(lab, carrier, known)
            seen = await run.expect_verdict(
                "the handshake",
                node="imp1",
                reason=Reason.ACCEPTED,
                since=since,
                wanted=lambda judged: bool(judged.verdict.presented_chain),
            )
            expect("who was let in, by which clause", (CLIENT, "G23"), (seen.subject, seen.clause))
            run.saw(f"{carrier}: {seen.tls_version} {seen.cipher}, CN={seen.subject}")
    async with run.step("A trusted certificate is no login: with a wrong password the client is refused"):
        await _expect_wrong_password(lab, run, known)

    async with run.step(f"The certificate of {SIGNED}, whose signer nobody trusts, is refused"):
        await _expect_refused(lab, run, signed, Reason.INCOMPLETE_CHAIN, "unknown_ca")
    async with run.step(f"Upload its signer's certificate to {TRUST}"):
        await store.upload_certificate(TRUST, authority.root_pem)
    await _restart(lab, run)
    async with run.step(f"Now {SIGNED} is let in, and a certificate of another signer is not"):
        await _exchange(lab, WebCarrier.WEBSOCKET, signed)
        other = CertificateAuthority.create().issue(
            CertificateSpec.for_node(SIGNED, client_address(lab), now=lab.clock.now()), KeyAlgorithm.EC_P256
        )
        await _expect_refused(lab, run, other, Reason.INCOMPLETE_CHAIN, "unknown_ca")
    async with (
        run.step("imp2, which was not restarted, still takes plain HTTP"),
        web_client(lab, "bob", imp2) as bob,
    ):
        expect_login("bob's login", await bob.outcome)

    await _set_secure_mode(lab, run, enabled=False)
    await _restart(lab, run)
    async with run.step("Off again: the plain port is back, the TLS port is closed"):
        await _exchange(lab, WebCarrier.BOSH)
        await _expect_closed(lab, imp1, secure=True)


async def _set_secure_mode(lab: Lab, run: ScenarioRun, *, enabled: bool) -> None:
    what = "check" if enabled else "clear"
    async with run.step(
        f"System > Security > Settings: {what} Enable Web Client to IM/P Service Secure Mode"
    ):
        administration = lab.imp[0].administration
        modes = replace(await administration.secure_modes(), web_client=enabled)
        needed = await administration.set_secure_modes(modes)
        expect("whether the service must restart", True, WEB in {one.service for one in needed})
        run.saw("; ".join(map(str, needed)))


async def _restart(lab: Lab, run: ScenarioRun) -> None:
    async with run.step(f"Control Center on imp1: restart {WEB}"):
        await lab.imp[0].administration.restart(WEB)


async def _exchange(lab: Lab, carrier: WebCarrier, credential: Credential | None = None) -> None:
    """Have alice, on imp1 as a web client, and bob, on imp2 over TCP, exchange messages."""
    imp1, imp2 = lab.imp
    context = web_context(imp1, credential) if credential is not None else None
    async with (
        web_client(lab, "alice", imp1, carrier=carrier, tls=context) as alice,
        xmpp_client(lab, "bob", imp2) as bob,
    ):
        outcome = expect_login(f"alice's login over {carrier}", await alice.outcome)
        expect_login("bob's login", await bob.outcome)
        if context is not None:
            listed = {
                each.name: each.certificate for each in imp1.administration.certificate_management.find()
            }
            own = listed[CertificatePurpose.CUP_XMPP].sha256
            expect("what the client was served", own, outcome.server_sha256)
        for sender, receiver in ((alice, bob), (bob, alice)):
            text = f"from {sender.boundjid.bare} over {carrier}"
            sender.chat(receiver.boundjid.bare, text)
            message = await receiver.next_message()
            expect("the message", (text, sender.boundjid.full), (message["body"], message["from"].full))


async def _expect_wrong_password(lab: Lab, run: ScenarioRun, credential: Credential | None) -> None:
    for carrier in WebCarrier:
        since = run.ledger.position
        context = web_context(lab.imp[0], credential) if credential is not None else None
        async with web_client(
            lab, "alice", lab.imp[0], carrier=carrier, tls=context, password="not hers"
        ) as alice:
            expect_refused(f"alice's login over {carrier}", await alice.outcome, "not-authorized")
        await run.expect_verdict("the login", node="imp1", reason=Reason.BAD_CREDENTIALS, since=since)


async def _expect_closed(lab: Lab, node: ImpNode, *, secure: bool) -> None:
    context = web_context(node) if secure else None
    async with web_client(lab, "alice", node, tls=context) as alice:
        expect_refused("the connection", await alice.outcome, "no connection")


async def _expect_refused(
    lab: Lab, run: ScenarioRun, credential: Credential | None, reason: Reason, alert: str
) -> None:
    """Expect that both sides know why: the ledger by its verdict, the client by the alert."""
    imp1 = lab.imp[0]
    for carrier in WebCarrier:
        since = run.ledger.position
        async with web_client(
            lab, "alice", imp1, carrier=carrier, tls=web_context(imp1, credential)
        ) as alice:
            outcome = expect_refused(f"the client over {carrier}", await alice.outcome, REFUSED_BY_ALERT)
        seen = await run.expect_verdict("the handshake", node="imp1", reason=reason, since=since)
        expect("our alert", alert, seen.alert_sent)
        expect("a remedy that names the store", True, TRUST in seen.remedy)
        run.saw(f"{carrier}: the client saw {outcome.text}; remedy: {seen.remedy}")
    settings = TlsClientSettings(trust=trust_in(imp1, CertificatePurpose.CUP_XMPP), credential=credential)
    attempt = await try_tls(lab, settings, imp1.plan.address, imp1.plan.ports.http_binding_tls)
    expect_verdict("what another client saw", attempt.verdict, Reason.PEER_ALERT, alert=alert)
