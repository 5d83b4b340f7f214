"""XMPP federation refused, each time for one reason, beside the twin that is let in (G11)."""

from dataclasses import dataclass, replace

from certs.credential import Credential
from certs.purposes import CertificatePurpose, TrustStoreName
from certs.verdict import Reason, Verdict
from certs.wrong import Role, WrongCertificate, WrongCertificates
from harness.actors.federation import VisitingServer, visiting_server
from harness.actors.sip import client_address
from harness.actors.xmpp import XmppClient, expect_login, xmpp_client
from harness.expectations import expect
from harness.lab import Lab
from harness.nodes.node import ImpNode
from harness.procedures.federation import (
    FEDERATION,
    exchange_messages,
    expect_bounce,
    expect_federation,
    federate,
    name_domain,
    trust_each_other,
)
from harness.scenario import ScenarioRun, scenario
from proxies.xmpp.conditions import StreamErrorCondition
from proxies.xmpp.federation.dialback import DialbackOutcome
from proxies.xmpp.federation.settings import FederationPolicy, FederationSecurityMode

PARTNER, ALICE, CAROL = "partner.example", "alice@lab.example", "carol@partner.example"
MUTUAL = FederationPolicy(
    security_mode=FederationSecurityMode.TLS_REQUIRED, require_client_side_certificates=True
)
REQUIRED = replace(MUTUAL, require_client_side_certificates=False)
NO_TLS = FederationPolicy(security_mode=FederationSecurityMode.NO_TLS)
PARTNERS_KEY = "what the nodes of partner.example share"

CERTIFICATES = {
    WrongCertificate.UNKNOWN_ISSUER: (Reason.UNTRUSTED_ISSUER, "unknown_ca"),
    WrongCertificate.EXPIRED: (Reason.EXPIRED, "certificate_expired"),
    WrongCertificate.OTHER_CN: (Reason.XMPP_DOMAIN_MISMATCH, ""),
}
"What a server shows in the name of partner.example, how that is judged, and the alert it gets."


@dataclass(frozen=True)
class Domains:
    """What the steps work with: the lab, this run, and a node of each domain."""

    lab: Lab
    run: ScenarioRun
    imp1: ImpNode
    partner1: ImpNode

    def say(self, verdict: Verdict) -> None:
        """Show a verdict as evidence of the step."""
        self.run.saw(f"{verdict.reason}: {verdict.detail}; remedy: {verdict.remedy}")


@scenario(
    "xmpp-federation-refusals",
    title="XMPP federation refused for one reason at a time, beside the twin that is let in",
    covers=("G11",),
    topology="two-domains",
    limit=120.0,
)
async def xmpp_federation_refusals(lab: Lab, run: ScenarioRun) -> None:
    imp1, _, partner1 = lab.imp
    domains = Domains(lab, run, imp1, partner1)
    async with run.step("Name the domains, regenerate and exchange cup-xmpp-s2s; both require certificates"):
        await name_domain(lab.imp)
        await trust_each_other(lab.imp[:2], (partner1,))
        await federate((imp1, partner1), MUTUAL)
    async with (
        xmpp_client(lab, "alice", imp1) as alice,
        xmpp_client(lab, "carol", partner1) as carol,
    ):
        for client in (alice, carol):
            expect_login("the login", await client.outcome)
        await _certificates(domains)
        await _forged_senders(domains, alice)
        await _domains_that_are_not_allowed(domains, alice, carol)
        await _dialback_keys(domains)
        await _security_modes(domains, alice, carol)


