"""The web connection manager's paths: BOSH, WebSocket, and where to find them (XEP-0124, RFC 7395, XEP-0156)."""

import asyncio
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from aiohttp import web

from certs.errors import RemoteProtocolError
from proxies.clock import SchedulingClock
from proxies.http.serving import HttpConnection
from proxies.observer import Direction, Observer
from proxies.xmpp.connections.carrier import StreamCarrier, StreamOwner
from proxies.xmpp.streams.framed_reader import parse_body
from proxies.xmpp.streams.framing import BoshFraming, StreamFraming, WebSocketFraming
from proxies.xmpp.streams.rate_limit import RateLimit
from proxies.xmpp.streams.reader_events import UNAUTHENTICATED, ReaderLimits
from proxies.xmpp.web.alternatives import AlternativeConnections
from proxies.xmpp.web.bosh_carrier import BoshCarrier, mask_body
from proxies.xmpp.web.bosh_session import BoshResponse, BoshSettings
from proxies.xmpp.web.bosh_values import XML_TEXT, BindingCondition, encode_terminate
from proxies.xmpp.web.cross_origin import CrossOriginPolicy
from proxies.xmpp.web.websocket_carrier import SUBPROTOCOL, WebSocketCarrier

BOSH_PATH: Final = "/httpbinding"
"The product's path for BOSH."

WEBSOCKET_PATH: Final = "/websocket"
"The lab's path for WebSocket."

_HOST_META: Final = "/.well-known/host-meta"
_METHODS: Final = "GET, POST, OPTIONS"
_SESSION_ID: Final = re.compile(rb"<body\b[^>]*?\ssid=[\"']([^\"']{1,64})[\"']")
_PROTECTION: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}

WebCarrier = BoshCarrier | WebSocketCarrier
"What carries a web client's stream."

MakeSession = Callable[[StreamCarrier, StreamFraming, HttpConnection], StreamOwner]
"Sets a new carrier's stream and returns the stream's owner."


@dataclass(frozen=True, slots=True, kw_only=True)
class WebLimits:
    """What web clients may make the service hold."""

    stanzas: ReaderLimits
    "What a stanza of a client that is logged in may be."

    body_size: int = 1024 * 1024
    "Bytes of a BOSH body, and of a WebSocket message before it is looked at."

    request_timeout: float = 30.0
    "Seconds for a request's body to come in."

    maximum_sessions: int = 10_000
    "BOSH sessions and WebSockets at a time."

    bytes_per_second: float = 8 * 1024 * 1024
    "How fast a client is read; who sends faster waits (RFC 6120 4.9.3.14, 13.12)."

    burst: float = 16 * 1024 * 1024
    "Bytes that a client may send at once."

    heartbeat: float = 60.0
    "Seconds between two pings over an open WebSocket (RFC 7395 3.8)."

    bosh: BoshSettings = field(default_factory=BoshSettings)
    "What BOSH sessions are offered."


