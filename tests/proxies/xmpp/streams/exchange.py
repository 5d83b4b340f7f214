"""Streams for tests: both ends without a socket between them, and an owner that says yes to everything."""

import hashlib
from dataclasses import replace

from certs.errors import RemoteProtocolError
from proxies.xmpp import namespaces as ns
from proxies.xmpp.jid import Jid
from proxies.xmpp.sasl.client import SaslClient, SaslClientSettings
from proxies.xmpp.sasl.scram_keys import make_credentials
from proxies.xmpp.sasl.server import SaslServer, SaslServerSettings
from proxies.xmpp.stanza import Nonza
from proxies.xmpp.streams.events import (
    BindRequested,
    FeaturesReceived,
    ManagementEnabled,
    ResumeRequested,
    StreamEvent,
    StreamOpened,
    TlsProceeding,
)
from proxies.xmpp.streams.initiating import InitiatingStream
from proxies.xmpp.streams.management import ManagedStanzas
from proxies.xmpp.streams.receiving import MakeSasl, ReceivingStream
from proxies.xmpp.streams.settings import InitiatingSettings, ReceivingSettings, StreamKind, TlsOffer
from proxies.xmpp.streams.state import StreamState
from proxies.xmpp.streams.stream import XmppStream

ALICE = make_credentials("secret", iterations=4096)

CLIENT_HEADER = (
    b"<?xml version='1.0'?><stream:stream to='lab.example' version='1.0' xmlns='jabber:client' "
    b"xmlns:stream='http://etherx.jabber.org/streams'>"
)
SERVER_HEADER = (
    b"<?xml version='1.0'?><stream:stream from='peer.example' to='lab.example' version='1.0' "
    b"xmlns='jabber:server' xmlns:db='jabber:server:dialback' "
    b"xmlns:stream='http://etherx.jabber.org/streams'>"
)
COMPONENT_HEADER = (
    b"<stream:stream to='rooms.lab.example' xmlns='jabber:component:accept' "
    b"xmlns:stream='http://etherx.jabber.org/streams'>"
)
STARTTLS = b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
PLAIN = b"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGFsaWNlAHNlY3JldA==</auth>"
EXTERNAL = b"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>"
BIND = b"<iq type='set' id='b1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>desk</resource></bind></iq>"
CLOSE = b"</stream:stream>"


def make_password_sasl(opened: StreamOpened) -> SaslServer:
    """Let `alice` in with the password `secret`."""
    return SaslServer(
        SaslServerSettings(plain_in_the_clear=True),
        domain=opened.to,
        find_credentials=lambda name: ALICE if name == "alice" else None,
        encrypted=opened.secure,
    )


def make_certificate_sasl(opened: StreamOpened) -> SaslServer:
    """Believe what the peer says about its domain, as if its certificate did."""
    identities = (Jid.parse(opened.sender),) if opened.sender and opened.secure else ()
    return SaslServer(
        SaslServerSettings(), domain=opened.to, encrypted=opened.secure, certificate_identities=identities
    )


CLIENTS = ReceivingSettings(kind=StreamKind.CLIENT, domains=frozenset({"lab.example"}))
SERVERS = ReceivingSettings(kind=StreamKind.SERVER, domains=frozenset({"lab.example"}))
COMPONENTS = ReceivingSettings(
    kind=StreamKind.COMPONENT,
    domains=frozenset({"rooms.lab.example"}),
    component_secrets={"rooms.lab.example": "shared"},
)


def receive(settings: ReceivingSettings = CLIENTS, *, secure: bool = False) -> ReceivingStream:
    make_sasl: dict[StreamKind, MakeSasl | None] = {
        StreamKind.CLIENT: make_password_sasl,
        StreamKind.SERVER: make_certificate_sasl,
        StreamKind.COMPONENT: None,
    }
    return ReceivingStream(settings, now=0.0, make_sasl=make_sasl[settings.kind], secure=secure)


def receive_in_the_clear() -> ReceivingStream:
    return receive(replace(CLIENTS, tls=TlsOffer.NONE))


