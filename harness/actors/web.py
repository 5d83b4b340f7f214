"""The web clients of scenarios: slixmpp, which speaks TCP only, over a carrier of aiohttp's client."""

import asyncio
import re
import secrets
import ssl
import tempfile
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from enum import StrEnum
from typing import Any, Final
from xml.etree import ElementTree as ET
from xml.sax.saxutils import quoteattr

import aiohttp

from certs.credential import Credential
from certs.errors import ScenarioFailed
from certs.purposes import CertificatePurpose
from harness.actors.xmpp import CERTIFICATE_REFUSED, PATIENCE, LoginOutcome, XmppClient, leave
from harness.lab import Lab
from harness.nodes.node import ImpNode
from proxies.xmpp import namespaces as ns
from proxies.xmpp.web.http_binding import BOSH_PATH, WEBSOCKET_PATH

REFUSED_BY_ALERT: Final = "refused by a TLS alert"
"The reason of a login whose handshake the server refused; the text is OpenSSL's name of the alert."

_STANZA: Final = re.compile(rb"<(?:message|presence|iq)(?=[\s/>])(?![^>]*\sxmlns=)")
_FOOTER: Final = b"</stream:stream>"


class WebCarrier(StrEnum):
    """What carries a web client's stream."""

    WEBSOCKET = "WebSocket"
    BOSH = "BOSH"


class ClientContext(ssl.SSLContext):
    """A client's `ssl_context` that remembers the last connection it was used for."""

    last: ssl.SSLObject | None = None
    "The connection; None before there is any."

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        """Do what the base does."""
        self.last = super().wrap_bio(*args, **kwargs)
        return self.last


def web_context(node: ImpNode, credential: Credential | None = None) -> ClientContext:
    """Return a web client's trust in the `cup-xmpp` certificate of a node, and what it shows itself."""
    context = ClientContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    pem = node.administration.certificate_management.download(CertificatePurpose.CUP_XMPP)
    context.load_verify_locations(cadata=pem.decode("ascii"))
    if credential is not None:
        with tempfile.NamedTemporaryFile(suffix=".pem") as file:  # mode 0600
            file.write(credential.chain_pem + credential.key_pem)
            file.flush()
            context.load_cert_chain(file.name)
    return context


class _Carrier(asyncio.Transport, ABC):
    """What slixmpp takes for its TCP connection."""

    def __init__(
        self, client: XmppClient, http: aiohttp.ClientSession, url: str, context: ClientContext | None
    ) -> None:
        super().__init__()
        self._client = client
        self._http = http
        self._url = url
        self._context = context
        self._changed = asyncio.Event()
        self._closes = False

    # asyncio.Transport, as far as slixmpp uses it.

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send a header, an element or the closing tag; slixmpp writes them one by one."""
        wire = bytes(data).strip()
        if wire.startswith((b"<?xml", b"<stream:stream")):
            self._open_stream()
        elif wire.startswith(_FOOTER):
            self._close_stream()
        elif wire:
            self._send(_STANZA.sub(lambda match: match[0] + b' xmlns="jabber:client"', wire, count=1))
        self._changed.set()

    def close(self) -> None:
        """End the carrier."""
        self._closes = True
        self._changed.set()

    def abort(self) -> None:
        """End the carrier."""
        self.close()

    def is_closing(self) -> bool:
        """Whether it ends."""
        return self._closes

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return the TLS connection."""
        known = self._context.last if name == "ssl_object" and self._context is not None else None
        return default if known is None else known

    # Inside.

    async def run(self) -> None:
        """Carry the stream until it is over, and tell slixmpp how that came."""
        error: Exception | None = None
        try:
            await self._carry()
        except* (aiohttp.ClientError, OSError) as group:
            error = next(_leaves(group))
        if error is not None:
            self._client.refuse(_outcome(error))
        if self._client.transport is not None:
            self._client.connection_lost(None)

    def _open_to_client(self, attributes: dict[str, str]) -> None:
        written = "".join(
            f" {name}={quoteattr(value)}" for name, value in attributes.items() if "}" not in name
        )
        header = f"<stream:stream xmlns='{ns.CLIENT}' xmlns:stream='{ns.STREAM}'{written}>"
        self._client.data_received(header.encode())

    def _give_to_client(self, data: bytes) -> None:
        if self._client.transport is not None:
            self._client.data_received(data)

    @abstractmethod
    async def _carry(self) -> None: ...

    @abstractmethod
    def _open_stream(self) -> None: ...

    @abstractmethod
    def _close_stream(self) -> None: ...

    @abstractmethod
    def _send(self, element: bytes) -> None: ...


