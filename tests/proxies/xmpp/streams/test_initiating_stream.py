"""The initiating entity takes up what is offered, and leaves a receiving entity that breaks a rule."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from certs.errors import LocalProtocolError, RemoteProtocolError
from proxies.xmpp import namespaces as ns
from proxies.xmpp.conditions import SaslErrorCondition, StanzaErrorCondition
from proxies.xmpp.sasl.client import SaslClient, SaslClientSettings
from proxies.xmpp.sasl.common import SaslFailure
from proxies.xmpp.stanza import Nonza
from proxies.xmpp.streams.events import (
    AuthenticationFailed,
    BindRefused,
    FeaturesReceived,
    StreamOpened,
    TlsProceeding,
    TlsRefused,
)
from proxies.xmpp.streams.features import StreamFeatures
from proxies.xmpp.streams.initiating import InitiatingStream
from proxies.xmpp.streams.settings import StreamKind
from proxies.xmpp.streams.state import StreamState
from tests.proxies.xmpp.streams.exchange import CLOSE, Initiator, Owner, initiate

HEADER = (
    b"<stream:stream id='1' from='lab.example' version='1.0' xmlns='jabber:client' "
    b"xmlns:stream='http://etherx.jabber.org/streams'>"
)
SASL = "urn:ietf:params:xml:ns:xmpp-sasl"


def offer(content: bytes) -> bytes:
    return b"<stream:features>" + content + b"</stream:features>"


TLS_OFFER = offer(b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>")
PLAIN_OFFER = offer(f"<mechanisms xmlns='{SASL}'><mechanism>PLAIN</mechanism></mechanisms>".encode())
SCRAM_OFFER = offer(f"<mechanisms xmlns='{SASL}'><mechanism>SCRAM-SHA-1</mechanism></mechanisms>".encode())
BIND_OFFER = offer(b"<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>")
PROCEED = b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
SUCCESS = f"<success xmlns='{SASL}'/>".encode()


def secure(content: bytes = b"") -> Initiator:
    """Return the owner of a client's stream that TLS protects."""
    owner = Initiator(initiate(StreamKind.CLIENT))
    owner.feed(HEADER + TLS_OFFER)
    owner.feed(PROCEED)
    owner.sent = b""
    owner.feed(HEADER + content)
    assert not owner.error
    return owner


def test_the_stream_is_opened_at_once() -> None:
    assert initiate(StreamKind.SERVER, sender="peer.example").data_to_send() == (
        b"<?xml version='1.0'?><stream:stream xmlns='jabber:server' "
        b"xmlns:stream='http://etherx.jabber.org/streams' xmlns:db='jabber:server:dialback' "
        b'from="peer.example" to="lab.example" version="1.0" xml:lang="en">'
    )


def test_features_are_learned_as_an_event() -> None:
    owner = Owner(initiate(StreamKind.CLIENT))
    owner.feed(HEADER + TLS_OFFER)
    assert owner.events == [
        StreamOpened(id="1", to="", sender="lab.example", secure=False),
        FeaturesReceived(StreamFeatures(starttls=True, tls_required=True)),
    ]


def test_a_server_without_a_version_offers_nothing() -> None:
    owner = Owner(initiate(StreamKind.SERVER, sender="peer.example"))
    owner.feed(HEADER.replace(b" version='1.0'", b"").replace(b"jabber:client", b"jabber:server"))
    assert owner.events[-1] == FeaturesReceived(StreamFeatures())
    stream = owner.stream
    stream.data_to_send()
    stream.send_nonza(Nonza(ns.DIALBACK, "result", {"from": "peer.example", "to": "lab.example"}, b"key"))
    assert stream.data_to_send() == (
        b"<db:result xmlns:db=\"jabber:server:dialback\" from='peer.example' to='lab.example'>key</db:result>"
    )
    owner.feed(b"<result xmlns='jabber:server:dialback' from='lab.example' to='peer.example' type='valid'/>")
    assert stream.state is StreamState.ESTABLISHED


@pytest.mark.parametrize(
    "header", [HEADER.replace(b"jabber:client", b"jabber:server"), HEADER.replace(b"etherx", b"x")]
)
def test_a_header_of_another_stream_is_refused(header: bytes) -> None:
    owner = Owner(initiate(StreamKind.CLIENT))
    owner.feed(header)
    assert owner.error == "invalid-namespace"
    assert owner.sent.endswith(b"</stream:error>" + CLOSE)


