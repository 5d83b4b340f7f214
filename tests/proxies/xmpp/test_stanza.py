"""Stanzas keep their payload as it came in, and answer as RFC 6120 8 says."""

from xml.etree import ElementTree as ET

import pytest

from certs.errors import RemoteProtocolError
from proxies.xmpp import namespaces as ns
from proxies.xmpp.conditions import StanzaErrorCondition
from proxies.xmpp.jid import Jid
from proxies.xmpp.stanza import Stanza, make_stanza, stanza_kind

CHAT = Stanza(
    "message",
    {"to": "bob@lab.example", "from": "alice@lab.example/desk", "type": "chat", "id": "m1"},
    b"<body>hello &amp; goodbye</body>",
    (("", "body"),),
)


def test_a_routed_stanza_keeps_its_payload_bytes() -> None:
    assert CHAT.with_attributes(from_="alice@lab.example/phone", id=None).encode() == (
        b"<message to='bob@lab.example' from='alice@lab.example/phone' type='chat'>"
        b"<body>hello &amp; goodbye</body></message>"
    )


def test_an_attribute_cannot_break_out_of_its_quotes() -> None:
    stanza = Stanza("message", {"id": "'><evil a=\"", "{urn:x}mood": "a\tb"})
    element = ET.fromstring(stanza.encode())
    assert element.attrib == {"id": "'><evil a=\"", "{urn:x}mood": "a\tb"}
    assert len(element) == 0


def test_a_prefix_of_the_stream_header_stays_declared() -> None:
    stanza = Stanza("message", {}, b"<x:mood/>", (("urn:x", "mood"),), {"x": "urn:x"})
    assert stanza.encode() == b'<message xmlns:x="urn:x"><x:mood/></message>'


def test_a_payload_follows_the_content_namespace_of_the_stream() -> None:
    assert CHAT.element(ns.SERVER).find(f"{{{ns.SERVER}}}body") is not None
    assert CHAT.element(ns.CLIENT).find(f"{{{ns.CLIENT}}}body") is not None


def test_a_forwarded_stanza_keeps_its_own_namespace() -> None:
    forwarded = ET.Element(f"{{{ns.FORWARD}}}forwarded")
    forwarded.append(CHAT.element())
    assert make_stanza("message", {}, [forwarded]).encode() == (
        b'<message><forwarded xmlns="urn:xmpp:forward:0"><message xmlns="jabber:client" to="bob@lab.example" '
        b'from="alice@lab.example/desk" type="chat" id="m1"><body>hello &amp; goodbye</body></message>'
        b"</forwarded></message>"
    )


def test_children_of_one_namespace_can_be_taken_away() -> None:
    private = CHAT.with_child(ET.Element(f"{{{ns.CARBONS}}}private"))
    assert private.has_child(ns.CARBONS, "private")
    assert private.without_children(ns.CARBONS).encode() == CHAT.encode()


def test_an_error_swaps_the_addresses_and_keeps_the_id() -> None:
    assert CHAT.error(StanzaErrorCondition.SERVICE_UNAVAILABLE, "not here").encode() == (
        b"<message type='error' id='m1' to='alice@lab.example/desk' from='bob@lab.example'>"
        b'<error type="cancel"><service-unavailable xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/>'
        b'<text xmlns="urn:ietf:params:xml:ns:xmpp-stanzas">not here</text></error></message>'
    )


def test_another_element_is_no_stanza() -> None:
    assert stanza_kind("iq") == "iq"
    with pytest.raises(RemoteProtocolError) as caught:
        stanza_kind("letter")
    assert caught.value.reply == "unsupported-stanza-type"


def test_addresses_are_prepared() -> None:
    assert Jid.parse("Alice@LAB.example./Desk") == Jid("alice", "lab.example", "Desk")
    assert str(Jid.parse("JÜRGEN@bücher.example")) == "jürgen@bücher.example"
    assert Jid.parse("xn--bcher-kva.example") == Jid("", "bücher.example")
    assert Jid.parse("[::1]/a b") == Jid("", "[::1]", "a b")
    assert Jid.parse("a@b.example/c@d/e").resourcepart == "c@d/e"


@pytest.mark.parametrize(
    "text",
    ["", "@b.example", "a@", "b.example/", "a'b@b.example", "a b@b.example", "a@-b.example", "a@b..example",
     "a" * 1024 + "@b.example", "b.example/" + "r" * 1024, "[nonsense]", "b.example/\x07", "a\u0000@b.example"],
)  # fmt: skip
def test_a_text_that_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        Jid.parse(text)
    assert caught.value.reply == "jid-malformed"
