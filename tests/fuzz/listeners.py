"""Garbage and mutated recordings at every listener of a lab; afterwards each must serve as before."""

import asyncio
import contextlib
import logging
import socket
import ssl
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final

from aiohttp.http_exceptions import HttpProcessingError

from harness.lab import Lab
from harness.plan.lab_file import load_topology
from proxies.observer import NullObserver
from tests.fuzz.mutation import chance, mutate, pieces
from tests.fuzz.recordings import DICTIONARY
from tests.fuzz.running import GROWTH, Report, _memory
from tests.fuzz.sip_cores import MESSAGES, WORDS
from tests.proxies.xmpp.streams.recorded import BOSH_BODIES, EXCHANGES, WEBSOCKET

ECHO: Final = "echo.lab.example"

AT_ONCE: Final = 8
"Connections at a time."

SERVES: Final = 10.0
"Seconds in which a listener must still serve."

_POST: Final = (
    b"POST /httpbinding HTTP/1.1\r\nHost: imp1\r\nContent-Type: text/xml\r\nContent-Length: %d\r\n\r\n%b"
)
_UPGRADE: Final = (
    b"GET /websocket HTTP/1.1\r\nHost: imp1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Protocol: xmpp\r\n\r\n"
)
_BODIES: Final = [body.replace(b"RID", b"1573741820") for body in BOSH_BODIES]
_HTTP: Final = [_POST % (len(body), body) for body in _BODIES] + [_UPGRADE, b"GET / HTTP/1.0\r\n\r\n"]
_PAGES: Final = [
    b"GET /cupadmin/ HTTP/1.1\r\nHost: imp1\r\nCookie: a=b\r\nAuthorization: Basic YTpi\r\n\r\n",
    b"POST /axl/ HTTP/1.1\r\nHost: imp1\r\nContent-Type: text/xml\r\nContent-Length: 8\r\n\r\n<a>b</a>",
]


def _frame(message: bytes) -> bytes:
    """A client's frame: one message, masked (RFC 6455 5.2)."""
    length = (
        bytes((0x80 | len(message),)) if len(message) < 126 else b"\xfe" + len(message).to_bytes(2, "big")
    )
    return b"\x81" + length + b"\0\0\0\0" + message


_FRAMES: Final = [_frame(message) for message in WEBSOCKET] + [
    b"\x89\x80\0\0\0\0",
    b"\x88\x82\0\0\0\0\x03\xe8",
]
_TLS: Final = [
    bytes.fromhex("16030100c8010000c40303") + bytes(range(200)),
    bytes.fromhex("1503010002022a"),
    bytes.fromhex("160301ffff"),
    b"GET / HTTP/1.1\r\n\r\n",
    b"\x80\x2e\x01\x00\x02",
]
_XMPP: Final = [phase for each in EXCHANGES for phase in each.phases if isinstance(phase, bytes)]


@dataclass(frozen=True)
class Listener:
    """A port, what it is fed, and how it shows that it still serves."""

    name: str
    address: str
    port: int
    corpus: list[bytes]
    words: list[bytes]
    serves: Callable[[str, int], Awaitable[None]]
    inside_tls: ssl.SSLContext | None = None
    "Where the garbage goes inside a TLS connection, half of the time."
    datagrams: bool = False
    preamble: bytes = b""
    "What is sent as it is, and answered, before the garbage."


@dataclass
class _Trouble(logging.Handler):
    """Keeps what the loop and the services log as an error: a broken peer is none."""

    seen: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(logging.ERROR)

    def __hash__(self) -> int:
        return id(self)

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and isinstance(record.exc_info[1], HttpProcessingError):
            return  # aiohttp's word for a request that is none
        self.seen.append(self.format(record))


async def fuzz_listeners(*, seed: int, seconds: float) -> Report:
    """Feed every listener of a lab for a while."""
    report = Report("listeners")
    trouble = _Trouble()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: trouble.seen.append(_describe(context)))
    logging.getLogger().addHandler(trouble)
    began = time.monotonic()
    try:
        with tempfile.TemporaryDirectory() as folder:
            async with Lab.start(
                load_topology("two-imp-components"), work_directory=Path(folder), observer=NullObserver()
            ) as lab:
                listeners = _listeners(lab)
                settled, number = 0, 0
                while report.seconds < seconds or number == 0:
                    batch = [
                        _disturb(listeners[(number + i) % len(listeners)], chance(seed, number + i))
                        for i in range(AT_ONCE)
                    ]
                    await asyncio.gather(*batch)
                    number += AT_ONCE
                    report.inputs, report.seconds = number, time.monotonic() - began
                    if not settled and report.seconds > seconds / 4:
                        settled = _memory()
                    if trouble.seen:
                        break
                for listener in listeners:
                    await _check(listener, trouble)
                report.grown = max(0, _memory() - settled) if settled else 0
    finally:
        logging.getLogger().removeHandler(trouble)
        loop.set_exception_handler(None)
    if report.grown > GROWTH:
        trouble.seen.append(f"{report.grown} octets of memory more")
    if trouble.seen:
        report.failure = f"listeners, seed {seed}: " + "\n".join(trouble.seen[:5])
    return report


