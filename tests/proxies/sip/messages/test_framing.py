"""Streams and datagrams are cut into messages, whatever the pieces they come in."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from certs.errors import RemoteProtocolError
from proxies.sip.messages.framing import (
    FramerEvent,
    FramingError,
    KeepAlivePing,
    KeepAlivePong,
    StreamFramer,
    parse_datagram,
)
from proxies.sip.messages.message import Request, Response

MESSAGE = (
    b"MESSAGE sip:bob@example.com SIP/2.0\r\n"
    b"Via: SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK1\r\n"
    b"Content-Length: 6\r\n"
    b"\r\n"
    b"a\r\n\r\nb"
)
ANSWER = b"SIP/2.0 200 OK\r\nl: 0\r\n\r\n"


def events(framer: StreamFramer) -> list[FramerEvent]:
    found = []
    while (event := framer.next_event()) is not None:
        found.append(event)
    return found


def wire(event: FramerEvent) -> bytes:
    return event.encode() if isinstance(event, Request | Response) else type(event).__name__.encode()


def cut(data: bytes, *, dialled: bool = False) -> list[bytes]:
    framer = StreamFramer(dialled=dialled)
    framer.receive_data(data)
    return [wire(event) for event in events(framer)]


def test_a_message_comes_out_byte_for_byte() -> None:
    assert cut(MESSAGE) == [MESSAGE]


def test_messages_behind_each_other_are_told_apart() -> None:
    assert cut(MESSAGE + ANSWER + MESSAGE) == [MESSAGE, ANSWER, MESSAGE]


@pytest.mark.parametrize("dialled", [True, False])
def test_cuts_at_every_byte_change_nothing(dialled: bool) -> None:
    stream = MESSAGE + b"\r\n\r\n" + ANSWER + b"\r\n" + MESSAGE
    for position in range(len(stream) + 1):
        framer = StreamFramer(dialled=dialled)
        framer.receive_data(stream[:position])
        found = events(framer)
        framer.receive_data(stream[position:])
        found += events(framer)
        assert [wire(event) for event in found] == cut(stream, dialled=dialled)


def test_bytes_one_by_one_give_the_same_messages() -> None:
    framer = StreamFramer()
    found = []
    for byte in MESSAGE + b"\r\n\r\n" + ANSWER:
        framer.receive_data(bytes([byte]))
        found += events(framer)
    assert [wire(event) for event in found] == [MESSAGE, b"KeepAlivePing", ANSWER]


def test_who_accepted_hears_pings_and_who_dialled_hears_pongs() -> None:
    framer = StreamFramer()
    framer.receive_data(b"\r\n\r\n")
    assert events(framer) == [KeepAlivePing()]
    framer = StreamFramer(dialled=True)
    framer.receive_data(b"\r\n")
    assert events(framer) == [KeepAlivePong()]


def test_one_empty_line_before_a_message_is_overlooked() -> None:
    assert cut(b"\r\n" + MESSAGE) == [MESSAGE]


def test_lines_may_end_with_lf_alone() -> None:
    assert cut(b"SIP/2.0 200 OK\nContent-Length: 2\n\nhi" + ANSWER) == [
        b"SIP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        ANSWER,
    ]


def test_the_good_message_in_front_of_a_bad_one_counts() -> None:
    framer = StreamFramer()
    framer.receive_data(MESSAGE + b"nonsense\r\n\r\n" + MESSAGE)
    assert isinstance(framer.next_event(), Request)
    with pytest.raises(FramingError):
        framer.next_event()
    framer.receive_data(MESSAGE)
    assert framer.next_event() is None


HEAD = b"OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/TCP a;branch=z9hG4bK1\r\n"


@pytest.mark.parametrize(
    ("stream", "reply"),
    [
        (HEAD + b"\r\n", "400"),
        (HEAD + b"Content-Length: -1\r\n\r\n", "400"),
        (HEAD + b"Content-Length: 1 2\r\n\r\n", "400"),
        (HEAD + b"Content-Length: \xb2\r\n\r\n", "400"),
        (HEAD + b"Content-Length: 1\r\nl: 2\r\n\r\n", "400"),
        (HEAD + b"Content-Length: 99999999999999\r\n\r\n", "400"),
        (HEAD + b"Content-Length: 1048577\r\n\r\n", "413"),
    ],
)
def test_a_request_of_unknown_length_can_still_be_answered(stream: bytes, reply: str) -> None:
    framer = StreamFramer()
    framer.receive_data(stream)
    with pytest.raises(FramingError) as refused:
        framer.next_event()
    assert refused.value.reply == reply
    assert refused.value.request is not None
    assert refused.value.request.method == "OPTIONS"


def test_a_length_said_twice_and_the_same_is_taken() -> None:
    stream = HEAD + b"Content-Length: 2\r\nl: 2\r\n\r\nhi"
    assert cut(stream) == [stream]


@pytest.mark.parametrize("end", [b"", b"\r\n\r\n"])
def test_a_head_without_bound_is_refused(end: bytes) -> None:
    framer = StreamFramer(maximum_head=100)
    framer.receive_data(HEAD + b"X: " + b"a" * 100 + end)
    with pytest.raises(FramingError) as refused:
        framer.next_event()
    assert refused.value.reply == "513"


def test_a_body_as_long_as_allowed_is_taken() -> None:
    framer = StreamFramer(maximum_body=5)
    framer.receive_data(HEAD + b"Content-Length: 5\r\n\r\nabcde")
    event = framer.next_event()
    assert isinstance(event, Request)
    assert event.body == b"abcde"


def test_the_end_between_messages_is_no_error() -> None:
    framer = StreamFramer()
    framer.receive_data(MESSAGE + b"\r\n")
    framer.receive_eof()
    assert len(events(framer)) == 1


@pytest.mark.parametrize("length", [5, len(MESSAGE) - 1])
def test_the_end_inside_a_message_is_an_error(length: int) -> None:
    framer = StreamFramer()
    framer.receive_data(MESSAGE[:length])
    framer.receive_eof()
    with pytest.raises(FramingError, match="ended inside"):
        framer.next_event()


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.sampled_from([b"\r\n", b"\n", b":", b"SIP/2.0 200 OK", b"Content-Length: 3", b" ", b"\0"])
        | st.binary(max_size=12),
        max_size=20,
    )
)
def test_random_bytes_give_events_or_a_protocol_error(pieces: list[bytes]) -> None:
    framer = StreamFramer()
    try:
        for piece in pieces:
            framer.receive_data(piece)
            events(framer)
        framer.receive_eof()
        events(framer)
    except RemoteProtocolError as error:
        assert error.reply in ("400", "413", "513")  # noqa: PT017 - any other error fails the test


def test_a_datagram_without_a_length_has_its_rest_as_body() -> None:
    assert parse_datagram(HEAD + b"\r\nbody").body == b"body"


def test_a_length_cuts_what_a_datagram_has_too_much() -> None:
    assert parse_datagram(HEAD + b"Content-Length: 2\r\n\r\nbody").body == b"bo"


def test_a_datagram_shorter_than_its_length_is_refused() -> None:
    with pytest.raises(FramingError, match="Content-Length is 5, the datagram holds 4") as refused:
        parse_datagram(HEAD + b"Content-Length: 5\r\n\r\nbody")
    assert refused.value.request is not None


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200) | st.binary(max_size=50).map(lambda tail: MESSAGE[: len(tail) * 2] + tail))
def test_a_random_datagram_is_a_message_or_a_protocol_error(data: bytes) -> None:
    try:
        assert isinstance(parse_datagram(data), Request | Response)
    except RemoteProtocolError as error:
        assert error.reply == "400"  # noqa: PT017 - as above


def test_a_tls_client_hello_is_refused_at_its_first_byte() -> None:
    framer = StreamFramer()
    framer.receive_data(b"\x16\x03\x01")
    with pytest.raises(FramingError, match="no SIP message begins with"):
        framer.next_event()
