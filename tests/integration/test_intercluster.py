"""Intercluster peers on sockets: users and certificates come by AXL over TLS, go again, and routers follow."""

import asyncio
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from slixmpp import JID

from certs.errors import ConfigError
from certs.purposes import CertificatePurpose, ServiceName, TrustStoreName
from certs.verdict import Reason
from harness.actors.xmpp import xmpp_client
from harness.endpoint.why.steps_of_imp import trust_peer
from harness.evidence.capture.recorder import Chunk
from harness.evidence.ledger import Judged, Ledger
from harness.lab import Lab
from harness.nodes.node import ImpNode
from harness.plan.lab_file import load_topology, parse_lab_file
from harness.replication.values import InterclusterPeer
from proxies.http.axl.values import AxlAccount
from proxies.observer import Direction
from tests.integration.intercluster_lab import (
    becomes,
    restart_routers,
    status_becomes,
    trust_tomcat,
    two_clusters,
)

XMPP_TRUST, ROUTER = TrustStoreName.CUP_XMPP_TRUST, ServiceName.XCP_ROUTER
AGENT = ServiceName.INTERCLUSTER_SYNC_AGENT


def trusted(node: ImpNode) -> set[str]:
    return {each.certificate.sha256 for each in node.key_store.trust(XMPP_TRUST)}


def own(node: ImpNode) -> str:
    listed = {each.name: each.certificate for each in node.administration.certificate_management.find()}
    return listed[CertificatePurpose.CUP_XMPP].sha256


async def test_users_nodes_and_certificates_of_the_peer_come_by_themselves(tmp_path: Path) -> None:
    async with two_clusters(tmp_path) as (lab, _):
        imp1, imp2, imp3 = lab.imp
        (status,) = await imp2.intercluster.statuses()  # a subscriber reads it in the database
        assert (status.address, status.cluster) == ("imp3.lab.example", "b")
        assert (status.nodes, status.users, status.error) == (1, 2, "")
        await becomes(lab, "imp1's trust", {own(imp2), own(imp3)}, lambda: trusted(imp1))
        await becomes(lab, "imp2's trust", {own(imp1), own(imp3)}, lambda: trusted(imp2))
        await becomes(lab, "imp3's trust", {own(imp1), own(imp2)}, lambda: trusted(imp3))


async def test_only_publishers_ask_and_only_over_tls(tmp_path: Path) -> None:
    async with two_clusters(tmp_path) as (_, ledger):
        asked = [entry for entry in ledger.verdicts() if entry.connection.service == AGENT]
        assert {entry.connection.node for entry in asked} == {"imp1", "imp3"}
        accepted = [entry.verdict for entry in asked if entry.verdict.accepted]
        assert {verdict.subject for verdict in accepted} == {"imp1.lab.example", "imp3.lab.example"}
        assert all(verdict.tls_version == "TLSv1.3" and verdict.clause == "G06" for verdict in accepted)


async def test_an_unchanged_peer_is_asked_for_its_mark_over_the_same_connection(tmp_path: Path) -> None:
    async with two_clusters(tmp_path) as (lab, ledger):

        async def ask(times: int) -> datetime | None:
            for _ in range(times):
                before = answers_of_peer(ledger)
                lab.clock.advance(2.0)
                await becomes(
                    lab, "imp1 is answered", True, lambda before=before: answers_of_peer(ledger) > before
                )
            (status,) = await lab.imp[0].intercluster.statuses()
            return status.synchronised_at

        # The peer is still changed by what it learns from us; then it is asked for all, in three questions.
        before = await ask(4)
        while before != (before := await ask(8)):
            pass
        since = ledger.position
        assert await ask(8) == before
        assert [entry for entry in ledger.verdicts(since=since) if entry.connection.service == AGENT] == []


def answers_of_peer(ledger: Ledger) -> int:
    """Return how often imp1's agent was answered."""
    recorded = ledger.tap.entries if ledger.tap else []
    ways = [
        each.direction
        for each in recorded
        if isinstance(each, Chunk) and (each.connection.node, each.connection.service) == ("imp1", AGENT)
    ]
    return sum(pair == (Direction.SENT, Direction.RECEIVED) for pair in pairwise(ways))


