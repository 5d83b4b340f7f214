"""External components on real sockets: the handshake to the letter, what is refused, and who is told (XEP-0114)."""

import asyncio
import contextlib
import hashlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from certs.purposes import ServiceName
from certs.verdict import Reason
from harness.evidence.ledger import Ledger
from harness.lab import Lab
from harness.nodes.node import ImpNode
from harness.plan.lab_file import load_topology
from proxies.xmpp.router.component_listener import LISTENER

ECHO, SECRET = "echo.lab.example", "echo-of-the-lab"
HEADER = (
    "<stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' to='{}'>"
)


Connect = Callable[[ImpNode], Awaitable["Peer"]]


class Peer:
    """A component that is a socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, text: str) -> None:
        self.writer.write(text.encode())

    async def until(self, end: str) -> str:
        async with asyncio.timeout(5):
            return (await self.reader.readuntil(end.encode())).decode()

    async def rest(self) -> str:
        async with asyncio.timeout(5):
            return (await self.reader.read()).decode()

    async def attach(self, domain: str = ECHO, secret: str = SECRET) -> str:
        """Shake hands, and return what is answered."""
        self.send(HEADER.format(domain))
        header = await self.until(">")
        header += await self.until(">") if header.startswith("<?xml") else ""
        stream_id = re.search(r'id="([^"]+)"', header)
        assert stream_id is not None, header
        self.send(f"<handshake>{hashlib.sha1(f'{stream_id[1]}{secret}'.encode()).hexdigest()}</handshake>")
        return await self.until("/>") if secret == SECRET else await self.rest()


@pytest.fixture
async def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
async def lab(tmp_path: Path, ledger: Ledger) -> AsyncIterator[Lab]:
    topology = load_topology("two-imp-components")
    async with Lab.start(topology, work_directory=tmp_path, observer=ledger) as lab:
        yield lab


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    writers: list[asyncio.StreamWriter] = []

    async def connect(node: ImpNode) -> Peer:
        reader, writer = await asyncio.open_connection(node.plan.address, node.plan.ports.xcp_component)
        writers.append(writer)
        return Peer(reader, writer)

    yield connect
    for writer in writers:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def test_the_digest_of_stream_id_and_secret_lets_a_component_in(
    lab: Lab, ledger: Ledger, connect: Connect
) -> None:
    peer = await connect(lab.imp[0])
    assert await peer.attach() == "<handshake/>"
    peer.send(f"<iq type='get' id='1' from='{ECHO}' to='lab.example'><ping xmlns='urn:xmpp:ping'/></iq>")
    assert await peer.until("/>") == f"<iq type='result' id='1' to='{ECHO}' from='lab.example'/>"
    verdict = await ledger.wait_for(
        lambda entry: (
            getattr(getattr(entry, "connection", None), "listener", "") == LISTENER
            and hasattr(entry, "verdict")
        )
    )
    assert verdict.verdict.accepted


async def test_a_wrong_digest_is_not_authorized(lab: Lab, ledger: Ledger, connect: Connect) -> None:
    peer = await connect(lab.imp[0])
    answer = await peer.attach(secret="echo-of-the-lamb")
    assert "<not-authorized " in answer
    assert answer.endswith("</stream:stream>")
    (entry,) = [one for one in ledger.verdicts(node="imp1") if not one.verdict.accepted]
    assert entry.verdict.reason is Reason.WRONG_COMPONENT_HANDSHAKE
    assert "[[clusters.components]]" in entry.verdict.remedy
    assert SECRET not in str(entry)


async def test_a_domain_that_is_no_component_s_is_unknown(lab: Lab, ledger: Ledger, connect: Connect) -> None:
    peer = await connect(lab.imp[0])
    peer.send(HEADER.format("other.lab.example"))
    assert "<host-unknown " in await peer.rest()
    assert Reason.UNKNOWN_COMPONENT in {one.verdict.reason for one in ledger.verdicts(node="imp1")}


@pytest.mark.parametrize(
    ("sent", "condition"),
    [
        (f"<message from='{ECHO}'/>", "improper-addressing"),
        ("<message to='alice@lab.example'/>", "improper-addressing"),
        ("<message from='alice@lab.example' to='bob@lab.example'/>", "invalid-from"),
        (f"<message from='x@sub.{ECHO}' to='bob@lab.example'/>", "invalid-from"),
        ("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", "unsupported-stanza-type"),
        ("<message", "not-well-formed"),
    ],
)
async def test_what_a_component_must_not_send_ends_its_stream(
    lab: Lab, connect: Connect, sent: str, condition: str
) -> None:
    peer = await connect(lab.imp[0])
    await peer.attach()
    peer.send(sent)
    if condition == "not-well-formed":
        peer.send("<")
    answer = await peer.rest()
    assert f"<{condition} " in answer
    assert answer.endswith("</stream:stream>")


async def test_a_stanza_before_the_handshake_is_not_authorized(lab: Lab, connect: Connect) -> None:
    peer = await connect(lab.imp[0])
    peer.send(HEADER.format(ECHO) + f"<message from='{ECHO}' to='alice@lab.example'/>")
    assert "<not-authorized " in await peer.rest()


async def test_the_newest_stream_of_a_domain_counts(lab: Lab, connect: Connect) -> None:
    first, second = await connect(lab.imp[0]), await connect(lab.imp[0])
    await first.attach()
    await second.attach()
    assert "<conflict " in await first.rest()
    second.send(f"<iq type='get' id='2' from='{ECHO}' to='{ECHO}'><ping xmlns='urn:xmpp:ping'/></iq>")
    assert "id='2'" in await second.until("</iq>")


async def test_a_stop_of_the_router_ends_components_with_system_shutdown(lab: Lab, connect: Connect) -> None:
    peer = await connect(lab.imp[0])
    await peer.attach()
    stopping = asyncio.create_task(lab.imp[0].services.stop(ServiceName.XCP_ROUTER))
    assert "<system-shutdown " in await peer.rest()
    await stopping
