"""Starting and stopping a node's services opens and closes real sockets."""

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from certs.purposes import CertificatePurpose, ServiceName
from harness.lab import Lab
from harness.nodes.node import ImpNode
from harness.nodes.service_state import ServiceFailed, ServiceState
from harness.plan.lab_file import load_topology

PROXY, ENGINE = ServiceName.SIP_PROXY, ServiceName.PRESENCE_ENGINE


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[ImpNode]:
    async with Lab.start(load_topology(), work_directory=tmp_path) as lab:
        yield lab.imp[0]


def states(node: ImpNode) -> dict[ServiceName, ServiceState]:
    found = {status.service: status.state for status in node.services.services()}
    return {service: found[service] for service in (ENGINE, PROXY)}


async def test_a_restart_closes_the_connections_and_listens_again(node: ImpNode) -> None:
    reader, writer = await asyncio.open_connection(node.plan.address, node.plan.ports.sip)
    await node.services.restart(PROXY)
    assert await asyncio.wait_for(reader.read(), 3) == b""
    writer.close()
    _, again = await asyncio.open_connection(node.plan.address, node.plan.ports.sip)
    again.close()


async def test_a_stopped_service_takes_no_connection(node: ImpNode) -> None:
    await node.services.stop(PROXY)
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(node.plan.address, node.plan.ports.sip)
    await node.services.start(PROXY)
    _, writer = await asyncio.open_connection(node.plan.address, node.plan.ports.sip)
    writer.close()


async def test_a_taken_port_is_named_and_the_other_service_keeps_running(node: ImpNode) -> None:
    await node.services.stop(PROXY)
    with socket.create_server((node.plan.address, node.plan.ports.sip)):
        with pytest.raises(ServiceFailed, match=rf"Cisco SIP Proxy on imp1: .*{node.plan.ports.sip}.*in use"):
            await node.services.start(PROXY)
        assert states(node) == {ENGINE: ServiceState.STARTED, PROXY: ServiceState.STOPPED}
        assert "in use" in node.services.status(PROXY).reason
    await node.services.start(PROXY)
    assert states(node) == {ENGINE: ServiceState.STARTED, PROXY: ServiceState.STARTED}


async def test_a_damaged_certificate_stops_the_restart_and_a_new_one_mends_it(node: ImpNode) -> None:
    (node.key_store.directory / "own" / "cup.pem").write_text("damaged")
    with pytest.raises(ServiceFailed, match=r"cup\.pem is damaged.*regenerate cup"):
        await node.services.restart(PROXY)
    assert states(node) == {ENGINE: ServiceState.STARTED, PROXY: ServiceState.STOPPED}
    await node.administration.certificate_management.regenerate(CertificatePurpose.CUP)
    await node.services.start(PROXY)
