"""The procedures for intercluster peers that scenarios share, and what is expected of two clusters that are peers."""

from collections.abc import Callable, Iterable
from typing import Final

from certs.errors import ScenarioFailed
from certs.purposes import ServiceName, TrustStoreName
from certs.verdict import Reason, Verdict
from harness.evidence.ledger import Judged
from harness.expectations import difference, expect, expect_soon
from harness.lab import Lab
from harness.nodes.node import ImpNode
from harness.procedures.xmpp import own_certificate, trusted_certificates
from harness.replication.values import PeerStatus
from harness.scenario import ScenarioRun
from proxies.clock import wait

AGENT, ROUTER, TOMCAT = ServiceName.INTERCLUSTER_SYNC_AGENT, ServiceName.XCP_ROUTER, ServiceName.TOMCAT

WITHIN: Final = 30.0
"Seconds that an expectation waits; on a machine that does nothing else a second or two is enough."


async def import_tomcat(run: ScenarioRun, node: ImpNode, peer: ImpNode) -> None:
    """Import the `tomcat` certificate of a peer's publisher into `tomcat-trust` (G06, G13), as a step."""
    async with run.step(
        f"Certificate Import Tool on {node.plan.name}: tomcat of {peer.plan.name} into tomcat-trust"
    ):
        outcome = await node.administration.import_certificate(
            TrustStoreName.TOMCAT_TRUST, peer.plan.fqdn, peer.plan.ports.tomcat
        )
        expect(
            "connected and downloaded", (True, True), (outcome.report.connected, outcome.report.downloaded)
        )
        run.saw(f"CN={outcome.report.imported[0].certificate.common_name}")


async def expect_status(
    lab: Lab, what: str, node: ImpNode, wanted: Callable[[PeerStatus], bool]
) -> PeerStatus:
    """Return the status of the one peer of a node's cluster once it is as wanted.

    Raises ScenarioFailed, with the status as it is, when the seconds are up.
    """
    end = lab.clock.monotonic() + WITHIN
    while True:
        statuses = await node.intercluster.statuses()
        if len(statuses) == 1 and wanted(statuses[0]):
            return statuses[0]
        if lab.clock.monotonic() > end:
            remedy = statuses[0].remedy if statuses else ""
            raise ScenarioFailed(
                f"{what} does not become so",
                difference=difference(what, statuses or "no peer"),
                remedy=remedy,
            )
        await wait(lab.clock, 0.05)


async def expect_synchronised(lab: Lab, run: ScenarioRun, node: ImpNode) -> PeerStatus:
    """Expect that a publisher has taken over what its peer told, and return the status."""
    status = await expect_status(
        lab, "synchronised with the peer", node, lambda status: status.is_synchronised
    )
    run.saw(
        f"{node.plan.name} synchronised with {status.address}: cluster {status.cluster}, {status.nodes} node(s), "
        f"{status.users} users"
    )
    return status


async def expect_replicated(lab: Lab, run: ScenarioRun) -> None:
    """Expect that each node trusts the present `cup-xmpp` certificate of every other one, and nothing else (G22)."""
    for node in lab.imp:
        others = {own_certificate(peer) for peer in lab.imp if peer is not node}
        await expect_soon(
            f"cup-xmpp-trust on {node.plan.name}",
            others,
            lambda node=node: trusted_certificates(node),  # type: ignore[misc]
            clock=lab.clock,
            within=WITHIN,
        )
        run.saw(f"{node.plan.name} trusts {', '.join(sorted(f'{sha256[:16]}…' for sha256 in others))}")


async def expect_intercluster_links(
    run: ScenarioRun, ours: Iterable[ImpNode], theirs: Iterable[ImpNode], *, since: int
) -> None:
    """Expect mutual TLS on the links between the routers of two clusters, and show both certificates (G22)."""
    theirs = tuple(theirs)
    for node, peer in [pair for a in ours for b in theirs for pair in ((a, b), (b, a))]:
        ends = [await _end_of_link(run, node, peer, dialled=True, since=since)]
        ends.append(await _end_of_link(run, peer, node, dialled=False, since=since))
        shown = [end.presented_chain[0].sha256 for end in ends]
        expect("the certificates on the wire", [own_certificate(peer), own_certificate(node)], shown)
        expect("the versions at both ends", ends[0].tls_version, ends[1].tls_version)
        run.saw(
            f"{node.plan.name} → {peer.plan.name}: {ends[0].tls_version} {ends[0].cipher}; "
            f"{peer.plan.name} showed CN={ends[0].subject} {shown[0][:16]}…, "
            f"{node.plan.name} showed CN={ends[1].subject} {shown[1][:16]}…"
        )


async def _end_of_link(
    run: ScenarioRun, node: ImpNode, peer: ImpNode, *, dialled: bool, since: int
) -> Verdict:
    return await run.expect_verdict(
        f"{peer.plan.name} at {node.plan.name}",
        node=node.plan.name,
        reason=Reason.ACCEPTED,
        since=since,
        within=WITHIN,
        wanted=lambda judged: _is_link(judged, peer, dialled=dialled) and bool(judged.verdict.tls_version),
    )


def _is_link(judged: Judged, peer: ImpNode, *, dialled: bool) -> bool:
    connection = judged.connection
    return (
        connection.service == ROUTER
        and (connection.listener == "outgoing") is dialled
        and connection.peer[0] == peer.plan.address
    )


async def restart_router_where_needed(lab: Lab, run: ScenarioRun, *, nodes: Iterable[ImpNode] = ()) -> None:
    """Restart Cisco XCP Router after a new peer, on all nodes or on these; each says that it is needed."""
    for node in nodes or lab.imp:
        needed = [
            one for one in await node.restart_needed() if one.service is ROUTER and one.node == node.plan.name
        ]
        expect(f"restart needed on {node.plan.name}", 1, len(needed))
        async with run.step(
            f"Control Center - Network Services on {node.plan.name}: restart Cisco XCP Router"
        ):
            run.saw(str(needed[0]))
            await node.administration.restart(ROUTER)
