"""A person with Chromium in front of a node: follows menus by their names, and keeps what is seen as pictures."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from harness.actors.pages import INTERFACES
from harness.lab import Lab
from harness.nodes.node import CucmNode, ImpNode
from tests.interop.peers import require_module, require_program

SHOTS = Path("runs") / "browser"
PATIENCE = 20_000

OF_CUCM = {
    "ccmadmin": "Cisco Unified CM Administration",
    "cmplatform": "Cisco Unified OS Administration",
    "ccmservice": "Cisco Unified Serviceability",
}


class Person:
    """Somebody at one node, in one browser window."""

    def __init__(self, page: Any, lab: Lab, node: ImpNode | CucmNode, folder: Path) -> None:
        self.page = page
        self.node = node
        self._lab = lab
        self._folder = folder
        self._shots = 0
        self.complaints: list[str] = []
        page.on("console", lambda message: self._hear(message.type, message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _hear(self, kind: str, text: str) -> None:
        # A refused form answers with a status of 400 and more, which Chromium puts on its console too.
        if kind == "error" and not text.startswith("Failed to load resource"):
            self.complaints.append(text)

    @property
    def url(self) -> str:
        return f"https://{self.node.plan.address}:{self.node.plan.ports.tomcat}"

    async def enter(self, interface: str, *, user: str = "administrator", password: str = "") -> None:
        """Open an interface from the start page, and log in where it asks for that."""
        titles = INTERFACES if isinstance(self.node, ImpNode) else OF_CUCM
        await self.page.goto(self.url)
        await self.page.get_by_role("link", name=titles[interface], exact=True).click()
        if await self.page.get_by_label("Password").count():
            await self.page.get_by_label("User Name").fill(user)
            await self.page.get_by_label("Password").fill(password or self._lab.administrator_password)
            await self.page.get_by_role("button", name="Login").click()
        await self.page.get_by_role("navigation", name="Menus").wait_for()

    async def select(self, *menu: str) -> None:
        """Follow the menus by their names, as `System`, `Security`, `TLS Peer Subjects`."""
        *way, name = menu
        menus = self.page.get_by_role("navigation", name="Menus")
        await menus.locator("summary", has_text=way[0]).click()
        await (
            menus.get_by_role("list", name=" > ".join(way), exact=True)
            .get_by_role("link", name=name, exact=True)
            .click()
        )
        await self.heading(name)

    async def heading(self, name: str) -> None:
        await self.page.get_by_role("heading", level=1, name=name, exact=True).wait_for()

    async def press(self, name: str) -> None:
        await self.page.get_by_role("button", name=name, exact=True).click()

    async def follow(self, name: str) -> None:
        await self.page.get_by_role("link", name=name, exact=True).click()

    async def read(self, text: str) -> None:
        """Wait until the page says something."""
        await self.page.get_by_text(text).first.wait_for()

    async def restart(self, service: str, *, network: bool = False) -> None:
        """Serviceability > Tools > Control Center: select the service, Restart."""
        await self.enter("ccmservice")
        await self.select("Tools", f"Control Center - {'Network' if network else 'Feature'} Services")
        await self.page.get_by_label(service, exact=True).check()
        await self.press("Restart")
        await self.read(f"{service} Service Restart Operation was Successful")

    async def picture(self, title: str) -> None:
        """Keep what is seen."""
        self._shots += 1
        name = f"{self.node.plan.name}-{self._shots:02}-{title.replace(' ', '-').lower()}.png"
        await self.page.screenshot(path=self._folder / name, full_page=True)


@asynccontextmanager
async def chromium() -> AsyncIterator[Any]:
    """Start Debian's Chromium without a window."""
    async_api = require_module("playwright.async_api")
    program = require_program("chromium")
    async with async_api.async_playwright() as playwright:
        # In a container root has no sandbox; the only pages are ours.
        browser = await playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def person(
    browser: Any, lab: Lab, node: ImpNode | CucmNode, topic: str, *, scheme: str = "light"
) -> AsyncIterator[Person]:
    """Sit down in front of a node; at the end the browser must have had nothing to complain about."""
    folder = SHOTS / topic
    folder.mkdir(parents=True, exist_ok=True)
    # The tomcat certificates are self-signed, as on the product: a person would accept them once.
    context = await browser.new_context(
        ignore_https_errors=True, color_scheme=scheme, viewport={"width": 1200, "height": 820}
    )
    context.set_default_timeout(PATIENCE)
    try:
        somebody = Person(await context.new_page(), lab, node, folder)
        yield somebody
        assert somebody.complaints == []
    finally:
        await context.close()
