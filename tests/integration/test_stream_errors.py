"""Every stream error of RFC 6120 4.9.3: sent where it belongs, seen on the wire, or named with why it never is."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from certs.purposes import ServiceName
from harness.actors.xmpp import xmpp_client
from harness.lab import Lab
from harness.plan.lab_file import load_topology, parse_lab_file
from proxies.xmpp.clients.client_session import ClientSession
from proxies.xmpp.conditions import StreamErrorCondition
from tests.harness.plan.lab_texts import SMALL
from tests.integration.test_components import ECHO, Peer
from tests.proxies.xmpp.streams.exchange import BIND, CLIENT_HEADER, PLAIN, STARTTLS, Owner, receive

C = StreamErrorCondition

NEVER_SENT: Final[Mapping[StreamErrorCondition, str]] = {
    C.HOST_GONE: "a domain of a lab does not end while its services run (4.9.3.5)",
    C.INVALID_XML: "only a server that validates against a schema can tell (4.9.3.11); none of ours does",
    C.RESET: "no feature comes while a service runs: it restarts, which is system-shutdown (4.9.3.16)",
}
"Stream errors that cannot occur, with the reason."

STREAM: Final = "http://etherx.jabber.org/streams"


def header(
    *,
    namespace: str = "jabber:client",
    to: str = "lab.example",
    version: str = "1.0",
    more: str = "",
    prefix: str = "stream",
) -> str:
    to = f" to='{to}'" if to else ""
    return f"<{prefix}:stream xmlns='{namespace}' xmlns:{prefix}='{STREAM}' version='{version}'{to}{more}>"


COMPONENT: Final = "jabber:component:accept"


@dataclass(frozen=True)
class Row:
    """What a peer sends to a port of imp1, and the stream error it gets."""

    condition: StreamErrorCondition
    sent: str
    section: str
    port: str = "xmpp_client"


ROWS: Final = [
    Row(C.BAD_FORMAT, header() + "hello", "4.9.3.1"),
    Row(C.BAD_NAMESPACE_PREFIX, header(prefix="flow"), "4.9.3.2"),
    Row(C.HOST_UNKNOWN, header(to="other.example"), "4.9.3.6"),
    Row(C.HOST_UNKNOWN, header(namespace="jabber:server", to="other.example"), "4.9.3.6", "xmpp_federation"),
    Row(
        C.HOST_UNKNOWN,
        header(namespace=COMPONENT, to="other.lab.example"),
        "4.9.3.6",
        "xcp_component",
    ),
    Row(C.IMPROPER_ADDRESSING, header(to=""), "4.9.3.7"),
    Row(C.INVALID_FROM, header(more=" from='@'"), "4.9.3.9"),
    Row(
        C.INVALID_FROM,
        header(namespace="jabber:server", more=" from='lab.example'"),
        "4.9.3.9",
        "xmpp_federation",
    ),
    Row(C.INVALID_NAMESPACE, header(namespace="jabber:server"), "4.9.3.10"),
    Row(C.INVALID_NAMESPACE, header(namespace="jabber:client"), "4.9.3.10", "xcp_router"),
    Row(C.NOT_AUTHORIZED, header() + "<presence/>", "4.9.3.12"),
    Row(
        C.NOT_AUTHORIZED,
        header(namespace=COMPONENT, to=ECHO) + "<presence/>",
        "4.9.3.12",
        "xcp_component",
    ),
    Row(C.NOT_WELL_FORMED, header() + "<a></b>", "4.9.3.13"),
    Row(
        C.POLICY_VIOLATION,
        header() + f"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{'A' * 70_000}",
        "4.9.3.14",
    ),
    Row(C.RESTRICTED_XML, header() + "<!-- a comment -->", "4.9.3.18"),
    Row(C.RESTRICTED_XML, "<!DOCTYPE a [<!ENTITY b 'c'>]>" + header(), "4.9.3.18"),
    Row(C.RESTRICTED_XML, header() + "<?a b?>", "4.9.3.18"),
    Row(C.UNSUPPORTED_ENCODING, "<?xml version='1.0' encoding='ISO-8859-1'?>" + header(), "4.9.3.22"),
    Row(C.UNSUPPORTED_STANZA_TYPE, header() + "<pubsub xmlns='urn:example:a'/>", "4.9.3.24"),
    Row(C.UNSUPPORTED_VERSION, header(version="0.9"), "4.9.3.25"),
]

SEEN_BELOW: Final = frozenset(
    {
        C.CONFLICT,
        C.CONNECTION_TIMEOUT,
        C.INTERNAL_SERVER_ERROR,
        C.REMOTE_CONNECTION_FAILED,
        C.RESOURCE_CONSTRAINT,
        C.SEE_OTHER_HOST,
        C.SYSTEM_SHUTDOWN,
        C.UNDEFINED_CONDITION,
        C.UNSUPPORTED_FEATURE,
    }
)
"Those that need more than one thing that a peer sends; each has a test of its own."

Connect = Callable[..., Awaitable[Peer]]


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with Lab.start(load_topology("two-imp-components"), work_directory=tmp_path) as lab:
        yield lab


@pytest.fixture
async def connect(lab: Lab) -> AsyncIterator[Connect]:
    writers: list[asyncio.StreamWriter] = []

    async def connect(port: str = "xmpp_client") -> Peer:
        plan = lab.imp[0].plan
        reader, writer = await asyncio.open_connection(plan.address, getattr(plan.ports, port))
        writers.append(writer)
        return Peer(reader, writer)

    yield connect
    for writer in writers:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def check(answer: str, condition: StreamErrorCondition) -> None:
    """One error, in the right namespace, and the stream's end behind it (4.9.1.1)."""
    assert f'<{condition} xmlns="urn:ietf:params:xml:ns:xmpp-streams"' in answer, answer
    assert answer.count("<stream:error>") == 1
    assert answer.index("<stream:stream") < answer.index("<stream:error>")
    assert answer.endswith("</stream:error></stream:stream>")


