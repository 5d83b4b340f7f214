"""SIP over real sockets: every transport, connection reuse, and peers that break the rules."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from certs.verdict import Reason
from proxies.observer import Direction
from proxies.sip.transport.flow import Destination, Transport
from proxies.sip.transport.settings import TransportLimits
from tests.integration.recording import until
from tests.integration.sip_peers import NAMES, AnsweringUser, Peer, SipLab

every_transport = pytest.mark.parametrize("transport", list(Transport))
streams = pytest.mark.parametrize("transport", [Transport.TCP, Transport.TLS])


@pytest.fixture
def lab() -> SipLab:
    return SipLab()


@pytest.fixture
async def imp1(lab: SipLab) -> AsyncIterator[Peer]:
    async with lab.peer("imp1.example") as peer:
        yield peer


@pytest.fixture
async def imp2(lab: SipLab) -> AsyncIterator[Peer]:
    async with lab.peer("imp2.example") as peer:
        yield peer


async def raw_connection(peer: Peer) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, port = peer.endpoint.addresses[Transport.TCP]
    return await asyncio.open_connection(host, port)


async def rest_of(reader: asyncio.StreamReader) -> bytes:
    """Read until the connection ends; a reset ends it too."""
    try:
        async with asyncio.timeout(5):
            return await reader.read()
    except ConnectionResetError:
        return b""


@every_transport
async def test_a_request_is_answered(imp1: Peer, imp2: Peer, transport: Transport) -> None:
    response = await imp1.ask(imp2.at(transport))
    assert response.status == 200
    assert imp2.user.flows[0].peer[0] == imp1.address
    assert imp2.user.flows[0].transport is transport


@every_transport
async def test_the_observer_sees_each_message_at_both_ends(
    imp1: Peer, imp2: Peer, transport: Transport
) -> None:
    await imp1.ask(imp2.at(transport))
    for peer, directions in ((imp1, ["sent", "received"]), (imp2, ["received", "sent"])):
        assert [direction for _, direction, _ in peer.observer.messages] == directions
        assert {connection.transport for connection, _, _ in peer.observer.messages} == {transport}
    assert imp1.observer.messages[0][2] == imp2.observer.messages[0][2]


@streams
async def test_a_large_message_arrives_whole(imp1: Peer, imp2: Peer, transport: Transport) -> None:
    body = b"x" * 50_000
    await imp1.ask(imp2.at(transport), body=body)
    assert imp2.user.requests[0].body == body


async def test_a_request_too_long_for_a_datagram_goes_over_tcp(lab: SipLab, imp1: Peer) -> None:
    async with lab.peer("imp2.example") as imp2:
        # As with real ports, one number serves both transports.
        port = imp2.endpoint.addresses[Transport.TCP][1]
        to = Destination(transport=Transport.UDP, host="imp2.example", port=port)
        await imp1.ask(to, body=b"x" * 1300)
        assert imp2.user.flows[0].transport is Transport.TCP
        assert (imp2.user.requests[0].header("via") or "").startswith("SIP/2.0/TCP")


async def test_a_short_request_stays_on_udp(imp1: Peer, imp2: Peer) -> None:
    await imp1.ask(imp2.at(Transport.UDP), body=b"x" * 500)
    assert imp2.user.flows[0].transport is Transport.UDP


async def test_source_and_port_are_noted_in_via(imp1: Peer, imp2: Peer) -> None:
    response = await imp1.ask(imp2.at(Transport.UDP), via="imp1.example:5060;rport")
    port = imp1.endpoint.addresses[Transport.UDP][1]
    via = response.header("via") or ""
    assert f";rport={port}" in via
    assert ";received=127.9.2.1" in via


async def test_without_rport_the_response_goes_to_the_advertised_port(imp1: Peer, imp2: Peer) -> None:
    listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with listener:
        listener.bind((imp1.address, 0))
        listener.setblocking(False)
        via = f"{imp1.address}:{listener.getsockname()[1]}"
        imp1.endpoint.send_request(imp1.options(imp2.at(Transport.UDP), via=via), imp2.at(Transport.UDP))
        async with asyncio.timeout(5):
            data = await asyncio.get_running_loop().sock_recv(listener, 65535)
    assert data.startswith(b"SIP/2.0 200 OK\r\n")


# Connections are used again.


@streams
async def test_two_requests_share_a_connection(imp1: Peer, imp2: Peer, transport: Transport) -> None:
    await imp1.ask(imp2.at(transport))
    await imp1.ask(imp2.at(transport))
    assert imp2.user.flows[0] is imp2.user.flows[1]


async def test_requests_that_wait_for_a_connection_share_it(imp1: Peer, imp2: Peer) -> None:
    to = imp2.at(Transport.TLS)
    for _ in range(5):
        imp1.endpoint.send_request(imp1.options(to), to)
    await until(lambda: len(imp1.user.responses) == 5)
    assert len(set(imp2.user.flows)) == 1


async def alias_flows(imp1: Peer, imp2: Peer, parameter: str) -> tuple[int, int]:
    """Send a request each way over TLS; return how many connections each side has open."""
    port = imp1.endpoint.addresses[Transport.TLS][1]
    await imp1.ask(imp2.at(Transport.TLS), via=f"{imp1.address}:{port};rport{parameter}")
    await imp2.ask(imp1.at(Transport.TLS, server_name="imp1.example"))
    return len(imp1.user.open), len(imp2.user.open)


async def test_an_alias_lets_requests_come_back_on_the_same_connection(imp1: Peer, imp2: Peer) -> None:
    assert await alias_flows(imp1, imp2, ";alias") == (1, 1)


async def test_without_alias_the_other_direction_has_a_connection_of_its_own(imp1: Peer, imp2: Peer) -> None:
    assert await alias_flows(imp1, imp2, "") == (2, 2)


async def test_an_alias_of_a_peer_without_a_certificate_is_not_used(lab: SipLab, imp1: Peer) -> None:
    async with lab.peer("imp2.example", mutual=False) as imp2:
        assert await alias_flows(imp1, imp2, ";alias") == (2, 2)


async def test_an_alias_for_a_host_that_the_certificate_does_not_name_is_not_used(
    lab: SipLab, imp2: Peer
) -> None:
    async with lab.peer("imp1.example", certificate_name="cucm1.example") as impostor:
        port = impostor.endpoint.addresses[Transport.TLS][1]
        await impostor.ask(imp2.at(Transport.TLS), via=f"{impostor.address}:{port};rport;alias")
        await imp2.ask(impostor.at(Transport.TLS))
        assert len(imp2.user.open) == 2


async def test_a_response_finds_a_new_connection_when_its_own_is_gone(lab: SipLab, imp1: Peer) -> None:
    class LateUser(AnsweringUser):
        def answer(self, event: object) -> None:
            self.event = event

    late = LateUser()
    async with lab.peer("imp2.example", user=late) as imp2:
        host, port = imp2.endpoint.addresses[Transport.TCP]
        _, writer = await asyncio.open_connection(host, port, local_addr=(imp1.address, 0))
        listening = imp1.endpoint.addresses[Transport.TCP][1]
        request = imp1.options(imp2.at(Transport.TCP), via=f"{imp1.address}:{listening}")
        writer.write(request.encode())
        await until(lambda: bool(late.requests))
        writer.close()
        await writer.wait_closed()
        await until(lambda: not late.open)
        AnsweringUser.answer(late, late.event)  # type: ignore[arg-type]
        await until(lambda: bool(imp1.observer.messages))
    assert imp1.observer.messages[0][2].startswith(b"SIP/2.0 200 OK\r\n")


# What cannot be reached says why.


@streams
async def test_nobody_listens(imp1: Peer, transport: Transport) -> None:
    failed = await imp1.fail(Destination(transport=transport, host="imp2.example", port=1))
    assert failed.verdict is not None
    assert failed.verdict.reason is Reason.UNREACHABLE
    assert imp1.observer.reasons() == [Reason.UNREACHABLE]


async def test_a_host_that_the_lab_does_not_have(imp1: Peer) -> None:
    failed = await imp1.fail(Destination(transport=Transport.TCP, host="nowhere.example", port=5060))
    assert failed.reason == "the lab has no host 'nowhere.example'"


async def test_a_certificate_for_another_domain_is_refused(imp1: Peer, imp2: Peer) -> None:
    failed = await imp1.fail(imp2.at(Transport.TLS, server_name="cucm1.example"))
    assert failed.verdict is not None
    assert failed.verdict.reason is Reason.IDENTITY_MISMATCH
    assert "cucm1.example" in failed.reason
    assert (await imp1.ask(imp2.at(Transport.TLS, server_name="imp2.example"))).status == 200


async def test_a_peer_that_refuses_our_certificate_fails_the_request(lab: SipLab, imp2: Peer) -> None:
    async with SipLab().peer("imp1.example") as stranger:  # another authority
        failed = await stranger.fail(imp2.at(Transport.TLS))
    assert failed.verdict is not None
    assert failed.verdict.reason in (Reason.UNTRUSTED_ISSUER, Reason.PEER_ALERT)


async def test_a_connection_that_ends_fails_what_waits_on_it(imp1: Peer) -> None:
    server = await asyncio.start_server(lambda reader, writer: writer.close(), NAMES["imp2.example"], 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        failed = await imp1.fail(Destination(transport=Transport.TCP, host="imp2.example", port=port))
    assert failed.reason == "closed by the peer"


# Peers that break the rules.


async def test_a_ping_is_answered_by_a_pong(imp1: Peer) -> None:
    reader, writer = await raw_connection(imp1)
    writer.write(b"\r\n\r\n")
    async with asyncio.timeout(5):
        assert await reader.readexactly(2) == b"\r\n"
    writer.close()
    await writer.wait_closed()


async def test_we_ping_connections_that_we_made(lab: SipLab, imp2: Peer) -> None:
    async with lab.peer("imp1.example", ping_interval=20.0, limits=TransportLimits(idle=50.0)) as imp1:
        await imp1.ask(imp2.at(Transport.TCP))
        for _ in range(5):
            lab.clock.advance(20.5)
            await asyncio.sleep(0.02)
        assert len(imp1.user.open) == 1  # the pongs kept it from being idle


async def test_a_connection_without_a_pong_is_dropped(lab: SipLab) -> None:
    silent: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: silent.append(writer), NAMES["imp2.example"], 0)
    port = server.sockets[0].getsockname()[1]
    to = Destination(transport=Transport.TCP, host="imp2.example", port=port)
    async with server, lab.peer("imp1.example", ping_interval=20.0) as imp1:
        imp1.endpoint.send_request(imp1.options(to), to)
        await until(lambda: len(imp1.user.open) == 1)
        lab.clock.advance(20.5)
        await asyncio.sleep(0.02)
        lab.clock.advance(10.5)
        await until(lambda: bool(imp1.user.failures))
        assert imp1.user.failures[0].reason == "no answer to a keep-alive ping"
        silent[0].close()


async def test_many_idle_connections_leave_the_listener_answering(imp1: Peer, imp2: Peer) -> None:
    idle = [await raw_connection(imp1) for _ in range(200)]
    assert (await imp2.ask(imp1.at(Transport.TCP))).status == 200
    for _, writer in idle:
        writer.close()


@pytest.mark.parametrize("garbage", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n"])
async def test_garbage_ends_its_connection_and_no_other(imp1: Peer, imp2: Peer, garbage: bytes) -> None:
    await imp2.ask(imp1.at(Transport.TCP))
    reader, writer = await raw_connection(imp1)
    writer.write(garbage)
    await rest_of(reader)
    writer.close()
    await writer.wait_closed()
    assert (await imp2.ask(imp1.at(Transport.TCP))).status == 200
    assert len(imp1.user.open) == 1


async def test_a_request_without_a_length_is_answered_before_the_connection_ends(
    imp1: Peer, imp2: Peer
) -> None:
    reader, writer = await raw_connection(imp1)
    request = imp2.options(imp1.at(Transport.TCP))
    request.remove_header("Content-Length")
    writer.write(request.encode())
    assert (await rest_of(reader)).startswith(b"SIP/2.0 400 Bad Request\r\nVia: ")
    writer.close()


async def test_garbage_over_udp_is_dropped(imp1: Peer, imp2: Peer) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for garbage in (b"", b"\0" * 100, b"\xff" * 65000, b"INVITE\r\n\r\n", b"\r\n\r\n"):
            sender.sendto(garbage, imp1.endpoint.addresses[Transport.UDP])
    assert (await imp2.ask(imp1.at(Transport.UDP))).status == 200


async def test_a_datagram_that_is_cut_short_is_answered(imp1: Peer) -> None:
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        sender.bind((NAMES["imp2.example"], 0))
        request = (
            b"OPTIONS sip:imp1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.9.2.2;rport;branch=z9hG4bKcut\r\n"
            b"From: <sip:a>;tag=1\r\nTo: <sip:b>\r\nCall-ID: cut\r\nCSeq: 1 OPTIONS\r\n"
            b"Content-Length: 10\r\n\r\nfour"
        )
        await loop.sock_sendto(sender, request, imp1.endpoint.addresses[Transport.UDP])
        async with asyncio.timeout(5):
            assert (await loop.sock_recv(sender, 65535)).startswith(b"SIP/2.0 400 Bad Request\r\n")


async def test_endless_bytes_without_a_message_end_the_connection(imp1: Peer) -> None:
    reader, writer = await raw_connection(imp1)
    writer.write(b"OPTIONS sip:a SIP/2.0\r\n" + b"X: " + b"a" * 200_000)
    await rest_of(reader)
    writer.close()
    assert imp1.user.open == []


async def test_a_silent_peer_is_closed_when_its_time_is_up(lab: SipLab, imp1: Peer) -> None:
    reader, writer = await raw_connection(imp1)
    await until(lambda: len(imp1.user.open) == 1)
    lab.clock.advance(300)
    writer.write(b"OPTIONS sip:")  # a part of a message does not count
    await asyncio.sleep(0.02)
    assert len(imp1.user.open) == 1
    lab.clock.advance(301)
    assert await rest_of(reader) == b""
    writer.close()
    await writer.wait_closed()
    assert imp1.observer.ends[0][1] == "no message for 601 s"


async def test_a_peer_that_does_not_read_is_dropped(lab: SipLab, imp2: Peer) -> None:
    limits = TransportLimits(write_buffer=100_000)
    async with lab.peer("imp1.example", limits=limits) as imp1:
        _, writer = await raw_connection(imp1)
        host = imp2.address
        request = imp2.options(imp1.at(Transport.TCP), via=f"{host}:5060;x={'a' * 20_000}").encode()
        for number in range(2000):
            writer.write(request.replace(b"branch=z9hG4bK", b"branch=z9hG4bK%d-" % number))
            await asyncio.sleep(0)
            if imp1.observer.ends:
                break
        await until(lambda: bool(imp1.observer.ends))
        assert "reads too slowly" in imp1.observer.ends[0][1]
        assert (await imp2.ask(imp1.at(Transport.TCP))).status == 200
        writer.transport.abort()


async def test_one_connection_too_many_is_closed_at_once(lab: SipLab) -> None:
    async with lab.peer("imp1.example", limits=TransportLimits(connections=2)) as imp1:
        first, second = await raw_connection(imp1), await raw_connection(imp1)
        await until(lambda: len(imp1.user.open) == 2)
        third = await raw_connection(imp1)
        assert await rest_of(third[0]) == b""
        first[1].write(b"\r\n\r\n")
        async with asyncio.timeout(5):
            assert await first[0].readexactly(2) == b"\r\n"
        for _, writer in (first, second, third):
            writer.close()


async def test_a_restart_listens_again_on_the_same_port(lab: SipLab, imp2: Peer) -> None:
    for _ in range(2):
        async with lab.peer("imp1.example") as imp1:
            assert (await imp2.ask(imp1.at(Transport.TLS))).status == 200
    assert imp2.user.open == [] or len(imp2.user.open) == 1


async def test_a_user_that_fails_answers_500_and_goes_on(lab: SipLab, imp2: Peer) -> None:
    class BrokenUser(AnsweringUser):
        def answer(self, event: object) -> None:
            raise ValueError("a bug")

    async with lab.peer("imp1.example", user=BrokenUser()) as imp1:
        assert (await imp2.ask(imp1.at(Transport.TCP))).status == 500
        assert (await imp2.ask(imp1.at(Transport.TCP))).status == 500


async def test_each_message_is_traced_once(imp1: Peer, imp2: Peer) -> None:
    await imp1.ask(imp2.at(Transport.TCP))
    assert sum(direction is Direction.SENT for _, direction, _ in imp1.observer.messages) == 1