def test_starttls_goes_on_with_a_new_stream() -> None:
    owner = secure()
    assert owner.stream.secure
    assert owner.events.count(TlsProceeding()) == 1
    assert owner.sent == b""
    assert owner.stream.state is StreamState.OPENING


def test_what_came_in_the_clear_behind_proceed_is_never_read() -> None:
    owner = Initiator(initiate(StreamKind.CLIENT))
    owner.feed(HEADER + TLS_OFFER)
    owner.feed(PROCEED + BIND_OFFER)
    assert owner.error == "policy-violation"
    assert TlsProceeding() not in owner.events


def test_refused_tls_ends_the_stream() -> None:
    owner = Initiator(initiate(StreamKind.CLIENT))
    owner.feed(HEADER + TLS_OFFER)
    owner.feed(b"<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>" + CLOSE)
    assert owner.events[-1] == TlsRefused()
    assert owner.stream.state is StreamState.CLOSED


def test_a_failed_login_is_told() -> None:
    owner = secure(PLAIN_OFFER)
    assert owner.sent.endswith(b"AGFsaWNlAHNlY3JldA==</auth>")
    owner.feed(f"<failure xmlns='{SASL}'><account-disabled/><text>gone</text></failure>".encode())
    failure = SaslFailure(SaslErrorCondition.ACCOUNT_DISABLED, "gone")
    assert owner.events[-1] == AuthenticationFailed("PLAIN", failure)
    owner.stream.authenticate(SaslClient(SaslClientSettings(username="bob", password="x"), encrypted=True))
    assert owner.stream.state is StreamState.AUTHENTICATING


def test_nothing_usable_is_an_error_that_leaves_the_stream_as_it_was() -> None:
    owner = Owner(initiate(StreamKind.CLIENT))
    owner.feed(HEADER + PLAIN_OFFER)
    assert isinstance(owner.stream, InitiatingStream)
    with pytest.raises(RemoteProtocolError):
        owner.stream.authenticate(SaslClient(SaslClientSettings(username="alice", password="secret")))
    assert owner.stream.state is StreamState.NEGOTIATING


def test_a_server_that_does_not_know_the_password_is_left() -> None:
    owner = secure(SCRAM_OFFER)
    owner.feed(SUCCESS)
    assert owner.error == "not-authorized"
    assert owner.stream.state is StreamState.CLOSED


@pytest.mark.parametrize(
    ("answer", "condition"),
    [
        (
            "<iq id='{}' type='error'><error type='cancel'>"
            "<conflict xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>",
            StanzaErrorCondition.CONFLICT,
        ),
        ("<iq id='{}' type='error'/>", StanzaErrorCondition.UNDEFINED_CONDITION),
        ("<iq id='{}' type='result'/>", StanzaErrorCondition.UNDEFINED_CONDITION),
    ],
)
def test_a_refused_resource_is_told(answer: str, condition: StanzaErrorCondition) -> None:
    owner = secure(PLAIN_OFFER)
    owner.feed(SUCCESS)
    owner.feed(HEADER + BIND_OFFER)
    owner.feed(answer.format(owner.stream._bind_id).encode())
    assert owner.events[-1] == BindRefused(condition)
    assert owner.stream.state is StreamState.AUTHENTICATED


def test_stanzas_before_the_stream_is_ready_are_refused() -> None:
    owner = secure(PLAIN_OFFER)
    owner.feed(b"<message/>")
    assert owner.error == "policy-violation"


def test_what_is_not_offered_yet_cannot_be_asked_for() -> None:
    stream = initiate(StreamKind.CLIENT)
    for ask in (stream.start_tls, stream.tls_established, stream.bind, stream.enable_management):
        with pytest.raises(LocalProtocolError):
            ask()


ELEMENTS = [HEADER, TLS_OFFER, PLAIN_OFFER, SCRAM_OFFER, BIND_OFFER, PROCEED, SUCCESS, CLOSE, b"<iq/>", b"<"]


@example([HEADER, b"<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></stream:features>"])
@given(st.lists(st.sampled_from(ELEMENTS) | st.binary(max_size=12), max_size=8))
@settings(max_examples=150)
def test_random_answers_give_events_or_a_protocol_error(answers: list[bytes]) -> None:
    owner = Initiator(initiate(StreamKind.CLIENT))
    for answer in answers:
        owner.feed(answer)
    owner.stream.receive_eof()
    owner.pull()
    assert owner.stream.state is StreamState.CLOSED
