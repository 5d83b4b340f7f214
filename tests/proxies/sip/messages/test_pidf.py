"""Presence documents, good and hostile."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certs.errors import RemoteProtocolError
from proxies.sip.messages.pidf import compose, encode_pidf, parse_pidf, simple_document

DOCUMENT = b"""<?xml version="1.0" encoding="UTF-8"?>
<presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:r="urn:ietf:params:xml:ns:pidf:rpid"
          entity="pres:alice@example.com">
  <tuple id="a"><status><basic>open</basic></status><r:mood><r:happy/></r:mood></tuple>
</presence>"""


def test_a_document_comes_back_with_its_extensions() -> None:
    document = parse_pidf(encode_pidf(parse_pidf(DOCUMENT)))
    assert (document.entity, document.is_open) == ("pres:alice@example.com", True)
    assert document.elements[0].find(".//{urn:ietf:params:xml:ns:pidf:rpid}happy") is not None


def test_of_two_tuples_with_one_id_the_newest_counts() -> None:
    newest = simple_document("sip:a@b", is_open=False)
    oldest = simple_document("sip:a@b", is_open=True)
    assert not compose("sip:a@b", [newest, oldest]).is_open


def test_tuples_of_several_devices_stand_side_by_side() -> None:
    phone = simple_document("sip:a@b", is_open=False, tuple_id="phone")
    desk = simple_document("sip:a@b", is_open=True, tuple_id="desk")
    together = compose("sip:a@b", [phone, desk])
    assert (len(together.elements), together.is_open) == (2, True)


@pytest.mark.parametrize(
    ("body", "reply"),
    [
        (b"hello", "400"),
        (b"<presence/>", "400"),
        (b"<presence xmlns='urn:ietf:params:xml:ns:pidf'/>", "400"),
        (DOCUMENT.replace(b' id="a"', b""), "400"),
        (b"<!DOCTYPE x [<!ENTITY a 'b'>]>" + DOCUMENT.split(b"?>")[1], "400"),
        (DOCUMENT.replace(b"<r:happy/>", b"<r:a>" * 20 + b"</r:a>" * 20), "400"),
        (DOCUMENT + b" " * 65536, "413"),
    ],
)
def test_what_is_no_presence_document_is_refused(body: bytes, reply: str) -> None:
    with pytest.raises(RemoteProtocolError) as refused:
        parse_pidf(body)
    assert refused.value.reply == reply


@given(st.binary(max_size=300))
def test_random_bytes_are_refused_and_nothing_else(body: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        parse_pidf(body)