async def _certificates(domains: Domains) -> None:
    """A stranger knocks in the name of partner.example, with one wrong certificate after another."""
    lab, run, imp1 = domains.lab, domains.run, domains.imp1
    issuer = WrongCertificates(PARTNER, client_address(lab), now=lab.clock.now())
    async with run.step(f"imp1 trusts the issuer of certificates for {PARTNER}"):
        management = imp1.administration.certificate_management
        await management.upload_certificate(TrustStoreName.CUP_XMPP_TRUST, issuer.anchor_pem)
        await imp1.administration.restart(FEDERATION)
    async with run.step(f"The twin: a server that shows a good certificate for {PARTNER} is let in"):
        await _expect_let_in(domains, issuer.issue_good())
    async with run.step("Without a certificate it is refused inside the handshake"):
        await _expect_refused(domains, None, Reason.NO_CERTIFICATE, "certificate_required")
    for fault, (reason, alert) in CERTIFICATES.items():
        async with run.step(f"With a certificate that is {fault} it is refused"):
            await _expect_refused(domains, issuer.issue(fault, Role.CLIENT), reason, alert)
    async with run.step("The twin again: nothing of that stays behind"):
        await _expect_let_in(domains, issuer.issue_good())


async def _expect_let_in(domains: Domains, credential: Credential) -> None:
    since = domains.run.ledger.position
    async with visiting_server(domains.lab, domains.imp1, sender=PARTNER, credential=credential) as visitor:
        await _log_in(visitor)
    verdict = await expect_federation(
        domains.run, "the server", domains.imp1, detail="by EXTERNAL over TLS", outgoing=False, since=since
    )
    domains.run.saw(f"let in: {verdict.detail}, CN={verdict.subject}")


async def _log_in(visitor: VisitingServer) -> None:
    offer = await visitor.offer()
    expect("mechanisms", ("EXTERNAL",), offer.mechanisms if offer is not None else None)
    expect("let in by EXTERNAL", True, await visitor.authenticate())


async def _expect_refused(
    domains: Domains, credential: Credential | None, reason: Reason, alert: str
) -> None:
    run, imp1 = domains.run, domains.imp1
    since = run.ledger.position
    async with visiting_server(domains.lab, imp1, sender=PARTNER, credential=credential) as visitor:
        error = await visitor.end()
    verdict = await expect_federation(run, "the server", imp1, reason=reason, outgoing=False, since=since)
    expect("the alert that it got", alert, verdict.alert_sent)
    expected = None if alert else StreamErrorCondition.NOT_AUTHORIZED
    expect("the stream error that it got", expected, error)
    domains.say(verdict)


async def _forged_senders(domains: Domains, alice: XmppClient) -> None:
    lab, run, imp1 = domains.lab, domains.run, domains.imp1
    credential = domains.partner1.key_store.own(CertificatePurpose.CUP_XMPP_S2S)
    refusals = {
        (CAROL, "alice@elsewhere.example"): StreamErrorCondition.HOST_UNKNOWN,
        ("mallory@elsewhere.example", ALICE): StreamErrorCondition.INVALID_FROM,
        ("bob@lab.example", ALICE): StreamErrorCondition.INVALID_FROM,
        ("not an address@@", ALICE): StreamErrorCondition.IMPROPER_ADDRESSING,
    }
    async with (
        run.step("partner.example, proven by its certificate, sends as carol: the twin arrives"),
        visiting_server(lab, imp1, sender=PARTNER, credential=credential) as visitor,
    ):
        await _log_in(visitor)
        visitor.chat(CAROL, ALICE, "from carol")
        message = await alice.next_message()
        expect("the message", ("from carol", CAROL), (message["body"], message["from"].bare))
    for (sender, to), condition in refusals.items():
        async with (
            run.step(f"The same, from {sender} to {to}: the stream ends with {condition}"),
            visiting_server(lab, imp1, sender=PARTNER, credential=credential) as visitor,
        ):
            since = run.ledger.position
            await _log_in(visitor)
            visitor.chat(sender, to, "forged")
            expect("the stream error", condition, await visitor.end())
            domains.say(
                await expect_federation(
                    run, "the server", imp1, reason=Reason.FORGED_SENDER, outgoing=False, since=since
                )
            )
    async with run.step("None of these reached alice"):
        await alice.ping_own_server()
        expect("messages", True, alice.messages.empty())


