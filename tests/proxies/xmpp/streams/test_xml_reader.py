"""The XML reader cuts streams into stanzas, and refuses what RFC 6120 11 forbids."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from certs.errors import RemoteProtocolError
from proxies.xmpp import namespaces as ns
from proxies.xmpp.stanza import Nonza, Stanza
from proxies.xmpp.streams.reader_events import (
    CLIENT_STANZAS,
    UNAUTHENTICATED,
    ReaderEvent,
    ReaderLimits,
    StreamEnd,
    StreamHeader,
)
from proxies.xmpp.streams.xml_reader import XmlReader

DECLARATION = b"<?xml version='1.0' encoding='UTF-8'?>"
HEADER = (
    b"<stream:stream to='lab.example' version='1.0' xml:lang='en' xmlns='jabber:client' "
    b"xmlns:stream='http://etherx.jabber.org/streams' xmlns:x='urn:x' xmlns:c='jabber:client'>"
)
MESSAGE = b"<message to='bob@lab.example' id=\"a>b\"><body>1 &lt; 2, \xc3\xa4</body></message>"
STREAM = (
    DECLARATION + HEADER + MESSAGE + b" \n<presence/>"
    b"<iq xml:lang='de' type='get' id='1'><query xmlns='jabber:iq:roster'><item/></query></iq >"
    b"<message><x:mood>good</x:mood></message>"
    b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
    b"<stream:error><reset xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"
    b"</stream:stream>"
)


def drain(reader: XmlReader) -> tuple[list[ReaderEvent], str]:
    """Return all events, and the name of the stream error behind them."""
    events: list[ReaderEvent] = []
    try:
        while (event := reader.next_event()) is not None:
            events.append(event)
    except RemoteProtocolError as error:
        assert reader.next_event() is None
        return events, error.reply
    return events, ""


def read(*pieces: bytes, limits: ReaderLimits = CLIENT_STANZAS) -> tuple[list[ReaderEvent], str]:
    reader = XmlReader(limits)
    for piece in pieces:
        reader.receive_data(piece)
    return drain(reader)


def read_elements(data: bytes, *, limits: ReaderLimits = CLIENT_STANZAS) -> tuple[list[ReaderEvent], str]:
    events, error = read(HEADER + data, limits=limits)
    return events[1:], error


def read_stanza(data: bytes) -> Stanza:
    [stanza], error = read_elements(data)
    assert isinstance(stanza, Stanza)
    assert not error
    return stanza


def test_a_stream_is_cut_into_its_elements() -> None:
    prefixes = {"stream": ns.STREAM, "x": "urn:x", "c": ns.CLIENT}
    language = f"{{{ns.XML}}}lang"
    assert read(STREAM) == (
        [
            StreamHeader(
                namespace=ns.STREAM,
                name="stream",
                prefix="stream",
                attributes={"to": "lab.example", "version": "1.0", language: "en"},
                content_namespace=ns.CLIENT,
                declarations=prefixes,
            ),
            Stanza(
                "message",
                {"to": "bob@lab.example", "id": "a>b"},
                b"<body>1 &lt; 2, \xc3\xa4</body>",
                (("", "body"),),
            ),
            Stanza("presence"),
            Stanza(
                "iq",
                {language: "de", "type": "get", "id": "1"},
                b"<query xmlns='jabber:iq:roster'><item/></query>",
                ((ns.ROSTER, "query"),),
            ),
            Stanza("message", {}, b"<x:mood>good</x:mood>", (("urn:x", "mood"),), {"x": "urn:x"}),
            Nonza(ns.TLS, "starttls"),
            Nonza(
                ns.STREAM,
                "error",
                {},
                b'<reset xmlns="urn:ietf:params:xml:ns:xmpp-streams"/>',
                ((ns.STREAM_ERRORS, "reset"),),
            ),
            StreamEnd(),
        ],
        "",
    )


def test_a_stream_may_come_byte_by_byte() -> None:
    assert read(*(STREAM[i : i + 1] for i in range(len(STREAM)))) == read(STREAM)


@pytest.mark.parametrize("cut", range(1, len(STREAM), 7))
def test_a_stream_may_come_in_two_pieces(cut: int) -> None:
    assert read(STREAM[:cut], STREAM[cut:]) == read(STREAM)


def test_a_new_parser_goes_on_where_the_old_one_was() -> None:
    small = ReaderLimits(stanza_size=300)
    stream = HEADER + MESSAGE * 50
    expected = read(stream)
    assert expected[1] == ""
    for size in (1, 7, 64, 1000):
        assert read(*(stream[i : i + size] for i in range(0, len(stream), size)), limits=small) == expected


def test_nothing_is_kept_between_stanzas() -> None:
    reader = XmlReader(UNAUTHENTICATED)
    reader.receive_data(HEADER)
    for number in range(3000):
        reader.receive_data(b"<message><a%d b%d=''/></message>\n" % (number, number))
        reader.receive_data(b" ")
        events, error = drain(reader)
        assert not error
        assert events
        assert not reader.is_behind


def test_a_stanza_in_front_of_a_bad_one_is_delivered() -> None:
    events, error = read_elements(MESSAGE + b"<message></presence>")
    assert [type(event) for event in events] == [Stanza]
    assert error == "not-well-formed"


def test_nothing_behind_the_end_of_the_stream_is_read() -> None:
    events, error = read(HEADER + b"</stream:stream><presence/>", b"<presence/>")
    assert events[1:] == [StreamEnd()]
    assert not error


def test_an_end_inside_an_element_is_an_error_and_between_elements_none() -> None:
    for data, expected in ((MESSAGE[:-1], "not-well-formed"), (MESSAGE, ""), (MESSAGE + b" ", "")):
        reader = XmlReader(CLIENT_STANZAS)
        reader.receive_data(HEADER + data)
        reader.receive_eof()
        assert drain(reader)[1] == expected


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"<message><!-- hm --></message>", "restricted-xml"),
        (b"<!-- hm -->", "restricted-xml"),
        (b"<message><?php echo ?></message>", "restricted-xml"),
        (b"<message><body>&copy;</body></message>", "restricted-xml"),
        (b"<message id='&copy;'/>", "restricted-xml"),
        (b"<?xml version='1.0'?>", "not-well-formed"),
        (b"hello", "bad-format"),
        (b" hello <presence/>", "bad-format"),
        (b" hello </stream:stream>", "bad-format"),
        (b"<![CDATA[hello]]><presence/>", "bad-format"),
        (b"<message><body>\xff</body></message>", "unsupported-encoding"),
        (b"<message><body>\xc3</body></message>", "unsupported-encoding"),
        (b"<message><body>\x01</body></message>", "not-well-formed"),
        (b"<y:message/>", "not-well-formed"),
        (b"<message a='1' a='2'/>", "not-well-formed"),
        (b"</message>", "not-well-formed"),
    ],
)
def test_what_a_stream_cannot_hold_is_refused(data: bytes, error: str) -> None:
    assert read_elements(MESSAGE + data)[1] == error


@pytest.mark.parametrize(
    "data",
    [
        b"<message><body>&amp;&#xe4;</body></message>",
        b"<message><body><![CDATA[<!-- hm -->]]></body></message>",
        b"\r\n\t <presence/> \r\n",
        b"<x:message/>",
        b"<message a='1' x:a='2'/>",
    ],
)
def test_what_looks_like_it_is_not(data: bytes) -> None:
    events, error = read_elements(data)
    assert len(events) == 1
    assert not error


@pytest.mark.parametrize(
    ("start", "error"),
    [
        (b"<?xml version='1.0' encoding='ISO-8859-1'?>" + HEADER, "unsupported-encoding"),
        ((DECLARATION + HEADER).decode().encode("utf-16"), "unsupported-encoding"),
        (DECLARATION + DECLARATION + HEADER, "not-well-formed"),
        (b"GET / HTTP/1.1\r\n\r\n", "not-well-formed"),
        (b"<!DOCTYPE stream>" + HEADER, "restricted-xml"),
        (b"<!DOCTYPE s [<!ENTITY e SYSTEM 'file:///etc/passwd'>]>" + HEADER, "restricted-xml"),
        (HEADER.replace(b"lab.example", b"a" * 11_000), "policy-violation"),
    ],
)
def test_a_stream_that_begins_badly_is_refused(start: bytes, error: str) -> None:
    assert read(start[:9000], start[9000:], limits=UNAUTHENTICATED) == ([], error)


@pytest.mark.parametrize("start", [HEADER, DECLARATION + HEADER, b"\r\n" + DECLARATION + HEADER])
def test_a_declaration_may_stand_in_front(start: bytes) -> None:
    events, error = read(start)
    assert [type(event) for event in events] == [StreamHeader]
    assert not error


def test_a_payload_that_names_its_content_namespace_by_a_prefix_can_go_to_another_stream() -> None:
    stanza = read_stanza(b"<message><c:body>hi</c:body> <x:mood/></message>")
    assert stanza.payload == b'<body>hi</body> <mood xmlns="urn:x"/>'
    assert stanza.children == (("", "body"), ("urn:x", "mood"))
    assert not stanza.declarations


def test_a_payload_that_names_its_content_namespace_can_go_to_another_stream() -> None:
    assert (
        read_stanza(b"<message><body xmlns='jabber:client'>hi</body></message>").payload == b"<body>hi</body>"
    )


def test_a_stanza_whose_name_has_a_prefix_keeps_its_meaning() -> None:
    stanza = read_stanza(b"<c:message><c:body>a&amp;&#13;</c:body><y xmlns='urn:y'><z/></y></c:message>")
    assert stanza.payload == b'<body>a&amp;&#13;</body><y xmlns="urn:y"><z/></y>'
    assert stanza.element().find(f"{{{ns.CLIENT}}}body") is not None


def test_a_stanza_of_another_content_namespace_is_none_of_this_stream() -> None:
    [nonza], _ = read_elements(b"<message xmlns='jabber:server'/>")
    assert nonza == Nonza(ns.SERVER, "message")


def test_prefixes_of_the_start_tag_reach_the_payload() -> None:
    stanza = read_stanza(b"<message xmlns:q='urn:q' q:a='1' xmlns:u='urn:u'><q:b/></message>")
    assert stanza.attributes == {"{urn:q}a": "1"}
    assert stanza.declarations == {"q": "urn:q"}
    assert stanza.element().find("{urn:q}b") is not None


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        (b"<message>" + b"<a>" * 63 + b"</a>" * 63, b"<message>" + b"<a>" * 64 + b"</a>" * 64),
        (b"<message>" + b"<a/>" * 4096, b"<message>" + b"<a/>" * 4097),
        (
            b"<message><a%b/>" % b"".join(b" a%d=''" % i for i in range(64)),
            b"<message><a%b/>" % b"".join(b" a%d=''" % i for i in range(65)),
        ),
        (b"<message>" + b"a" * 262_125, b"<message>" + b"a" * 262_126),
    ],
    ids=["depth", "children", "attributes", "size"],
)
def test_a_stanza_is_bounded(good: bytes, bad: bytes) -> None:
    end = b"</message>"
    assert read_elements(good + end)[1] == ""
    assert read_elements(bad + end)[1] == "policy-violation"


@pytest.mark.parametrize(
    "start", [b"<message id='", b"<message><body>", b"<", b"<![CDATA[", b"<message><body><![CDATA["]
)
def test_an_endless_element_is_refused_in_bounded_memory(start: bytes) -> None:
    reader = XmlReader(CLIENT_STANZAS)
    reader.receive_data(HEADER + start)
    for _ in range(200):
        reader.receive_data(b"a" * 4096)
        if reader._over:
            break
    assert drain(reader)[1] in ("policy-violation", "bad-format")
    assert not reader.is_behind


def test_entities_never_expand() -> None:
    bomb = b"<!DOCTYPE lolz [<!ENTITY a 'lol'>%b]>" % b"".join(
        b"<!ENTITY %c '%b'>" % (98 + i, b"&%c;" % (97 + i) * 10) for i in range(10)
    )
    assert read(bomb + HEADER + b"<message><body>&k;</body></message>") == ([], "restricted-xml")


@given(st.lists(st.binary(max_size=40), max_size=8))
@settings(max_examples=150)
def test_random_bytes_give_events_or_a_protocol_error(pieces: list[bytes]) -> None:
    read(*pieces)
    read(HEADER, *pieces)


@given(st.data())
@settings(max_examples=200)
def test_a_damaged_stream_gives_events_or_a_protocol_error(data: st.DataObject) -> None:
    wire = bytearray(STREAM)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(wire) - 1))
        wire[at : at + data.draw(st.integers(0, 3))] = data.draw(
            st.sampled_from([b"<", b">", b"'", b"&", b"/", b":", b"\xff", b" ", b""])
        )
    cut = data.draw(st.integers(0, len(wire)))
    assert read(bytes(wire[:cut]), bytes(wire[cut:]))[0] == read(bytes(wire))[0]
