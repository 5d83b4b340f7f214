"""A web server from the client's side: HTTPS, host-meta (XEP-0156), and a BOSH session (XEP-0124, XEP-0206)."""

import asyncio
import secrets
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from typing import Final
from xml.etree import ElementTree as ET
from xml.sax.saxutils import quoteattr

import aiohttp

from certs.credential import Credential
from certs.errors import RemoteProtocolError
from certs.verdict import Verdict
from harness.probe.kinds import Protocol, TlsMode
from harness.probe.options import ProbeOptions
from harness.probe.report import ProbeReport, step_after_alert
from harness.probe.watching import ProbeObserver, describe, require_reached
from proxies.clock import LoopClock
from proxies.tls import TlsConnection, dial_tls
from proxies.xmpp import namespaces as ns
from proxies.xmpp.stanza import Nonza
from proxies.xmpp.streams.features import StreamFeatures
from proxies.xmpp.streams.framed_reader import BoshBody, parse_body
from proxies.xmpp.streams.reader_events import SERVER_STANZAS
from proxies.xmpp.web.alternatives import BOSH, WEBSOCKET

_LARGEST: Final = 256 * 1024
"Bytes that are read of an answer."

_HOST_META: Final = "/.well-known/host-meta"
_XRD: Final = "{http://docs.oasis-open.org/ns/xri/xrd-1.0}"
_SHOWN: Final = ("Server", "Strict-Transport-Security", "Content-Security-Policy")


async def probe_web(report: ProbeReport, address: str, mode: TlsMode, options: ProbeOptions) -> None:
    """Shake hands, then ask over connections of aiohttp's: GET / and host-meta, or a BOSH session."""
    verdict: Verdict | None = None
    if mode is TlsMode.DIRECT:
        verdict = await _shake_hands(report, address, options)
        report.judge("TLS handshake", verdict)
        if not verdict.presented_chain or verdict.alert_received:
            return
    behind = verdict is not None and not verdict.accepted
    context = None if mode is TlsMode.NONE else _without_belief(options.credential)
    timeout = aiohttp.ClientTimeout(total=options.timeout)
    connector = aiohttp.TCPConnector(resolver=_OneAddress(address), ssl=True if context is None else context)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as http:
        visitor = _WebVisitor(report, http, _base(report, mode, options), behind=behind)
        try:
            if report.protocol is Protocol.BOSH:
                await visitor.open_session(options)
            else:
                await visitor.get_root()
            await visitor.get_host_meta()
        except aiohttp.ClientError as error:
            _add_failure(report, error)
        except TimeoutError:
            report.wrong(
                "HTTP", f"no answer within {options.timeout:g} s",
                remedy="Check that this port speaks HTTP, or give it more time by --timeout.",
            )  # fmt: skip


async def _shake_hands(report: ProbeReport, address: str, options: ProbeOptions) -> Verdict:
    dialled = await dial_tls(
        options.tls, address, report.port,
        protocol_factory=_Leaver,
        describe=describe, clock=LoopClock(), observer=ProbeObserver(),
    )  # fmt: skip
    require_reached([dialled.verdict])
    return dialled.verdict


class _Leaver(asyncio.Protocol):
    """Has seen what it wanted with the handshake: a server that serves one client at a time is free again."""

    def __init__(self, connection: TlsConnection) -> None:
        asyncio.get_running_loop().call_soon(connection.close)


class _OneAddress(aiohttp.abc.AbstractResolver):
    """The target was looked up before; its name still goes into the requests and into SNI."""

    def __init__(self, address: str) -> None:
        self._address = address

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[aiohttp.abc.ResolveResult]:
        """Return the address for whatever name."""
        found = await asyncio.get_running_loop().getaddrinfo(self._address, port)
        return [
            aiohttp.abc.ResolveResult(
                hostname=host, host=self._address, port=port, family=found[0][0], proto=0, flags=0
            )
        ]

    async def close(self) -> None:
        """Hold nothing."""


