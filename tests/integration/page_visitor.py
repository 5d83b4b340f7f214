"""A browser without scripts: cookies, forms and their tokens, over https to a node's Cisco Tomcat."""

import html
import re
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from certs.purposes import CertificatePurpose
from harness.nodes.node import CucmNode, ImpNode

TOKEN = re.compile(r'name="(csrf_token|login_token)" value="([^"]+)"')
MESSAGE = re.compile(r'<p class="message (\w+)" role="\w+">(.*?)</p>', re.S)


def trusting(node: ImpNode | CucmNode) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    pem = node.administration.certificate_management.download(CertificatePurpose.TOMCAT)
    context.load_verify_locations(cadata=pem.decode("ascii"))
    return context


def address(node: ImpNode | CucmNode) -> str:
    return f"https://{node.plan.address}:{node.plan.ports.tomcat}"


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A page as it came."""

    status: int
    path: str
    text: str
    headers: Mapping[str, str]
    content: bytes = field(repr=False)

    @property
    def messages(self) -> list[tuple[str, str]]:
        return [(kind, html.unescape(text)) for kind, text in MESSAGE.findall(self.text)]

    @property
    def token(self) -> str:
        return TOKEN.findall(self.text)[-1][1]


class Visitor:
    """Somebody with a browser at one node."""

    def __init__(self, http: aiohttp.ClientSession, node: ImpNode | CucmNode) -> None:
        self.http = http
        self.node = node
        self.context = trusting(node)

    async def get(self, path: str, **request: Any) -> Shown:
        return await self._ask("GET", path, **request)

    async def post(self, path: str, data: Any, **request: Any) -> Shown:
        return await self._ask("POST", path, data=data, **request)

    async def log_in(self, interface: str, user: str, password: str) -> Shown:
        page = await self.get(f"/{interface}/login")
        fields = {"login_token": page.token, "user": user, "password": password}
        return await self.post(f"/{interface}/login", fields)

    async def press(self, path: str, action: str, **fields: Any) -> Shown:
        """Fill in a page's form and press a button; a file is a tuple of name and content."""
        page = await self.get(path)
        assert page.status == 200, page
        form = aiohttp.FormData()
        form.add_field("csrf_token", page.token)
        form.add_field("action", action)
        for name, value in fields.items():
            if isinstance(value, tuple):
                form.add_field(name, value[1], filename=value[0], content_type="application/octet-stream")
            elif isinstance(value, list):
                for each in value:
                    form.add_field(name, each)
            else:
                form.add_field(name, value)
        return await self.post(path, form)

    async def _ask(self, method: str, path: str, **request: Any) -> Shown:
        async with self.http.request(
            method, address(self.node) + path, ssl=self.context, **request
        ) as answer:
            content = await answer.read()
            return Shown(
                status=answer.status,
                path=answer.url.path_qs,
                text=content.decode("utf-8", "replace"),
                headers=answer.headers,
                content=content,
            )


@asynccontextmanager
async def visitor(node: ImpNode | CucmNode) -> AsyncIterator[Visitor]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
        yield Visitor(http, node)
