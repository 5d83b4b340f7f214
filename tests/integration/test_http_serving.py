"""aiohttp over the lab's own listeners: what a client gets, and what the evidence has of it."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
import trustme
import uvloop
from aiohttp import web

from certs.credential import Credential
from certs.errors import ConnectionFailed
from certs.verdict import Reason
from harness.evidence.ledger import Closed, Ledger, Opened
from proxies.clock import LoopClock
from proxies.http.serving import HttpLimits, HttpListener
from proxies.observer import ConnectionInfo
from proxies.tls import TlsServerSettings, TrustPolicy
from tests.integration.tls_peers import issue

SERVER = "127.9.7.1"
LOOPS = pytest.mark.parametrize(
    "loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"]
)


def describe(local: tuple[str, int], peer: tuple[str, int]) -> ConnectionInfo:
    return ConnectionInfo(
        id=f"web {peer[1]}",
        node="web",
        service="test",
        listener="test",
        transport="TCP",
        local=local,
        peer=peer,
    )


@asynccontextmanager
async def serve(
    port: int, ledger: Ledger, *, tls: TlsServerSettings | None = None, limits: HttpLimits | None = None
) -> AsyncIterator[HttpListener]:
    application = web.Application()
    listener = HttpListener(
        application, describe=describe, clock=LoopClock(), observer=ledger, tls=tls, limits=limits
    )

    async def who(request: web.Request) -> web.Response:
        verdict = listener.connection_of(request).verdict
        return web.Response(text=verdict.subject if verdict else "in the clear")

    async def echo(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            await socket.send_str(message.data)
        return socket

    async def wait(request: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError

    application.add_routes(
        [web.get("/", who), web.post("/", who), web.get("/echo", echo), web.get("/wait", wait)]
    )
    await listener.start(SERVER, port)
    try:
        yield listener
    finally:
        await listener.close()


def run(loop: Any, main: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(asyncio.wait_for(main, 20))


def trusting(authority: trustme.CA, shown: trustme.LeafCert | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    authority.configure_trust(context)
    if shown is not None:
        shown.configure_cert(context)
    return context


def peer_authenticated(authority: trustme.CA, credential: Credential) -> TlsServerSettings:
    trust = TrustPolicy(certificates=(authority.cert_pem.bytes(),))
    return TlsServerSettings(credential=credential, require_client_certificate=True, trust=trust)


@LOOPS
def test_requests_bodies_and_websockets_go_over_mutual_tls(loop: Any) -> None:
    authority = trustme.CA()
    shown = authority.issue_cert("client.example", common_name="client.example")
    ledger = Ledger()

    async def main() -> None:
        settings = peer_authenticated(authority, issue(authority, "server.example"))
        async with (
            serve(7701, ledger, tls=settings),
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trusting(authority, shown))) as client,
        ):
            async with client.get(f"https://{SERVER}:7701/") as response:
                assert await response.text() == "client.example"
            async with client.post(f"https://{SERVER}:7701/", data=b"x" * 900_000) as response:
                assert response.status == 200
            async with client.ws_connect(f"https://{SERVER}:7701/echo") as echo:
                text = "ä" * 300_000
                await echo.send_str(text)
                assert await echo.receive_str() == text

    run(loop, main())
    assert {judged.verdict.reason for judged in ledger.verdicts()} == {Reason.ACCEPTED}
    assert _opened(ledger) == _closed(ledger) > 0


@LOOPS
def test_a_client_without_a_certificate_reaches_no_handler(loop: Any) -> None:
    authority = trustme.CA()
    ledger = Ledger()

    async def main() -> None:
        settings = peer_authenticated(authority, issue(authority, "server.example"))
        async with (
            serve(7702, ledger, tls=settings),
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trusting(authority, None))) as client,
        ):
            with pytest.raises(
                (aiohttp.ClientError, ssl.SSLError), match=r"(?i)certificate.required|closed|reset"
            ):
                await client.get(f"https://{SERVER}:7702/")

    run(loop, main())
    assert {judged.verdict.reason for judged in ledger.verdicts()} == {Reason.NO_CERTIFICATE}


@LOOPS
def test_plain_connections_are_in_the_evidence_and_one_too_many_is_closed(loop: Any) -> None:
    ledger = Ledger()

    async def main() -> None:
        async with (
            serve(7703, ledger, limits=HttpLimits(maximum_connections=1)),
            aiohttp.ClientSession() as client,
            aiohttp.ClientSession() as other,
        ):
            async with client.get(f"http://{SERVER}:7703/") as response:
                assert await response.text() == "in the clear"
            with pytest.raises(aiohttp.ClientError):
                await other.get(f"http://{SERVER}:7703/")

    run(loop, main())
    assert ledger.verdicts() == []
    assert _opened(ledger) == _closed(ledger)
    assert [e.why for e in ledger.entries() if isinstance(e, Closed) and "too many" in e.why]


@LOOPS
def test_closing_ends_requests_that_wait_and_silent_connections(loop: Any) -> None:
    ledger = Ledger()

    async def main() -> None:
        async with aiohttp.ClientSession() as client:
            async with serve(7704, ledger, limits=HttpLimits(grace=0.1)):
                request = asyncio.ensure_future(client.get(f"http://{SERVER}:7704/wait"))
                _, silent = await asyncio.open_connection(SERVER, 7704)
                await _until(lambda: _opened(ledger) == 2)
            with pytest.raises(aiohttp.ClientError):
                await request
            silent.close()

    run(loop, main())
    assert _closed(ledger) == 2


@LOOPS
def test_a_connection_that_sends_no_request_is_closed_in_time(loop: Any) -> None:
    async def main() -> None:
        async with serve(7705, Ledger(), limits=HttpLimits(idle_timeout=0.2)):
            reader, writer = await asyncio.open_connection(SERVER, 7705)
            writer.write(b"GET / HTTP/1.1\r\nHost:")  # and never more
            assert await asyncio.wait_for(reader.read(), 5) == b""
            writer.close()

    run(loop, main())


async def test_an_address_that_is_taken_is_named() -> None:
    async with serve(7706, Ledger()):
        with pytest.raises(ConnectionFailed, match=f"cannot listen on {SERVER}:7706"):
            async with serve(7706, Ledger()):
                pass


async def _until(ready: Any) -> None:
    async with asyncio.timeout(5):
        while not ready():
            await asyncio.sleep(0.01)


def _opened(ledger: Ledger) -> int:
    return sum(isinstance(entry, Opened) for entry in ledger.entries())


def _closed(ledger: Ledger) -> int:
    return sum(isinstance(entry, Closed) for entry in ledger.entries())