class _WebVisitor:
    """Asks, and adds the answers to the report."""

    def __init__(self, report: ProbeReport, http: aiohttp.ClientSession, base: str, *, behind: bool) -> None:
        self._report = report
        self._http = http
        self._base = base
        self._behind = behind

    async def get_root(self) -> None:
        """GET /: any answer is HTTP; what the server asks of browsers is noted."""
        async with self._http.get(f"{self._base}/", allow_redirects=False) as answer:
            text = f"{answer.status} {answer.reason}".strip()
            if answer.headers.get("Location"):
                text += f", to {answer.headers['Location'][:200]}"
            if answer.status < 500:
                self._ok("GET /", text)
            else:
                self._wrong("GET /", text, "The server fails by itself: look into its log.")
            for name in _SHOWN:
                if name in answer.headers:
                    self._report.note(name, answer.headers[name][:200])
            if self._base.startswith("https") and "Strict-Transport-Security" not in answer.headers:
                self._report.note("Strict-Transport-Security", "not sent (RFC 6797)")

    async def get_host_meta(self) -> None:
        """Note where web clients are told to go."""
        async with self._http.get(f"{self._base}{_HOST_META}", allow_redirects=False) as answer:
            content = await answer.content.read(_LARGEST)
            status = answer.status
        links = dict(_links(content)) if status == 200 else {}
        if not links:
            self._report.note("host-meta", f"none ({status}): web clients need the address by configuration")
            return
        for relation, name in ((BOSH, "BOSH"), (WEBSOCKET, "WebSocket")):
            if relation in links:
                self._report.note("host-meta", f"{name} at {links[relation][:300]}")

    async def open_session(self, options: ProbeOptions) -> None:
        """Create a session, look at its features, terminate it."""
        rid = secrets.randbelow(2**40) + 1
        first = (
            f"to={quoteattr(options.domain)} ver='1.11' wait='5' hold='1' xmpp:version='1.0' xml:lang='en'"
        )
        status, body = await self._post(options.path, rid, first)
        if body is None:
            self._wrong(
                "BOSH session", f"{status} at {options.path}, and no <body/>",
                "Name the path of BOSH by --path, as /http-bind or /bosh; host-meta may tell it.",
            )  # fmt: skip
            return
        if body.attributes.get("type") == "terminate" or not body.attributes.get("sid"):
            condition = body.attributes.get("condition", "no session id")
            hint = "Name the domain that it serves by --domain." if condition == "host-unknown" else ""
            self._wrong(
                "BOSH session", f"refused: {condition}", hint or "Look into the server's log for this moment."
            )
            return
        told = body.attributes
        limits = ", ".join(f"{name} {told[name]}" for name in ("wait", "hold", "inactivity") if name in told)
        self._ok("BOSH session", f"created: {limits}")
        sid, rid = f"sid={quoteattr(told['sid'])}", rid + 1
        features = _features(body)
        if features is None:  # XEP-0206 4: they may come with the next body
            _, second = await self._post(options.path, rid, sid)
            features, rid = _features(second), rid + 1
        if features is not None and features.mechanisms:
            self._ok("SASL", ", ".join(features.mechanisms))
        else:
            self._wrong("SASL", "no mechanism", "Let the server offer SCRAM-SHA-256 or another one.")
        with suppress(aiohttp.ClientError, TimeoutError):
            await self._post(options.path, rid, f"{sid} type='terminate'")

    async def _post(self, path: str, rid: int, attributes: str) -> tuple[int, BoshBody | None]:
        content = f"<body xmlns='{ns.HTTP_BIND}' xmlns:xmpp='{ns.XBOSH}' rid='{rid}' {attributes}/>"
        headers = {"Content-Type": "text/xml; charset=utf-8"}
        async with self._http.post(f"{self._base}{path}", data=content.encode(), headers=headers) as answer:
            data = await answer.content.read(_LARGEST)
            status = answer.status
        try:
            return status, parse_body(data, SERVER_STANZAS)
        except RemoteProtocolError:
            return status, None

    def _ok(self, what: str, seen: str) -> None:
        if self._behind:
            self._report.note(f"{what} (behind the refused certificate)", seen)
        else:
            self._report.ok(what, seen)

    def _wrong(self, what: str, seen: str, remedy: str) -> None:
        self._report.wrong(what, seen, remedy=remedy)


def _features(body: BoshBody | None) -> StreamFeatures | None:
    for element in body.elements if body is not None else ():
        if isinstance(element, Nonza) and (element.namespace, element.name) == (ns.STREAM, "features"):
            return StreamFeatures.parse(element)
    return None


def _links(document: bytes) -> Iterator[tuple[str, str]]:
    """Yield relation and address of each link of a host-meta document (RFC 6415 3.1)."""
    if b"<!DOCTYPE" in document:
        return  # no entities from strangers
    try:
        tree = ET.fromstring(document)  # noqa: S314 - bounded in size, and without a DTD
    except ET.ParseError:
        return
    for link in tree.iter(f"{_XRD}Link"):
        yield link.get("rel", ""), link.get("href", "")


def _base(report: ProbeReport, mode: TlsMode, options: ProbeOptions) -> str:
    host = options.server_name or report.host
    scheme = "http" if mode is TlsMode.NONE else "https"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{report.port}"


def _without_belief(credential: Credential | None) -> ssl.SSLContext:
    """Return a context that believes everybody: who is there was judged before."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    if credential is not None:
        with tempfile.NamedTemporaryFile(suffix=".pem") as file:  # mode 0600
            file.write(credential.chain_pem + b"\n" + credential.key_pem)
            file.flush()
            context.load_cert_chain(file.name)
    return context


def _add_failure(report: ProbeReport, error: BaseException) -> None:
    """Say how an HTTP exchange broke; a late alert is told by OpenSSL's symbol."""
    seen: BaseException | None = error
    while seen is not None:
        symbol = (seen.reason or "") if isinstance(seen, ssl.SSLError) else ""
        _, mark, alert = symbol.partition("ALERT_")
        if mark:
            name = alert.lower()
            report.wrong("HTTP", f"the server sent the alert {name}", remedy=step_after_alert(name))
            return
        seen = seen.__cause__ or seen.__context__
    report.wrong(
        "HTTP",
        f"the exchange broke: {str(error) or type(error).__name__}",
        remedy="Check that this port speaks HTTP, with TLS or without (--tls none); look into the server's log.",
    )
