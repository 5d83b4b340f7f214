"""SIP messages keep their bytes."""

import pytest

from certs.errors import LocalProtocolError, RemoteProtocolError
from proxies.sip.messages.message import HeaderField, Request, Response, parse_head, split_values

HEAD = (
    b"MESSAGE sip:bob@example.com SIP/2.0\r\n"
    b"v: SIP/2.0/TCP 127.0.0.1:5060;branch=z9hG4bKabc\r\n"
    b"Subject: first\r\n\tsecond\r\n"
    b"f: <sip:alice@example.com>;tag=1\r\n"
)


def test_a_message_goes_out_byte_for_byte_as_it_came_in() -> None:
    message = parse_head(HEAD.removesuffix(b"\r\n"))
    assert message.encode() == HEAD + b"\r\n"


def test_a_folded_value_is_read_unfolded() -> None:
    assert parse_head(HEAD).header("subject") == "first second"


def test_a_compact_name_is_found_by_its_long_form() -> None:
    assert parse_head(HEAD).header("from") == "<sip:alice@example.com>;tag=1"


def test_bytes_that_are_no_utf8_survive() -> None:
    message = parse_head(b"SIP/2.0 200 \xff\xfe\r\nSubject: \xfd\r\n")
    assert message.encode() == b"SIP/2.0 200 \xff\xfe\r\nSubject: \xfd\r\n\r\n"


def test_bytes_that_are_no_utf8_survive_in_a_version_too() -> None:
    """Found by fuzzing: they became three bytes each at every hop."""
    message = parse_head(b"OPTIONS sip:a SI\xd0/2.0\r\nTo: <sip:a>\r\n")
    assert message.encode() == b"OPTIONS sip:a SI\xd0/2.0\r\nTo: <sip:a>\r\n\r\n"


def test_a_line_break_in_a_value_never_gets_out() -> None:
    with pytest.raises(LocalProtocolError, match="line break"):
        HeaderField.make("Subject", "hello\r\nVia: evil")


def test_setting_a_header_keeps_its_place() -> None:
    message = Request("OPTIONS", "sip:a", [HeaderField.make("From", "a"), HeaderField.make("To", "b")])
    message.set_header("from", "c")
    assert [field.name for field in message.fields] == ["from", "to"]


def test_the_first_of_several_values_is_taken_away() -> None:
    message = parse_head(b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP a, SIP/2.0/UDP b\r\nVia: SIP/2.0/UDP c\r\n")
    assert message.remove_first_value("via") == "SIP/2.0/UDP a"
    assert list(message.headers("via")) == ["SIP/2.0/UDP b", "SIP/2.0/UDP c"]


def test_commas_in_quotes_and_brackets_do_not_separate() -> None:
    assert split_values('"a, \\" b" <sip:x;p=1,2>, <sip:y>') == ['"a, \\" b" <sip:x;p=1,2>', "<sip:y>"]


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"INVITE",
        b"INVITE sip:a",
        b"INVITE sip:a b SIP/2.0",
        b"SIP/2.0 20 OK",
        b"SIP/2.0 999 OK",
        b"OPTIONS sip:a SIP/2.0\r\nno colon here\r\n",
        b"OPTIONS sip:a SIP/2.0\r\n: empty\r\n",
        b"OPTIONS sip:a SIP/2.0\r\nTo: <sip:a>\rVia: smuggled\r\n",
        b"OPTIONS sip:a\rVia:smuggled SIP/2.0\r\n",
    ],
)
def test_what_is_no_message_is_refused_with_400(head: bytes) -> None:
    with pytest.raises(RemoteProtocolError) as refused:
        parse_head(head)
    assert refused.value.reply == "400"


def test_a_response_without_a_phrase_is_a_response() -> None:
    message = parse_head(b"SIP/2.0 200 \r\n")
    assert isinstance(message, Response)
    assert message.reason_phrase == ""
