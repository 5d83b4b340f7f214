"""A lab of intercluster peers is made ready for clients: nothing is left to restart, and messages cross at once."""

from pathlib import Path

import pytest

from certs.errors import ConfigError
from certs.purposes import ServiceName
from harness.actors.xmpp import xmpp_client
from harness.endpoint.ready import make_ready
from harness.endpoint.ready_peers import connect_peers
from harness.lab import Lab
from harness.plan.lab_file import load_topology, parse_lab_file


async def test_messages_cross_as_soon_as_the_lab_is_ready(tmp_path: Path) -> None:
    async with Lab.start(load_topology("two-clusters"), work_directory=tmp_path / "lab") as lab:
        await make_ready(lab, tmp_path / "clients")
        for node in lab.imp:
            assert await node.restart_needed() == ()
        imp1, _, imp3 = lab.imp
        async with xmpp_client(lab, "alice", imp1) as alice, xmpp_client(lab, "carol", imp3) as carol:
            for client in (alice, carol):
                assert (await client.outcome).accepted
            alice.chat("carol@lab.example", "hello")
            assert (await carol.next_message())["body"] == "hello"


async def test_a_peer_that_cannot_be_made_ready_says_why(tmp_path: Path) -> None:
    async with Lab.start(load_topology("two-clusters"), work_directory=tmp_path / "lab") as lab:
        await lab.imp[2].services.stop(ServiceName.TOMCAT)
        with pytest.raises(
            ConfigError, match=r"imp1 cannot import tomcat of its intercluster peer imp3\.lab\.example"
        ):
            await make_ready(lab, tmp_path / "clients")


async def test_peers_in_processes_of_their_own_share_nothing_and_exchange_messages(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "harness" / "labs" / "two-clusters.toml").read_text()
    for name in ("imp1", "imp3"):
        text = text.replace(f'name = "{name}"', f'name = "{name}"\nprocess = true')
    lab_file = parse_lab_file(text, source="lab.toml")
    async with Lab.start(lab_file, work_directory=tmp_path / "lab") as lab:
        await connect_peers(lab)
        for node in lab.imp:
            await node.administration.restart(ServiceName.XCP_ROUTER)
        imp1, _, imp3 = lab.imp
        async with xmpp_client(lab, "alice", imp1) as alice, xmpp_client(lab, "carol", imp3) as carol:
            for client in (alice, carol):
                assert (await client.outcome).accepted
            alice.chat("carol@lab.example", "hello")
            assert (await carol.next_message())["body"] == "hello"
