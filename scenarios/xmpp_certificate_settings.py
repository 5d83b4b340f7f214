"""XMPP certificate settings (G24): the domain name in the certificates, and what is seen when one forgets."""

from certs.purposes import CertificatePurpose, ServiceName
from harness.actors.xmpp import CERTIFICATE_REFUSED, expect_login, expect_refused, trust_in_xmpp, xmpp_client
from harness.configuration.cluster_settings import XmppCertificateSettings
from harness.expectations import expect
from harness.lab import Lab
from harness.nodes.node import ImpNode
from harness.scenario import ScenarioRun, scenario

XMPP, S2S = CertificatePurpose.CUP_XMPP, CertificatePurpose.CUP_XMPP_S2S


@scenario(
    "xmpp-certificate-settings",
    title="The XMPP domain name in the certificates",
    covers=("G02", "G24"),
)
async def xmpp_certificate_settings(lab: Lab, run: ScenarioRun) -> None:
    imp1 = lab.imp[0]
    administration, domain = imp1.administration, imp1.plan.domain
    management = administration.certificate_management
    async with run.step(
        f"A client that asks for {domain}, as RFC 6120 13.7.2.1 says, refuses imp1's certificate"
    ):
        await _expect_strict_client_refuses(lab, run, imp1)

    async with run.step(
        f"System > Security > Settings: server-to-server domain name {domain}, for the general certificate too"
    ):
        settings = XmppCertificateSettings(domain_name=domain, use_domain_name=True)
        needed = await administration.set_xmpp_certificate_settings(settings)
        expect("which services must restart", {ServiceName.XCP_ROUTER}, {one.service for one in needed})
        run.saw("; ".join(map(str, needed)))
    async with run.step("Forget to regenerate, restart Cisco XCP Router: the old names are still shown"):
        await _restart_xmpp(imp1)
        expect("the CN of cup-xmpp-s2s", imp1.plan.fqdn, _common_name(imp1, S2S))
        await _expect_strict_client_refuses(lab, run, imp1)

    async with run.step("Regenerate cup-xmpp-s2s and cup-xmpp: both carry the domain name now"):
        needed = (*await management.regenerate(S2S), *await management.regenerate(XMPP))
        for purpose in (S2S, XMPP):
            expect(f"the CN of {purpose}", domain, _common_name(imp1, purpose))
        run.saw("; ".join(sorted({str(one) for one in needed if one.node == imp1.plan.name})))
    async with (
        run.step("Until Cisco XCP Connection Manager restarts, clients are shown the old one"),
        xmpp_client(lab, "alice", imp1, tls=trust_in_xmpp(imp1)) as alice,
    ):
        expect_refused("alice's login", await alice.outcome, CERTIFICATE_REFUSED)
    async with run.step("After the restarts the strict client is content, and the product's clients too"):
        await _restart_xmpp(imp1)
        for strict in (True, False):
            tls = trust_in_xmpp(imp1, check_domain=strict)
            async with xmpp_client(lab, "alice", imp1, tls=tls) as alice:
                outcome = expect_login("alice's login", await alice.outcome)
            expect("the CN on the wire", domain, outcome.server_subject)
        run.saw(f"CN={outcome.server_subject} over {outcome.tls_version}")

    async with run.step(
        "Clear the check box, regenerate: the general certificate carries the node's name again"
    ):
        await administration.set_xmpp_certificate_settings(XmppCertificateSettings(domain_name=domain))
        await management.regenerate(XMPP)
        expect("the CN of cup-xmpp", imp1.plan.fqdn, _common_name(imp1, XMPP))
        expect("the CN of cup-xmpp-s2s", domain, _common_name(imp1, S2S))


async def _expect_strict_client_refuses(lab: Lab, run: ScenarioRun, node: ImpNode) -> None:
    async with xmpp_client(lab, "alice", node, tls=trust_in_xmpp(node, check_domain=True)) as alice:
        outcome = expect_refused("alice's login", await alice.outcome, CERTIFICATE_REFUSED)
    run.saw(f"the client: {outcome.text}")
    async with xmpp_client(lab, "alice", node) as alice:
        expect_login("the login of a client that asks for the node's name", await alice.outcome)


async def _restart_xmpp(node: ImpNode) -> None:
    for service in (ServiceName.XCP_ROUTER, ServiceName.XCP_CONNECTION_MANAGER):
        await node.administration.restart(service)


def _common_name(node: ImpNode, purpose: CertificatePurpose) -> str:
    listed = {each.name: each.certificate for each in node.administration.certificate_management.find()}
    return listed[purpose].common_name
