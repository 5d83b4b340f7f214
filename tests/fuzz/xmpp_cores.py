"""XMPP cores as targets: streams of both sides, SASL, BOSH, and what lies behind them."""

import base64
import re
from dataclasses import replace
from random import Random
from typing import Final
from xml.etree import ElementTree as ET

from certs.errors import LocalProtocolError, RemoteProtocolError
from proxies.xmpp import namespaces as ns
from proxies.xmpp.jid import Jid
from proxies.xmpp.muc.values import MucSettings
from proxies.xmpp.sasl.client import SaslClient, SaslClientSettings
from proxies.xmpp.sasl.common import SaslMechanism
from proxies.xmpp.sasl.server import SaslServer, SaslServerSettings
from proxies.xmpp.stanza import Nonza, Stanza, make_stanza, stanza_kind
from proxies.xmpp.streams.framed_reader import parse_body
from proxies.xmpp.streams.framing import WebSocketFraming
from proxies.xmpp.streams.reader_events import CLIENT_STANZAS
from proxies.xmpp.streams.receiving import ReceivingStream
from proxies.xmpp.streams.settings import StreamKind, TlsOffer
from proxies.xmpp.streams.state import StreamState
from proxies.xmpp.web.bosh_session import BoshSession, BoshSettings
from proxies.xmpp.web.bosh_state import BoshState
from tests.fuzz.mutation import mutate, mutate_tree, pieces
from tests.fuzz.recordings import (
    BOSH_BODIES,
    DICTIONARY,
    INITIATED,
    NAMES,
    STANZAS,
    STREAMS,
    VALUES,
    WEBSOCKET,
)
from tests.proxies.xmpp.im.lab import JULIET, ROMEO
from tests.proxies.xmpp.muc.chat import DOMAIN as CONFERENCES
from tests.proxies.xmpp.muc.chat import Chat
from tests.proxies.xmpp.pep.pubsub import PepLab
from tests.proxies.xmpp.streams.exchange import (
    ALICE,
    CLIENTS,
    Initiator,
    Owner,
    initiate,
    make_password_sasl,
)
from tests.proxies.xmpp.streams.recorded import filled

MOST_SENT: Final = 4 * 1024 * 1024
"Octets that a stream may answer to one input."


def received_stream(rng: Random) -> None:
    """A client, a server or a component that says anything."""
    exchange = rng.choice(STREAMS)
    owner = Owner(exchange.open(), exchange.managed())
    for number, phase in enumerate(exchange.phases):
        data = phase if isinstance(phase, bytes) else phase(owner.stream)
        if rng.random() < 0.6 or number == len(exchange.phases) - 1:
            others = [each for each in exchange.phases if isinstance(each, bytes)]
            data = mutate(rng, [data, *others], DICTIONARY)
        for piece in pieces(rng, data):
            if owner.stream.state is StreamState.CLOSED:
                break
            owner.feed(piece)
    _ends(owner)


def initiated_stream(rng: Random) -> None:
    """A server that answers anything to a client, a router, a federating server or a component."""
    kind, answers = rng.choice(INITIATED)
    sender = "" if kind is StreamKind.CLIENT else "imp1.lab.example"
    owner = Initiator(initiate(kind, sender=sender))
    owner.pull()
    for recorded in answers:
        answer = filled(recorded, owner.sent)
        data = mutate(rng, [answer, *answers], DICTIONARY) if rng.random() < 0.6 else answer
        for piece in pieces(rng, data):
            if owner.stream.state is StreamState.CLOSED:
                break
            try:
                owner.feed(piece)
            except LocalProtocolError:
                return  # the test's owner took an offer that nobody can take up now
    _ends(owner)


def _ends(owner: Owner) -> None:
    owner.stream.receive_eof()
    owner.pull()
    assert owner.stream.state is StreamState.CLOSED, owner.stream.state
    assert len(owner.sent) < MOST_SENT, f"{len(owner.sent)} octets were answered"


def websocket(rng: Random) -> None:
    """A WebSocket client, message by message."""
    settings = replace(CLIENTS, tls=TlsOffer.NONE)
    stream = ReceivingStream(
        settings, now=0.0, make_sasl=make_password_sasl, secure=True, framing=WebSocketFraming()
    )
    owner = Owner(stream)
    for message in WEBSOCKET:
        if owner.stream.state is StreamState.CLOSED:
            break
        owner.feed(mutate(rng, [message, *WEBSOCKET], DICTIONARY) if rng.random() < 0.5 else message)
    _ends(owner)


