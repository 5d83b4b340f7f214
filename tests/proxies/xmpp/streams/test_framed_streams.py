"""A web client's stream, over WebSocket (RFC 7395) and over BOSH (XEP-0124, XEP-0206)."""

import re
from dataclasses import replace

import pytest

from proxies.xmpp.stanza import Stanza
from proxies.xmpp.streams.events import StreamClosed
from proxies.xmpp.streams.framed_reader import parse_body
from proxies.xmpp.streams.framing import BoshFraming, StreamFraming, WebSocketFraming
from proxies.xmpp.streams.reader_events import UNAUTHENTICATED
from proxies.xmpp.streams.receiving import ReceivingStream
from proxies.xmpp.streams.settings import TlsOffer
from proxies.xmpp.streams.state import StreamState
from tests.proxies.xmpp.streams.exchange import CLIENTS, PLAIN, Owner, make_password_sasl

OPEN = b"<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='lab.example' version='1.0'/>"
CLOSE = b"<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>"
BIND = b"<iq xmlns='jabber:client' type='set' id='b1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>"
MESSAGE = b"<message xmlns='jabber:client' to='bob@lab.example'><body>hi</body></message>"
FEATURES = b"<stream:features xmlns:stream='http://etherx.jabber.org/streams'>"
RECEIVED = Stanza(
    "message",
    {"to": "bob@lab.example", "from": "alice@lab.example/made"},
    b"<body>hi</body>",
    (("", "body"),),
)
BOUND = (
    b"<iq xmlns=\"jabber:client\" type='result' id='b1'><bind xmlns=\"urn:ietf:params:xml:ns:xmpp-bind\">"
    b"<jid>alice@lab.example/made</jid></bind></iq>"
)


def open_stream(framing: StreamFraming) -> ReceivingStream:
    settings = replace(CLIENTS, tls=TlsOffer.NONE, stream_management=False)
    return ReceivingStream(settings, now=0.0, make_sasl=make_password_sasl, secure=True, framing=framing)


class Frames(Owner):
    """Keeps what is sent element by element."""

    def exchange(self, message: bytes) -> list[bytes]:
        self.stream.receive_data(message)
        return self.take()

    def take(self) -> list[bytes]:
        while (event := self.stream.next_event()) is not None:
            self.events.append(event)
            self._answer(event)
        return self.stream.elements_to_send()


def test_a_websocket_client_logs_in_message_by_message() -> None:
    frames = Frames(open_stream(WebSocketFraming()))
    opened, features = frames.exchange(OPEN)
    assert re.fullmatch(
        rb"<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' id=\"[0-9a-f]{20}\" from=\"lab.example\" "
        rb'version="1.0" xml:lang="en"/>',
        opened,
    )
    assert features.startswith(FEATURES + b"<mechanisms")
    assert frames.exchange(PLAIN) == [b'<success xmlns="urn:ietf:params:xml:ns:xmpp-sasl"/>']
    assert frames.exchange(OPEN)[1].startswith(FEATURES + b"<bind")
    assert frames.exchange(BIND) == [BOUND]
    assert frames.exchange(MESSAGE) == []
    assert frames.events[-1] == RECEIVED
    frames.stream.send_stanza(RECEIVED)
    assert frames.take() == [
        b"<message xmlns=\"jabber:client\" to='bob@lab.example' from='alice@lab.example/made'>"
        b"<body>hi</body></message>"
    ]
    assert frames.exchange(CLOSE) == [CLOSE]
    assert frames.events[-1] == StreamClosed(clean=True)


@pytest.mark.parametrize(
    ("message", "error"), [(MESSAGE + MESSAGE, "bad-format"), (OPEN, "bad-format"), (b"<a", "bad-format")]
)
def test_a_websocket_client_that_breaks_a_rule_is_told_and_left(message: bytes, error: str) -> None:
    owner = Owner(open_stream(WebSocketFraming()))
    owner.feed(OPEN)
    owner.feed(message)
    assert owner.error == error
    assert b"<stream:error xmlns:stream='http://etherx.jabber.org/streams'><bad-format" in owner.sent
    assert owner.sent.endswith(CLOSE)


def body(attributes: bytes, content: bytes = b"") -> bytes:
    return b"<body xmlns='http://jabber.org/protocol/httpbind' xmlns:xmpp='urn:xmpp:xbosh' %b>%b</body>" % (
        attributes,
        content,
    )


def test_a_bosh_client_logs_in_body_by_body() -> None:
    stream = open_stream(BoshFraming())
    frames = Frames(stream)

    def exchange(attributes: bytes, content: bytes = b"") -> list[bytes]:
        stream.receive_body(parse_body(body(attributes, content), UNAUTHENTICATED))
        return frames.take()

    opened, features = exchange(b"to='lab.example' rid='1' xmpp:version='1.0'")
    assert opened == b""
    assert features.startswith(FEATURES + b"<mechanisms")
    assert exchange(b"sid='s' rid='2'", PLAIN) == [b'<success xmlns="urn:ietf:params:xml:ns:xmpp-sasl"/>']
    assert exchange(b"sid='s' rid='3' to='lab.example' xmpp:version='1.0' xmpp:restart='true'")[1].startswith(
        FEATURES + b"<bind"
    )
    assert exchange(b"sid='s' rid='4'", BIND + MESSAGE) == [BOUND]
    assert frames.events[-1] == RECEIVED
    exchange(b"sid='s' rid='5' type='terminate'", MESSAGE)
    assert frames.events[-2:] == [RECEIVED, StreamClosed(clean=True)]
    assert stream.state is StreamState.CLOSED


def test_a_bosh_client_may_restart_without_saying_the_domain_again() -> None:
    stream = open_stream(BoshFraming())
    frames = Frames(stream)
    for attributes, content in (
        (b"to='lab.example' rid='1' xmpp:version='1.0'", b""),
        (b"sid='s' rid='2'", PLAIN),
        (b"sid='s' rid='3' xmpp:restart='true'", b""),
        (b"sid='s' rid='4'", BIND),
    ):
        stream.receive_body(parse_body(body(attributes, content), UNAUTHENTICATED))
        sent = frames.take()
    assert sent == [BOUND]
