"""The receiving entity ends streams that break a rule, with the condition that RFC 6120 4.9.3 has for it."""

from dataclasses import replace

import pytest

from certs.errors import LocalProtocolError
from proxies.xmpp.conditions import SaslErrorCondition, StanzaErrorCondition, StreamErrorCondition
from proxies.xmpp.jid import Jid
from proxies.xmpp.sasl.common import SaslFailure
from proxies.xmpp.stanza import Stanza
from proxies.xmpp.streams.events import (
    Authenticated,
    AuthenticationFailed,
    BindRequested,
    StreamClosed,
    StreamErrorReceived,
    StreamEvent,
    StreamFailed,
    StreamOpened,
    TlsProceeding,
)
from proxies.xmpp.streams.receiving import ReceivingStream
from proxies.xmpp.streams.settings import ReceivingSettings, TlsOffer
from proxies.xmpp.streams.state import StreamState
from tests.proxies.xmpp.streams.exchange import (
    BIND,
    CLIENT_HEADER,
    CLIENTS,
    CLOSE,
    COMPONENT_HEADER,
    COMPONENTS,
    EXTERNAL,
    PLAIN,
    SERVER_HEADER,
    SERVERS,
    STARTTLS,
    Owner,
    handshake,
    receive,
    receive_in_the_clear,
)

IN_THE_CLEAR = replace(CLIENTS, tls=TlsOffer.NONE)
ROOT = CLIENT_HEADER.partition(b"?>")[2]
WRONG = b"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGFsaWNlAHdyb25n</auth>"


def log_in(stream: ReceivingStream | None = None, *, bind: bool = True) -> Owner:
    """Return the owner of a client's stream, in the clear."""
    owner = Owner(stream or receive_in_the_clear())
    owner.feed(CLIENT_HEADER + PLAIN)
    owner.feed(CLIENT_HEADER + (BIND if bind else b""))
    assert not owner.error
    owner.sent = b""
    return owner


def link(settings: ReceivingSettings = SERVERS) -> Owner:
    """Return the owner of a server's stream, over TLS from its beginning."""
    owner = Owner(receive(settings, secure=True))
    owner.feed(SERVER_HEADER + EXTERNAL)
    owner.feed(SERVER_HEADER)
    assert owner.stream.state is StreamState.ESTABLISHED
    return owner


# the header


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        (b"to='lab.example'", b"to='other.example'", "host-unknown"),
        (b"to='lab.example'", b"to='alice@lab.example'", "host-unknown"),
        (b"to='lab.example'", b"", "improper-addressing"),
        (b"to='lab.example'", b"to='lab..example/'", "improper-addressing"),
        (b"version='1.0'", b"version='0.9'", "unsupported-version"),
        (b"version='1.0'", b"version='one'", "unsupported-version"),
        (b"version='1.0'", b"", "unsupported-version"),
        (b"version='1.0'", b"version='1.0' from='@'", "invalid-from"),
        (b"xmlns='jabber:client'", b"xmlns='jabber:server'", "invalid-namespace"),
        (b"xmlns='jabber:client'", b"", "invalid-namespace"),
        (b"etherx.jabber.org/streams'", b"etherx.jabber.org/stream'", "invalid-namespace"),
        (b"etherx.jabber.org/streams'", b"etherx.jabber.org/streams' xmlns:db='urn:x'", "invalid-namespace"),
        (b"stream:stream", b"stream:flow", "bad-format"),
    ],
)
def test_a_header_that_means_nothing_here_is_refused(old: bytes, new: bytes, error: str) -> None:
    owner = Owner(receive())
    owner.feed(ROOT.replace(old, new))
    assert owner.error == error
    assert owner.sent.startswith(b"<?xml version='1.0'?><stream:stream xmlns='jabber:client'")
    assert owner.sent.endswith(b"</text></stream:error></stream:stream>")
    assert f'<stream:error><{error} xmlns="urn:ietf:params:xml:ns:xmpp-streams"/>'.encode() in owner.sent
    assert owner.stream.state is StreamState.CLOSED


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"to='lab.example'", b"to='LAB.example'"),
        (b"version='1.0'", b"version='1.3'"),
        (b"version='1.0'", b"version='1.0' from='alice@lab.example'"),
        (b"etherx.jabber.org/streams'", b"etherx.jabber.org/streams' xmlns:db='jabber:server:dialback'"),
    ],
)
def test_a_header_that_differs_in_what_is_allowed_is_accepted(old: bytes, new: bytes) -> None:
    owner = Owner(receive())
    owner.feed(ROOT.replace(old, new))
    assert isinstance(owner.events[0], StreamOpened)
    assert owner.stream.state is StreamState.NEGOTIATING