async def test_a_new_user_of_the_peer_is_known_without_a_restart(tmp_path: Path) -> None:
    async with two_clusters(tmp_path) as (lab, _):
        imp1, _, imp3 = lab.imp
        user = replace(await lab.user("carol"), user_id="erin")
        await imp3.configuration.add_user(user)
        status = await status_becomes(lab, imp1, lambda status: status.users == 3)
        assert status.is_synchronised


async def test_a_regenerated_certificate_takes_the_old_one_s_place(tmp_path: Path) -> None:
    async with two_clusters(tmp_path) as (lab, _):
        imp1, imp2, imp3 = lab.imp
        old = own(imp3)
        await becomes(lab, "imp2's trust", {own(imp1), old}, lambda: trusted(imp2))
        await imp3.administration.certificate_management.regenerate(CertificatePurpose.CUP_XMPP)
        for _ in range(100):
            lab.clock.advance(0.5)
            await asyncio.sleep(0.01)
            if own(imp3) in trusted(imp1):
                break
        assert own(imp3) != old
        await becomes(lab, "imp1's trust", {own(imp2), own(imp3)}, lambda: trusted(imp1))
        await becomes(lab, "imp2's trust", {own(imp1), own(imp3)}, lambda: trusted(imp2))


async def test_messages_cross_once_the_routers_have_restarted(tmp_path: Path) -> None:
    async with two_clusters(tmp_path) as (lab, _):
        imp1, _, imp3 = lab.imp
        needed = {(one.node, one.service) for one in await imp1.restart_needed()}
        assert {("imp1", ROUTER), ("imp2", ROUTER)} <= needed
        async with xmpp_client(lab, "alice", imp1) as alice:
            assert (await alice.outcome).accepted
            alice.chat("carol@lab.example", "too early")
            bounced = await alice.next_message()
            assert bounced["error"]["condition"] == "remote-server-not-found"
            assert "restart Cisco XCP Router on imp1" in bounced["error"]["text"]
        await restart_routers(lab)
        assert not any(one.service is ROUTER for one in await imp1.restart_needed())
        async with xmpp_client(lab, "alice", imp1) as alice, xmpp_client(lab, "carol", imp3) as carol:
            for client in (alice, carol):
                assert (await client.outcome).accepted
            alice.chat("carol@lab.example", "over there")
            assert (await carol.next_message())["body"] == "over there"
            carol.chat("alice@lab.example", "and back")
            assert (await alice.next_message())["body"] == "and back"


async def test_a_deleted_peer_s_users_certificates_and_links_are_gone(tmp_path: Path) -> None:
    async with two_clusters(tmp_path) as (lab, ledger):
        imp1, imp2 = lab.imp[:2]
        await restart_routers(lab)
        async with xmpp_client(lab, "alice", imp1) as alice:
            assert (await alice.outcome).accepted
            since = ledger.position
            await imp1.intercluster.delete_peer("imp3.lab.example")
            assert await imp1.intercluster.statuses() == ()
            await becomes(lab, "imp1's trust", {own(imp2)}, lambda: trusted(imp1))
            await becomes(lab, "imp2's trust", {own(imp1)}, lambda: trusted(imp2))
            alice.chat("carol@lab.example", "anybody?")
            assert (await alice.next_message())["error"]["condition"] == "service-unavailable"
            # imp3 has not deleted its peer: its router knocks again, and is not known any more.
            lab.clock.advance(6.0)
            entry = await ledger.wait_for(
                lambda entry: isinstance(entry, Judged) and entry.verdict.reason is Reason.UNKNOWN_ROUTER,
                since=since,
                within=5,
            )
            assert isinstance(entry, Judged)
            assert "imp3.lab.example" in entry.verdict.detail
        with pytest.raises(
            ConfigError, match=r"no intercluster peer is 'imp3\.lab\.example' \(known: none\)"
        ):
            await imp1.intercluster.delete_peer("imp3.lab.example")


async def test_a_peer_that_is_entered_again_is_taken_over_again(tmp_path: Path) -> None:
    async with two_clusters(tmp_path) as (lab, _):
        imp1 = lab.imp[0]
        (peer,) = await imp1.intercluster.peers()
        await imp1.intercluster.delete_peer(peer.address)
        await imp1.intercluster.save_peer(peer)
        status = await status_becomes(lab, imp1, lambda status: status.is_synchronised)
        assert (status.nodes, status.users) == (1, 2)