def initiate(kind: StreamKind, *, sender: str = "", to: str = "lab.example") -> InitiatingStream:
    settings = InitiatingSettings(kind=kind, to=to, sender=sender, component_secret="shared")
    return InitiatingStream(settings, now=0.0)


def handshake(stream: XmppStream) -> bytes:
    """Return what a component that knows the secret `shared` sends."""
    digest = hashlib.sha1(f"{stream.id}shared".encode()).hexdigest()
    return f"<handshake>{digest}</handshake>".encode()


class Owner:
    """Pulls a stream's events, answers those that wait for an answer, and keeps them all."""

    def __init__(self, stream: XmppStream, managed: ManagedStanzas | None = None) -> None:
        self.stream = stream
        self.managed = managed
        self.jid: Jid | None = Jid("alice", "lab.example", "desk")
        self.events: list[StreamEvent] = []
        self.sent = b""
        self.error = ""

    def feed(self, data: bytes, size: int = 0) -> bytes:
        """Feed in pieces of a size, or whole; return what is sent in return."""
        pieces = [data[i : i + size] for i in range(0, len(data), size)] if size else [data]
        answer = b""
        for piece in pieces:
            self.stream.receive_data(piece)
            answer += self.pull()
        return answer

    def pull(self) -> bytes:
        answer = b""
        try:
            while (event := self.stream.next_event()) is not None:
                self.events.append(event)
                if isinstance(event, TlsProceeding):
                    answer += self.stream.data_to_send()  # in the clear, before the handshake
                self._answer(event)
        except RemoteProtocolError as error:
            self.error = error.reply
        answer += self.stream.data_to_send()
        self.sent += answer
        return answer

    def _answer(self, event: StreamEvent) -> None:
        match event:
            case TlsProceeding():
                assert isinstance(self.stream, ReceivingStream | InitiatingStream)
                self.stream.tls_established()
            case BindRequested(resource=resource):
                assert isinstance(self.stream, ReceivingStream)
                self.stream.bind(Jid("alice", "lab.example", resource or "made"))
            case ResumeRequested(previous_id=previous_id):
                assert isinstance(self.stream, ReceivingStream)
                if self.managed is not None and previous_id == self.managed.resumption_id:
                    client = self.stream.kind is StreamKind.CLIENT
                    self.stream.resume(self.managed, self.jid if client else None)
                else:
                    self.stream.refuse_resume()
            case ManagementEnabled(managed=managed):
                self.managed = managed
            case Nonza(namespace=ns.DIALBACK, name="result"):
                answer = {"from": event.attributes["to"], "to": event.attributes["from"], "type": "valid"}
                self.stream.send_nonza(Nonza(ns.DIALBACK, "result", answer))
                self.stream.peer_trusted()
            case _:
                pass


class Initiator(Owner):
    """Takes up what is offered, in the usual order."""

    stream: InitiatingStream

    def __init__(self, stream: InitiatingStream) -> None:
        super().__init__(stream)
        client = stream.kind is StreamKind.CLIENT
        self._sasl = (
            SaslClientSettings(username="alice", password="secret") if client else SaslClientSettings()
        )

    def _answer(self, event: StreamEvent) -> None:
        super()._answer(event)
        if not isinstance(event, FeaturesReceived):
            return
        negotiating = self.stream.state is StreamState.NEGOTIATING
        if event.features.starttls and negotiating and not self.stream.secure:
            self.stream.start_tls()
        elif event.features.mechanisms and negotiating:
            self.stream.authenticate(
                SaslClient(self._sasl, encrypted=self.stream.secure, has_certificate=self.stream.secure)
            )
        elif event.features.bind and self.stream.state is StreamState.AUTHENTICATED:
            self.stream.bind("desk")


def converse(one: Owner, other: Owner, size: int = 0) -> None:
    """Carry bytes between two owners until both are silent."""
    waiting = one.pull()
    for _ in range(40):
        answer = other.feed(waiting, size) if waiting else other.pull()
        waiting = one.feed(answer, size) if answer else one.pull()
        if not waiting:
            return
    raise AssertionError("the streams never fall silent")