class _WebSocket(_Carrier):
    """One element a message (RFC 7395)."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._outgoing: deque[bytes] = deque()

    async def _carry(self) -> None:
        async with (
            self._http.ws_connect(self._url, protocols=("xmpp",), ssl=self._context or True) as socket,
            asyncio.TaskGroup() as group,
        ):
            self._client.connection_made(self)
            writer = group.create_task(self._write_messages(socket))
            async for message in socket:
                if message.type is aiohttp.WSMsgType.TEXT:
                    self._take(message.data)
            writer.cancel()

    async def _write_messages(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        while not self._closes:
            while self._outgoing:
                with suppress(ConnectionError):
                    await socket.send_str(self._outgoing.popleft().decode())
            self._changed.clear()
            await self._changed.wait()
        await socket.close()

    def _take(self, text: str) -> None:
        if text.startswith("<open"):
            self._open_to_client(dict(ET.fromstring(text).attrib))  # noqa: S314 - the lab's own server
        elif text.startswith("<close"):
            self._give_to_client(_FOOTER)
        else:
            self._give_to_client(text.encode())

    def _open_stream(self) -> None:
        to = quoteattr(self._client.boundjid.domain)
        self._outgoing.append(f"<open xmlns='{ns.FRAMING}' to={to} version='1.0'/>".encode())

    def _close_stream(self) -> None:
        self._outgoing.append(f"<close xmlns='{ns.FRAMING}'/>".encode())

    def _send(self, element: bytes) -> None:
        self._outgoing.append(element)


class _Bosh(_Carrier):
    """Elements in bodies, two requests at a time (XEP-0124, XEP-0206)."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._rid = secrets.randbelow(2**48) + 1
        self._next_answer = self._rid
        self._answers: dict[int, bytes] = {}
        self._sid = ""
        self._outgoing: deque[bytes] = deque()
        self._restarts = self._ends = False
        self._asked = 0

    async def _carry(self) -> None:
        to = quoteattr(self._client.boundjid.domain)
        first = f"to={to} ver='1.11' wait='30' hold='1' xmpp:version='1.0' xml:lang='en'"
        await self._ask(self._next_body(first))
        async with asyncio.TaskGroup() as group:
            asking: list[asyncio.Task[None]] = []
            while not self._closes:
                while not self._closes and self._asked < 2 and (self._outgoing or self._must_ask()):
                    asking.append(group.create_task(self._ask(self._next_body(self._attributes()))))
                self._changed.clear()
                await self._changed.wait()
                asking = [task for task in asking if not task.done()]
            for task in asking:
                task.cancel()

    def _must_ask(self) -> bool:
        return self._restarts or self._ends or not self._asked

    def _attributes(self) -> str:
        attributes = f"sid={quoteattr(self._sid)}"
        if self._restarts:
            self._restarts = False
            attributes += f" to={quoteattr(self._client.boundjid.domain)} xmpp:restart='true'"
        elif self._ends:
            self._ends = False
            attributes += " type='terminate'"
        return attributes

    def _next_body(self, attributes: str) -> tuple[int, bytes]:
        rid, self._rid = self._rid, self._rid + 1
        self._asked += 1
        content = b"".join(self._outgoing)
        self._outgoing.clear()
        start = f"<body xmlns='{ns.HTTP_BIND}' xmlns:xmpp='{ns.XBOSH}' rid='{rid}' {attributes}>"
        return rid, start.encode() + content + b"</body>"

    async def _ask(self, request: tuple[int, bytes]) -> None:
        rid, body = request
        headers = {"Content-Type": "text/xml; charset=utf-8"}
        async with self._http.post(
            self._url, data=body, headers=headers, ssl=self._context or True
        ) as answer:
            content = await answer.read()
        self._asked -= 1
        self._answers[rid] = content
        while (content := self._answers.pop(self._next_answer, b"")) and not self._closes:
            self._next_answer += 1
            self._take(ET.fromstring(content))  # noqa: S314 - the lab's own server
        self._changed.set()

    def _take(self, body: ET.Element) -> None:
        if not self._sid and (sid := body.get("sid")):
            self._sid = sid
            self._client.connection_made(self)
            self._restarts = False  # the first body has opened the stream
        over = body.get("type") == "terminate"
        if over and not self._sid:
            self._client.refuse(LoginOutcome(accepted=False, reason=body.get("condition", "closed")))
            self.close()
            return
        for element in body:
            if self._client.xml_root is None:
                self._open_to_client({"version": "1.0", "from": self._client.boundjid.domain})
            self._give_to_client(ET.tostring(element))
        if over:
            self._give_to_client(_FOOTER)
            self.close()

    def _open_stream(self) -> None:
        self._restarts = True

    def _close_stream(self) -> None:
        self._ends = True

    def _send(self, element: bytes) -> None:
        self._outgoing.append(element)


