"""A listener that closes leaves nobody waiting: not even whom the loop has accepted and no service has seen yet."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from certs.purposes import ServiceName
from harness.lab import Lab
from harness.nodes.node import ImpNode
from harness.plan.lab_file import ImpPorts, load_topology

LISTENERS: dict[str, tuple[ServiceName, Callable[[ImpPorts], int]]] = {
    "SIP over TCP": (ServiceName.SIP_PROXY, lambda ports: ports.sip),
    "SIP over TLS": (ServiceName.SIP_PROXY, lambda ports: ports.sip_tls_peer_auth),
    "XMPP routers": (ServiceName.XCP_ROUTER, lambda ports: ports.xcp_router),
    "XMPP clients": (ServiceName.XCP_CONNECTION_MANAGER, lambda ports: ports.xmpp_client),
    "web clients": (ServiceName.XCP_WEB_CONNECTION_MANAGER, lambda ports: ports.http_binding),
}
TURNS = 5
"Turns of the loop between a connection in the kernel's queue and a service that has seen it, and one more."


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[ImpNode]:
    async with Lab.start(load_topology(), work_directory=tmp_path) as lab:
        yield lab.imp[0]


@pytest.mark.parametrize("name", LISTENERS)
async def test_whoever_connected_just_before_hears_of_the_end(node: ImpNode, name: str) -> None:
    service, port_of = LISTENERS[name]
    for turns in range(TURNS):
        with socket.socket() as client:
            client.setblocking(False)
            await asyncio.get_running_loop().sock_connect(
                client, (node.plan.address, port_of(node.plan.ports))
            )
            for _ in range(turns):
                await asyncio.sleep(0)
            await node.services.stop(service)
            await hear_the_end(client)
        await node.services.start(service)


async def hear_the_end(client: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(5):
        try:
            while await loop.sock_recv(client, 4096):
                pass
        except ConnectionResetError:
            pass