@pytest.mark.parametrize(
    ("changed", "reason", "error"),
    [
        ({"axl_password": "wrong"}, "bad credentials", "does not know the AXL user 'axl' with this password"),
        ({"axl_user": "nobody"}, "bad credentials", "does not know the AXL user 'nobody'"),
        ({"port": 7400}, "no TLS from the peer", ""),
        ({"port": 9999}, "unreachable", "9999"),
        ({"address": "imp2.lab.example"}, "untrusted issuer", "CN=imp2.lab.example"),
        ({"address": "nowhere.lab.example"}, "", "no host is called 'nowhere.lab.example'"),
    ],
)
async def test_a_peer_that_cannot_be_synchronised_says_why(
    tmp_path: Path, changed: dict[str, object], reason: str, error: str
) -> None:
    async with two_clusters(tmp_path) as (lab, _):
        imp1 = lab.imp[0]
        (good,) = await imp1.intercluster.peers()
        await imp1.intercluster.delete_peer(good.address)
        await imp1.intercluster.save_peer(replace(good, **changed))  # type: ignore[arg-type]
        status = await status_becomes(lab, imp1, lambda status: bool(status.error))
        assert status.reason == reason
        assert error in status.error
        assert status.remedy
        assert (status.nodes, status.synchronised_at) == (0, None)
        if "address" in changed:
            await imp1.intercluster.delete_peer(str(changed["address"]))
        await imp1.intercluster.save_peer(good)
        assert (await status_becomes(lab, imp1, lambda status: status.is_synchronised)).nodes == 1


async def test_a_cluster_is_not_its_own_peer(tmp_path: Path) -> None:
    async with two_clusters(tmp_path) as (lab, _):
        imp1, imp2, _ = lab.imp
        await trust_tomcat(imp1, imp2)
        account = await imp1.intercluster.axl_account()
        (good,) = await imp1.intercluster.peers()
        await imp1.intercluster.delete_peer(good.address)
        await imp1.intercluster.save_peer(
            InterclusterPeer(address=imp2.plan.fqdn, axl_user=account.user_id, axl_password=account.password)
        )
        status = await status_becomes(lab, imp1, lambda status: bool(status.error))
        assert "the peer is cluster 'a', which is this one" in status.error


async def test_a_changed_account_is_refused_until_the_peer_is_told(tmp_path: Path) -> None:
    async with two_clusters(tmp_path) as (lab, ledger):
        imp1, _, imp3 = lab.imp
        since = ledger.position
        await imp3.intercluster.set_axl_account(AxlAccount(user_id="axl", password="another"))
        status = await status_becomes(lab, imp1, lambda status: bool(status.error))
        assert status.reason == "bad credentials"
        assert status.nodes == 1, "what it told before stays"
        at_server = [
            entry.verdict
            for entry in ledger.verdicts(since=since, node="imp3")
            if entry.verdict.reason is Reason.BAD_CREDENTIALS
        ]
        assert at_server[0].clause == "G06"
        (peer,) = await imp1.intercluster.peers()
        await imp1.intercluster.save_peer(replace(peer, axl_password="another"))
        await status_becomes(lab, imp1, lambda status: status.is_synchronised)


async def test_without_trust_nothing_is_told_and_the_verdict_names_the_store(tmp_path: Path) -> None:
    async with two_clusters(tmp_path, trusted=False) as (lab, _):
        imp1, imp2, imp3 = lab.imp
        status = await status_becomes(lab, imp1, lambda status: bool(status.error))
        assert status.reason == "untrusted issuer"
        assert "into tomcat-trust" in status.remedy
        assert trusted(imp1) == {own(imp2)}
        await trust_tomcat(imp1, imp3)
        await status_becomes(lab, imp1, lambda status: status.is_synchronised)


