"""Debian's Chromium without a window, driven by its DevTools protocol."""

import asyncio
import base64
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import aiohttp

from tests.interop.peers import require_program

PATIENCE = 45.0


class Tab:
    """One page. What it asked for and what went wrong in it are kept."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.requested: list[str] = []
        self.errors: list[str] = []
        self._socket = socket
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}

    async def listen(self) -> None:
        """Take answers and events until the browser goes."""
        async for message in self._socket:
            said = json.loads(message.data)
            if (waiting := self._waiting.pop(said.get("id", 0), None)) is not None:
                waiting.set_result(said)
            match said.get("method"):
                case "Network.requestWillBeSent":
                    self.requested.append(said["params"]["request"]["url"])
                case "Runtime.exceptionThrown":
                    self.errors.append(json.dumps(said["params"]["exceptionDetails"])[:500])
                case "Log.entryAdded":
                    self.errors.append(said["params"]["entry"]["text"])

    async def call(self, method: str, **parameters: object) -> dict[str, Any]:
        number = next(self._numbers)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        async with asyncio.timeout(PATIENCE):
            said = await answer
        assert "error" not in said, said
        return cast(dict[str, Any], said["result"])

    async def evaluate(self, expression: str) -> Any:
        done = await self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in done, done
        return done["result"].get("value")

    async def until(self, expression: str) -> Any:
        """Evaluate again and again until the value is true."""
        try:
            async with asyncio.timeout(PATIENCE):
                while not (value := await self.evaluate(expression)):
                    await asyncio.sleep(0.05)
        except TimeoutError:
            text = await self.evaluate("document.body.innerText")
            raise AssertionError(f"{expression} does not become true; {self.errors}; {text[:2000]}") from None
        return value

    async def look(self, width: int, height: int, *, dark: bool = False) -> None:
        """Be a screen of so many pixels, in a light or dark room."""
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        scheme = "dark" if dark else "light"
        await self.call(
            "Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}]
        )

    async def screenshot(self, path: Path) -> None:
        done = await self.call("Page.captureScreenshot", format="png")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(done["data"]))

    async def open(self, url: str) -> None:
        await self.call("Page.navigate", url=url)
        await self.until("document.readyState === 'complete'")


@asynccontextmanager
async def chromium(folder: Path) -> AsyncIterator[Tab]:
    """Start the browser with a profile of its own, and end it."""
    profile = folder / "profile"
    process = await asyncio.create_subprocess_exec(
        require_program("chromium"),
        *(
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            "--disable-background-networking",
        ),
        *("--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank"),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        port = await _port(profile / "DevToolsActivePort")
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
                pages = [page for page in await answer.json() if page["type"] == "page"]
            address = pages[0]["webSocketDebuggerUrl"]
            async with session.ws_connect(address, max_msg_size=0) as socket, asyncio.TaskGroup() as group:
                tab = Tab(socket)
                listening = group.create_task(tab.listen())
                for domain in ("Page", "Network", "Runtime", "Log"):
                    await tab.call(f"{domain}.enable")
                yield tab
                listening.cancel()
    finally:
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), 10)
        except TimeoutError:
            process.kill()
            await process.wait()


async def _port(path: Path) -> int:
    async with asyncio.timeout(PATIENCE):
        while True:
            if path.is_file() and (lines := path.read_text(encoding="ascii").split()):
                return int(lines[0])
            await asyncio.sleep(0.05)