async def _domains_that_are_not_allowed(domains: Domains, alice: XmppClient, carol: XmppClient) -> None:
    run, imp1 = domains.run, domains.imp1
    async with run.step(
        "lab.example: policy Deny with the exception other.example; partner.example is refused"
    ):
        since = run.ledger.position
        await federate((imp1,), replace(MUTUAL, allowed_domains=frozenset({"other.example"})))
        run.saw(f"alice is told: {await expect_bounce(alice, CAROL, 'not-allowed')}")
        run.saw(f"carol is told: {await expect_bounce(carol, ALICE, 'remote-server-timeout')}")
        for outgoing in (True, False):
            verdict = await expect_federation(
                run, PARTNER, imp1, reason=Reason.DOMAIN_NOT_ALLOWED, outgoing=outgoing, since=since
            )
        domains.say(verdict)
    async with run.step("The twin: with the exception partner.example messages pass"):
        await federate((imp1,), replace(MUTUAL, allowed_domains=frozenset({PARTNER})))
        await exchange_messages(alice, carol)


async def _dialback_keys(domains: Domains) -> None:
    lab, run, imp1, partner1 = domains.lab, domains.run, domains.imp1, domains.partner1
    async with run.step("TLS Required, no certificates required; partner.example has a dialback secret"):
        await federate((imp1,), REQUIRED)
        await federate((partner1,), replace(REQUIRED, dialback_secret=PARTNERS_KEY))
    async with run.step(f"A stranger that does not know it asks to send for {PARTNER}: the key is invalid"):
        since = run.ledger.position
        async with visiting_server(lab, imp1, sender=PARTNER) as visitor:
            await visitor.offer()
            answer = await visitor.ask_by_dialback("a guess")
            expect("the answer", DialbackOutcome.INVALID, answer)
            await visitor.end()
        for node in (imp1, partner1):
            domains.say(
                await expect_federation(
                    run, "the key", node, reason=Reason.DIALBACK_FAILED, outgoing=False, since=since
                )
            )
    async with run.step("The twin, who knows the secret, is let in"):
        since = run.ledger.position
        async with visiting_server(lab, imp1, sender=PARTNER) as visitor:
            await visitor.offer()
            expect("the answer", DialbackOutcome.VALID, await visitor.ask_by_dialback(PARTNERS_KEY))
        await expect_federation(
            run, "the key", imp1, detail="by dialback over TLS", outgoing=False, since=since
        )
    async with run.step("In the clear not even the right key is looked at: TLS is required"):
        since = run.ledger.position
        async with visiting_server(lab, imp1, sender=PARTNER, takes_tls=False) as visitor:
            await visitor.offer()
            expect("the answer", None, await visitor.ask_by_dialback(PARTNERS_KEY))
            expect("the stream error", StreamErrorCondition.NOT_AUTHORIZED, await visitor.end())
        domains.say(
            await expect_federation(
                run, "the server", imp1, reason=Reason.SECURITY_MODES_DIFFER, outgoing=False, since=since
            )
        )


async def _security_modes(domains: Domains, alice: XmppClient, carol: XmppClient) -> None:
    run, imp1, partner1 = domains.run, domains.imp1, domains.partner1
    async with run.step("lab.example: TLS Required; partner.example: No TLS. Neither can send to the other"):
        since = run.ledger.position
        await federate((partner1,), NO_TLS)
        run.saw(f"alice is told: {await expect_bounce(alice, CAROL, 'remote-server-timeout')}")
        run.saw(f"carol is told: {await expect_bounce(carol, ALICE, 'remote-server-timeout')}")
        for node in (imp1, partner1):
            verdict = await expect_federation(
                run, "the other", node, reason=Reason.SECURITY_MODES_DIFFER, outgoing=True, since=since
            )
            domains.say(verdict)
        await expect_federation(
            run, "the other", imp1, reason=Reason.SECURITY_MODES_DIFFER, outgoing=False, since=since
        )
    async with run.step("The twin: with TLS Optional at partner.example messages pass"):
        await federate((partner1,), replace(NO_TLS, security_mode=FederationSecurityMode.TLS_OPTIONAL))
        await exchange_messages(alice, carol)
