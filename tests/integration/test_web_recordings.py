"""What web clients send over HTTP is understood however the network cuts it (RFC 7395, XEP-0206)."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest

from harness.lab import Lab
from harness.plan.lab_file import load_topology
from tests.proxies.xmpp.streams.recorded import BOSH_BODIES, WEBSOCKET

BODY = BOSH_BODIES[0].replace(b"RID", b"1573741820")
POST = (
    b"POST /httpbinding HTTP/1.1\r\nHost: imp1\r\nContent-Type: text/xml; charset=utf-8\r\n"
    b"Content-Length: %d\r\n\r\n%b" % (len(BODY), BODY)
)
MASK = bytes((0x37, 0xFA, 0x21, 0x3D))
OPEN = WEBSOCKET[0]
UPGRADE = (
    b"GET /websocket HTTP/1.1\r\nHost: imp1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Protocol: xmpp\r\n\r\n"
)
FRAME = bytes((0x81, 0x80 | len(OPEN))) + MASK + bytes(b ^ MASK[i % 4] for i, b in enumerate(OPEN))


@pytest.fixture
async def where(tmp_path: Path) -> AsyncIterator[tuple[str, int]]:
    async with Lab.start(load_topology(), work_directory=tmp_path) as lab:
        plan = lab.imp[0].plan
        yield plan.address, plan.ports.http_binding


async def send(where: tuple[str, int], phases: list[list[bytes]], ends: list[bytes]) -> bytes:
    """Send the pieces of each phase, and wait for its answer's end before the next; return all answers."""
    reader, writer = await asyncio.open_connection(*where)
    answers = b""
    try:
        async with asyncio.timeout(10):
            for pieces, end in zip(phases, ends, strict=True):
                for piece in pieces:
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0)
                answers += await reader.readuntil(end)
        return answers
    finally:
        writer.close()
        await writer.wait_closed()


def told(answer: bytes) -> bytes:
    """The answer without what is random in it, or the time."""
    answer = re.sub(rb"(sid|authid|id)=(['\"])[^'\"]+\2", rb"\1=random", answer)
    return re.sub(rb"\r\n(Date|Content-Length): [^\r]+", b"", answer)


@pytest.mark.parametrize(
    ("phases", "ends", "status"),
    [
        ([POST], [b"</body>"], b"HTTP/1.1 200"),
        ([UPGRADE, FRAME], [b"\r\n\r\n", b"</stream:features>"], b"HTTP/1.1 101"),
    ],
    ids=["bosh", "websocket"],
)
async def test_what_a_web_client_sends_may_be_cut_anywhere(
    where: tuple[str, int], phases: list[bytes], ends: list[bytes], status: bytes
) -> None:
    whole = told(await send(where, [[phase] for phase in phases], ends))
    assert whole.startswith(status)
    for number, phase in enumerate(phases):
        for place in range(1, len(phase)):
            pieces = [[each] for each in phases]
            pieces[number] = [phase[:place], phase[place:]]
            assert told(await send(where, pieces, ends)) == whole, (number, place)
    bytewise = [[phase[i : i + 1] for i in range(len(phase))] for phase in phases]
    assert told(await send(where, bytewise, ends)) == whole


PING: Final = b"\x89\x80" + MASK


async def test_clients_that_leave_at_any_moment_are_no_error(
    where: tuple[str, int], caplog: pytest.LogCaptureFixture
) -> None:
    """Found by fuzzing: one that was gone before its pings were answered left a traceback in the log."""
    for _ in range(10):
        reader, writer = await asyncio.open_connection(*where)
        writer.write(UPGRADE)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(PING * 200)
        await asyncio.sleep(0)
        writer.transport.abort()
    answer = await send(where, [[UPGRADE], [FRAME]], [b"\r\n\r\n", b"</stream:features>"])
    assert answer.startswith(b"HTTP/1.1 101")
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
