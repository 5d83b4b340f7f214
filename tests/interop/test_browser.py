"""A page in Chromium, served from another origin, talks to a slixmpp client of another node."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from aiohttp import web

from harness.actors.sip import client_address
from harness.actors.xmpp import expect_login, xmpp_client
from harness.evidence.ledger import MessageSeen
from tests.interop.node_client import NPM
from tests.interop.peers import missing, require_program
from tests.interop.xmpp_lab import XmppLab, xmpp_lab

pytestmark = pytest.mark.interop

PORT = 8080
PATIENCE = 30.0


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[XmppLab]:
    async with xmpp_lab(tmp_path) as lab:
        yield lab


@dataclass
class Page:
    """The page's own server, with what the page reported."""

    origin: str
    events: "asyncio.Queue[dict[str, Any]]" = field(default_factory=asyncio.Queue)

    async def expect(self, event: str) -> dict[str, Any]:
        seen = []
        try:
            async with asyncio.timeout(PATIENCE):
                while (found := await self.events.get())["event"] != event:
                    seen.append(found)
        except TimeoutError:
            raise AssertionError(f"expected {event}, seen {seen}") from None
        return found


@asynccontextmanager
async def browse(lab: XmppLab, folder: Path, **task: str) -> AsyncIterator[Page]:
    """Serve the page from an address of its own, and open it in a browser without a window."""
    script = NPM / "node_modules" / "strophe.js" / "dist" / "strophe.umd.min.js"
    if not script.is_file():
        raise missing("strophe.js")
    chromium = require_program("chromium")
    page = Page(f"http://{client_address(lab.lab, 40)}:{PORT}")

    async def take_event(request: web.Request) -> web.Response:
        page.events.put_nowait(await request.json())
        return web.Response()

    async def give(request: web.Request) -> web.FileResponse:
        return web.FileResponse(script if request.path == "/strophe.js" else NPM / "page.html")

    application = web.Application()
    application.router.add_get("/", give)
    application.router.add_get("/strophe.js", give)
    application.router.add_post("/event", take_event)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, client_address(lab.lab, 40), PORT).start()
    process = await asyncio.create_subprocess_exec(
        chromium,
        *(
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            "--disable-background-networking",
        ),
        *("--remote-debugging-port=0", f"--user-data-dir={folder / 'profile'}"),
        f"{page.origin}/?{urlencode(task)}",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield page
    finally:
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), 10)
        except TimeoutError:
            process.kill()
            await process.wait()
        await runner.cleanup()


async def task_of(lab: XmppLab, way: str, to: str) -> dict[str, str]:
    node = lab.imp1.plan
    path = "/httpbinding" if way == "http" else "/websocket"
    return {
        "service": f"{way}://{node.address}:{node.ports.http_binding}{path}",
        "jid": f"alice@{lab.domain}",
        "password": await lab.password("alice"),
        "to": to,
    }


@pytest.mark.parametrize("way", ["http", "ws"])
async def test_a_page_of_another_origin_exchanges_messages(lab: XmppLab, tmp_path: Path, way: str) -> None:
    async with xmpp_client(lab.lab, "bob", lab.imp2) as bob:
        expect_login("bob's login", await bob.outcome)
        task = await task_of(lab, way, bob.boundjid.bare)
        async with browse(lab, tmp_path, **task) as page:
            jid = (await page.expect("online"))["jid"]
            message = await bob.next_message()
            assert (message["body"], message["from"].full) == ("from a page", jid)
            bob.chat(jid, "grüße <&>")
            heard = await page.expect("message")
            assert (heard["body"], heard["from"]) == ("grüße <&>", bob.boundjid.full)
        async with browse(lab, tmp_path, **task | {"password": "not hers"}) as page:
            assert (await page.expect("refused"))["why"] == "not-authorized"


@pytest.mark.parametrize("way", ["http", "ws"])
async def test_a_page_whose_origin_is_not_listed_is_refused(tmp_path: Path, way: str) -> None:
    async with xmpp_lab(tmp_path, origins=("https://app.example",)) as lab:
        async with browse(lab, tmp_path, **await task_of(lab, way, f"bob@{lab.domain}")) as page:
            await page.expect("refused")
        refused = [
            entry.wire
            for entry in lab.ledger.entries()
            if isinstance(entry, MessageSeen) and entry.wire.startswith(b"HTTP/1.1 403")
        ]
        assert f"pages of {page.origin} may not use this service".encode() in refused[0]