def bosh(rng: Random) -> None:
    """A BOSH client: bodies in any order, and time that passes."""
    session: BoshSession | None = None
    now, rid = 0.0, 100
    for token in range(rng.randint(1, 12)):
        data = rng.choice(BOSH_BODIES).replace(b"RID", str(rid).encode())
        if rng.random() < 0.5:
            data = mutate(rng, [data, *BOSH_BODIES], DICTIONARY)
        rid += rng.choice((1, 1, 1, 1, 0, 2, -1))
        try:
            body = parse_body(data, CLIENT_STANZAS)
            if session is None:
                session = BoshSession(body, token, sid="s", settings=BoshSettings(), now=now)
            else:
                session.receive_request(body, token, now=now)
        except RemoteProtocolError:
            continue
        if rng.random() < 0.3 and session.state not in (BoshState.ENDING, BoshState.OVER):
            session.send(b"<message xmlns='jabber:client'/>")
        now += rng.choice((0.0, 0.0, 1.0, 70.0))
        if (due := session.next_timer()) is not None and due <= now:
            session.handle_timer(now=now)
        while (forwarded := session.next_body()) is not None:
            list(forwarded.events())
        while session.next_response(now=now) is not None:
            pass


def sasl_server(rng: Random) -> None:
    """Logins that go wrong at any step."""
    server = SaslServer(
        SaslServerSettings(),
        domain="lab.example",
        find_credentials=lambda name: ALICE if name == "alice" else None,
        encrypted=rng.random() < 0.8,
        certificate_identities=(Jid.parse("peer.example"),) if rng.random() < 0.3 else (),
    )
    for _ in range(rng.randint(1, 4)):
        text = mutate(rng, _SASL_MESSAGES, _SASL_WORDS)
        encoded = base64.b64encode(text).decode() if rng.random() < 0.8 else text.decode("utf-8", "replace")
        name = rng.choice(("auth", "response", "abort", "response", "auth"))
        attributes = {"mechanism": rng.choice([*SaslMechanism, "", "NOPE"])} if name == "auth" else {}
        payload = encoded.encode("utf-8", "replace")
        try:
            server.receive_nonza(Nonza(ns.SASL, name, attributes, _xml_text(payload)))
        except LocalProtocolError:
            return  # the exchange is over


def sasl_client(rng: Random) -> None:
    """A server that answers a login with anything."""
    client = SaslClient(SaslClientSettings(username="alice", password="secret"), encrypted=True)
    try:
        client.start([mechanism.value for mechanism in SaslMechanism if "PLUS" not in mechanism])
        for _ in range(3):
            client.respond(mutate(rng, _SASL_MESSAGES, _SASL_WORDS))
        client.receive_success(mutate(rng, _SASL_MESSAGES, _SASL_WORDS))
    except (RemoteProtocolError, LocalProtocolError):
        pass


def session_manager(rng: Random) -> None:
    """Clients and other routers that send any stanza to a home node with archive-less PEP."""
    lab = PepLab()
    lab.befriend(ROMEO, JULIET)
    clients = [lab.login(f"{ROMEO}/o"), lab.login(f"{JULIET}/b")]
    for _ in range(rng.randint(1, 12)):
        stanza = _stanza(rng)
        if rng.random() < 0.8:
            client = rng.choice(clients)
            client.manager.receive_from_session(client, stanza)
        else:
            addresses = {
                "to": rng.choice((ROMEO, JULIET, f"{ROMEO}/o", "verona.example")),
                "from": rng.choice(VALUES),
            }
            lab.manager.receive_routed(
                stanza.with_attributes(to=addresses["to"], from_=addresses["from"] or None)
            )
        lab.clock.advance(rng.choice((0.0, 1.0, 40.0)))
    for client in clients:
        client.leave()


def conferences(rng: Random) -> None:
    """Anybody who sends any stanza to rooms."""
    chat = Chat(MucSettings(domain=CONFERENCES))
    for _ in range(rng.randint(1, 15)):
        stanza = _stanza(rng)
        to = rng.choice(
            (f"lobby@{CONFERENCES}", f"lobby@{CONFERENCES}/a", f"lobby@{CONFERENCES}/b", CONFERENCES)
        )
        sender = rng.choice(("alice@lab.example/desk", "bob@lab.example/phone", "eve@lab.example"))
        chat.service.receive(stanza.with_attributes(to=to, from_=sender))
        chat.sent.clear()
    chat.service.close()


def _stanza(rng: Random) -> Stanza:
    tree = mutate_tree(rng, ET.fromstring(rng.choice(STANZAS)), VALUES, NAMES)
    return make_stanza(stanza_kind(tree.tag.rpartition("}")[2]), tree.attrib, list(tree))


def _xml_text(payload: bytes) -> bytes:
    """Only what an XML reader would let through can be in a payload."""
    return _NOT_XML.sub("", payload.decode("utf-8", "replace")).encode()


_NOT_XML: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff<&>]")

_SASL_MESSAGES: Final = [
    b"\0alice\0secret",
    b"bob@lab.example\0alice\0secret",
    b"n,,n=alice,r=fyko+d2lbbFgONRv9qkxdawL",
    b"y,a=alice@lab.example,n=al=2Cice,r=abc",
    b"p=tls-server-end-point,,n=alice,r=fyko",
    b"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
    b"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
    b"v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
    b"e=invalid-proof",
    b"peer.example",
    b"",
    b"=",
]
_SASL_WORDS: Final = [
    b",",
    b"=",
    b"n=",
    b"r=",
    b"i=999999999",
    b"i=0",
    b"m=x,",
    b"c=",
    b"p=",
    b"=2C",
    b"=3D",
    b"\0",
    b"@",
]
