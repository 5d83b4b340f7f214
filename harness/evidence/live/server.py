"""Serves the live page on this machine's loopback: read only, without login, and to nobody else."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib import resources
from ipaddress import IPv4Address
from typing import Any, Final

from aiohttp import web

from certs.errors import ConfigError, ConnectionFailed
from harness.evidence.ladder.model import Kind
from harness.evidence.ladder.svg import STYLE
from harness.evidence.ledger import Entry, Ledger
from harness.evidence.live.feed import LadderWish, LiveFeed

MAXIMUM_PAGES: Final = 32
"Pages that may follow the lab at a time."

SETTLING: Final = 0.2
"Seconds for which what happens is gathered before pages are told."

KEEP_ALIVE: Final = 15.0
"Seconds after which a page hears that nothing happened."

HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"What every answer carries."

_FILES: Final = {"/": ("live.html", "text/html"), "/live.js": ("live.js", "text/javascript")}
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serve_live(ledger: Ledger, *, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """Serve the page while the block runs, and give its address; port 0 takes a free one.

    Raises ConfigError where the address is not a loopback one, ConnectionFailed where it cannot be bound.
    """
    if not _is_loopback(host):
        raise ConfigError(
            f"{host}: the live page has no login, so it is served on loopback addresses only (127.0.0.0/8)"
        )
    view = _LiveView(LiveFeed(ledger))
    application = web.Application(middlewares=[_guard])
    for path in _FILES:
        application.router.add_get(path, view.file)
    application.router.add_get("/live.css", view.style)
    application.router.add_get("/events", view.events)
    application.router.add_get("/ladder", view.ladder)
    application.router.add_get(r"/ladder/{position:\d{1,12}}/{number:\d{1,9}}", view.row)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        try:
            site = web.TCPSite(runner, host, port, backlog=64)
            await site.start()
        except OSError as error:
            raise ConnectionFailed(
                f"the live page cannot be served on {host}:{port}: {error.strerror}"
            ) from error
        address, taken = runner.addresses[0][:2]
        async with asyncio.TaskGroup() as group:
            following = group.create_task(ledger.follow(view.take), name="live page")
            try:
                yield f"http://{address}:{taken}/"
            finally:
                view.end()
                following.cancel()
    finally:
        await runner.cleanup()


@web.middleware
async def _guard(request: web.Request, handler: _Handler) -> web.StreamResponse:
    """Refuse what another site's page may try: names that lead here (DNS rebinding), and requests from elsewhere."""
    host = request.host.rpartition(":")[0] or request.host
    if not (_is_loopback(host) or host == "localhost"):
        return web.Response(status=403, text=f"{host} is not this page's name\n", headers=HEADERS)
    is_opened = request.path == "/" and request.headers.get("Sec-Fetch-Mode") == "navigate"
    if not is_opened and request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
        return web.Response(status=403, text="other sites may not read this page\n", headers=HEADERS)
    try:
        response = await handler(request)
    except web.HTTPException as error:
        error.headers.update(HEADERS)
        raise
    if not response.prepared:
        response.headers.update(HEADERS)
    return response


class _LiveView:
    def __init__(self, feed: LiveFeed) -> None:
        self._feed = feed
        self._pages: set[asyncio.Event] = set()
        self._ended = False

    def take(self, entry: Entry) -> None:
        """Take what happened, and let pages look at the ledger again."""
        self._feed.take(entry)
        self._wake()

    def _wake(self) -> None:
        for page in self._pages:
            page.set()

    def end(self) -> None:
        """Let pages go."""
        self._ended = True
        self._wake()

    async def file(self, request: web.Request) -> web.Response:
        name, kind = _FILES[request.path]
        text = resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
        return web.Response(text=text, content_type=kind)

    async def style(self, request: web.Request) -> web.Response:
        text = resources.files(__package__).joinpath("live.css").read_text(encoding="utf-8")
        return web.Response(text=text + STYLE, content_type="text/css")

    async def ladder(self, request: web.Request) -> web.Response:
        return web.json_response(self._feed.ladder(_wish(request)))

    async def row(self, request: web.Request) -> web.Response:
        position, number = int(request.match_info["position"]), int(request.match_info["number"])
        row = self._feed.row(position, _wish(request), number)
        if row is None:
            raise web.HTTPNotFound(text="this row is no longer kept; choose it again\n")
        between = row.source if row.source == row.target else f"{row.source} → {row.target}"
        return web.json_response({"title": f"{between}: {row.label}", "details": "\n".join(row.details)})

    async def events(self, request: web.Request) -> web.StreamResponse:
        """Send what happened and what happens, as server-sent events, until the page or the lab goes."""
        if len(self._pages) >= MAXIMUM_PAGES:
            raise web.HTTPServiceUnavailable(text=f"{MAXIMUM_PAGES} pages follow this lab already\n")
        response = web.StreamResponse(headers=HEADERS | {"Content-Type": "text/event-stream"})
        await response.prepare(request)
        happened = asyncio.Event()
        self._pages.add(happened)
        try:
            await self._send_all(response, happened)
        except ConnectionResetError:
            pass  # the page is gone
        finally:
            self._pages.discard(happened)
        return response

    async def _send_all(self, response: web.StreamResponse, happened: asyncio.Event) -> None:
        mark = 0
        happened.set()
        while not self._ended:
            try:
                async with asyncio.timeout(KEEP_ALIVE):
                    await happened.wait()
            except TimeoutError:
                await response.write(b": still here\n\n")
                continue
            happened.clear()
            position = self._feed.position
            await _send(response, {"from": mark, "position": position, "entries": self._feed.entries(mark)})
            mark = position
            # What comes in the meantime goes out together: a busy lab must not drown its page.
            await asyncio.sleep(SETTLING)
        await response.write(b"event: end\ndata: {}\n\n")


async def _send(response: web.StreamResponse, message: dict[str, Any]) -> None:
    await response.write(b"data: " + json.dumps(message, ensure_ascii=False).encode() + b"\n\n")


def _wish(request: web.Request) -> LadderWish:
    asked = request.query.get("kind", "")
    try:
        kind = Kind(asked) if asked else None
    except ValueError:
        raise web.HTTPBadRequest(text=f"{asked!r} is no kind; there are {', '.join(Kind)}\n") from None
    return LadderWish(node=request.query.get("node", "")[:256], kind=kind, refused="refused" in request.query)


def _is_loopback(host: str) -> bool:
    try:
        return IPv4Address(host).is_loopback
    except ValueError:
        return False