_CARRIERS: Final = {
    WebCarrier.WEBSOCKET: (_WebSocket, "ws", WEBSOCKET_PATH),
    WebCarrier.BOSH: (_Bosh, "http", BOSH_PATH),
}


@asynccontextmanager
async def web_client(
    lab: Lab,
    user_id: str,
    node: ImpNode,
    *,
    carrier: WebCarrier = WebCarrier.WEBSOCKET,
    tls: ClientContext | None = None,
    port: int = 0,
    password: str = "",
) -> AsyncIterator[XmppClient]:
    """Connect a web client of a user to a node and log in; how that went is `await client.outcome`.

    Without `tls` it goes to the plain port, unless another one is named.
    """
    user = await lab.user(user_id)
    made, scheme, path = _CARRIERS[carrier]
    ports = node.plan.ports
    port = port or (ports.http_binding if tls is None else ports.http_binding_tls)
    url = f"{scheme}{'' if tls is None else 's'}://{node.plan.address}:{port}{path}"
    client = XmppClient(f"{user_id}@{node.plan.domain}", password or user.digest_password, None)
    client.enable_starttls = False
    client._run_out_filters = asyncio.ensure_future(client.run_filters())
    async with aiohttp.ClientSession() as http:
        running = asyncio.ensure_future(made(client, http, url, tls).run())
        client._current_connection_attempt = running
        try:
            async with asyncio.timeout(PATIENCE):
                await asyncio.shield(client.outcome)
            yield client
        except TimeoutError:
            if client.outcome.done():
                raise
            raise ScenarioFailed(f"the login of {client.boundjid} came to no end in {PATIENCE:g} s") from None
        finally:
            client._current_connection_attempt = None
            await leave(client)
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running


def _leaves(group: BaseExceptionGroup[Any]) -> Iterator[Any]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


def _outcome(error: BaseException) -> LoginOutcome:
    """Say in which way there is no connection; what aiohttp wraps is told by OpenSSL's symbols."""
    text = str(error) or type(error).__name__
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLCertVerificationError | aiohttp.ClientConnectorCertificateError):
            return LoginOutcome(accepted=False, reason=CERTIFICATE_REFUSED, text=text)
        if isinstance(seen, ssl.SSLError) and "ALERT" in (seen.reason or ""):
            return LoginOutcome(accepted=False, reason=REFUSED_BY_ALERT, text=seen.reason or "")
        seen = seen.__cause__ or seen.__context__
    return LoginOutcome(accepted=False, reason="no connection", text=text)
