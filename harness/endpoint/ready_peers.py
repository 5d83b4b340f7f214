"""Makes intercluster peers of a fresh lab ready: publishers trust each other's `tomcat` and have synchronised."""

from typing import Final

from certs.errors import ConfigError
from certs.presented import fingerprint, parse_certificates
from certs.purposes import CertificatePurpose, TrustStoreName
from harness.lab import Lab
from harness.nodes.node import ImpNode
from proxies.clock import wait

_WITHIN: Final = 60.0
"Seconds that synchronising may take; on a machine that does nothing else one is enough."

_LOOK: Final = 0.05


async def connect_peers(lab: Lab) -> None:
    """Import the peers' `tomcat` certificates, wait until all nodes trust the peers' `cup-xmpp`.

    Services that have to restart after that are left to the caller. Raises ConfigError where a certificate cannot be
    imported or a peer does not synchronise, and says why.
    """
    publishers = {node.plan.fqdn: node for node in lab.imp if node.plan == node.cluster.imp[0]}
    peers_of = {
        node.plan.cluster: [
            publishers[peer.address] for peer in await node.intercluster.peers() if peer.address in publishers
        ]
        for node in publishers.values()
    }
    for node in publishers.values():
        for peer in peers_of[node.plan.cluster]:
            await _import_tomcat(node, peer)
    for node in lab.imp:
        for peer in peers_of[node.plan.cluster]:
            await _wait_for(lab, node, peer)


async def _import_tomcat(node: ImpNode, peer: ImpNode) -> None:
    outcome = await node.administration.import_certificate(
        TrustStoreName.TOMCAT_TRUST, peer.plan.fqdn, peer.plan.ports.tomcat
    )
    if not outcome.report.downloaded:
        raise ConfigError(
            f"{node.plan.name} cannot import tomcat of its intercluster peer {peer.plan.fqdn}: "
            f"{outcome.report.detail}; {outcome.report.remedy}"
        )


async def _wait_for(lab: Lab, node: ImpNode, publisher: ImpNode) -> None:
    """Return once a node trusts the XMPP certificates of all nodes of a peer cluster (G22)."""
    shown = {
        fingerprint(parse_certificates(management.download(CertificatePurpose.CUP_XMPP))[0])
        for peer in lab.imp
        if peer.plan.cluster == publisher.plan.cluster
        for management in [peer.administration.certificate_management]
    }
    end = lab.clock.monotonic() + _WITHIN
    while shown - {one.certificate.sha256 for one in node.key_store.trust(TrustStoreName.CUP_XMPP_TRUST)}:
        if lab.clock.monotonic() > end:
            statuses = await node.intercluster.statuses()
            status = next(one for one in statuses if one.address == publisher.plan.fqdn)
            why = f"{status.error}; {status.remedy}" if status.error else f"not in {_WITHIN:g} s"
            raise ConfigError(f"{node.plan.name} does not synchronise with {publisher.plan.fqdn}: {why}")
        await wait(lab.clock, _LOOK)
