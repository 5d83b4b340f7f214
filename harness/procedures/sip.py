"""Procedures of the guide that several scenarios begin with, step by step."""

from collections.abc import Sequence
from typing import Final

from certs.errors import ScenarioFailed
from certs.purposes import CertificatePurpose, ServiceName, TrustStoreName
from harness.actors.sip import client_network
from harness.expectations import difference
from harness.lab import Lab
from harness.nodes.administration import ImportOutcome
from harness.nodes.node import CucmNode, ImpNode
from harness.scenario import ScenarioRun
from proxies.sip.proxy.sip_proxy_settings import StaticRoute
from proxies.sip.transport.flow import Destination, Transport
from proxies.sip.trunk.cucm_trunk import CallManager
from proxies.sip.trunk.sip_trunk_profile import (
    DeviceSecurityMode,
    IncomingTransportType,
    SipTrunk,
    SipTrunkSecurityProfile,
    parse_subject_names,
)


def peers_of(node: ImpNode, nodes: Sequence[ImpNode]) -> list[ImpNode]:
    """Return the other nodes."""
    return [other for other in nodes if other is not node]


async def let_clients_in(lab: Lab, run: ScenarioRun) -> None:
    """Put the test clients' addresses on the incoming access list, as a step; a restart is still needed."""
    async with run.step("System > Security > Incoming ACL: add the test clients"):
        needed = await lab.imp[0].administration.add_incoming_acl(client_network(lab), "test clients")
        run.saw("; ".join(map(str, needed)))


async def import_cup_certificates(lab: Lab, run: ScenarioRun) -> None:
    """Import every IM and Presence node's certificate on every other (G13), a step each."""
    for node in lab.imp:
        for other in peers_of(node, lab.imp):
            async with run.step(
                f"Certificate Import Tool on {node.plan.name}: {other.plan.fqdn} into cup-trust"
            ):
                outcome = await node.administration.import_certificate(
                    TrustStoreName.CUP_TRUST, other.plan.fqdn, other.plan.ports.sip_tls_peer_auth
                )
                expect_imported(run, outcome, other.plan.fqdn)


def expect_imported(run: ScenarioRun, outcome: ImportOutcome, subject: str) -> None:
    """Expect that the tool connected and downloaded the certificate with this subject CN (G13).

    Raises ScenarioFailed with the tool's own reason and recommended action.
    """
    report = outcome.report
    run.saw(f"connected: {report.connected}, downloaded: {report.downloaded}, CN={report.subject or '-'}")
    run.saw("; ".join(map(str, outcome.restart_needed)))
    if not report.downloaded or report.subject != subject:
        raise ScenarioFailed(
            "the Certificate Import Tool did not import the certificate",
            difference=difference(f"CN={subject}", f"{report.reason}: {report.detail}"),
            remedy=report.remedy,
        )


TRUNK_PROFILE: Final = "Secure SIP Trunk Profile for IM and Presence"
"The name of the SIP trunk security profile that the procedures make."

TRUNK: Final = "trunk-to-imp1"
"The name of the SIP trunk that the procedures make."


def secure_profile(subject_names: str) -> SipTrunkSecurityProfile:
    """Return the profile of the guide's prerequisites (G12), with this text in X.509 Subject Name."""
    return SipTrunkSecurityProfile(
        name=TRUNK_PROFILE,
        device_security_mode=DeviceSecurityMode.ENCRYPTED,
        incoming_transport_type=IncomingTransportType.TLS,
        outgoing_transport_type=Transport.TLS,
        x509_subject_names=parse_subject_names(subject_names),
        incoming_port=5061,
        accept_presence_subscription=True,
        accept_out_of_dialog_refer=True,
        accept_unsolicited_notification=True,
        accept_replaces_header=True,
    )


