"""WebSocket messages and BOSH bodies carry whole elements."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certs.errors import RemoteProtocolError
from proxies.xmpp import namespaces as ns
from proxies.xmpp.stanza import Nonza, Stanza
from proxies.xmpp.streams.framed_reader import BoshBody, FramedReader, parse_body
from proxies.xmpp.streams.reader_events import CLIENT_STANZAS, ReaderEvent, StreamEnd, StreamHeader

OPEN = b"<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='lab.example' version='1.0'/>"
MESSAGE = b"<message xmlns='jabber:client' to='bob@lab.example'><body>hi</body></message>"
CLOSE = b"<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>"


def read(*messages: bytes) -> tuple[list[ReaderEvent], str]:
    reader = FramedReader(CLIENT_STANZAS)
    for message in messages:
        reader.receive_data(message)
    events: list[ReaderEvent] = []
    try:
        while (event := reader.next_event()) is not None:
            events.append(event)
    except RemoteProtocolError as error:
        return events, error.reply
    return events, ""


def test_each_websocket_message_is_one_element() -> None:
    auth = b"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGEAYg==</auth>"
    assert read(b"<?xml version='1.0'?>" + OPEN, auth, b" ", MESSAGE, CLOSE, MESSAGE) == (
        [
            StreamHeader(
                namespace=ns.FRAMING,
                name="open",
                prefix="",
                attributes={"to": "lab.example", "version": "1.0"},
                content_namespace=ns.CLIENT,
            ),
            Nonza(ns.SASL, "auth", {"mechanism": "PLAIN"}, b"AGEAYg=="),
            Stanza("message", {"to": "bob@lab.example"}, b"<body>hi</body>", (("", "body"),)),
            StreamEnd(),
        ],
        "",
    )


@pytest.mark.parametrize(
    ("message", "error"),
    [
        (MESSAGE + MESSAGE, "bad-format"),
        (MESSAGE[:-1], "bad-format"),
        (MESSAGE + b"x", "bad-format"),
        (b"</frames>", "bad-format"),
        (MESSAGE + b"</frames>", "bad-format"),
        (b"<!-- hm -->" + MESSAGE, "restricted-xml"),
        (b"<a></b>", "not-well-formed"),
    ],
)
def test_a_websocket_message_that_is_not_one_element_is_refused(message: bytes, error: str) -> None:
    assert read(OPEN, message) == (read(OPEN)[0], error)


def test_a_session_begins_with_a_body() -> None:
    body = parse_body(
        b"<body xmlns='http://jabber.org/protocol/httpbind' to='lab.example' rid='1573741820' wait='60' hold='1' "
        b"xml:lang='en' xmpp:version='1.0' xmlns:xmpp='urn:xmpp:xbosh'/>",
        CLIENT_STANZAS,
    )
    assert body.attributes["rid"] == "1573741820"
    assert list(body.events()) == [
        StreamHeader(
            namespace=ns.HTTP_BIND,
            name="body",
            prefix="",
            attributes={"to": "lab.example", f"{{{ns.XML}}}lang": "en", "version": "1.0"},
            content_namespace=ns.CLIENT,
        )
    ]


def test_a_body_carries_elements_and_the_end_of_the_stream() -> None:
    body = parse_body(
        b"<body xmlns='http://jabber.org/protocol/httpbind' sid='s' rid='2' type='terminate'>"
        + MESSAGE
        + b"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'/></body>\n",
        CLIENT_STANZAS,
    )
    message = Stanza("message", {"to": "bob@lab.example"}, b"<body>hi</body>", (("", "body"),))
    auth = Nonza(ns.SASL, "auth", {"mechanism": "EXTERNAL"})
    assert body == BoshBody({"sid": "s", "rid": "2", "type": "terminate"}, (message, auth))
    assert list(body.events()) == [message, auth, StreamEnd()]


def test_a_restart_opens_the_stream_again() -> None:
    body = parse_body(
        b"<body xmlns='http://jabber.org/protocol/httpbind' sid='s' rid='3' to='lab.example' xmpp:restart='true' "
        b"xmlns:xmpp='urn:xmpp:xbosh'/>",
        CLIENT_STANZAS,
    )
    assert [type(event) for event in body.events()] == [StreamHeader]


@pytest.mark.parametrize(
    "data",
    [b"", b"<body", b"<body xmlns='http://jabber.org/protocol/httpbind'>", b"<body/>", MESSAGE, b"<a>x</a>"],
)
def test_what_is_no_body_is_refused(data: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        parse_body(data, CLIENT_STANZAS)


@given(
    st.lists(
        st.sampled_from([OPEN, MESSAGE, CLOSE, b"<", b"</frames>", b"\xff", b" "]) | st.binary(max_size=20)
    )
)
def test_random_messages_give_events_or_a_protocol_error(messages: list[bytes]) -> None:
    read(*messages)


@given(st.binary(max_size=60))
def test_random_bodies_are_refused(data: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        parse_body(data, CLIENT_STANZAS)
