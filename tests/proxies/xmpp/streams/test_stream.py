"""Both sides of a stream negotiate with each other, however their bytes are cut."""

import pytest

from proxies.xmpp import namespaces as ns
from proxies.xmpp.jid import Jid
from proxies.xmpp.stanza import Nonza, Stanza
from proxies.xmpp.streams.events import (
    Authenticated,
    Bound,
    StreamClosed,
    StreamOpened,
)
from proxies.xmpp.streams.features import StreamFeatures
from proxies.xmpp.streams.initiating import InitiatingStream
from proxies.xmpp.streams.settings import StreamKind
from proxies.xmpp.streams.state import StreamState
from tests.proxies.xmpp.streams.exchange import (
    COMPONENTS,
    SERVERS,
    Initiator,
    Owner,
    converse,
    initiate,
    receive,
)

ANY_SIZE = pytest.mark.parametrize("size", [0, 1, 7])
CHAT = Stanza("message", {"to": "bob@lab.example", "type": "chat"}, b"<body>hi</body>", (("", "body"),))


@ANY_SIZE
def test_a_client_logs_in_by_starttls_and_scram_and_sends_a_stanza(size: int) -> None:
    client = Initiator(initiate(StreamKind.CLIENT))
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
    peer = Initiator(initiate(StreamKind.SERVER, sender="peer.example"))
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


def test_each_restart_has_a_new_id() -> None:
    client = Initiator(initiate(StreamKind.CLIENT))
    server = Owner(receive())
    converse(client, server)
    ids = [event.id for event in server.events if isinstance(event, StreamOpened)]
    assert len(ids) == len(set(ids)) == 3
    assert ids == [event.id for event in client.events if isinstance(event, StreamOpened)]