def test_the_roots_prefix_must_be_stream() -> None:
    owner = Owner(receive())
    owner.feed(CLIENT_HEADER.replace(b"stream:stream", b"s:stream").replace(b"xmlns:stream", b"xmlns:s"))
    assert owner.error == "bad-namespace-prefix"


@pytest.mark.parametrize(("dialback", "error"), [(True, ""), (False, "unsupported-version")])
def test_a_server_without_a_version_can_only_use_dialback(dialback: bool, error: str) -> None:
    owner = Owner(receive(replace(SERVERS, dialback=dialback)))
    owner.feed(SERVER_HEADER.partition(b"?>")[2].replace(b" version='1.0'", b""))
    assert owner.error == error
    assert b"<stream:features>" not in owner.sent


@pytest.mark.parametrize(
    ("sender", "error"), [("alice@lab.example", ""), ("bob@lab.example", "invalid-from")]
)
def test_a_stream_is_opened_anew_by_who_authenticated(sender: str, error: str) -> None:
    owner = Owner(receive_in_the_clear())
    owner.feed(CLIENT_HEADER + PLAIN)
    owner.feed(CLIENT_HEADER.replace(b" to=", f" from='{sender}' to=".encode()))
    assert owner.error == error


# TLS


def test_nothing_but_tls_is_offered_where_it_is_required() -> None:
    owner = Owner(receive())
    owner.feed(CLIENT_HEADER)
    assert b"<required/>" in owner.sent
    assert b"mechanism" not in owner.sent
    owner.feed(PLAIN)
    assert AuthenticationFailed("PLAIN", SaslFailure(SaslErrorCondition.ENCRYPTION_REQUIRED)) in owner.events


def test_tls_and_mechanisms_are_offered_where_it_is_optional() -> None:
    owner = Owner(receive(replace(CLIENTS, tls=TlsOffer.OPTIONAL)))
    owner.feed(CLIENT_HEADER)
    assert b'<starttls xmlns="urn:ietf:params:xml:ns:xmpp-tls"/><mechanisms' in owner.sent


def test_tls_that_is_not_offered_is_refused() -> None:
    owner = Owner(receive_in_the_clear())
    owner.feed(CLIENT_HEADER)
    assert owner.feed(STARTTLS) == b'<failure xmlns="urn:ietf:params:xml:ns:xmpp-tls"/></stream:stream>'
    assert owner.stream.state is StreamState.CLOSED


def test_what_was_sent_in_the_clear_behind_starttls_is_never_read() -> None:
    owner = Owner(receive())
    owner.feed(CLIENT_HEADER + STARTTLS + b"<")
    assert owner.error == "policy-violation"
    assert TlsProceeding() not in owner.events


def test_the_tls_handshake_is_not_for_the_stream() -> None:
    stream = receive()
    stream.receive_data(CLIENT_HEADER + STARTTLS)
    while stream.next_event() != TlsProceeding():
        pass
    with pytest.raises(LocalProtocolError):
        stream.receive_data(b"\x16\x03\x01")
    stream.tls_established()
    stream.receive_data(CLIENT_HEADER)


# SASL and binding


def test_a_failed_login_may_be_repeated_a_few_times() -> None:
    owner = Owner(receive_in_the_clear())
    owner.feed(CLIENT_HEADER)
    for _ in range(2):
        assert owner.feed(WRONG).startswith(
            b'<failure xmlns="urn:ietf:params:xml:ns:xmpp-sasl"><not-authorized/>'
        )
    assert owner.feed(PLAIN) == b'<success xmlns="urn:ietf:params:xml:ns:xmpp-sasl"/>'


def test_too_many_failed_logins_end_the_stream() -> None:
    owner = Owner(receive_in_the_clear())
    owner.feed(CLIENT_HEADER + WRONG * 3 + PLAIN)
    assert owner.events[-1] == StreamFailed(
        StreamErrorCondition.POLICY_VIOLATION, "too many failed attempts to authenticate"
    )
    assert b"<success" not in owner.sent


@pytest.mark.parametrize(
    ("element", "condition"),
    [
        ("<auth xmlns='{0}' mechanism='GSSAPI'/>", SaslErrorCondition.INVALID_MECHANISM),
        ("<auth xmlns='{0}' mechanism='PLAIN'>%</auth>", SaslErrorCondition.INCORRECT_ENCODING),
        ("<auth xmlns='{0}' mechanism='PLAIN'/><abort xmlns='{0}'/>", SaslErrorCondition.ABORTED),
        ("<auth xmlns='{0}' mechanism='PLAIN'/><hm xmlns='{0}'/>", SaslErrorCondition.MALFORMED_REQUEST),
    ],
)
def test_an_exchange_that_goes_wrong_is_named(element: str, condition: SaslErrorCondition) -> None:
    owner = Owner(receive_in_the_clear())
    owner.feed(CLIENT_HEADER + element.format("urn:ietf:params:xml:ns:xmpp-sasl").encode())
    failures = [event for event in owner.events if isinstance(event, AuthenticationFailed)]
    assert [event.failure.condition for event in failures] == [condition]
    assert owner.feed(PLAIN) == b'<success xmlns="urn:ietf:params:xml:ns:xmpp-sasl"/>'


