"""A web connection manager with a router that sends everything back, and a raw client for its paths."""

import base64
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from xml.etree import ElementTree as ET

import aiohttp
import trustme

from harness.evidence.ledger import Ledger
from proxies.clock import LoopClock
from proxies.tls import TrustPolicy
from proxies.xmpp.im.interfaces import Session
from proxies.xmpp.router.attachment import RouterAttachment
from proxies.xmpp.sasl.scram_keys import make_credentials
from proxies.xmpp.stanza import Stanza
from proxies.xmpp.web.web_connection_manager import WebConnectionManager, WebConnectionManagerSettings
from tests.integration.tls_peers import issue

SERVER = "127.9.8.1"
PLAIN, TLS = 7335, 7336
BASE = f"http://{SERVER}:{PLAIN}"
ALICE = make_credentials("secret", iterations=4096)
AUTH = (
    "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>"
    f"{base64.b64encode(bytes(1) + b'alice' + bytes(1) + b'secret').decode()}</auth>"
)
BIND = "<iq xmlns='jabber:client' type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>"
OPEN = "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='lab.example' version='1.0'/>"
CLOSE = "<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>"


def message(text: str) -> str:
    return f"<message xmlns='jabber:client' to='alice@lab.example'><body>{text}</body></message>"


class EchoRouter:
    """Gives each stanza back to the session it came from."""

    def __init__(self) -> None:
        self.sessions: list[Session] = []
        self.closed: list[Session] = []
        self.lost: list[Stanza] = []

    def session_opened(self, session: Session) -> None:
        self.sessions.append(session)

    def session_closed(self, session: Session) -> None:
        self.closed.append(session)

    def receive_from_session(self, session: Session, stanza: Stanza) -> None:
        session.deliver(stanza)

    def route(self, stanza: Stanza) -> None:
        self.lost.append(stanza)

    def attach(self, domain: str, deliver: Callable[[Stanza], None]) -> None:
        raise AssertionError

    def attach_federation(self, deliver: Callable[[Stanza], None] | None) -> None:
        raise AssertionError

    def pace(self) -> float:
        return 0.0

    def stream_features(self) -> list[ET.Element]:
        return []


class Directory:
    """Everybody is at home here."""

    def home_node(self, user_id: str) -> str | None:
        return "imp1.lab.example" if user_id == "alice" else None


class Served:
    """The service, its router, clock and evidence."""

    def __init__(self, **settings: Any) -> None:
        self.ledger = Ledger()
        self.clock = LoopClock()
        self.router = EchoRouter()
        self.attachment = RouterAttachment()
        self.authority = trustme.CA()
        self.service = WebConnectionManager(
            WebConnectionManagerSettings(
                node="imp1",
                fqdn="imp1.lab.example",
                address=SERVER,
                domains=frozenset({"lab.example"}),
                credential=issue(self.authority, "imp1.lab.example"),
                trust=TrustPolicy(certificates=(self.authority.cert_pem.bytes(),)),
                **settings,
            ),
            attachment=self.attachment,
            directory=Directory(),  # type: ignore[arg-type]
            find_credentials=lambda name: ALICE if name == "alice" else None,
            clock=self.clock,
            observer=self.ledger,
        )


@asynccontextmanager
async def serve(**settings: Any) -> AsyncIterator[Served]:
    served = Served(**settings)
    await served.service.start()
    served.attachment.router_started(served.router)
    try:
        yield served
    finally:
        await served.service.stop()


class BoshClient:
    """Sends bodies and reads answers, one HTTP request each."""

    def __init__(self, http: aiohttp.ClientSession, url: str = f"{BASE}/httpbinding") -> None:
        self._http = http
        self._url = url
        self.sid = ""
        self.rid = 1000

    async def post(self, body: str, **options: Any) -> ET.Element:
        async with self._http.post(self._url, data=body.encode(), **options) as response:
            assert response.headers["Content-Type"].endswith("charset=utf-8")
            return ET.fromstring(await response.text())

    def body(self, content: str = "", *, attributes: str = "", rid: int | None = None) -> str:
        if rid is None:
            self.rid += 1
            rid = self.rid
        names = "xmlns='http://jabber.org/protocol/httpbind' xmlns:xmpp='urn:xmpp:xbosh'"
        sid = f"sid='{self.sid}'" if self.sid else "to='lab.example' ver='1.11' xmpp:version='1.0'"
        return f"<body {names} {sid} rid='{rid}' {attributes}>{content}</body>"

    async def ask(self, content: str = "", *, attributes: str = "", rid: int | None = None) -> ET.Element:
        return await self.post(self.body(content, attributes=attributes, rid=rid))

    async def open(self, attributes: str = "wait='60' hold='1'") -> ET.Element:
        created = await self.ask(attributes=attributes)
        self.sid = created.attrib["sid"]
        return created

    async def log_in(self) -> None:
        await self.open()
        assert (await self.ask(AUTH))[0].tag == "{urn:ietf:params:xml:ns:xmpp-sasl}success"
        await self.ask(attributes="xmpp:restart='true'")
        assert (await self.ask(BIND))[0].attrib["type"] == "result"


def texts(body: ET.Element) -> list[str]:
    return [each.text or "" for each in body.iter("{jabber:client}body")]


async def log_in(socket: aiohttp.ClientWebSocketResponse, *, bind: bool = True) -> None:
    """Log in over an open WebSocket; without `bind` leave the stream where it can be resumed."""
    await socket.send_str(OPEN)
    await socket.receive_str()
    await socket.receive_str()
    await socket.send_str(AUTH)
    assert (await socket.receive_str()).startswith("<success")
    await socket.send_str(OPEN)
    await socket.receive_str()
    assert "bind" in await socket.receive_str()
    if bind:
        await socket.send_str(BIND)
        assert "alice@lab.example/" in await socket.receive_str()