class HttpBinding:
    """Turns HTTP requests into streams. One for each run of the service."""

    def __init__(
        self,
        *,
        make_session: MakeSession,
        alternatives: AlternativeConnections,
        cross_origin: CrossOriginPolicy,
        limits: WebLimits,
        pace: Callable[[], float],
        clock: SchedulingClock,
        observer: Observer,
    ) -> None:
        """`pace` says for how many seconds not to read a client that has just been read."""
        self._make_session = make_session
        self._alternatives = alternatives
        self._cross_origin = cross_origin
        self._limits = limits
        self._pace = pace
        self._clock = clock
        self._observer = observer
        self._sessions: dict[str, BoshCarrier] = {}
        self._carriers: dict[WebCarrier, None] = {}
        self._idle = asyncio.Event()
        self.connection_of: Callable[[web.BaseRequest], HttpConnection]
        "Over what a request came; the listener knows."

    def application(self) -> web.Application:
        """Return what a listener serves."""
        application = web.Application(client_max_size=self._limits.body_size)
        application.router.add_post(BOSH_PATH, self._take_body)
        application.router.add_options(BOSH_PATH, self._answer_preflight)
        application.router.add_get(WEBSOCKET_PATH, self._open_websocket)
        application.router.add_get(_HOST_META, self._show_xrd)
        application.router.add_get(f"{_HOST_META}.json", self._show_json)
        application.router.add_route("*", "/{path:.*}", self._refuse_path)
        return application

    @property
    def carriers(self) -> tuple[WebCarrier, ...]:
        """All that carry a stream now."""
        return tuple(self._carriers)

    async def end_all(self, grace: float) -> None:
        """Give streams that were failed their time to say so, then end what is left."""
        if not self._carriers:
            return
        self._idle.clear()
        try:
            async with asyncio.timeout(grace):
                await self._idle.wait()
        except TimeoutError:
            for carrier in self.carriers:
                carrier.abort()

    # BOSH.

    async def _take_body(self, request: web.Request) -> web.Response:
        connection = self.connection_of(request)
        origin = request.headers.get("Origin")
        if not self._cross_origin.allows(origin):
            return self._refuse_origin(request)
        try:
            async with asyncio.timeout(self._limits.request_timeout):
                wire = await request.read()
        except TimeoutError:
            return self._refuse(connection, request, 408, "the body did not come in time")
        except web.HTTPRequestEntityTooLarge:
            text = f"a body may have {self._limits.body_size} bytes"
            return self._refuse(connection, request, 413, text)
        content_type = XML_TEXT
        try:
            carrier, response = await self._exchange(wire, connection)
            if carrier is not None:
                content_type = carrier.session.request.content_type
        except RemoteProtocolError as error:
            self._observer.message(connection.info, Direction.RECEIVED, mask_body(wire, secret=True))
            content = encode_terminate(_condition(error), text=str(error))
            response = BoshResponse(token=None, content=content)
            self._observer.message(connection.info, Direction.SENT, response.content)
        return web.Response(
            body=response.content,
            status=response.status,
            headers={"Content-Type": content_type, **_PROTECTION, **self._cross_origin.headers(origin)},
        )

    async def _exchange(
        self, wire: bytes, connection: HttpConnection
    ) -> tuple[BoshCarrier | None, BoshResponse]:
        # A look at the start tag tells whether it is of a session that is logged in; until then little is allowed.
        named = _SESSION_ID.search(wire, 0, 4096)
        found = self._sessions.get(named[1].decode("ascii", "replace")) if named else None
        if found is not None and found.certificate != _certificate(connection):
            found = None
        is_logged_in = found is not None and found.is_logged_in
        try:
            body = parse_body(wire, self._limits.stanzas if is_logged_in else UNAUTHENTICATED)
        except RemoteProtocolError as error:
            if found is not None:
                found.end(_condition(error))
            raise
        sid = body.attributes.get("sid")
        if sid is None:
            carrier = self._make_bosh_carrier(connection)
            try:
                return carrier, await carrier.begin(body, wire, settings=self._limits.bosh)
            except RemoteProtocolError:
                self._forget(carrier)
                raise
        found = self._sessions.get(sid)
        if found is None or found.certificate != _certificate(connection):
            # Also where it is a session of a client that showed another certificate: nobody else may have it.
            raise RemoteProtocolError("no such session", reply=BindingCondition.ITEM_NOT_FOUND)
        return found, await found.receive(body, wire, connection.info)

    def _make_bosh_carrier(self, connection: HttpConnection) -> BoshCarrier:
        if len(self._carriers) >= self._limits.maximum_sessions:
            raise RemoteProtocolError("too many sessions", reply=BindingCondition.INTERNAL_SERVER_ERROR)
        carrier = BoshCarrier(
            secrets.token_urlsafe(24),
            _certificate(connection),
            clock=self._clock,
            observer=self._observer,
            connection=connection.info,
            rate=self._rate(),
            pace=self._pace,
            closed=self._forget,
        )
        carrier.owner = self._make_session(carrier, BoshFraming(), connection)
        self._carriers[carrier] = None
        self._sessions[carrier.sid] = carrier
        return carrier

    def _rate(self) -> RateLimit:
        limits = self._limits
        return RateLimit(
            bytes_per_second=limits.bytes_per_second, burst=limits.burst, now=self._clock.monotonic()
        )

    def _forget(self, carrier: WebCarrier) -> None:
        self._carriers.pop(carrier, None)
        if isinstance(carrier, BoshCarrier):
            self._sessions.pop(carrier.sid, None)
        if not self._carriers:
            self._idle.set()

    async def _answer_preflight(self, request: web.Request) -> web.Response:
        origin = request.headers.get("Origin")
        if not self._cross_origin.allows(origin):
            return self._refuse_origin(request)
        headers = self._cross_origin.preflight_headers(origin, _METHODS)
        return web.Response(status=204, headers={"Allow": _METHODS, **headers})

    # WebSocket (RFC 7395 3.1).

    async def _open_websocket(self, request: web.Request) -> web.StreamResponse:
        connection = self.connection_of(request)
        origin = request.headers.get("Origin")
        offered = request.headers.getall("Sec-WebSocket-Protocol", [])
        subprotocols = {each.strip() for line in offered for each in line.split(",")}
        if not self._cross_origin.allows(origin):
            return self._refuse_origin(request)
        if SUBPROTOCOL not in subprotocols:
            seen = ", ".join(sorted(subprotocols)) or "none"
            text = f"expected a WebSocket with the subprotocol {SUBPROTOCOL!r} (RFC 7395 3.1), seen {seen}"
            return self._refuse(connection, request, 400, text)
        if len(self._carriers) >= self._limits.maximum_sessions:
            return self._refuse(connection, request, 503, "too many sessions")
        socket = web.WebSocketResponse(
            protocols=(SUBPROTOCOL,),
            compress=False,
            max_msg_size=self._limits.body_size,
            heartbeat=self._limits.heartbeat,
            timeout=1.0,
        )
        try:
            await socket.prepare(request)
        except ConnectionResetError:
            return web.Response(status=400)  # the client is gone, and nobody reads this
        carrier = WebSocketCarrier(
            socket,
            clock=self._clock,
            observer=self._observer,
            connection=connection.info,
            rate=self._rate(),
            pace=self._pace,
            abort=lambda: _abort(request),
            closed=self._forget,
        )
        carrier.owner = self._make_session(carrier, WebSocketFraming(), connection)
        self._carriers[carrier] = None
        await carrier.run()
        return socket

    # Everything else.

    async def _show_xrd(self, request: web.Request) -> web.Response:
        return self._show(self._alternatives.encode_xrd(), "application/xrd+xml; charset=utf-8")

    async def _show_json(self, request: web.Request) -> web.Response:
        return self._show(self._alternatives.encode_json(), "application/json; charset=utf-8")

    def _show(self, content: bytes, content_type: str) -> web.Response:
        # XEP-0156 4: whatever page asks may read where the service is.
        headers = {"Content-Type": content_type, "Access-Control-Allow-Origin": "*"}
        return web.Response(body=content, headers=headers)

    async def _refuse_path(self, request: web.Request) -> web.Response:
        text = (
            f"expected POST {BOSH_PATH} (BOSH), a WebSocket on {WEBSOCKET_PATH} or GET {_HOST_META}, "
            f"seen {request.method} {request.path[:200]}"
        )
        known = request.path in (BOSH_PATH, WEBSOCKET_PATH, _HOST_META)
        return self._refuse(self.connection_of(request), request, 405 if known else 404, text)

    def _refuse_origin(self, request: web.Request) -> web.Response:
        text = f"pages of {request.headers['Origin'][:200]} may not use this service: see web_client_origins"
        return self._refuse(self.connection_of(request), request, 403, text)

    def _refuse(
        self, connection: HttpConnection, request: web.Request, status: int, text: str
    ) -> web.Response:
        seen = f"{request.method} {request.path[:200]} HTTP/1.1\r\n\r\n".encode()
        self._observer.message(connection.info, Direction.RECEIVED, seen)
        response = web.Response(status=status, text=text + "\n", headers=_PROTECTION)
        if status == 405:
            response.headers["Allow"] = _METHODS
        answer = f"HTTP/1.1 {status} {response.reason}\r\n\r\n{text}".encode()
        self._observer.message(connection.info, Direction.SENT, answer)
        return response


def _certificate(connection: HttpConnection) -> str:
    chain = connection.verdict.presented_chain if connection.verdict is not None else ()
    return chain[0].sha256 if chain else ""


def _condition(error: RemoteProtocolError) -> BindingCondition:
    known = error.reply in tuple(BindingCondition)
    return BindingCondition(error.reply) if known else BindingCondition.BAD_REQUEST


def _abort(request: web.BaseRequest) -> None:
    if request.transport is not None:
        request.transport.abort()
