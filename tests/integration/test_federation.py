"""The federation connection manager on sockets: waiting, retrying, bouncing, and peers that do as they please."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

from certs.purposes import CertificatePurpose, ServiceName, TrustStoreName
from certs.verdict import Reason
from harness.actors.federation import visiting_server
from harness.actors.xmpp import XmppClient, expect_login, xmpp_client
from harness.evidence.ledger import Closed, Ledger, MessageSeen
from harness.expectations import ScenarioExpectations
from harness.lab import Lab
from harness.nodes.node import ImpNode
from harness.plan.lab_file import LabFile, load_topology, parse_lab_file
from harness.procedures.federation import (
    FEDERATION,
    exchange_messages,
    expect_bounce,
    expect_federation,
    federate,
    name_domain,
    trust_each_other,
)
from proxies.observer import Direction
from proxies.xmpp.conditions import StreamErrorCondition
from proxies.xmpp.federation.dialback import DialbackOutcome
from proxies.xmpp.federation.settings import FederationLimits, FederationPolicy, FederationSecurityMode

ALICE, CAROL = "alice@lab.example", "carol@partner.example"
MUTUAL = FederationPolicy(
    security_mode=FederationSecurityMode.TLS_REQUIRED, require_client_side_certificates=True
)
LIMITS = FederationLimits()
ELSEWHERE = "127.79.1.9"


@dataclass
class Running:
    lab: Lab
    seen: ScenarioExpectations

    @property
    def imp1(self) -> ImpNode:
        return self.lab.imp[0]

    @property
    def partner1(self) -> ImpNode:
        return self.lab.imp[2]

    @asynccontextmanager
    async def clients(self) -> AsyncIterator[tuple[XmppClient, XmppClient]]:
        async with (
            xmpp_client(self.lab, "alice", self.imp1) as alice,
            xmpp_client(self.lab, "carol", self.partner1) as carol,
        ):
            for client in (alice, carol):
                expect_login("the login", await client.outcome)
            yield alice, carol


@asynccontextmanager
async def running(folder: Path, lab_file: LabFile | None = None) -> AsyncIterator[Running]:
    ledger = Ledger()
    topology = lab_file or load_topology("two-domains")
    async with Lab.start(topology, work_directory=folder, observer=ledger) as lab:
        yield Running(lab, ScenarioExpectations(ledger))


@pytest.fixture
async def two(tmp_path: Path) -> AsyncIterator[Running]:
    async with running(tmp_path) as both:
        yield both


async def test_two_clusters_federate_as_installed_by_dialback(two: Running) -> None:
    async with two.clients() as (alice, carol):
        await exchange_messages(alice, carol)


async def test_a_message_waits_for_a_server_that_is_away_for_a_moment(two: Running) -> None:
    async with two.clients() as (alice, carol):
        await two.partner1.services.stop(FEDERATION)
        alice.chat(CAROL, "patience")
        await expect_federation(two.seen, "partner1", two.imp1, reason=Reason.UNREACHABLE, outgoing=True)
        await alice.ping_own_server()
        assert alice.messages.empty()
        await two.partner1.services.start(FEDERATION)
        two.lab.clock.advance(LIMITS.first_retry)
        assert (await carol.next_message())["body"] == "patience"


async def test_its_twin_that_stays_away_makes_it_bounce(two: Running) -> None:
    async with two.clients() as (alice, _):
        await two.partner1.services.stop(FEDERATION)
        alice.chat(CAROL, "patience")
        await expect_federation(two.seen, "partner1", two.imp1, reason=Reason.UNREACHABLE, outgoing=True)
        two.lab.clock.advance(LIMITS.patience)
        bounced = await alice.next_message()
        assert bounced["error"]["condition"] == "remote-server-timeout"
        assert "Connection refused" in bounced["error"]["text"]


async def test_another_server_is_tried_where_the_first_one_is_of_no_use(two: Running) -> None:
    imp1, imp2, partner1 = two.lab.imp
    await imp1.services.stop(ServiceName.XCP_ROUTER)
    async with xmpp_client(two.lab, "bob", imp2) as bob, xmpp_client(two.lab, "carol", partner1) as carol:
        for client in (bob, carol):
            expect_login("the login", await client.outcome)
        carol.chat("bob@lab.example", "by the other door")

        def turned_away(seen: MessageSeen) -> bool:
            return b"<remote-connection-failed" in seen.wire and seen.direction is Direction.RECEIVED

        await two.seen.expect_message("imp1's answer", turned_away)
        two.lab.clock.advance(LIMITS.first_retry)
        assert (await bob.next_message())["body"] == "by the other door"


async def test_a_domain_that_nobody_knows_is_not_found_at_once(two: Running) -> None:
    async with two.clients() as (alice, _):
        text = await expect_bounce(alice, "someone@nowhere.example", "remote-server-not-found")
        assert "no way leads to nowhere.example" in text
        await expect_bounce(alice, "someone@10.1.2.3", "remote-server-not-found")


async def test_a_server_that_shows_another_domain_is_refused_by_who_dials(two: Running) -> None:
    """partner1 has forgotten to name its domain; the twin in which it did not is xmpp-federation-tls."""
    await name_domain(two.lab.imp[:2])
    await trust_each_other(two.lab.imp[:2], (two.partner1,))
    await federate((two.imp1, two.partner1), MUTUAL)
    async with two.clients() as (alice, _):
        text = await expect_bounce(alice, CAROL, "remote-server-timeout")
        assert "XMPP domain not in the certificate" in text
        refused = await expect_federation(
            two.seen, "partner1", two.imp1, reason=Reason.XMPP_DOMAIN_MISMATCH, outgoing=True
        )
        assert refused.subject == two.partner1.plan.fqdn
        assert "cup-xmpp-s2s" in refused.remedy


async def test_trust_takes_effect_when_the_service_restarts(two: Running) -> None:
    await name_domain(two.lab.imp)
    await federate((two.imp1, two.partner1), MUTUAL)
    own = two.partner1.key_store.own(CertificatePurpose.CUP_XMPP_S2S)
    needed = await two.imp1.administration.certificate_management.upload_certificate(
        TrustStoreName.CUP_XMPP_TRUST, own.chain_pem
    )
    assert FEDERATION in {one.service for one in needed}

    async def is_let_in() -> bool:
        async with visiting_server(two.lab, two.imp1, sender="partner.example", credential=own) as visitor:
            return await visitor.offer() is not None and await visitor.authenticate()

    assert not await is_let_in()
    await two.imp1.administration.restart(FEDERATION)
    assert await is_let_in()


async def test_several_domain_pairs_share_a_stream_that_came_in(two: Running) -> None:
    rooms = two.lab.plan.clusters[1].conference_domains[0]
    policy = FederationPolicy(dialback_secret="what partner1 knows")
    await federate((two.partner1,), policy)
    async with xmpp_client(two.lab, "alice", two.imp1) as alice:
        expect_login("the login", await alice.outcome)
        async with visiting_server(two.lab, two.imp1, sender="partner.example") as visitor:
            await visitor.offer()
            for sender in ("partner.example", rooms):
                answer = await visitor.ask_by_dialback(policy.dialback_secret, sender=sender)
                assert answer is DialbackOutcome.VALID
            for sender in (CAROL, f"balcony@{rooms}"):
                visitor.chat(sender, ALICE, "over one stream")
                assert (await alice.next_message())["from"].bare == sender
            visitor.chat("mallory@elsewhere.example", ALICE, "over one stream")
            assert await visitor.end() is StreamErrorCondition.INVALID_FROM


async def test_the_service_follows_its_router_through_a_restart(two: Running) -> None:
    async with two.clients() as (alice, carol):
        await exchange_messages(alice, carol)
    await two.imp1.administration.restart(ServiceName.XCP_ROUTER)
    async with two.clients() as (alice, carol):
        await exchange_messages(alice, carol)


async def test_a_stream_that_nobody_uses_is_closed_and_the_next_message_opens_another(two: Running) -> None:
    async with two.clients() as (alice, carol):
        await exchange_messages(alice, carol)
        since = two.seen.ledger.position
        two.lab.clock.advance(LIMITS.idle + 1)

        def closed(entry: object) -> bool:
            return (
                isinstance(entry, Closed)
                and entry.connection.service == FEDERATION
                and entry.connection.listener == "outgoing"
            )

        assert await two.seen.ledger.wait_for(closed, since=since) is not None
        await exchange_messages(alice, carol)
        assert alice.messages.empty(), "an idle end makes nothing bounce"


async def test_what_waits_goes_back_when_the_service_stops(two: Running) -> None:
    async with two.clients() as (alice, _):
        await two.partner1.services.stop(FEDERATION)
        alice.chat(CAROL, "patience")
        await expect_federation(two.seen, "partner1", two.imp1, reason=Reason.UNREACHABLE, outgoing=True)
        await two.imp1.services.stop(FEDERATION)
        bounced = await alice.next_message()
        assert "stops" in bounced["error"]["text"]


async def test_noise_costs_a_peer_its_connection_and_nobody_else(two: Running) -> None:
    plan = two.imp1.plan
    for noise in (b"\x16\x03\x01\x02\x00", b"GET / HTTP/1.1\r\n\r\n", b"<" * 40_000, b"\x00" * 100):
        reader, writer = await asyncio.open_connection(plan.address, plan.ports.xmpp_federation)
        writer.write(noise)
        async with asyncio.timeout(5):
            assert b"</stream:stream>" in await reader.read()
        writer.close()
    async with two.clients() as (alice, carol):
        await exchange_messages(alice, carol)


# Servers that are no part of the lab

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def foreign_server(talk: Talk) -> AsyncIterator[int]:
    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
            await reader.read()
        finally:
            writer.close()

    server = await asyncio.start_server(accepted, ELSEWHERE, 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@asynccontextmanager
async def alice_and_a_foreign_server(folder: Path, talk: Talk) -> AsyncIterator[tuple[Running, XmppClient]]:
    async with foreign_server(talk) as port:
        text = (
            'name = "one"\n'
            'clusters = [{ name = "imp", kind = "imp", nodes = [{ name = "imp1" }] }]\n'
            'users = [{ user_id = "alice", home_node = "imp1" }]\n'
            f'foreign_domains = [{{ domain = "verona.example", address = "{ELSEWHERE}", port = {port} }}]\n'
        )
        async with (
            running(folder, parse_lab_file(text, source="lab.toml")) as one,
            xmpp_client(one.lab, "alice", one.imp1) as alice,
        ):
            expect_login("the login", await alice.outcome)
            yield one, alice


def header(*, id_: str = "s1", rest: str = "") -> bytes:
    return (
        f"<?xml version='1.0'?><stream:stream from='verona.example' to='lab.example' id='{id_}' version='1.0' "
        "xmlns='jabber:server' xmlns:db='jabber:server:dialback' "
        f"xmlns:stream='http://etherx.jabber.org/streams'>{rest}"
    ).encode()


async def test_a_server_that_says_nothing_is_given_up(tmp_path: Path) -> None:
    asked = asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"<stream:stream")
        asked.set()

    async with alice_and_a_foreign_server(tmp_path, say_nothing) as (one, alice):
        alice.chat("romeo@verona.example", "are you there?")
        await asyncio.wait_for(asked.wait(), 5)
        one.lab.clock.advance(LIMITS.patience)
        bounced = await alice.next_message()
        assert bounced["error"]["condition"] == "remote-server-timeout"


async def test_a_server_that_does_not_know_its_own_domain_is_told_to_the_sender(tmp_path: Path) -> None:
    async def not_here(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        error = "<host-unknown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"
        writer.write(header(rest=f"<stream:error>{error}</stream:error></stream:stream>"))

    async with alice_and_a_foreign_server(tmp_path, not_here) as (_, alice):
        text = await expect_bounce(alice, "romeo@verona.example", "remote-server-timeout")
        assert "verona.example says host-unknown" in text


async def test_a_server_that_sends_on_our_stream_is_not_listened_to(tmp_path: Path) -> None:
    async def send_back(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        features = "<stream:features><dialback xmlns='urn:xmpp:features:dialback'/></stream:features>"
        writer.write(header(rest=features))
        await reader.readuntil(b"</db:result>")
        writer.write(
            b"<db:result from='verona.example' to='lab.example' type='valid'/>"
            b"<message from='romeo@verona.example' to='alice@lab.example'><body>psst</body></message>"
        )

    async with alice_and_a_foreign_server(tmp_path, send_back) as (one, alice):
        alice.chat("romeo@verona.example", "are you there?")
        await expect_federation(one.seen, "verona", one.imp1, reason=Reason.FORGED_SENDER, outgoing=True)
        await alice.ping_own_server()
        assert alice.messages.empty()


@pytest.mark.parametrize(
    "answer",
    [
        b"<db:result from='verona.example' to='someone.example' type='valid'/>",
        b"<db:result from='verona.example' to='lab.example'>a key</db:result>",
        b"<db:verify from='verona.example' to='lab.example' id='x' type='valid'/>",
    ],
)
async def test_dialback_that_answers_nothing_we_asked_ends_the_stream(tmp_path: Path, answer: bytes) -> None:
    async def confuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        features = "<stream:features><dialback xmlns='urn:xmpp:features:dialback'/></stream:features>"
        writer.write(header(rest=features))
        await reader.readuntil(b"</db:result>")
        writer.write(answer)

    async with alice_and_a_foreign_server(tmp_path, confuse) as (_, alice):
        text = await expect_bounce(alice, "romeo@verona.example", "remote-server-timeout")
        assert "broke a rule" in text


async def test_a_server_from_before_there_were_features_is_asked_by_dialback(tmp_path: Path) -> None:
    got = asyncio.Event()

    async def old(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(header().replace(b" version='1.0' ", b" "))
        await reader.readuntil(b"</db:result>")
        writer.write(b"<db:result from='verona.example' to='lab.example' type='valid'/>")
        await reader.readuntil(b"</message>")
        got.set()

    async with alice_and_a_foreign_server(tmp_path, old) as (_, alice):
        alice.chat("romeo@verona.example", "are you there?")
        await asyncio.wait_for(got.wait(), 5)


async def test_where_our_certificate_is_refused_dialback_follows_on_the_same_stream(tmp_path: Path) -> None:
    got = asyncio.Event()
    authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("verona.example").configure_cert(context)
    starttls = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
    offer = (
        "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>EXTERNAL</mechanism></mechanisms>"
        "<dialback xmlns='urn:xmpp:features:dialback'/>"
    )

    async def refuse_external(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(header(rest=f"<stream:features>{starttls}</stream:features>"))
        await reader.readuntil(b"<starttls")
        await reader.readuntil(b"/>")
        writer.write(b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
        await writer.start_tls(context)
        writer.write(header(id_="s2", rest=f"<stream:features>{offer}</stream:features>"))
        assert b"bGFiLmV4YW1wbGU=" in await reader.readuntil(b"</auth>"), "lab.example"
        writer.write(b"<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/></failure>")
        await reader.readuntil(b"</db:result>")
        writer.write(b"<db:result from='verona.example' to='lab.example' type='valid'/>")
        await reader.readuntil(b"</message>")
        got.set()

    async with alice_and_a_foreign_server(tmp_path, refuse_external) as (one, alice):
        alice.chat("romeo@verona.example", "are you there?")
        await asyncio.wait_for(got.wait(), 5)
        await expect_federation(one.seen, "verona", one.imp1, detail="by dialback over TLS", outgoing=True)


async def test_a_queue_has_an_end(two: Running) -> None:
    async with two.clients() as (alice, _):
        await two.partner1.services.stop(FEDERATION)
        for number in range(LIMITS.queue + 1):
            alice.chat(CAROL, str(number))
        bounced = await alice.next_message()
        assert bounced["error"]["condition"] == "resource-constraint"
