"""Procedures of the guide that several scenarios begin with, step by step."""

from collections.abc import Sequence

from certs.errors import ScenarioFailed
from certs.purposes import ServiceName, TrustStoreName
from harness.actors import client_network
from harness.administration import ImportOutcome
from harness.expectations import difference
from harness.lab import Lab
from harness.node import ImpNode
from harness.scenario import ScenarioRun


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


async def restart_sip_proxies(lab: Lab, run: ScenarioRun) -> None:
    """Restart Cisco SIP Proxy on all IM and Presence nodes (G15), a step each."""
    for node in lab.imp:
        async with run.step(
            f"Control Center - Feature Services on {node.plan.name}: restart Cisco SIP Proxy"
        ):
            await node.administration.restart(ServiceName.SIP_PROXY)
