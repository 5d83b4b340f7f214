"""A lab of two clusters that are peers, for tests: up, and where wanted already synchronised."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path

from certs.purposes import ServiceName, TrustStoreName
from harness.evidence.capture.recorder import WireRecorder
from harness.evidence.ledger import Ledger
from harness.expectations import expect_soon
from harness.lab import Lab
from harness.nodes.node import ImpNode
from harness.plan.lab_file import LabFile, load_topology
from harness.replication.values import PeerStatus
from proxies.clock import LoopClock


@asynccontextmanager
async def two_clusters(
    folder: Path, *, trusted: bool = True, lab_file: LabFile | None = None
) -> AsyncIterator[tuple[Lab, Ledger]]:
    """Start the topology; with `trusted` each publisher trusts the other's `tomcat` and has synchronised."""
    clock = LoopClock()
    topology = lab_file or load_topology("two-clusters")
    with closing(WireRecorder(now=clock.now)) as tap:
        ledger = Ledger(now=clock.now, tap=tap)
        async with Lab.start(topology, work_directory=folder, observer=ledger, clock=clock) as lab:
            if trusted:
                imp1, _, imp3 = lab.imp
                for node, peer in ((imp1, imp3), (imp3, imp1)):
                    await trust_tomcat(node, peer)
                for node in (imp1, imp3):
                    await status_becomes(lab, node, lambda status: status.is_synchronised)
                for node in lab.imp:  # the other nodes of a cluster take it over from the database
                    await becomes(lab, "the nodes it trusts", 2, lambda node=node: trusted_number(node))
            yield lab, ledger


def trusted_number(node: ImpNode) -> int:
    """Return how many certificates are in a node's `cup-xmpp-trust`."""
    return len(node.key_store.trust(TrustStoreName.CUP_XMPP_TRUST))


async def trust_tomcat(node: ImpNode, peer: ImpNode) -> None:
    """Import a peer's `tomcat` with the Certificate Import Tool."""
    outcome = await node.administration.import_certificate(
        TrustStoreName.TOMCAT_TRUST, peer.plan.fqdn, peer.plan.ports.tomcat
    )
    assert outcome.report.downloaded, outcome.report


async def restart_routers(lab: Lab) -> None:
    """Restart Cisco XCP Router on all nodes, after which routers of peer clusters link."""
    for node in lab.imp:
        await node.services.restart(ServiceName.XCP_ROUTER)


async def status_becomes(lab: Lab, node: ImpNode, wanted: Callable[[PeerStatus], bool]) -> PeerStatus:
    """Wait until the status of a node's one peer is as wanted; the clock goes on meanwhile."""
    for _ in range(600):
        (status,) = await node.intercluster.statuses()
        if wanted(status):
            return status
        lab.clock.advance(0.1)
        await asyncio.sleep(0.05)
    raise AssertionError(f"the status of {node.plan.name} does not become so: {status}")


async def becomes(lab: Lab, what: str, expected: object, read: Callable[[], object]) -> None:
    """Wait until what is read is as expected."""
    await expect_soon(what, expected, read, clock=lab.clock, within=30.0)
