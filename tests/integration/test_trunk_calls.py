"""Calls of a CUCM line with a peer that is played by the test, message by message (RFC 3261 13, 14, 15)."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from proxies.clock import LoopClock
from proxies.sip.messages.framing import StreamFramer
from proxies.sip.messages.message import Request, Response
from proxies.sip.transactions.matching import respond, tag_of
from proxies.sip.trunk.cucm_trunk import CallManager, CallOutcome
from tests.integration.cucm_peers import ADDRESSES, PLAIN, CucmLab
from tests.integration.recording import until

ACCEPTS_REPLACES = replace(PLAIN, accept_replaces_header=True)
HERE, LINE = ADDRESSES["cucm2"], f"sip:1001@{ADDRESSES['cucm1']}"


class PlayedPeer(asyncio.Protocol):
    """Keeps what it gets over TCP and sends what the test says."""

    def __init__(self) -> None:
        self.received: list[Request | Response] = []
        self._framer = StreamFramer()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._framer.receive_data(data)
        while (event := self._framer.next_event()) is not None:
            assert isinstance(event, Request | Response)
            self.received.append(event)

    def send(self, message: Request | Response) -> None:
        assert self._transport is not None
        self._transport.write(message.encode())

    def seen(self) -> list[str]:
        """Return what was received, as methods and statuses."""
        return [str(m.status) if isinstance(m, Response) else m.method for m in self.received]

    async def next(self, what: str, *, count: int = 1) -> Request | Response:
        """Wait until a method or status was seen so often, and return the last one."""
        await until(lambda: self.seen().count(what) >= count)
        return [m for m, name in zip(self.received, self.seen(), strict=True) if name == what][-1]

    async def request(self, method: str) -> Request:
        found = await self.next(method)
        assert isinstance(found, Request)
        return found


def answer(request: Request, status: int, *, tag: str = "played") -> Response:
    response = respond(request, status, to_tag=tag)
    response.add_header("Contact", f"<sip:2001@{HERE};transport=tcp>")
    return response


def invite(number: int = 1, **headers: str) -> Request:
    request = Request("INVITE", LINE)
    request.add_header("Via", f"SIP/2.0/TCP {HERE}:5060;branch=z9hG4bKplayed{number}")
    request.add_header("Max-Forwards", "70")
    request.add_header("From", f"<sip:2001@{HERE}>;tag=played{number}")
    request.add_header("To", f"<{LINE}>")
    request.add_header("Call-ID", f"played{number}@{HERE}")
    request.add_header("CSeq", "1 INVITE")
    request.add_header("Contact", f"<sip:2001@{HERE};transport=tcp>")
    for name, value in headers.items():
        request.add_header(name, value)
    request.add_header("Content-Length", "0")
    return request


def in_dialog(method: str, opened: Request, answered: Response, *, cseq: int) -> Request:
    request = Request(method, LINE)
    request.add_header("Via", f"SIP/2.0/TCP {HERE}:5060;branch=z9hG4bK{method}{opened.required('call-id')}")
    for name in ("Max-Forwards", "From", "Call-ID"):
        request.add_header(name, opened.required(name.lower()))
    request.add_header("To", answered.required("to"))
    request.add_header("CSeq", f"{cseq} {method}")
    request.add_header("Content-Length", "0")
    return request


@pytest.fixture
def lab() -> CucmLab:
    return CucmLab()


@pytest.fixture
async def cucm(lab: CucmLab) -> AsyncIterator[CallManager]:
    settings = lab.settings("cucm1", "cucm2", PLAIN, time_limit=0.3)
    async with lab.run(settings) as node:
        yield node.call_manager


@pytest.fixture
def clock(lab: CucmLab) -> LoopClock:
    return lab.clock


@asynccontextmanager
async def called(cucm: CallManager) -> AsyncIterator[tuple[PlayedPeer, "asyncio.Task[CallOutcome]"]]:
    """Let the line call the test."""
    peer = PlayedPeer()
    server = await asyncio.get_running_loop().create_server(lambda: peer, HERE, 5060)
    try:
        async with asyncio.TaskGroup() as tasks:
            yield peer, tasks.create_task(cucm.invite("to cucm2", "1001", f"sip:2001@{HERE}"))
    finally:
        server.close()


@pytest.fixture
async def calling(cucm: CallManager) -> AsyncIterator[PlayedPeer]:
    """Let the test call the line."""
    transport, peer = await asyncio.get_running_loop().create_connection(
        PlayedPeer, ADDRESSES["cucm1"], 5060, local_addr=(HERE, 0)
    )
    yield peer
    transport.close()


async def test_a_call_that_only_rings_is_cancelled(cucm: CallManager) -> None:
    async with called(cucm) as (peer, outcome):
        request = await peer.request("INVITE")
        peer.send(answer(request, 180))
        cancel = await peer.request("CANCEL")
        assert cancel.required("via") == request.required("via")
        assert cancel.required("cseq") == "1 CANCEL"
        peer.send(respond(cancel, 200))
        peer.send(answer(request, 487))
        await peer.next("ACK")
    assert outcome.result().outcome.status == 408


async def test_each_repetition_of_the_answer_is_acknowledged(cucm: CallManager) -> None:
    async with called(cucm) as (peer, outcome):
        request = await peer.request("INVITE")
        peer.send(answer(request, 200))
        first = await peer.next("ACK")
        peer.send(answer(request, 200))
        second = await peer.next("ACK", count=2)
        assert first.encode() == second.encode()
    assert outcome.result().call is not None


async def test_a_second_branch_that_answers_is_hung_up(cucm: CallManager) -> None:
    async with called(cucm) as (peer, outcome):
        request = await peer.request("INVITE")
        peer.send(answer(request, 200, tag="first"))
        await peer.next("ACK")
        peer.send(answer(request, 200, tag="second"))
        bye = await peer.request("BYE")
        assert tag_of(bye.required("to")) == "second"
        peer.send(respond(bye, 200))
    call = outcome.result().call
    assert call is not None
    assert tag_of(call.dialog.remote) == "first"


async def test_an_answer_without_contact_makes_no_call(cucm: CallManager) -> None:
    async with called(cucm) as (peer, outcome):
        peer.send(respond(await peer.request("INVITE"), 200, to_tag="played"))
    assert outcome.result().call is None
    assert outcome.result().outcome.status == 502


async def test_the_answer_is_repeated_until_it_is_acknowledged(calling: PlayedPeer, clock: LoopClock) -> None:
    opened = invite()
    calling.send(opened)
    answered = await calling.next("200")
    clock.advance(0.6)
    await calling.next("200", count=2)
    assert isinstance(answered, Response)
    calling.send(in_dialog("ACK", opened, answered, cseq=1))
    await asyncio.sleep(0.05)
    clock.advance(20)
    await asyncio.sleep(0.05)
    assert calling.seen().count("200") == 2


async def test_a_call_that_nobody_acknowledges_is_ended(calling: PlayedPeer, clock: LoopClock) -> None:
    calling.send(invite())
    await calling.next("200")
    server = await asyncio.get_running_loop().create_server(lambda: calling, HERE, 5060)
    for _ in range(12):
        clock.advance(4)
        await asyncio.sleep(0.01)
    bye = await calling.request("BYE")
    assert tag_of(bye.required("to")) == "played1"
    server.close()


async def test_a_late_cancel_changes_nothing(calling: PlayedPeer) -> None:
    opened = invite()
    calling.send(opened)
    await calling.next("200")
    cancel = invite()
    cancel.method = "CANCEL"
    cancel.set_header("CSeq", "1 CANCEL")
    calling.send(cancel)
    await calling.next("200", count=2)
    assert "487" not in calling.seen()


def naming(opened: Request, answered: Response) -> str:
    local = tag_of(answered.required("to"))
    return f"{opened.required('call-id')};to-tag={local};from-tag={tag_of(opened.required('from'))}"


@pytest.mark.parametrize(
    ("change", "status"),
    [(lambda value: value, "200"), (lambda value: value.replace("to-tag=", "to-tag=x"), "481")],
    ids=["the call", "another call"],
)
async def test_a_call_replaces_the_one_it_names(
    lab: CucmLab, change: Callable[[str], str], status: str
) -> None:
    peer = PlayedPeer()
    server = await asyncio.get_running_loop().create_server(lambda: peer, HERE, 5060)
    async with lab.run(lab.settings("cucm1", "cucm2", ACCEPTS_REPLACES)):
        transport, _ = await asyncio.get_running_loop().create_connection(
            lambda: peer, ADDRESSES["cucm1"], 5060, local_addr=(HERE, 0)
        )
        opened = invite()
        peer.send(opened)
        answered = await peer.next("200")
        assert isinstance(answered, Response)
        peer.send(in_dialog("ACK", opened, answered, cseq=1))
        peer.received.clear()
        peer.send(invite(2, Replaces=change(naming(opened, answered))))
        await peer.next(status)
        if status == "200":
            bye = await peer.request("BYE")
            assert bye.required("call-id") == opened.required("call-id")
        else:
            assert "BYE" not in peer.seen()
        transport.close()
    server.close()