@pytest.mark.parametrize(
    ("secret", "last", "state"),
    [
        ("shared", Authenticated("handshake", Jid.parse("rooms.lab.example")), StreamState.ESTABLISHED),
        (
            "wrong",
            StreamFailed(
                StreamErrorCondition.NOT_AUTHORIZED,
                "the handshake of rooms.lab.example does not match its secret",
            ),
            StreamState.CLOSED,
        ),
    ],
    ids=["right", "wrong"],
)
def test_a_component_must_know_its_secret(secret: str, last: StreamEvent, state: StreamState) -> None:
    owner = Owner(receive(replace(COMPONENTS, component_secrets={"rooms.lab.example": secret})))
    owner.feed(COMPONENT_HEADER)
    owner.feed(handshake(owner.stream))
    assert (owner.events[-1], owner.stream.state) == (last, state)
    assert (b"<not-authorized " in owner.sent) == (secret == "wrong")


def test_stanzas_before_authentication_end_the_stream() -> None:
    owner = Owner(receive_in_the_clear())
    owner.feed(CLIENT_HEADER + b"<presence/>")
    assert owner.error == "not-authorized"


def test_stanzas_before_binding_end_the_stream() -> None:
    owner = log_in(bind=False)
    owner.feed(b"<presence/>")
    assert owner.error == "not-authorized"


def test_stanzas_after_binding_are_stamped_with_the_address() -> None:
    owner = log_in()
    owner.feed(b"<presence/><presence from='alice@lab.example'/><presence from='alice@LAB.example/desk'/>")
    assert owner.events[-3:] == [Stanza("presence", {"from": "alice@lab.example/desk"})] * 3


@pytest.mark.parametrize("sender", ["bob@lab.example", "alice@lab.example/other", "@", ""])
def test_a_client_cannot_send_as_somebody_else(sender: str) -> None:
    owner = log_in()
    owner.feed(f"<presence from='{sender}'/>".encode())
    assert owner.error == "invalid-from"


def test_what_follows_a_request_to_bind_waits_for_the_answer() -> None:
    stream = receive_in_the_clear()
    owner = log_in(stream, bind=False)
    stream.receive_data(BIND + b"<presence/>")
    assert stream.next_event() == BindRequested("desk")
    assert stream.next_event() is None
    stream.bind(Jid("alice", "lab.example", "desk"))
    assert stream.next_event() == Stanza("presence", {"from": "alice@lab.example/desk"})
    assert owner.pull() == (
        b"<iq type='result' id='b1'><bind xmlns=\"urn:ietf:params:xml:ns:xmpp-bind\">"
        b"<jid>alice@lab.example/desk</jid></bind></iq>"
    )


def test_a_refused_resource_may_be_followed_by_another() -> None:
    stream = receive_in_the_clear()
    log_in(stream, bind=False)
    stream.receive_data(BIND)
    assert stream.next_event() == BindRequested("desk")
    stream.refuse_bind(StanzaErrorCondition.CONFLICT)
    assert stream.data_to_send() == (
        b"<iq type='error' id='b1'><error type=\"cancel\">"
        b'<conflict xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error></iq>'
    )
    stream.receive_data(BIND)
    assert stream.next_event() == BindRequested("desk")


def test_a_malformed_request_to_bind_is_answered() -> None:
    owner = log_in(bind=False)
    assert b"<bad-request" in owner.feed(BIND.replace(b"'set'", b"'get'"))
    assert not owner.error


def test_the_session_of_old_clients_is_answered() -> None:
    owner = log_in()
    answer = owner.feed(b"<iq type='set' id='s1'><session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>")
    assert answer == b"<iq type='result' id='s1' to='alice@lab.example/desk'/>"
    assert not any(isinstance(event, Stanza) for event in owner.events)


# stanzas


