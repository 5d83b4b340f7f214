"""Acknowledgements, their counters, and what happens to what is not acknowledged (XEP-0198)."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certs.errors import RemoteProtocolError
from proxies.xmpp.conditions import StanzaErrorCondition, StreamErrorCondition
from proxies.xmpp.stanza import Stanza
from proxies.xmpp.streams.events import (
    FeaturesReceived,
    ManagementFailed,
    Resumed,
    ResumeRequested,
    StreamEvent,
    StreamFailed,
)
from proxies.xmpp.streams.management import HandledCountTooHighError, ManagedStanzas, parse_count
from proxies.xmpp.streams.receiving import ReceivingStream
from proxies.xmpp.streams.settings import ReceivingSettings, StreamKind, TlsOffer
from proxies.xmpp.streams.state import StreamState
from tests.proxies.xmpp.streams.exchange import (
    BIND,
    CLIENT_HEADER,
    CLIENTS,
    CLOSE,
    PLAIN,
    SERVERS,
    Initiator,
    Owner,
    converse,
    initiate,
    receive,
)

ENABLE = b"<enable xmlns='urn:xmpp:sm:3' resume='true' max='60'/>"
REQUEST = b'<r xmlns="urn:xmpp:sm:3"/>'
IN_THE_CLEAR = replace(CLIENTS, tls=TlsOffer.NONE)
PRESENCE = Stanza("presence")


def log_in(
    settings: ReceivingSettings = IN_THE_CLEAR, *, more: bytes = BIND + ENABLE
) -> tuple[Owner, ReceivingStream]:
    stream = receive(settings)
    owner = Owner(stream)
    owner.feed(CLIENT_HEADER + PLAIN)
    owner.feed(CLIENT_HEADER + more)
    owner.sent = b""
    return owner, stream


def queue_of(*numbers: int, maximum: int = 100) -> ManagedStanzas:
    managed = ManagedStanzas(maximum_unacknowledged=maximum, resumption_id="r1")
    for number in numbers:
        managed.send_stanza(Stanza("message", {"id": str(number)}))
    return managed


def ids(managed: ManagedStanzas) -> list[str]:
    return [stanza.id for stanza in managed.unacknowledged]


def test_what_is_acknowledged_is_forgotten() -> None:
    managed = queue_of(1, 2, 3)
    managed.acknowledge(2)
    assert ids(managed) == ["3"]
    managed.acknowledge(2)
    assert ids(managed) == ["3"]
    assert managed.sent == 3


@pytest.mark.parametrize("handled", [0, 4, 2**32 - 1])
def test_what_was_not_sent_cannot_be_acknowledged(handled: int) -> None:
    managed = queue_of(1, 2, 3)
    managed.acknowledge(1)
    with pytest.raises(HandledCountTooHighError):
        managed.acknowledge(handled)
    assert ids(managed) == ["2", "3"]


def test_counters_begin_again_behind_the_highest() -> None:
    managed = queue_of()
    managed._acknowledged = managed._handled = 2**32 - 1
    for number in (1, 2):
        managed.send_stanza(Stanza("message", {"id": str(number)}))
        managed.handle_stanza()
    assert (managed.sent, managed.handled) == (1, 1)
    managed.acknowledge(0)
    assert ids(managed) == ["2"]
    managed.acknowledge(1)
    assert not managed.waiting


@pytest.mark.parametrize("text", [None, "", "-1", "1.0", "x", "٣", str(2**32), "0" * 11])
def test_what_is_no_count_is_refused(text: str | None) -> None:
    with pytest.raises(RemoteProtocolError):
        parse_count(text)


@given(st.integers(0, 2**32 - 1))
def test_any_count_is_read(count: int) -> None:
    assert parse_count(str(count)) == count


def test_management_is_enabled_for_as_long_as_both_want() -> None:
    owner, stream = log_in()
    assert stream.managed is not None
    assert stream.managed.maximum_time == 60
    assert stream.managed.resumption_id
    assert owner.managed is stream.managed


@pytest.mark.parametrize(
    ("settings", "elements", "condition"),
    [
        (replace(IN_THE_CLEAR, stream_management=False), BIND + ENABLE, "feature-not-implemented"),
        (IN_THE_CLEAR, ENABLE, "unexpected-request"),
        (IN_THE_CLEAR, BIND + ENABLE + ENABLE, "unexpected-request"),
        (IN_THE_CLEAR, BIND + b"<resume xmlns='urn:xmpp:sm:3' previd='r1' h='0'/>", "unexpected-request"),
        (
            replace(IN_THE_CLEAR, resumption_time=0),
            b"<resume xmlns='urn:xmpp:sm:3' previd='r1' h='0'/>",
            "feature-not-implemented",
        ),
        (IN_THE_CLEAR, b"<resume xmlns='urn:xmpp:sm:3' previd='gone' h='0'/>", "item-not-found"),
    ],
)
def test_what_cannot_be_managed_is_refused(
    settings: ReceivingSettings, elements: bytes, condition: str
) -> None:
    stream = receive(settings)
    owner = Owner(stream)
    owner.feed(CLIENT_HEADER + PLAIN)
    assert owner.feed(CLIENT_HEADER + elements).endswith(
        f'<failed xmlns="urn:xmpp:sm:3"><{condition} xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></failed>'.encode()
    )
    assert not owner.error
    if condition != "unexpected-request" or elements == ENABLE:
        assert stream.managed is None


def test_a_refused_resumption_says_what_was_handled_and_may_be_followed_by_binding() -> None:
    stream = receive(IN_THE_CLEAR)
    Owner(stream).feed(CLIENT_HEADER + PLAIN)
    stream.receive_data(CLIENT_HEADER + b"<resume xmlns='urn:xmpp:sm:3' previd='r1' h='0'/>" + BIND)
    while not isinstance(event := stream.next_event(), ResumeRequested):
        assert event is not None
    assert event == ResumeRequested("r1", 0)
    assert stream.next_event() is None
    stream.refuse_resume(handled=7)
    assert b"<failed xmlns=\"urn:xmpp:sm:3\" h='7'>" in stream.data_to_send()
    owner = Owner(stream)
    owner.pull()
    assert stream.state is StreamState.ESTABLISHED


def test_acknowledgement_is_asked_for_once_until_it_comes() -> None:
    owner, stream = log_in()
    stream.send_stanza(PRESENCE)
    stream.send_stanza(PRESENCE)
    assert owner.pull() == b"<presence/><presence/>" + REQUEST
    stream.send_stanza(PRESENCE)
    assert owner.pull() == b"<presence/>"
    assert owner.feed(b"<a xmlns='urn:xmpp:sm:3' h='2'/>") == REQUEST
    assert owner.feed(b"<a xmlns='urn:xmpp:sm:3' h='3'/>") == b""


def test_a_request_is_answered_with_what_was_handled() -> None:
    owner, _ = log_in()
    assert (
        owner.feed(b"<presence/><presence/>" + REQUEST + b"<presence/>")
        == b"<a xmlns=\"urn:xmpp:sm:3\" h='2'/>"
    )


def test_a_managed_stream_says_what_was_handled_before_it_closes() -> None:
    owner, stream = log_in()
    owner.feed(b"<presence/>")
    stream.close(now=0.0)
    assert owner.pull() == b"<a xmlns=\"urn:xmpp:sm:3\" h='1'/>" + CLOSE


def test_an_acknowledgement_of_what_was_not_sent_ends_the_stream() -> None:
    owner, stream = log_in()
    stream.send_stanza(PRESENCE)
    owner.pull()
    answer = owner.feed(b"<a xmlns='urn:xmpp:sm:3' h='2'/>")
    assert owner.error == "undefined-condition"
    assert b'<undefined-condition xmlns="urn:ietf:params:xml:ns:xmpp-streams"/>' in answer
    assert b'<handled-count-too-high xmlns="urn:xmpp:sm:3" h="2" send-count="1"/>' in answer


def test_a_resumption_that_acknowledges_too_much_ends_the_stream() -> None:
    stream = receive(IN_THE_CLEAR)
    owner = Owner(stream, queue_of(1))
    owner.feed(CLIENT_HEADER + PLAIN)
    assert b"handled-count-too-high" in owner.feed(
        CLIENT_HEADER + b"<resume xmlns='urn:xmpp:sm:3' previd='r1' h='2'/>"
    )
    assert stream.state is StreamState.CLOSED


def test_a_peer_that_acknowledges_nothing_is_left_with_its_queue_whole() -> None:
    owner, stream = log_in(replace(IN_THE_CLEAR, maximum_unacknowledged=2))
    for _ in range(3):
        stream.send_stanza(PRESENCE)
    assert b"<policy-violation" in owner.pull()
    assert isinstance(owner.events[-1], StreamFailed)
    assert owner.events[-1].condition is StreamErrorCondition.POLICY_VIOLATION
    assert stream.managed is not None
    assert stream.managed.unacknowledged == (PRESENCE,) * 3


class Resumer(Initiator):
    """Asks for an old stream as soon as it is authenticated."""

    def __init__(self, old: ManagedStanzas, kind: StreamKind = StreamKind.CLIENT) -> None:
        super().__init__(initiate(kind, sender="peer.example" if kind is StreamKind.SERVER else ""))
        self.old = old

    def _answer(self, event: StreamEvent) -> None:
        if isinstance(event, FeaturesReceived) and event.features.stream_management:
            self.stream.resume(self.old)
        else:
            super()._answer(event)


def test_what_was_lost_with_a_connection_is_sent_again() -> None:
    ours, theirs = queue_of(1, 2), queue_of(7, 8, 9)
    theirs.handle_stanza()
    ours.handle_stanza()
    client, server = Resumer(ours), Owner(receive(), theirs)
    converse(client, server)
    assert Resumed() in client.events
    assert [event.id for event in client.events if isinstance(event, Stanza)] == ["8", "9"]
    assert [event.id for event in server.events if isinstance(event, Stanza)] == ["2"]
    assert ours.unacknowledged == theirs.unacknowledged == ()
    assert ours.handled == 3


@pytest.mark.parametrize("kind", [StreamKind.CLIENT, StreamKind.SERVER])
def test_what_a_refused_resumption_leaves_is_handed_back(kind: StreamKind) -> None:
    ours = queue_of(1, 2)
    settings = SERVERS if kind is StreamKind.SERVER else CLIENTS
    peer, server = Resumer(ours, kind), Owner(receive(settings))
    converse(peer, server)
    assert peer.events[-1] == ManagementFailed(StanzaErrorCondition.ITEM_NOT_FOUND, ours.unacknowledged)
    expected = StreamState.ESTABLISHED if kind is StreamKind.SERVER else StreamState.AUTHENTICATED
    assert peer.stream.state is server.stream.state is expected


def test_a_link_between_servers_can_be_resumed() -> None:
    ours, theirs = queue_of(), queue_of()
    stanza = Stanza("message", {"to": "bob@lab.example", "from": "eve@peer.example"})
    ours.send_stanza(stanza)
    peer, server = Resumer(ours, StreamKind.SERVER), Owner(receive(SERVERS), theirs)
    server.jid = None
    converse(peer, server)
    assert server.events[-1] == stanza
    assert not ours.waiting
