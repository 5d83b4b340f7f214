"""Nodes share nothing but sockets and the cluster's database: the same node runs in a process of its own."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import IPv4Network
from pathlib import Path

from certs.issuing import KeyAlgorithm
from certs.purposes import ServiceName, TrustStoreName
from harness.configuration.database import Database, sqlite_url
from harness.nodes.node import ImpNode
from harness.nodes.surroundings import NodeSurroundings
from harness.plan.addresses import reserve_range
from harness.plan.lab_file import load_topology
from harness.plan.names import LabNames
from harness.plan.topology import plan_lab
from proxies.clock import LoopClock
from proxies.observer import NullObserver

PROXY = ServiceName.SIP_PROXY


@asynccontextmanager
async def running(network: IPv4Network, work_directory: Path, index: int) -> AsyncIterator[ImpNode]:
    plan = plan_lab(load_topology(), network)
    cluster = plan.clusters[0]
    surroundings = NodeSurroundings(
        directory=work_directory / cluster.imp[index].name,
        names=LabNames(plan),
        clock=LoopClock(),
        observer=NullObserver(),
        key_algorithm=KeyAlgorithm.EC_P256,
        authority=None,
    )
    database = Database(sqlite_url(work_directory / "cluster.sqlite"))
    node = ImpNode(cluster.imp[index], cluster, surroundings, database)
    try:
        await node.prepare()
        assert await node.boot() == ()
        yield node
    finally:
        await node.shut_down()


async def serve(network: IPv4Network, work_directory: Path) -> None:
    """Run imp2 and restart its SIP proxy at each line of the standard input."""
    async with running(network, work_directory, 1) as node:
        print("up", flush=True)
        while await asyncio.to_thread(sys.stdin.readline):
            await node.services.restart(PROXY)
            print("restarted", flush=True)


async def test_a_node_in_another_process_is_told_of_changes_by_the_database_alone(tmp_path: Path) -> None:
    with reserve_range(IPv4Network("127.77.248.0/24")) as reserved:
        async with running(reserved.network, tmp_path, 0) as imp1:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "tests.integration.test_node_processes",
                str(reserved.network),
                str(tmp_path),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
            )
            assert process.stdin is not None
            assert process.stdout is not None
            async with asyncio.timeout(20):
                assert await process.stdout.readline() == b"up\n"
                outcome = await imp1.administration.import_certificate(
                    TrustStoreName.CUP_TRUST, "imp2", imp1.plan.ports.sip_tls_peer_auth
                )
                assert outcome.report.subject == "imp2.lab.example"
                assert ("imp2", PROXY) in {(each.node, each.service) for each in outcome.restart_needed}
                process.stdin.write(b"restart\n")
                assert await process.stdout.readline() == b"restarted\n"
                assert {each.node for each in await imp1.restart_needed()} == {"imp1"}
                process.stdin.close()
                assert await process.wait() == 0


if __name__ == "__main__":
    asyncio.run(serve(IPv4Network(sys.argv[1]), Path(sys.argv[2])))