def _listeners(lab: Lab) -> list[Listener]:
    plan = lab.imp[0].plan
    ports = plan.ports
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    xmpp: tuple[Any, ...] = (_XMPP, DICTIONARY)
    return [
        Listener(
            "xmpp clients", plan.address, ports.xmpp_client, *xmpp, _opens("jabber:client", "lab.example")
        ),
        Listener(
            "federation", plan.address, ports.xmpp_federation, *xmpp, _opens("jabber:server", "lab.example")
        ),
        Listener("routers", plan.address, ports.xcp_router, *xmpp, _opens("jabber:server", plan.fqdn)),
        Listener(
            "components",
            plan.address,
            ports.xcp_component,
            *xmpp,
            _opens("jabber:component:accept", ECHO),
        ),
        Listener("http binding", plan.address, ports.http_binding, _HTTP, DICTIONARY, _answers_http),
        Listener(
            "websocket",
            plan.address,
            ports.http_binding,
            _FRAMES,
            DICTIONARY,
            _answers_http,
            preamble=_UPGRADE,
        ),
        Listener("tomcat", plan.address, ports.tomcat, _PAGES, DICTIONARY, _shakes_hands(tls), tls),
        Listener("sip tcp", plan.address, ports.sip, MESSAGES, WORDS, _answers_sip),
        Listener("sip udp", plan.address, ports.sip, MESSAGES, WORDS, _answers_sip, datagrams=True),
        Listener(
            "sip tls",
            plan.address,
            ports.sip_tls_server_auth,
            _TLS + MESSAGES,
            WORDS,
            _shakes_hands(tls),
            tls,
        ),
        Listener(
            "sip mutual tls", plan.address, ports.sip_tls_peer_auth, _TLS, WORDS, _shows_certificate(tls)
        ),
        Listener("presence engine", plan.address, ports.presence_engine, MESSAGES, WORDS, _accepts),
        Listener(
            "presence engine tls",
            plan.address,
            ports.presence_engine_tls,
            _TLS,
            WORDS,
            _shows_certificate(tls),
        ),
    ]


async def _disturb(listener: Listener, rng: Random) -> None:
    data = mutate(rng, listener.corpus, listener.words)
    if listener.datagrams:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            with contextlib.suppress(OSError):
                sender.sendto(data[:60_000], (listener.address, listener.port))
        await asyncio.sleep(0)
        return
    tls = listener.inside_tls if rng.random() < 0.5 else None
    with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
        async with asyncio.timeout(5):
            reader, writer = await asyncio.open_connection(listener.address, listener.port, ssl=tls)
    if "writer" not in locals():
        return
    try:
        async with asyncio.timeout(5):
            if listener.preamble:
                writer.write(listener.preamble)
                await reader.readuntil(b"\r\n\r\n")
            for piece in pieces(rng, data)[:50]:
                writer.write(piece)
                if rng.random() < 0.3:
                    await writer.drain()
                    await asyncio.sleep(0)
            if rng.random() < 0.5:
                if writer.can_write_eof():
                    writer.write_eof()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.05):
                        await reader.read(65536)
    except (OSError, TimeoutError, asyncio.IncompleteReadError):
        pass
    finally:
        if rng.random() < 0.5:
            writer.transport.abort()
        else:
            writer.close()


async def _check(listener: Listener, trouble: _Trouble) -> None:
    try:
        async with asyncio.timeout(SERVES):
            await listener.serves(listener.address, listener.port)
    except Exception as error:
        trouble.seen.append(f"{listener.name} does not serve any more: {type(error).__name__} {error}")


def _opens(namespace: str, domain: str) -> Callable[[str, int], Awaitable[None]]:
    header = (
        f"<stream:stream xmlns='{namespace}' xmlns:stream='http://etherx.jabber.org/streams' version='1.0' "
        f"to='{domain}'>"
    )

    async def serves(address: str, port: int) -> None:
        await _expect(address, port, header.encode(), b" id=")

    return serves


async def _answers_http(address: str, port: int) -> None:
    await _expect(address, port, b"GET /nowhere HTTP/1.1\r\nHost: imp1\r\n\r\n", b"HTTP/1.1 404")


async def _answers_sip(address: str, port: int) -> None:
    request = (
        f"OPTIONS sip:{address}:{port} SIP/2.0\r\nMax-Forwards: 70\r\n"
        "Via: SIP/2.0/TCP 127.0.0.1;branch=z9hG4bKlast\r\n"
        f"From: <sip:a@lab.example>;tag=1\r\nTo: <sip:{address}>\r\nCall-ID: last\r\nCSeq: 1 OPTIONS\r\n"
        "Content-Length: 0\r\n\r\n"
    )
    await _expect(address, port, request.encode(), b"SIP/2.0 ")


async def _accepts(address: str, port: int) -> None:
    _, writer = await asyncio.open_connection(address, port)
    writer.close()


def _shakes_hands(tls: ssl.SSLContext) -> Callable[[str, int], Awaitable[None]]:
    async def serves(address: str, port: int) -> None:
        _, writer = await asyncio.open_connection(address, port, ssl=tls)
        writer.transport.abort()

    return serves


def _shows_certificate(tls: ssl.SSLContext) -> Callable[[str, int], Awaitable[None]]:
    async def serves(address: str, port: int) -> None:
        """A client without a certificate gets through the server's half of the handshake, then an alert."""
        try:
            reader, writer = await asyncio.open_connection(address, port, ssl=tls)
        except ssl.SSLError as error:
            if "ALERT" not in str(error).upper():
                raise
            return
        with contextlib.suppress(ssl.SSLError):
            await reader.read(1)
        writer.transport.abort()

    return serves


async def _expect(address: str, port: int, data: bytes, wanted: bytes) -> None:
    reader, writer = await asyncio.open_connection(address, port)
    writer.write(data)
    seen = b""
    while wanted not in seen:
        piece = await reader.read(4096)
        if not piece:
            raise AssertionError(f"expected {wanted!r}, seen {seen!r}")
        seen += piece
    writer.transport.abort()


def _describe(context: dict[str, Any]) -> str:
    return f"{context.get('message')}: {context.get('exception')!r}"