def trunk_to(node: ImpNode, *, profile: str = TRUNK_PROFILE) -> SipTrunk:
    """Return a SIP trunk to a node's peer-authenticated listener."""
    return SipTrunk(
        name=TRUNK,
        destination_address=node.plan.fqdn,
        destination_port=node.plan.ports.sip_tls_peer_auth,
        security_profile=profile,
    )


def call_manager(node: CucmNode) -> CallManager:
    """Return a node's running Cisco CallManager, to have its lines do something.

    Raises ConfigError where it does not run.
    """
    service = node.services.running(ServiceName.CALLMANAGER)
    assert isinstance(service, CallManager)
    return service


async def configure_trunk(lab: Lab, run: ScenarioRun, *, subject_names: str) -> None:
    """Make the profile, the trunk and the route to it (G12), a step each."""
    imp1, cucm1 = lab.imp[0], lab.cucm[0]
    async with run.step("CUCM, System > Security > SIP Trunk Security Profile: Encrypted, with imp1's CN"):
        await cucm1.administration.save_sip_trunk_security_profile(secure_profile(subject_names))
    async with run.step("CUCM, Device > Trunk: a SIP trunk to imp1 that uses the profile"):
        run.saw("; ".join(map(str, await cucm1.administration.save_sip_trunk(trunk_to(imp1)))))
    await route_lines_to_cucm(lab, run)


async def route_lines_to_cucm(lab: Lab, run: ScenarioRun) -> None:
    """Save the static route by which imp1 reaches CUCM's lines, as a step; a restart is still needed."""
    imp1, cucm1 = lab.imp[0], lab.cucm[0]
    async with run.step("Presence > Routing > Static Routes: CUCM's lines are reached over TLS"):
        next_hop = Destination(
            transport=Transport.TLS,
            host=cucm1.plan.address,
            port=cucm1.plan.ports.sip_tls,
            server_name=cucm1.plan.fqdn,
        )
        await imp1.administration.save_static_route(
            StaticRoute(destination_pattern="1...", next_hop=next_hop)
        )


async def import_cucm_certificate(lab: Lab, run: ScenarioRun) -> None:
    """Import CUCM's certificate on imp1 (G13), as a step."""
    imp1, cucm1 = lab.imp[0], lab.cucm[0]
    async with run.step(f"Certificate Import Tool on imp1: {cucm1.plan.fqdn} into cup-trust"):
        outcome = await imp1.administration.import_certificate(
            TrustStoreName.CUP_TRUST, cucm1.plan.fqdn, cucm1.plan.ports.sip_tls
        )
        expect_imported(run, outcome, cucm1.plan.fqdn)


async def upload_cup_to_cucm(lab: Lab, run: ScenarioRun) -> None:
    """Download `cup.pem` from imp1 (G16) and upload it to CUCM (G17), a step each."""
    imp1, cucm1 = lab.imp[0], lab.cucm[0]
    async with run.step("OS Administration > Security > Certificate Management on imp1: download cup.pem"):
        pem = imp1.administration.certificate_management.download(CertificatePurpose.CUP)
        run.saw(f"{len(pem)} bytes of PEM")
    async with run.step("Certificate Management on cucm1: upload it to Callmanager-trust"):
        needed = await cucm1.administration.certificate_management.upload_certificate(
            TrustStoreName.CALLMANAGER_TRUST, pem
        )
        run.saw("; ".join(map(str, needed)))


async def restart_call_manager(lab: Lab, run: ScenarioRun) -> None:
    """Restart Cisco CallManager (G17), as a step."""
    async with run.step("Control Center - Feature Services on cucm1: restart Cisco CallManager"):
        await lab.cucm[0].administration.restart(ServiceName.CALLMANAGER)


async def restart_sip_proxies(lab: Lab, run: ScenarioRun) -> None:
    """Restart Cisco SIP Proxy on all IM and Presence nodes (G15), a step each."""
    for node in lab.imp:
        async with run.step(
            f"Control Center - Feature Services on {node.plan.name}: restart Cisco SIP Proxy"
        ):
            await node.administration.restart(ServiceName.SIP_PROXY)