async def test_imp_harness_why_mends_the_missing_trust(tmp_path: Path) -> None:
    async with two_clusters(tmp_path, trusted=False) as (lab, ledger):
        imp1 = lab.imp[0]
        await status_becomes(lab, imp1, lambda status: bool(status.error))
        refused = next(
            entry
            for entry in ledger.verdicts(node="imp1")
            if entry.connection.service == AGENT and entry.verdict.reason is Reason.UNTRUSTED_ISSUER
        )
        (step,) = [step async for step in trust_peer(imp1, refused)]
        assert "upload CN=imp3.lab.example" in step.page
        assert step.page.endswith("to tomcat-trust")
        await step.do()
        await status_becomes(lab, imp1, lambda status: status.is_synchronised)
        assert [step async for step in trust_peer(imp1, refused)] == []


async def test_a_peer_that_is_down_is_asked_again_and_comes_back(tmp_path: Path) -> None:
    async with two_clusters(tmp_path) as (lab, _):
        imp1, _, imp3 = lab.imp
        await imp3.services.stop(ServiceName.TOMCAT)
        status = await status_becomes(lab, imp1, lambda status: status.reason == "unreachable")
        assert status.nodes == 1
        await imp3.services.start(ServiceName.TOMCAT)
        await status_becomes(lab, imp1, lambda status: status.is_synchronised)


async def test_what_peers_told_is_there_after_a_restart_of_the_lab(tmp_path: Path) -> None:
    async with two_clusters(tmp_path):
        pass
    async with two_clusters(tmp_path, trusted=False) as (lab, _):
        imp1, imp2, imp3 = lab.imp
        (status,) = await imp1.intercluster.statuses()
        assert (status.cluster, status.nodes, status.users) == ("b", 1, 2)
        assert trusted(imp1) == {own(imp2), own(imp3)}
        assert not any(one.service is ROUTER for one in await imp1.restart_needed())
        await pass_a_message(lab)


async def test_where_a_ca_signs_the_certificates_peers_trust_each_other_at_once(tmp_path: Path) -> None:
    text = load_text("two-clusters").replace(
        'name = "two-clusters"', 'name = "two-clusters"\ncertificates = "ca-signed"'
    )
    lab_file = parse_lab_file(text, source="lab.toml")
    async with two_clusters(tmp_path, trusted=False, lab_file=lab_file) as (lab, _):
        for node in (lab.imp[0], lab.imp[2]):
            assert (await status_becomes(lab, node, lambda status: status.is_synchronised)).users == 2


async def pass_a_message(lab: Lab) -> None:
    imp1, _, imp3 = lab.imp
    async with xmpp_client(lab, "alice", imp1) as alice, xmpp_client(lab, "carol", imp3) as carol:
        assert (await alice.outcome).accepted
        assert (await carol.outcome).accepted
        alice.chat("carol@lab.example", "hello")
        assert (await carol.next_message())["body"] == "hello"


def load_text(topology: str) -> str:
    assert load_topology(topology).name == topology
    return (Path(__file__).parents[2] / "harness" / "labs" / f"{topology}.toml").read_text()


async def test_a_room_of_the_peer_is_entered_from_the_other_cluster(tmp_path: Path) -> None:
    room = "lobby@conference-1-b.lab.example"
    async with two_clusters(tmp_path) as (lab, _):
        imp1, _, imp3 = lab.imp
        await restart_routers(lab)
        async with xmpp_client(lab, "alice", imp1) as alice, xmpp_client(lab, "carol", imp3) as carol:
            for client in (alice, carol):
                assert (await client.outcome).accepted
                presence = client.make_presence(pto=f"{room}/{client.boundjid.user}")
                presence.append(ET.Element("{http://jabber.org/protocol/muc}x"))
                presence.send()
                await client.next_available(room)
                if (
                    client is alice
                ):  # a new room is locked until its owner has configured it (XEP-0045 10.1.2)
                    request = alice.make_iq_set(ito=JID(room))
                    query = ET.Element("{http://jabber.org/protocol/muc#owner}query")
                    ET.SubElement(query, "{jabber:x:data}x", type="submit")
                    request.append(query)
                    await request.send(timeout=5.0)
            alice.send_message(mto=JID(room), mbody="hello, all", mtype="groupchat")
            for client in (carol, alice):
                message = await client.next_message()
                assert (message["body"], message["from"].full) == ("hello, all", f"{room}/alice")
