"""SOAP 1.1 messages: what is read, what is refused, and by which fault."""

from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxies.http.soap import (
    ENVELOPE,
    SoapFault,
    SoapLimits,
    encode_envelope,
    encode_fault,
    integer_of,
    parse_envelope,
    text_of,
)

GOOD = (
    f"<s:Envelope xmlns:s='{ENVELOPE}'><s:Body><ask xmlns='urn:x'><name>a</name></ask></s:Body></s:Envelope>"
)


def test_the_one_element_of_the_body_is_what_was_asked() -> None:
    asked = parse_envelope(GOOD.encode())
    assert (asked.tag, asked.findtext("{urn:x}name")) == ("{urn:x}ask", "a")


def test_what_is_encoded_is_what_is_read() -> None:
    content = ET.Element("{urn:x}ask")
    ET.SubElement(content, "name").text = "ä & <b>"
    read = parse_envelope(encode_envelope(content))
    assert (read.tag, text_of(read, "name")) == ("{urn:x}ask", "ä & <b>")


@pytest.mark.parametrize(
    ("message", "code", "text"),
    [
        (b"", "Client", "well-formed XML"),
        (b"<a>", "Client", "well-formed XML"),
        (b"<a/>", "Client", "expected a SOAP envelope"),
        (
            GOOD.replace(ENVELOPE, "http://www.w3.org/2003/05/soap-envelope").encode(),
            "VersionMismatch",
            "1.1",
        ),
        (f"<s:Envelope xmlns:s='{ENVELOPE}'/>".encode(), "Client", "a body with one element, seen 0"),
        (
            f"<s:Envelope xmlns:s='{ENVELOPE}'><s:Body><a/><b/></s:Body></s:Envelope>".encode(),
            "Client",
            "seen 2",
        ),
        (
            GOOD.replace("<s:Body>", "<s:Header><t s:mustUnderstand='1'/></s:Header><s:Body>").encode(),
            "MustUnderstand",
            "no header block t",
        ),
        (b"<!DOCTYPE a [<!ENTITY b 'c'>]>" + GOOD.encode(), "Client", "no document type declaration"),
        (b"<!DOCTYPE a SYSTEM 'http://127.0.0.1/a.dtd'>" + GOOD.encode(), "Client", "no document type"),
    ],
)
def test_a_broken_message_gets_the_fault_that_it_deserves(message: bytes, code: str, text: str) -> None:
    with pytest.raises(SoapFault, match=text) as caught:
        parse_envelope(message)
    assert caught.value.code == code


def test_size_depth_and_number_of_elements_are_bounded() -> None:
    limits = SoapLimits(octets=100_000, depth=5, elements=50)
    assert parse_envelope(_with("<a><b/></a>"), limits) is not None
    for inside, text in (
        ("<a>" * 4 + "</a>" * 4, "at most 5 deep"),
        ("<a/>" * 60, "at most 50 elements"),
        ("x" * 100_000, "at most 100000 bytes"),
    ):
        with pytest.raises(SoapFault, match=text):
            parse_envelope(_with(inside), limits)


def test_an_element_nested_a_hundred_thousand_times_is_refused_and_costs_no_stack() -> None:
    with pytest.raises(SoapFault, match="deep"):
        parse_envelope(_with("<a>" * 100_000 + "</a>" * 100_000), SoapLimits(elements=10**6))


def test_a_fault_comes_out_as_it_went_in() -> None:
    detail = ET.Element("{urn:x}axlError")
    detail.text = "5003"
    with pytest.raises(SoapFault, match="no such operation") as caught:
        parse_envelope(encode_fault(SoapFault("Client", "no such operation", detail=[detail])))
    assert caught.value.code == "Client"
    assert [each.text for each in caught.value.detail] == ["5003"]


def test_a_number_is_read_and_what_is_none_is_refused() -> None:
    row = ET.fromstring("<row><good>12</good><bad>-1</bad><huge>99999999999</huge></row>")
    assert (integer_of(row, "good"), integer_of(row, "none", default=3)) == (12, 3)
    for name in ("bad", "huge", "none"):
        with pytest.raises(SoapFault, match=f"<row>: expected .*<{name}>"):
            integer_of(row, name)


@given(st.binary(max_size=200))
def test_random_bytes_give_a_fault_and_nothing_else(data: bytes) -> None:
    with pytest.raises(SoapFault):
        parse_envelope(data)


@given(st.integers(min_value=0, max_value=len(GOOD) - 1))
def test_a_message_that_is_cut_anywhere_gives_a_fault(at: int) -> None:
    with pytest.raises(SoapFault):
        parse_envelope(GOOD.encode()[:at])


def _with(inside: str) -> bytes:
    return GOOD.replace("<name>a</name>", inside).encode()
