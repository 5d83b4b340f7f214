"""Both sides of a stream negotiate with each other, however their bytes are cut."""

import pytest

from proxies.xmpp import namespaces as ns
from proxies.xmpp.features import StreamFeatures
from proxies.xmpp.initiating_stream import InitiatingStream
from proxies.xmpp.jid import Jid
from proxies.xmpp.receiving_stream import ReceivingStream
from proxies.xmpp.sasl_client import SaslClient, SaslClientSettings
from proxies.xmpp.stanza import Nonza, Stanza
from proxies.xmpp.stream_events import (
    Authenticated,
    Bound,
    FeaturesReceived,
    ManagementEnabled,
    StreamClosed,
    StreamEvent,
    StreamOpened,
)
from proxies.xmpp.stream_settings import StreamKind
from proxies.xmpp.stream_state import StreamState
from tests.proxies.xmpp.streams import COMPONENTS, SERVERS, Owner, converse, initiate, receive

ANY_SIZE = pytest.mark.parametrize("size", [0, 1, 7])
CHAT = Stanza("message", {"to": "bob@lab.example", "type": "chat"}, b"<body>hi</body>", (("", "body"),))


class Initiator(Owner):
    """Takes up what is offered, in the usual order."""

    stream: InitiatingStream

    def __init__(self, stream: InitiatingStream, sasl: SaslClientSettings) -> None:
        super().__init__(stream)
        self._sasl = sasl

    def _answer(self, event: StreamEvent) -> None:
        super()._answer(event)
        if not isinstance(event, FeaturesReceived):
            return
        if event.features.starttls:
            self.stream.start_tls()
        elif event.features.mechanisms:
            self.stream.authenticate(SaslClient(self._sasl, encrypted=True, has_certificate=True))
        elif event.features.bind:
            self.stream.bind("desk")


@ANY_SIZE
def test_a_client_logs_in_by_starttls_and_scram_and_sends_a_stanza(size: int) -> None:
    client = Initiator(initiate(StreamKind.CLIENT), SaslClientSettings(username="alice", password="secret"))
    server = Owner(receive())
    converse(client, server, size)
    desk = Jid("alice", "lab.example", "desk")
    assert Bound(desk) in client.events
    assert Authenticated("SCRAM-SHA-256", desk.bare) in server.events
    assert client.stream.state is server.stream.state is StreamState.ESTABLISHED
    assert client.stream.secure
    assert server.stream.next_timer() is None

    client.stream.send_stanza(CHAT)
    converse(client, server, size)
    assert server.events[-1] == CHAT.with_attributes(from_=str(desk))

    client.stream.close(now=0.0)
    converse(client, server, size)
    assert client.events[-1] == server.events[-1] == StreamClosed(clean=True)


@ANY_SIZE
def test_a_server_is_let_in_by_its_certificate(size: int) -> None:
    peer = Initiator(initiate(StreamKind.SERVER, sender="peer.example"), SaslClientSettings())
    server = Owner(receive(SERVERS))
    converse(peer, server, size)
    assert Authenticated("EXTERNAL", Jid("", "peer.example")) in server.events
    stanza = CHAT.with_attributes(from_="eve@peer.example")
    assert isinstance(peer.stream, InitiatingStream)
    peer.stream.send_stanza(stanza)
    converse(peer, server, size)
    assert server.events[-1] == stanza


@ANY_SIZE
def test_a_component_attaches_with_its_secret(size: int) -> None:
    component = Owner(initiate(StreamKind.COMPONENT, to="rooms.lab.example"))
    router = Owner(receive(COMPONENTS))
    converse(component, router, size)
    assert router.events[-1] == Authenticated("handshake", Jid("", "rooms.lab.example"))
    assert component.events[-1] == Authenticated("handshake", None)
    router.stream.send_stanza(CHAT)
    converse(component, router, size)
    assert component.events[-1] == CHAT


def test_features_are_what_was_offered() -> None:
    features = StreamFeatures(
        starttls=True,
        mechanisms=("SCRAM-SHA-1-PLUS", "PLAIN"),
        channel_bindings=("tls-server-end-point",),
        dialback=True,
        bind=True,
        session=True,
        stream_management=True,
    )
    payload = features.encode()
    children = (
        (ns.TLS, "starttls"),
        (ns.SASL, "mechanisms"),
        (ns.SASL_CHANNEL_BINDING, "sasl-channel-binding"),
        (ns.DIALBACK_FEATURE, "dialback"),
        (ns.BIND, "bind"),
        (ns.SESSION, "session"),
        (ns.STREAM_MANAGEMENT, "sm"),
    )
    assert StreamFeatures.parse(Nonza(ns.STREAM, "features", {}, payload, children)) == features


@ANY_SIZE
def test_a_managed_stream_goes_on_over_another_connection(size: int) -> None:
    account = SaslClientSettings(username="alice", password="secret")
    client, server = Initiator(initiate(StreamKind.CLIENT), account), Owner(receive())
    converse(client, server)
    client.stream.enable_management()
    converse(client, server, size)
    assert isinstance(client.events[-1], ManagementEnabled)
    client.stream.send_stanza(CHAT)
    converse(client, server, size)
    assert server.events[-1] == CHAT.with_attributes(from_="alice@lab.example/desk")
    # The connection breaks with a stanza on its way in each direction.
    server.stream.send_stanza(CHAT)
    server.stream.send_stanza(CHAT)
    client.stream.send_stanza(CHAT)
    assert client.managed is not None
    assert server.managed is not None
    assert client.managed.unacknowledged == (CHAT,)

    again, anew = Initiator(initiate(StreamKind.CLIENT), account), Owner(receive(), server.managed)
    again._answer = lambda event: _resume(again, client, event)  # type: ignore[method-assign]
    converse(again, anew, size)
    assert [event for event in again.events if isinstance(event, Stanza)] == [CHAT, CHAT]
    assert [event.type for event in anew.events if isinstance(event, Stanza)] == ["chat"]
    assert client.managed.unacknowledged == server.managed.unacknowledged == ()
    assert isinstance(anew.stream, ReceivingStream)
    assert anew.stream.bound == Jid("alice", "lab.example", "desk")


def _resume(again: Initiator, broken: Owner, event: StreamEvent) -> None:
    if isinstance(event, FeaturesReceived) and event.features.bind:
        assert broken.managed is not None
        again.stream.resume(broken.managed)
    else:
        Initiator._answer(again, event)


def test_each_restart_has_a_new_id() -> None:
    client = Initiator(initiate(StreamKind.CLIENT), SaslClientSettings(username="alice", password="secret"))
    server = Owner(receive())
    converse(client, server)
    ids = [event.id for event in server.events if isinstance(event, StreamOpened)]
    assert len(ids) == len(set(ids)) == 3
    assert ids == [event.id for event in client.events if isinstance(event, StreamOpened)]