@pytest.mark.parametrize(
    ("element", "error"),
    [
        (b"<message xmlns='jabber:server'/>", "unsupported-stanza-type"),
        (b"<letter/>", "unsupported-stanza-type"),
        (STARTTLS, "unsupported-stanza-type"),
        (PLAIN, "unsupported-stanza-type"),
        (b"<a xmlns='urn:xmpp:sm:3' h='0'/>", "unsupported-stanza-type"),
        (b"hello", "bad-format"),
        (b"<message></iq>", "not-well-formed"),
        (b"<!-- hm -->", "restricted-xml"),
        (b"<message><body>" + b"a" * 600_000, "policy-violation"),
    ],
)
def test_what_is_no_stanza_ends_the_stream_behind_those_that_are(element: bytes, error: str) -> None:
    owner = log_in()
    owner.feed(b"<presence/>" + element)
    assert owner.events[-1] == Stanza("presence", {"from": "alice@lab.example/desk"})
    assert owner.error == error
    assert owner.stream.next_event() is None


@pytest.mark.parametrize(
    ("addresses", "error"),
    [
        (b"from='eve@peer.example' to='bob@lab.example'", ""),
        (b"from='eve@peer.example'", "improper-addressing"),
        (b"to='bob@lab.example'", "improper-addressing"),
        (b"from='eve@peer.example' to=''", "improper-addressing"),
    ],
)
def test_stanzas_between_servers_need_both_addresses(addresses: bytes, error: str) -> None:
    owner = link()
    owner.feed(b"<message %b/>" % addresses)
    assert owner.error == error


# the end


def test_a_stream_that_is_not_negotiated_in_time_ends() -> None:
    owner = Owner(receive())
    owner.feed(CLIENT_HEADER)
    assert owner.stream.next_timer() == 30.0
    owner.stream.handle_timer(now=29.9)
    assert not owner.pull()
    owner.stream.handle_timer(now=30.0)
    assert b"<connection-timeout" in owner.pull()
    assert owner.events[-1] == StreamFailed(
        StreamErrorCondition.CONNECTION_TIMEOUT, "the stream was not negotiated in time"
    )
    assert owner.stream.next_timer() is None


def test_an_established_stream_has_no_timer() -> None:
    owner = log_in()
    assert owner.stream.next_timer() is None
    owner.stream.handle_timer(now=1e9)
    assert owner.stream.state is StreamState.ESTABLISHED


def test_a_peer_that_does_not_close_is_left() -> None:
    owner = log_in()
    owner.stream.close(now=100.0)
    assert owner.pull() == CLOSE
    owner.feed(b"<presence/>")  # on its way when we closed
    assert isinstance(owner.events[-1], Stanza)
    assert owner.stream.next_timer() == 105.0
    owner.stream.handle_timer(now=105.0)
    assert not owner.pull()
    assert owner.events[-1] == StreamClosed(clean=False)


def test_the_peers_closing_tag_is_answered() -> None:
    owner = log_in()
    assert owner.feed(CLOSE) == CLOSE
    assert owner.events[-1] == StreamClosed(clean=True)


def test_a_connection_that_ends_without_a_closing_tag_is_told_apart() -> None:
    owner = log_in()
    owner.stream.receive_eof()
    owner.pull()
    assert owner.events[-1] == StreamClosed(clean=False)


def test_a_stream_error_of_the_peer_is_an_event() -> None:
    owner = log_in()
    answer = owner.feed(
        b"<stream:error><see-other-host xmlns='urn:ietf:params:xml:ns:xmpp-streams'>imp2:5222</see-other-host>"
        b"<text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>moved</text><gone xmlns='urn:x'/></stream:error>"
    )
    assert owner.events[-1] == StreamErrorReceived(
        StreamErrorCondition.SEE_OTHER_HOST, "moved", "imp2:5222", ("urn:x", "gone")
    )
    assert answer == CLOSE


@pytest.mark.parametrize("condition", list(StreamErrorCondition))
def test_a_service_can_end_a_stream_with_any_condition(condition: StreamErrorCondition) -> None:
    owner = log_in()
    owner.stream.fail(condition, "because")
    assert (
        owner.pull()
        == (
            f'<stream:error><{condition} xmlns="urn:ietf:params:xml:ns:xmpp-streams"/>'
            '<text xmlns="urn:ietf:params:xml:ns:xmpp-streams" xml:lang="en">because</text>'
            "</stream:error></stream:stream>"
        ).encode()
    )
    assert owner.events[-1] == StreamFailed(condition, "because")


def test_a_service_can_send_a_client_elsewhere() -> None:
    owner = log_in()
    owner.stream.fail(StreamErrorCondition.SEE_OTHER_HOST, other_host="imp2.lab.example:5222")
    assert (
        b'<see-other-host xmlns="urn:ietf:params:xml:ns:xmpp-streams">imp2.lab.example:5222<' in owner.pull()
    )


def test_a_stream_that_carries_nothing_sends_nothing() -> None:
    stream = receive()
    for send in (lambda: stream.send_stanza(Stanza("presence")), lambda: stream.bind(Jid("a", "b", "c"))):
        with pytest.raises(LocalProtocolError):
            send()
