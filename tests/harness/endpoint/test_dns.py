"""The name server, asked by dnspython; each answer that is there has a twin that is not."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from ipaddress import IPv4Network

import dns.edns
import dns.flags
import dns.message
import dns.opcode
import dns.query
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.reversename
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.endpoint.dns.answering import Resolver
from harness.endpoint.dns.server import DnsServer
from harness.endpoint.dns.zones import zones_of
from harness.plan.addresses import reserve_range
from harness.plan.lab_file import load_topology
from harness.plan.topology import LabPlan, plan_lab

PORT = 1053
RESOLVER = Resolver(
    zones_of(plan_lab(load_topology("two-domains"), IPv4Network("127.20.0.0/24")), "127.20.0.2")
)


@pytest.fixture
def plan() -> Iterator[LabPlan]:
    file = load_topology("two-imp-one-cucm")
    with reserve_range(file.address_range) as reserved:
        yield plan_lab(file, reserved.network)


@pytest.fixture
async def server(plan: LabPlan) -> AsyncIterator[str]:
    address = plan.nodes[0].address.rpartition(".")[0] + ".2"
    server = DnsServer(Resolver(zones_of(plan, address)))
    await server.start(address, PORT)
    yield address
    await server.close()


async def ask(
    server: str, name: str, rtype: str, *, tcp: bool = False, **options: object
) -> dns.message.Message:
    query = dns.message.make_query(name, rtype, **options)  # type: ignore[arg-type]
    send = dns.query.tcp if tcp else dns.query.udp
    return await asyncio.to_thread(send, query, server, timeout=10, port=PORT)


def texts(message: dns.message.Message) -> set[str]:
    return {item.to_text() for rrset in message.answer for item in rrset}


@pytest.mark.parametrize(
    ("name", "rtype", "expected"),
    [
        ("imp1.lab.example", "A", {"{net}.11"}),
        ("IMP1.Lab.Example", "A", {"{net}.11"}),
        ("_xmpp-client._tcp.lab.example", "SRV", {f"0 0 5222 imp{n}.lab.example." for n in (1, 2)}),
        ("_xmpp-server._tcp.lab.example", "SRV", {f"0 0 5269 imp{n}.lab.example." for n in (1, 2)}),
        ("_sips._tcp.lab.example", "SRV", {f"0 0 5061 imp{n}.lab.example." for n in (1, 2)}),
        ("_sip._tcp.lab.example", "SRV", {f"0 0 5060 imp{n}.lab.example." for n in (1, 2)}),
        ("_sip._udp.lab.example", "SRV", {f"0 0 5060 imp{n}.lab.example." for n in (1, 2)}),
        ("_cisco-uds._tcp.lab.example", "SRV", {"0 0 8443 cucm1.lab.example."}),
        ("_cuplogin._tcp.lab.example", "SRV", {f"0 0 8443 imp{n}.lab.example." for n in (1, 2)}),
        ("lab.example", "A", {"{net}.11", "{net}.12"}),
        ("lab.example", "NS", {"ns.lab.example."}),
    ],
)
async def test_names_of_the_lab_mean_what_its_plan_says(
    server: str, name: str, rtype: str, expected: set[str]
) -> None:
    net = server.rpartition(".")[0]
    for tcp in (False, True):
        answer = await ask(server, name, rtype, tcp=tcp)
        assert answer.rcode() == dns.rcode.NOERROR
        assert answer.flags & dns.flags.AA
        assert not answer.flags & dns.flags.RA
        assert texts(answer) == {each.format(net=net) for each in expected}


async def test_an_srv_answer_brings_the_addresses_of_its_targets(server: str) -> None:
    answer = await ask(server, "_xmpp-client._tcp.lab.example", "SRV", use_edns=0)
    assert {str(rrset.name) for rrset in answer.additional} == {"imp1.lab.example.", "imp2.lab.example."}
    assert answer.edns == 0


async def test_an_address_leads_back_to_its_name(server: str, plan: LabPlan) -> None:
    answer = await ask(server, str(dns.reversename.from_address(plan.nodes[1].address)), "PTR")
    assert texts(answer) == {"imp2.lab.example."}
    stranger = await ask(server, str(dns.reversename.from_address(server.rpartition(".")[0] + ".99")), "PTR")
    assert stranger.rcode() == dns.rcode.NXDOMAIN


async def test_web_clients_find_bosh_and_websocket(server: str) -> None:
    found = texts(await ask(server, "_xmppconnect.lab.example", "TXT", tcp=True))
    assert '"_xmpp-client-xbosh=https://imp1.lab.example:7336/httpbinding"' in found
    assert len(found) == 8


@pytest.mark.parametrize(
    ("name", "rtype", "rcode"),
    [
        ("imp1.lab.example", "AAAA", dns.rcode.NOERROR),
        ("_tcp.lab.example", "SRV", dns.rcode.NOERROR),
        ("imp9.lab.example", "A", dns.rcode.NXDOMAIN),
        ("_xmpps-client._tcp.lab.example", "SRV", dns.rcode.NXDOMAIN),
        ("xlab.example", "A", dns.rcode.REFUSED),
        ("example", "A", dns.rcode.REFUSED),
    ],
)
async def test_what_is_not_there_is_told_apart(server: str, name: str, rtype: str, rcode: int) -> None:
    answer = await ask(server, name, rtype)
    assert (answer.rcode(), texts(answer)) == (rcode, set())
    authority = [rrset.rdtype for rrset in answer.authority]
    assert authority == ([] if rcode == dns.rcode.REFUSED else [dns.rdatatype.SOA])


async def test_a_long_answer_comes_whole_over_tcp(server: str) -> None:
    cut = await ask(server, "_xmppconnect.lab.example", "TXT")
    assert cut.flags & dns.flags.TC
    assert (texts(cut), len(cut.question)) == (set(), 1)
    query = dns.message.make_query("_xmppconnect.lab.example", "TXT")
    whole, over_tcp = await asyncio.to_thread(
        dns.query.udp_with_fallback, query, server, timeout=10, port=PORT
    )
    assert (over_tcp, len(texts(whole))) == (True, 8)
    roomy = await ask(server, "_xmppconnect.lab.example", "TXT", use_edns=0, payload=1232)
    assert not roomy.flags & dns.flags.TC


async def test_other_classes_operations_and_versions_are_refused_by_their_codes(server: str) -> None:
    chaos = await ask(server, "lab.example", "TXT", rdclass="CH")
    assert chaos.rcode() == dns.rcode.REFUSED
    status = dns.message.make_query("lab.example", "A")
    status.set_opcode(dns.opcode.STATUS)
    answer = await asyncio.to_thread(dns.query.udp, status, server, timeout=10, port=PORT)
    assert answer.rcode() == dns.rcode.NOTIMP
    later = await ask(server, "lab.example", "A", use_edns=1)
    assert later.rcode() == dns.rcode.BADVERS


async def test_several_questions_on_one_connection_and_a_silent_client(server: str) -> None:
    def talk() -> list[int]:
        query = dns.message.make_query("imp1.lab.example", "A").to_wire()
        with socket.create_connection((server, PORT), timeout=10) as silent:
            silent.sendall(b"\x00")
            with socket.create_connection((server, PORT), timeout=10) as talking:
                talking.sendall((len(query).to_bytes(2) + query) * 2)
                got = b""
                while len(got) < 2 or got.count(query[:2]) < 2:
                    got += talking.recv(4096)
                return [got.count(query[:2])]

    assert await asyncio.to_thread(talk) == [2]


@given(st.binary(max_size=80), st.booleans())
@settings(max_examples=300, deadline=None)
def test_random_bytes_get_an_answer_or_none(noise: bytes, udp: bool) -> None:
    assert isinstance(RESOLVER.answer(noise, udp=udp), bytes | None)


@given(st.integers(0, 40), st.binary(min_size=1, max_size=4), st.booleans())
@settings(max_examples=300, deadline=None)
def test_a_damaged_query_gets_an_answer_or_none(place: int, noise: bytes, udp: bool) -> None:
    query = bytearray(dns.message.make_query("_xmpp-client._tcp.lab.example", "SRV", use_edns=0).to_wire())
    query[place : place + len(noise)] = noise
    assert isinstance(RESOLVER.answer(bytes(query), udp=udp), bytes | None)


def test_an_answer_is_not_answered() -> None:
    reply = dns.message.make_response(dns.message.make_query("lab.example", "A")).to_wire()
    assert RESOLVER.answer(reply, udp=True) is None