def test_every_stream_error_of_the_rfc_is_in_this_file() -> None:
    sent = {row.condition for row in ROWS} | SEEN_BELOW
    assert sent | NEVER_SENT.keys() == set(StreamErrorCondition)
    assert not sent & NEVER_SENT.keys()
    assert all(NEVER_SENT.values())


async def test_a_rule_that_a_peer_breaks_has_its_stream_error(connect: Connect) -> None:
    for row in ROWS:  # on one lab: starting one for each takes longer than the rest
        peer = await connect(row.port)
        peer.send(row.sent)
        check(await peer.rest(), row.condition)


async def test_what_is_right_gets_no_error(connect: Connect) -> None:
    peer = await connect()
    peer.send(header())
    assert "<stream:error" not in await peer.until("</stream:features>")


async def test_conflict_for_the_older_of_two_components(connect: Connect) -> None:
    older, newer = await connect("xcp_component"), await connect("xcp_component")
    await older.attach()
    await newer.attach()
    assert (await older.rest()).startswith("<stream:error><conflict ")


async def test_connection_timeout_for_who_opens_no_stream(connect: Connect, lab: Lab) -> None:
    peer = await connect()
    peer.send(header())
    await peer.until("</stream:features>")
    lab.clock.advance(31)
    assert (await peer.rest()).startswith("<stream:error><connection-timeout ")


async def test_internal_server_error_where_the_fault_is_ours(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fault(session: ClientSession, event: object) -> None:
        raise ZeroDivisionError("a fault of ours")

    faulty = await connect()
    with monkeypatch.context() as patch:
        patch.setattr(ClientSession, "handle", fault)
        faulty.send(header())
        check(await faulty.rest(), C.INTERNAL_SERVER_ERROR)
    assert "a fault ends the stream" in caplog.text
    other = await connect()
    other.send(header())
    assert "<stream:error" not in await other.until("</stream:features>")


async def test_remote_connection_failed_while_no_router_runs(connect: Connect, lab: Lab) -> None:
    await lab.imp[0].services.stop(ServiceName.XCP_ROUTER)
    peer = await connect("xmpp_federation")
    peer.send(header(namespace="jabber:server", more=" from='peer.example'"))
    assert "<remote-connection-failed " in await peer.rest()


async def test_resource_constraint_for_one_connection_too_many(connect: Connect) -> None:
    peers = [await connect("xcp_component") for _ in range(201)]
    check(await peers[-1].rest(), C.RESOURCE_CONSTRAINT)
    assert await peers[0].attach() == "<handshake/>"


async def test_see_other_host_for_a_user_of_another_node(lab: Lab) -> None:
    async with xmpp_client(lab, "bob", lab.imp[0]) as bob:
        outcome = await bob.outcome
        assert (outcome.reason, outcome.text) == ("see-other-host", "imp2.lab.example")


async def test_system_shutdown_when_the_service_stops(connect: Connect, lab: Lab) -> None:
    peer = await connect()
    peer.send(header())
    await peer.until("</stream:features>")
    stopping = asyncio.create_task(lab.imp[0].services.stop(ServiceName.XCP_CONNECTION_MANAGER))
    assert (await peer.rest()).startswith("<stream:error><system-shutdown ")
    await stopping


def test_undefined_condition_with_an_application_s_own_condition() -> None:
    """XEP-0198 section 4: `handled-count-too-high`."""
    owner = Owner(receive())
    for sent in (CLIENT_HEADER + STARTTLS, CLIENT_HEADER + PLAIN, CLIENT_HEADER + BIND):
        owner.feed(sent)
    owner.feed(b"<enable xmlns='urn:xmpp:sm:3'/>")
    answer = owner.feed(b"<a xmlns='urn:xmpp:sm:3' h='5'/>").decode()
    assert '<undefined-condition xmlns="urn:ietf:params:xml:ns:xmpp-streams"/>' in answer
    assert '<handled-count-too-high xmlns="urn:xmpp:sm:3" h="5" send-count="0"/>' in answer


async def test_unsupported_feature_to_a_server_that_offers_nothing_we_can_take_up(tmp_path: Path) -> None:
    seen: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def offer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b">")
        features = (
            "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>TOKEN</mechanism></mechanisms>"
        )
        answer = header(namespace="jabber:server", to="lab.example", more=" from='odd.example' id='1'")
        writer.write(f"{answer}<stream:features>{features}</stream:features>".encode())
        said = (await reader.read()).decode()
        if not seen.done():
            seen.set_result(said)
        writer.close()

    server = await asyncio.start_server(offer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    foreign = f"\n[[foreign_domains]]\ndomain = 'odd.example'\naddress = '127.0.0.1'\nport = {port}\n"
    lab_file = parse_lab_file(SMALL + foreign, source="lab.toml")
    async with (
        server,
        Lab.start(lab_file, work_directory=tmp_path) as lab,
        xmpp_client(lab, "alice", lab.imp[0]) as alice,
    ):
        alice.chat("eve@odd.example", "anybody?")
        said = await asyncio.wait_for(seen, 8)
    assert "<unsupported-feature " in said
    assert said.endswith("</stream:error></stream:stream>")


def test_the_sections_of_the_table_are_those_of_the_conditions() -> None:
    order = list(StreamErrorCondition)
    for row in ROWS:
        assert order[int(row.section.rpartition(".")[2]) - 1] is row.condition
