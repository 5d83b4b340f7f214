"""The live page's server: only from this machine, read only, and told of what happens as it happens."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from certs.errors import ConfigError, ConnectionFailed
from certs.verdict import Reason, Side
from harness.evidence.live.server import MAXIMUM_PAGES, serve_live
from tests.harness.evidence.ladder.exchanges import OPTIONS, Exchange, refused


@pytest.fixture
def exchange() -> Exchange:
    return Exchange()


@pytest.fixture
async def url(exchange: Exchange) -> AsyncIterator[str]:
    async with serve_live(exchange.ledger) as url:
        yield url


@pytest.fixture
async def browser() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session:
        yield session


async def next_told(answer: aiohttp.ClientResponse) -> dict[str, Any]:
    async for line in answer.content:
        if line.startswith(b"data: "):
            told: dict[str, Any] = json.loads(line[6:])
            return told
    raise AssertionError("the stream ended")


async def test_a_page_hears_what_was_and_then_what_happens(
    exchange: Exchange, url: str, browser: aiohttp.ClientSession
) -> None:
    imp1, imp2 = exchange.pair()
    async with browser.get(f"{url}events") as answer:
        assert answer.content_type == "text/event-stream"
        first = await next_told(answer)
        assert (first["from"], [told["event"] for told in first["entries"]]) == (0, ["opened", "opened"])
        exchange.send(imp1, imp2, OPTIONS)
        exchange.ledger.judged(imp2, refused(Reason.NO_CERTIFICATE, Side.SERVER))
        then = await next_told(answer)
        assert [told["event"] for told in then["entries"]] == ["message", "message", "judged"]
        assert then["from"] == first["position"]


async def test_the_ladder_and_a_row_s_details(
    exchange: Exchange, url: str, browser: aiohttp.ClientSession
) -> None:
    imp1, imp2 = exchange.pair()
    exchange.send(imp1, imp2, OPTIONS)
    async with browser.get(f"{url}ladder?kind=sip") as answer:
        ladder = await answer.json()
    assert "<svg" in ladder["svg"]
    async with browser.get(f"{url}ladder/{ladder['position']}/2?kind=sip") as answer:
        row = await answer.json()
    assert row["title"] == "imp1 → imp2: OPTIONS (CSeq 7) sip:imp2.lab.example"
    assert "CSeq: 7 OPTIONS" in row["details"]
    for path, status in (
        (f"ladder/{ladder['position']}/99", 404),
        ("ladder?kind=smtp", 400),
        ("nothing", 404),
    ):
        async with browser.get(url + path) as answer:
            assert answer.status == status


async def test_every_answer_carries_the_safe_headers(url: str, browser: aiohttp.ClientSession) -> None:
    for path in ("", "live.js", "live.css", "ladder", "events", "nothing"):
        async with browser.get(url + path) as answer:
            assert "default-src 'none'" in answer.headers["Content-Security-Policy"], path
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Cache-Control"] == "no-store"


async def test_nothing_can_be_changed(url: str, browser: aiohttp.ClientSession) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        async with browser.request(method, url) as answer:
            assert answer.status == 405


@pytest.mark.parametrize(
    "headers",
    [{"Host": "evil.example"}, {"Host": "192.0.2.1:80"}, {"Sec-Fetch-Site": "cross-site"}],
    ids=["a name that leads here", "another address", "another site's script"],
)
async def test_other_sites_are_refused(
    url: str, browser: aiohttp.ClientSession, headers: dict[str, str]
) -> None:
    async with browser.get(f"{url}ladder", headers=headers) as answer:
        assert answer.status == 403
    async with browser.get(
        f"{url}ladder", headers={"Host": "localhost:80", "Sec-Fetch-Site": "same-origin"}
    ) as answer:
        assert answer.status == 200


async def test_a_link_from_elsewhere_opens_the_page(url: str, browser: aiohttp.ClientSession) -> None:
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    async with browser.get(url, headers=headers) as answer:
        assert answer.status == 200
    async with browser.get(f"{url}ladder", headers=headers) as answer:
        assert answer.status == 403


async def test_pages_are_bounded(url: str, browser: aiohttp.ClientSession) -> None:
    pages = [await browser.get(f"{url}events") for _ in range(MAXIMUM_PAGES)]
    async with browser.get(f"{url}events") as answer:
        assert answer.status == 503
    for page in pages:
        page.close()


async def test_pages_are_told_of_the_end(exchange: Exchange, browser: aiohttp.ClientSession) -> None:
    async with serve_live(exchange.ledger) as url:
        answer = await browser.get(f"{url}events")
        await next_told(answer)
    async with asyncio.timeout(5):
        assert b"event: end" in await answer.content.read()


async def test_it_is_served_on_loopback_only(exchange: Exchange) -> None:
    for host in ("0.0.0.0", "192.0.2.1", "::1", "localhost"):
        with pytest.raises(ConfigError, match="has no login"):
            async with serve_live(exchange.ledger, host=host):
                pass


async def test_a_port_that_is_taken_is_named(exchange: Exchange, url: str) -> None:
    port = int(url.rstrip("/").rpartition(":")[2])
    with pytest.raises(ConnectionFailed, match=f"127.0.0.1:{port}"):
        async with serve_live(exchange.ledger, port=port):
            pass
