"""Server dialback lets a server send for a domain only after that domain has confirmed its key."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certs.errors import LocalProtocolError, RemoteProtocolError
from proxies.xmpp import namespaces as ns
from proxies.xmpp.conditions import StanzaErrorCondition, StreamErrorCondition
from proxies.xmpp.federation.dialback import DialbackOutcome, DialbackTask, DomainPair, make_dialback_key
from proxies.xmpp.federation.dialback_streams import (
    MAXIMUM_PAIRS,
    AuthorizationRequested,
    InboundDialback,
    KeyConfirmed,
    KeyRefused,
    OutboundDialback,
    PairAccepted,
    PairRefused,
    RequestAnswered,
)
from proxies.xmpp.stanza import Nonza
from proxies.xmpp.streams.reader_events import SERVER_STANZAS
from proxies.xmpp.streams.xml_reader import XmlReader

CAPULET_SECRET = "s3cr3tf0rd14lb4ck"
MONTAGUE_SECRET = "d14lb4ck43v3r"
PAIR = DomainPair("capulet.example", "montague.example")
KEY = "b4835385f37fe2895af6c196b59097b16862406db80559900d96bf6fa7d23df3"
OPEN = b' xmlns:db="jabber:server:dialback"'


@pytest.mark.parametrize(
    ("secret", "pair", "stream_id", "key"),
    [
        (CAPULET_SECRET, PAIR, "D60000229F", KEY),
        (
            MONTAGUE_SECRET,
            DomainPair("montague.example", "capulet.example"),
            "417GAF25",
            "225cc5aa6a071133249d25fef42ae516fc7a86c523aa1c6980a7f73e784c972d",
        ),
        (
            CAPULET_SECRET,
            DomainPair("example.org", "xmpp.example.com"),
            "D60000229F",
            "37c69b1cf07a3f67c04a5ef5902fa5114f2c76fe4a2686482ba5b89323075643",
        ),
    ],
    ids=["XEP-0220 2.1.1", "XEP-0220 2.2.2", "XEP-0185 3"],
)
def test_keys_are_those_of_the_documents(secret: str, pair: DomainPair, stream_id: str, key: str) -> None:
    assert make_dialback_key(secret, pair, stream_id) == key


def make_outbound(*, errors: bool = True) -> OutboundDialback:
    return OutboundDialback(CAPULET_SECRET, stream_id="D60000229F", peer_handles_errors=errors)


def make_inbound() -> InboundDialback:
    local = {"montague.example", "chat.montague.example"}
    return InboundDialback(MONTAGUE_SECRET, stream_id="D60000229F", is_local=local.__contains__)


def result(kind: str = "", *, pair: DomainPair = PAIR, payload: bytes = b"") -> Nonza:
    """The receiving server's answer, or without a type the initiating server's request."""
    attributes = {"from": pair.target_domain, "to": pair.sender_domain, "type": kind}
    if not kind:
        attributes = {"from": pair.sender_domain, "to": pair.target_domain}
    return Nonza(ns.DIALBACK, "result", attributes, payload)


def verify(kind: str, *, stream_id: str = "417GAF25", payload: bytes = b"") -> Nonza:
    attributes = {"from": "capulet.example", "to": "montague.example", "id": stream_id, "type": kind}
    return Nonza(ns.DIALBACK, "verify", attributes, payload)


def error(condition: str) -> bytes:
    return (
        b'<error type="cancel"><%b xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error>' % condition.encode()
    )


# The whole of it


def test_a_server_that_knows_its_domains_secret_is_let_in() -> None:
    initiating, receiving = make_outbound(), make_inbound()
    asked = receiving.receive_nonza(initiating.request(PAIR))
    assert asked == AuthorizationRequested(PAIR, KEY)
    assert not receiving.is_verified(PAIR)

    # The receiving server opens a stream to the authoritative server and asks there.
    calling_back = OutboundDialback(MONTAGUE_SECRET, stream_id="other", peer_handles_errors=True)
    authoritative = InboundDialback(
        CAPULET_SECRET, stream_id="other", is_local={"capulet.example"}.__contains__
    )
    answered = authoritative.receive_nonza(calling_back.verify(PAIR, receiving.stream_id, KEY))
    assert isinstance(answered, RequestAnswered)
    assert (answered.task, answered.outcome) == (DialbackTask.VERIFY, DialbackOutcome.VALID)
    assert calling_back.receive_nonza(answered.answer) == KeyConfirmed(PAIR, "D60000229F")

    assert initiating.receive_nonza(receiving.accept(PAIR)) == PairAccepted(PAIR)
    assert initiating.is_verified(PAIR)
    assert receiving.is_verified(PAIR)


def test_a_server_that_does_not_know_the_secret_is_not() -> None:
    initiating = OutboundDialback("guessed", stream_id="D60000229F", peer_handles_errors=True)
    receiving = make_inbound()
    asked = receiving.receive_nonza(initiating.request(PAIR))
    assert isinstance(asked, AuthorizationRequested)

    calling_back = OutboundDialback(MONTAGUE_SECRET, stream_id="other", peer_handles_errors=True)
    authoritative = InboundDialback(
        CAPULET_SECRET, stream_id="other", is_local={"capulet.example"}.__contains__
    )
    answered = authoritative.receive_nonza(calling_back.verify(PAIR, receiving.stream_id, asked.key))
    assert isinstance(answered, RequestAnswered)
    refused = calling_back.receive_nonza(answered.answer)
    assert refused == KeyRefused(PAIR, "D60000229F", None, "capulet.example says the key is not its own")

    assert isinstance(refused, KeyRefused)
    told = initiating.receive_nonza(receiving.refuse(PAIR, refused.answer))
    assert isinstance(told, PairRefused)
    assert told.bounce is StanzaErrorCondition.INTERNAL_SERVER_ERROR
    assert not receiving.is_verified(PAIR)
    assert not initiating.is_verified(PAIR)


# On the wire


def test_elements_are_written_as_xep_0220_prints_them() -> None:
    receiving = make_inbound()
    receiving.receive_nonza(make_outbound().request(PAIR))
    assert make_outbound().request(PAIR).encode() == (
        b"<db:result"
        + OPEN
        + b" from='capulet.example' to='montague.example'>"
        + KEY.encode()
        + b"</db:result>"
    )
    assert receiving.accept(PAIR).encode() == (
        b"<db:result" + OPEN + b" from='montague.example' to='capulet.example' type='valid'/>"
    )
    unknown = receiving.receive_nonza(
        make_outbound().request(DomainPair("capulet.example", "nowhere.example"))
    )
    assert isinstance(unknown, RequestAnswered)
    assert unknown.answer.encode() == (
        b"<db:result" + OPEN + b" from='nowhere.example' to='capulet.example' type='error'>"
        b'<error type="cancel"><item-not-found xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error></db:result>'
    )
    assert make_outbound().verify(PAIR, "417GAF25", "abc").encode() == (
        b"<db:verify" + OPEN + b" from='montague.example' to='capulet.example' id='417GAF25'>abc</db:verify>"
    )


HEADER = (
    b"<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' "
    b"xmlns:db='jabber:server:dialback' version='1.0'>"
)


def read(data: bytes) -> Nonza:
    reader = XmlReader(SERVER_STANZAS)
    reader.receive_data(HEADER + data)
    reader.next_event()
    nonza = reader.next_event()
    assert isinstance(nonza, Nonza)
    return nonza


def test_what_is_written_can_be_read() -> None:
    initiating, receiving = make_outbound(), make_inbound()
    assert receiving.receive_nonza(read(initiating.request(PAIR).encode())) == AuthorizationRequested(
        PAIR, KEY
    )
    answer = receiving.refuse(PAIR, StanzaErrorCondition.POLICY_VIOLATION)
    refused = initiating.receive_nonza(read(answer.encode()))
    assert isinstance(refused, PairRefused)
    assert refused.detail == "the peer says policy-violation"


def test_a_prefix_of_the_stream_header_and_a_key_on_a_line_of_its_own_are_read() -> None:
    nonza = read(b"<db:result from='capulet.example' to='montague.example'>\n  abc\n</db:result>")
    assert make_inbound().receive_nonza(nonza) == AuthorizationRequested(PAIR, "abc")


# The initiating server


@pytest.mark.parametrize(
    ("answer", "bounce"),
    [
        (result("invalid"), StanzaErrorCondition.INTERNAL_SERVER_ERROR),
        (result("error", payload=error("item-not-found")), StanzaErrorCondition.REMOTE_SERVER_TIMEOUT),
        (result("error", payload=error("no-such-condition")), StanzaErrorCondition.REMOTE_SERVER_TIMEOUT),
    ],
)
def test_a_refused_pair_is_bounced_and_may_ask_again(answer: Nonza, bounce: StanzaErrorCondition) -> None:
    stream = make_outbound()
    stream.request(PAIR)
    refused = stream.receive_nonza(answer)
    assert isinstance(refused, PairRefused)
    assert refused.bounce is bounce
    stream.request(PAIR)
    assert stream.receive_nonza(result("valid")) == PairAccepted(PAIR)


def test_the_peers_condition_is_in_the_detail() -> None:
    stream = make_outbound()
    stream.request(PAIR)
    refused = stream.receive_nonza(result("error", payload=error("policy-violation")))
    assert isinstance(refused, PairRefused)
    assert refused.detail == "the peer says policy-violation"


def test_a_pair_is_asked_for_once() -> None:
    stream = make_outbound()
    stream.request(PAIR)
    with pytest.raises(LocalProtocolError):
        stream.request(PAIR)


def test_several_pairs_share_a_stream() -> None:
    stream = make_outbound()
    rooms = DomainPair("rooms.capulet.example", "chat.montague.example")
    stream.request(PAIR)
    stream.request(rooms)
    assert stream.receive_nonza(result("valid", pair=rooms)) == PairAccepted(rooms)
    assert not stream.is_verified(PAIR)
    assert stream.receive_nonza(result("valid")) == PairAccepted(PAIR)


def test_another_target_needs_a_peer_that_handles_errors() -> None:
    chat = DomainPair("capulet.example", "chat.montague.example")
    for errors in (True, False):
        stream = make_outbound(errors=errors)
        stream.request(PAIR)
        assert stream.can_request(DomainPair("rooms.capulet.example", "montague.example"))
        assert stream.can_request(chat) is errors


def test_the_end_of_the_stream_fails_what_is_under_way() -> None:
    stream = make_outbound()
    other = DomainPair("rooms.capulet.example", "montague.example")
    stream.request(PAIR)
    stream.request(other)
    stream.receive_nonza(result("valid", pair=other))
    stream.verify(DomainPair("montague.example", "capulet.example"), "417GAF25", "abc")
    refused, unverified = stream.close()
    assert isinstance(refused, PairRefused)
    assert refused.pair == PAIR
    assert isinstance(unverified, KeyRefused)
    assert unverified.answer is StanzaErrorCondition.REMOTE_SERVER_TIMEOUT
    assert stream.close() == ()


# The receiving server


def test_an_error_of_the_authoritative_server_is_told_as_remote_server_not_found() -> None:
    stream = OutboundDialback(MONTAGUE_SECRET, stream_id="other", peer_handles_errors=True)
    stream.verify(PAIR, "417GAF25", "abc")
    refused = stream.receive_nonza(verify("error", payload=error("item-not-found")))
    assert isinstance(refused, KeyRefused)
    assert refused.answer is StanzaErrorCondition.REMOTE_SERVER_NOT_FOUND
    assert refused.detail == "capulet.example says item-not-found"


@pytest.mark.parametrize("kind", ["valid", "invalid", "error"])
def test_answers_that_nobody_asked_for_end_the_stream(kind: str) -> None:
    outbound, inbound = make_outbound(), make_inbound()
    outbound.request(DomainPair("other.example", "montague.example"))
    outbound.verify(PAIR, "other", "abc")
    for stream, nonza in (
        (outbound, result(kind)),
        (outbound, verify(kind)),
        (inbound, result(kind)),
        (inbound, verify(kind)),
    ):
        with pytest.raises(RemoteProtocolError) as caught:
            stream.receive_nonza(nonza)
        assert caught.value.reply == StreamErrorCondition.INVALID_FROM
        assert not stream.is_verified(PAIR)


def test_a_valid_answer_counts_once() -> None:
    stream = make_outbound()
    stream.request(PAIR)
    stream.receive_nonza(result("valid"))
    with pytest.raises(RemoteProtocolError):
        stream.receive_nonza(result("invalid"))
    assert stream.is_verified(PAIR)


def test_a_pair_is_called_back_for_once_at_a_time() -> None:
    stream = make_inbound()
    request = make_outbound().request(PAIR)
    assert isinstance(stream.receive_nonza(request), AuthorizationRequested)
    again = stream.receive_nonza(request)
    assert isinstance(again, RequestAnswered)
    assert b"resource-constraint" in again.answer.payload
    stream.accept(PAIR)
    settled = stream.receive_nonza(request)
    assert isinstance(settled, RequestAnswered)
    assert settled.outcome is DialbackOutcome.VALID


def test_a_stream_carries_a_bounded_number_of_pairs() -> None:
    stream, asking = make_inbound(), make_outbound()
    for number in range(MAXIMUM_PAIRS):
        pair = DomainPair(f"d{number}.example", "montague.example")
        assert isinstance(stream.receive_nonza(asking.request(pair)), AuthorizationRequested)
    answered = stream.receive_nonza(make_outbound().request(PAIR))
    assert isinstance(answered, RequestAnswered)
    assert b"resource-constraint" in answered.answer.payload


def test_only_a_pair_that_was_asked_for_is_answered() -> None:
    with pytest.raises(LocalProtocolError):
        make_inbound().accept(PAIR)


# The authoritative server


@pytest.mark.parametrize(
    ("to", "key", "outcome"),
    [
        ("montague.example", "225cc5aa6a071133249d25fef42ae516fc7a86c523aa1c6980a7f73e784c972d", "valid"),
        ("montague.example", KEY, "invalid"),
        ("montague.example", "\u00e4", "invalid"),
        ("nowhere.example", KEY, "error"),
    ],
)
def test_a_key_is_confirmed_by_the_secret_alone(to: str, key: str, outcome: str) -> None:
    attributes = {"from": "capulet.example", "to": to, "id": "417GAF25"}
    answered = make_inbound().receive_nonza(Nonza(ns.DIALBACK, "verify", attributes, f"\n {key}\n".encode()))
    assert isinstance(answered, RequestAnswered)
    assert answered.answer.attributes == {
        "from": to,
        "to": "capulet.example",
        "id": "417GAF25",
        "type": outcome,
    }


# Broken elements


@pytest.mark.parametrize(
    ("name", "changes", "payload", "condition"),
    [
        ("result", {"from": ""}, b"abc", StreamErrorCondition.IMPROPER_ADDRESSING),
        ("result", {"to": "user@montague.example"}, b"abc", StreamErrorCondition.IMPROPER_ADDRESSING),
        ("result", {"to": "montague.example/x"}, b"abc", StreamErrorCondition.IMPROPER_ADDRESSING),
        ("result", {"type": "perhaps"}, b"abc", StreamErrorCondition.BAD_FORMAT),
        ("result", {}, b"", StreamErrorCondition.BAD_FORMAT),
        ("result", {}, b"a" * 1025, StreamErrorCondition.BAD_FORMAT),
        ("verify", {}, b"abc", StreamErrorCondition.BAD_FORMAT),
        ("other", {}, b"abc", StreamErrorCondition.UNSUPPORTED_STANZA_TYPE),
    ],
)
def test_a_broken_element_ends_the_stream(
    name: str, changes: dict[str, str], payload: bytes, condition: StreamErrorCondition
) -> None:
    good = {"from": "capulet.example", "to": "montague.example"}
    assert isinstance(
        make_inbound().receive_nonza(Nonza(ns.DIALBACK, "result", good, b"abc")), AuthorizationRequested
    )
    with pytest.raises(RemoteProtocolError) as caught:
        make_inbound().receive_nonza(Nonza(ns.DIALBACK, name, {**good, **changes}, payload))
    assert caught.value.reply == condition


values = st.sampled_from(
    ["capulet.example", "montague.example", "a@b", "", "valid", "error", "417GAF25", "\u00e4"]
)


@given(
    st.sampled_from(["result", "verify", "x"]),
    st.dictionaries(st.sampled_from(["from", "to", "id", "type"]), values),
    st.sampled_from([b"", b"abc", error("item-not-found"), b"<x/>", b"text<error/>"]),
)
def test_random_elements_are_events_or_errors(name: str, attributes: dict[str, str], payload: bytes) -> None:
    outbound, inbound = make_outbound(), make_inbound()
    outbound.request(PAIR)
    for stream in (outbound, inbound):
        with contextlib.suppress(RemoteProtocolError):
            stream.receive_nonza(Nonza(ns.DIALBACK, name, attributes, payload))
