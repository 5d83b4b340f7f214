"""Raw SIP clients: sockets and text, with nothing of the product's code in them."""

import asyncio
import itertools
import ssl
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from certs.credential import Credential
from tests.integration.recording import PATIENCE

_NUMBERS = itertools.count(1)


@dataclass
class SipText:
    """A message as a client sees it."""

    start: str
    headers: list[tuple[str, str]]
    body: str

    def header(self, name: str) -> str:
        return next(value for key, value in self.headers if key.lower() == name.lower())

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]


def parse_text(head: bytes, body: bytes) -> SipText:
    start, *fields = head.decode().split("\r\n")
    pairs = [field.split(":", 1) for field in fields if field]
    return SipText(start, [(name.strip(), value.strip()) for name, value in pairs], body.decode())


@dataclass
class RawClient:
    """One user's client on one socket."""

    user: str
    transport: str
    local: tuple[str, int]
    reader: asyncio.StreamReader | None = None
    writer: asyncio.StreamWriter | None = None
    datagrams: asyncio.Queue[bytes] = field(default_factory=asyncio.Queue)
    socket: asyncio.DatagramTransport | None = None

    @property
    def contact(self) -> str:
        parameter = "" if self.transport == "UDP" else f";transport={self.transport.lower()}"
        return f"sip:{self.user}@{self.local[0]}:{self.local[1]}{parameter}"

    async def send(self, text: str) -> None:
        wire = text.encode()
        if self.socket is not None:
            self.socket.sendto(wire)
        else:
            assert self.writer is not None
            self.writer.write(wire)
            await self.writer.drain()

    async def request(
        self,
        method: str,
        uri: str,
        *,
        to: str = "",
        to_tag: str = "",
        extra: str = "",
        body: str = "",
        cseq: int = 1,
    ) -> None:
        number = next(_NUMBERS)
        await self.send(
            f"{method} {uri} SIP/2.0\r\n"
            f"Via: SIP/2.0/{self.transport} {self.local[0]}:{self.local[1]};branch=z9hG4bKc{number}\r\n"
            "Max-Forwards: 70\r\n"
            f"From: <sip:{self.user}@lab.example>;tag=c{number}\r\n"
            f"To: <{to or uri}>{f';tag={to_tag}' if to_tag else ''}\r\n"
            f"Call-ID: call-{number}\r\n"
            f"CSeq: {cseq} {method}\r\n"
            f"{extra}"
            f"Content-Length: {len(body)}\r\n"
            "\r\n"
            f"{body}"
        )

    async def receive(self) -> SipText:
        async with asyncio.timeout(PATIENCE):
            if self.socket is not None:
                head, _, body = (await self.datagrams.get()).partition(b"\r\n\r\n")
                return parse_text(head, body)
            assert self.reader is not None
            head = (await self.reader.readuntil(b"\r\n\r\n"))[:-4]
            message = parse_text(head, b"")
            message.body = (await self.reader.readexactly(int(message.header("Content-Length")))).decode()
            return message

    async def answer(self, request: SipText, status: str, *, extra: str = "") -> None:
        vias = "".join(f"Via: {via}\r\n" for via in request.all("Via"))
        routes = "".join(f"Record-Route: {route}\r\n" for route in request.all("Record-Route"))
        to = request.header("To")
        await self.send(
            f"SIP/2.0 {status}\r\n{vias}{routes}"
            f"From: {request.header('From')}\r\n"
            f"To: {to if 'tag=' in to else f'{to};tag=b1'}\r\n"
            f"Call-ID: {request.header('Call-ID')}\r\n"
            f"CSeq: {request.header('CSeq')}\r\n"
            f"{extra}Content-Length: 0\r\n\r\n"
        )

    async def register(self, *, expires: int = 600) -> SipText:
        await self.request(
            "REGISTER",
            "sip:lab.example",
            to=f"sip:{self.user}@lab.example",
            extra=f"Contact: <{self.contact}>\r\nExpires: {expires}\r\n",
        )
        return await self.receive()

    async def close(self) -> None:
        if self.socket is not None:
            self.socket.close()
            await asyncio.sleep(0)
        if self.writer is not None:
            self.writer.close()
            with suppress(ConnectionError, ssl.SSLError):
                await self.writer.wait_closed()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, queue: asyncio.Queue[bytes]) -> None:
        self._queue = queue

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._queue.put_nowait(data)


async def connect(
    user: str,
    transport: str,
    peer: tuple[str, int],
    *,
    address: str,
    anchor: bytes = b"",
    credential: Credential | None = None,
) -> RawClient:
    """Connect a client from its own address."""
    if transport == "UDP":
        queue: asyncio.Queue[bytes] = asyncio.Queue()
        socket, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: _Datagrams(queue), local_addr=(address, 0), remote_addr=peer
        )
        return RawClient(
            user, transport, socket.get_extra_info("sockname")[:2], datagrams=queue, socket=socket
        )
    ssl_context = None
    if transport == "TLS":
        ssl_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        ssl_context.check_hostname = False
        ssl_context.load_verify_locations(cadata=anchor.decode())
        if credential is not None:
            with TemporaryDirectory() as folder:
                pem = Path(folder) / "pem"
                pem.write_bytes(credential.key_pem + credential.chain_pem)
                ssl_context.load_cert_chain(pem)
    reader, writer = await asyncio.open_connection(*peer, ssl=ssl_context, local_addr=(address, 0))
    return RawClient(user, transport, writer.get_extra_info("sockname")[:2], reader, writer)
