"""Exchanges as peers have them, phase by phase, for tests that cut or damage them."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from proxies.xmpp.stanza import Stanza
from proxies.xmpp.streams.management import ManagedStanzas
from proxies.xmpp.streams.receiving import ReceivingStream
from proxies.xmpp.streams.settings import StreamKind, TlsOffer
from tests.proxies.xmpp.streams.exchange import (
    BIND,
    CLIENT_HEADER,
    CLOSE,
    COMPONENT_HEADER,
    COMPONENTS,
    EXTERNAL,
    PLAIN,
    SERVER_HEADER,
    SERVERS,
    STARTTLS,
    handshake,
    receive,
)

MESSAGE = b"<message to='bob@lab.example' id='m1'><body>1 &lt; 2 \xf0\x9f\x98\x80</body></message>"
BETWEEN_SERVERS = b"<message from='eve@peer.example' to='bob@lab.example'><body>hi</body></message>"
Phase = Callable[[ReceivingStream], bytes]
"What a peer sends without waiting for a restart of the stream."


@dataclass(frozen=True)
class Exchange:
    name: str
    open: Callable[[], ReceivingStream]
    phases: tuple[Phase | bytes, ...]
    managed: Callable[[], ManagedStanzas | None] = lambda: None


def attach(stream: ReceivingStream) -> bytes:
    return handshake(stream) + b"<message to='bob@lab.example' from='rooms.lab.example'/>" + CLOSE


def broken_stream() -> ManagedStanzas:
    managed = ManagedStanzas(maximum_unacknowledged=10, resumption_id="r1")
    for number in ("1", "2"):
        managed.send_stanza(Stanza("message", {"id": number}))
    return managed


RESUME = b"<resume xmlns='urn:xmpp:sm:3' previd='r1' h='1'/>"
ENABLE = b"<enable xmlns='urn:xmpp:sm:3' resume='true'/>"
REQUEST = b"<r xmlns='urn:xmpp:sm:3'/>"
ACKNOWLEDGED = b"<a xmlns='urn:xmpp:sm:3' h='0'/>"
ENABLE_REFUSED = b"<enable xmlns='urn:xmpp:sm:3'/>"
DIALBACK = b"<db:result from='peer.example' to='lab.example'>98b8</db:result>"

EXCHANGES = [
    Exchange(
        "client",
        receive,
        (
            CLIENT_HEADER + STARTTLS,
            CLIENT_HEADER + PLAIN,
            CLIENT_HEADER + BIND + b"<presence/> " + ENABLE + MESSAGE + REQUEST + CLOSE,
        ),
    ),
    Exchange(
        "resumption",
        receive,
        (CLIENT_HEADER + STARTTLS, CLIENT_HEADER + PLAIN, CLIENT_HEADER + RESUME + MESSAGE + REQUEST + CLOSE),
        broken_stream,
    ),
    Exchange(
        "server with a certificate",
        lambda: receive(SERVERS),
        (SERVER_HEADER + STARTTLS, SERVER_HEADER + EXTERNAL, SERVER_HEADER + BETWEEN_SERVERS + CLOSE),
    ),
    Exchange(
        "dialback",
        lambda: receive(replace(SERVERS, tls=TlsOffer.NONE, dialback=True)),
        (
            SERVER_HEADER + b"<db:result from='peer.example' to='lab.example'>98b8</db:result>"
            b"<db:verify from='peer.example' to='lab.example' id='x'>98b8</db:verify>"
            + BETWEEN_SERVERS
            + CLOSE,
        ),
    ),
    Exchange(
        "router link",
        lambda: receive(SERVERS),
        (
            SERVER_HEADER + STARTTLS,
            SERVER_HEADER + EXTERNAL,
            SERVER_HEADER + ENABLE + BETWEEN_SERVERS + REQUEST + BETWEEN_SERVERS + ACKNOWLEDGED + CLOSE,
        ),
    ),
    Exchange(
        "router link in the clear",
        lambda: receive(replace(SERVERS, tls=TlsOffer.NONE, dialback=True)),
        (SERVER_HEADER + DIALBACK + ENABLE_REFUSED + BETWEEN_SERVERS + BETWEEN_SERVERS + CLOSE,),
    ),
    Exchange(
        "router link resumed",
        lambda: receive(SERVERS),
        (
            SERVER_HEADER + STARTTLS,
            SERVER_HEADER + EXTERNAL,
            SERVER_HEADER + RESUME + BETWEEN_SERVERS + REQUEST + CLOSE,
        ),
        broken_stream,
    ),
    Exchange("component", lambda: receive(COMPONENTS), (COMPONENT_HEADER, attach)),
]

_HEADER = (
    b"<?xml version='1.0'?><stream:stream xmlns='%b' xmlns:stream='http://etherx.jabber.org/streams' "
    b"id='s1' from='lab.example' version='1.0' xml:lang='en'>"
)
_FEATURES = b"<stream:features>%b</stream:features>"
_PROCEED = b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
_SUCCESS = b"<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"
_OFFER_TLS = _FEATURES % b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>"
_RESET = b"<stream:error><reset xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"
_MANAGED = b"<sm xmlns='urn:xmpp:sm:3'/>"


def _mechanism(name: bytes) -> bytes:
    return _FEATURES % (
        b"<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>%b</mechanism></mechanisms>" % name
    )


_CLIENT, _SERVER = _HEADER % b"jabber:client", _HEADER % b"jabber:server"

SERVER_ANSWERS: Final[list[tuple[StreamKind, tuple[bytes, ...]]]] = [
    (
        StreamKind.CLIENT,
        (
            _CLIENT + _OFFER_TLS,
            _PROCEED,
            _CLIENT + _mechanism(b"PLAIN"),
            _SUCCESS,
            _CLIENT + _FEATURES % (b"<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>" + _MANAGED),
            b"<iq type='result' id='BIND-ID'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
            b"<jid>alice@lab.example/desk</jid></bind></iq>",
            MESSAGE + b"<presence from='bob@lab.example/x'/>" + CLOSE,
        ),
    ),
    (
        StreamKind.SERVER,
        (
            _SERVER + _OFFER_TLS,
            _PROCEED,
            _SERVER + _mechanism(b"EXTERNAL"),
            _SUCCESS,
            _SERVER + _FEATURES % _MANAGED,
            BETWEEN_SERVERS
            + b"<stream:error><reset xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"
            + CLOSE,
        ),
    ),
    (
        StreamKind.COMPONENT,
        (
            _HEADER % b"jabber:component:accept",
            b"<handshake/>",
            b"<message from='a@b' to='lab.example'/>" + CLOSE,
        ),
    ),
]
"What servers answer to those who open a stream: a client, another server, a component."


def filled(answer: bytes, sent: bytes) -> bytes:
    """An answer with the id of the request to bind that was sent before."""
    request = re.search(rb"id='([^']+)'><bind", sent)
    return answer.replace(b"BIND-ID", request[1]) if request else answer


_FRAMING = b"xmlns='urn:ietf:params:xml:ns:xmpp-framing'"

WEBSOCKET: Final = [
    b"<open %b to='lab.example' version='1.0'/>" % _FRAMING,
    PLAIN,
    b"<open %b to='lab.example' version='1.0'/>" % _FRAMING,
    BIND.replace(b"<iq ", b"<iq xmlns='jabber:client' "),
    b"<presence xmlns='jabber:client'/>",
    MESSAGE.replace(b"<message ", b"<message xmlns='jabber:client' "),
    ENABLE,
    REQUEST,
    b"<close %b/>" % _FRAMING,
]
"A WebSocket client's messages (RFC 7395)."

_BODY = (
    b"<body xmlns='http://jabber.org/protocol/httpbind' xmlns:xmpp='urn:xmpp:xbosh' rid='RID' %b>%b</body>"
)

BOSH_BODIES: Final = [
    _BODY % (b"to='lab.example' wait='60' hold='1' ver='1.11' xmpp:version='1.0'", b""),
    _BODY % (b"sid='s'", b""),
    _BODY % (b"sid='s'", PLAIN),
    _BODY % (b"sid='s' xmpp:restart='true' to='lab.example'", b""),
    _BODY
    % (b"sid='s' key='abc' newkey='def'", MESSAGE.replace(b"<message ", b"<message xmlns='jabber:client' ")),
    _BODY % (b"sid='s' pause='60'", b""),
    _BODY % (b"sid='s' type='terminate'", b"<presence xmlns='jabber:client' type='unavailable'/>"),
    _BODY % (b"sid='s' ack='1'", b""),
]
"A BOSH client's bodies (XEP-0124, XEP-0206); RID stands for the request id."
