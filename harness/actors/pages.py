"""A person in front of a node's interfaces: a browser without a window, as far as logging in and reading goes."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from html import unescape
from typing import Final

import aiohttp

from certs.errors import ScenarioFailed
from certs.purposes import CertificatePurpose
from harness.nodes.node import CucmNode, ImpNode
from harness.web.client import Trust, trust_certificates

INTERFACES: Final = {
    "cupadmin": "Cisco Unified CM IM and Presence Administration",
    "cmplatform": "Cisco Unified IM and Presence OS Administration",
    "ccmservice": "Cisco Unified IM and Presence Serviceability",
    "cucreports": "Cisco Unified IM and Presence Reporting",
    "drf": "IM and Presence Disaster Recovery System",
    "cupuser": "Cisco Unified CM IM and Presence User Options",
}
"The six interfaces of G01, by the first part of their paths."

_TOKEN: Final = re.compile(r'name="login_token" value="([0-9a-f]+)"')
_BANNER: Final = re.compile(r'<section class="banner"[^>]*><pre>(.*?)</pre></section>', re.DOTALL)
_ERROR: Final = re.compile(r'<p class="message error" role="alert">(.*?)</p>', re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class PageSeen:
    """A page as the person reads it."""

    status: int
    "HTTP's."

    path: str
    "Where the browser is now."

    html: str
    "The page."

    @property
    def banner(self) -> str:
        """The login banner; empty where the page shows none."""
        found = _BANNER.search(self.html)
        return unescape(found[1]) if found else ""

    @property
    def error(self) -> str:
        """What the page says went wrong; empty where it says nothing."""
        found = _ERROR.search(self.html)
        return unescape(found[1]) if found else ""


class Browser:
    """One person's browser at one node."""

    def __init__(self, http: aiohttp.ClientSession, url: str, trust: Trust) -> None:
        self._http = http
        self._url = url
        self._trust = trust

    async def get(self, path: str) -> PageSeen:
        """Open a page."""
        return await self._ask("GET", path, None)

    async def log_in(self, interface: str, user: str, password: str) -> PageSeen:
        """Fill in an interface's login form; return the page that follows."""
        form = await self.get(f"/{interface}/login")
        token = _TOKEN.search(form.html)
        if token is None:
            raise ScenarioFailed(f"/{interface}/login shows no login form (status {form.status})")
        fields = {"login_token": token[1], "user": user, "password": password}
        return await self._ask("POST", f"/{interface}/login", fields)

    async def _ask(self, method: str, path: str, fields: dict[str, str] | None) -> PageSeen:
        async with self._http.request(method, self._url + path, data=fields, ssl=self._trust) as answer:
            return PageSeen(status=answer.status, path=answer.url.path, html=await answer.text())


@asynccontextmanager
async def browser(node: ImpNode | CucmNode) -> AsyncIterator[Browser]:
    """Sit down in front of a node whose `tomcat` certificate somebody gave us."""
    pem = node.administration.certificate_management.download(CertificatePurpose.TOMCAT)
    url = f"https://{node.plan.address}:{node.plan.ports.tomcat}"
    # `unsafe`: cookies of hosts that are called by address.
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
        yield Browser(http, url, trust_certificates(pem))
