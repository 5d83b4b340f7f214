"""A server of another domain, or who says so: opens a stream to a federation port, as honest or forged as asked."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Final, TypeVar

from certs.credential import Credential
from certs.errors import ConnectionFailed, RemoteProtocolError, ScenarioFailed
from certs.verdict import Verdict
from harness.actors.sip import client_address
from harness.lab import Lab
from harness.nodes.node import ImpNode
from proxies.observer import ConnectionInfo, next_connection_number
from proxies.tls import TlsClientSettings, TlsUpgrade, TrustPolicy
from proxies.xmpp.conditions import SaslErrorCondition, StreamErrorCondition
from proxies.xmpp.connections.connection import XmppConnection
from proxies.xmpp.connections.dialling import connect
from proxies.xmpp.federation.dialback import (
    DialbackElement,
    DialbackOutcome,
    DialbackTask,
    DomainPair,
    make_dialback_key,
)
from proxies.xmpp.sasl.client import SaslClient, SaslClientSettings
from proxies.xmpp.sasl.common import SaslMechanism
from proxies.xmpp.stanza import Nonza, Stanza
from proxies.xmpp.streams.events import (
    AuthenticationFailed,
    FeaturesReceived,
    StreamErrorReceived,
    StreamEvent,
    TlsProceeding,
)
from proxies.xmpp.streams.features import StreamFeatures
from proxies.xmpp.streams.initiating import InitiatingStream
from proxies.xmpp.streams.settings import InitiatingSettings, StreamKind
from proxies.xmpp.streams.state import StreamState

ValueT = TypeVar("ValueT")

_PATIENCE: Final = 5.0
_EXTERNAL: Final = SaslClientSettings(mechanisms=(SaslMechanism.EXTERNAL,))


class VisitingServer:
    """The other end of one stream. Each question returns None where the stream ended instead."""

    def __init__(
        self, lab: Lab, node: ImpNode, *, sender: str, credential: Credential | None, takes_tls: bool
    ) -> None:
        self.offers: asyncio.Queue[StreamFeatures | None] = asyncio.Queue()
        "What was offered, once TLS is settled and after each restart; None for the end."
        self.answers: asyncio.Queue[DialbackOutcome | None] = asyncio.Queue()
        "How dialback was answered; None for the end."
        self.error: StreamErrorCondition | None = None
        "The stream error that ended the stream."
        self.failure: SaslErrorCondition | None = None
        "Why EXTERNAL failed."
        self.verdict: Verdict | None = None
        "How our end judged the handshake."
        self.ended = asyncio.Event()
        "Whether the stream is over."
        self._node = node
        self._sender = sender
        self._takes_tls = takes_tls
        settings = TlsClientSettings(
            trust=TrustPolicy(), credential=credential, server_name=node.plan.domain, verify=False
        )
        self._tls = TlsUpgrade(settings, clock=lab.clock, observer=lab.observer)
        self._connection: XmppConnection

    # What a scenario does.

    async def offer(self) -> StreamFeatures | None:
        """Return what is offered next."""
        return await _soon(self.offers.get(), "an offer of stream features")

    async def authenticate(self) -> bool:
        """Log in by EXTERNAL; return whether that was let in."""
        self._stream().authenticate(SaslClient(_EXTERNAL, encrypted=True, has_certificate=True))
        self._connection.flush_soon()
        return await self.offer() is not None and self._stream().state is StreamState.ESTABLISHED

    async def ask_by_dialback(self, secret: str, *, sender: str = "") -> DialbackOutcome | None:
        """Ask to send for a domain, with the key that its secret makes; return the answer (XEP-0220 2.1)."""
        stream = self._stream()
        pair = DomainPair(sender or self._sender, self._node.plan.domain)
        request = DialbackElement(
            task=DialbackTask.RESULT,
            from_domain=pair.sender_domain,
            to_domain=pair.target_domain,
            key=make_dialback_key(secret, pair, stream.id),
        )
        stream.send_nonza(request.encode())
        self._connection.flush_soon()
        answer = await _soon(self.answers.get(), "an answer to dialback")
        if answer is DialbackOutcome.VALID and stream.state is StreamState.NEGOTIATING:
            stream.peer_trusted()
        return answer

    def chat(self, sender: str, to: str, text: str) -> None:
        """Send a chat message, from whomever."""
        payload = f"<body>{text}</body>".encode()
        self._connection.send_stanza(
            Stanza("message", {"from": sender, "to": to, "type": "chat"}, payload, (("", "body"),))
        )

    async def end(self) -> StreamErrorCondition | None:
        """Wait for the end of the stream; return the stream error that ended it."""
        await _soon(self.ended.wait(), "an end of the stream")
        return self.error

    # carrier.StreamOwner

    def make(self, connection: XmppConnection) -> "VisitingServer":
        """Open the stream."""
        self._connection = connection
        settings = InitiatingSettings(kind=StreamKind.SERVER, to=self._node.plan.domain, sender=self._sender)
        connection.stream = InitiatingStream(settings, now=connection.clock.monotonic())
        return self

    def handle(self, event: StreamEvent) -> None:
        """Take what happened on the stream."""
        match event:
            case FeaturesReceived():
                stream = self._stream()
                if event.features.starttls and self._takes_tls and not stream.secure:
                    stream.start_tls()
                else:
                    # The stream moves on once this event is taken.
                    asyncio.get_running_loop().call_soon(self.offers.put_nowait, event.features)
            case TlsProceeding():
                self._connection.begin_tls(self._tls)
            case AuthenticationFailed():
                self.failure = event.failure.condition
                self.offers.put_nowait(None)
            case Nonza():
                self.answers.put_nowait(DialbackElement.parse(event).outcome)
            case StreamErrorReceived():
                self.error = event.condition
            case _:
                pass

    def secured(self, verdict: Verdict) -> None:
        """Keep how our end judged the handshake."""
        self.verdict = verdict

    def broken(self, error: RemoteProtocolError) -> None:
        """Fail: the lab's servers keep the rules."""
        raise ScenarioFailed(f"the server broke a rule: {error}")

    def lost(self, why: str) -> None:
        """Say so to whoever waits."""
        self.ended.set()
        self.offers.put_nowait(None)
        self.answers.put_nowait(None)

    def _stream(self) -> InitiatingStream:
        stream = self._connection.stream
        assert isinstance(stream, InitiatingStream)
        return stream


@asynccontextmanager
async def visiting_server(
    lab: Lab,
    node: ImpNode,
    *,
    sender: str,
    credential: Credential | None = None,
    takes_tls: bool = True,
) -> AsyncIterator[VisitingServer]:
    """Open a stream to a node's federation port in the name of a domain, with a certificate or without.

    Raises ScenarioFailed where nobody answers.
    """
    visitor = VisitingServer(lab, node, sender=sender, credential=credential, takes_tls=takes_tls)

    def describe(local: tuple[str, int], peer: tuple[str, int]) -> ConnectionInfo:
        return ConnectionInfo(
            id=f"visitor visiting-server {next_connection_number()}",
            node="visitor",
            service="visiting server",
            listener="outgoing",
            transport="TCP",
            local=local,
            peer=peer,
        )

    connection = XmppConnection(visitor.make, describe=describe, clock=lab.clock, observer=lab.observer)
    address, port = node.plan.address, node.plan.ports.xmpp_federation
    try:
        await connect(connection, address, port, local_address=client_address(lab), within=_PATIENCE)
    except ConnectionFailed as error:
        raise ScenarioFailed(f"the federation port of {node.plan.fqdn} did not answer: {error}") from None
    try:
        yield visitor
    finally:
        connection.abort()


async def _soon(awaited: Awaitable[ValueT], what: str) -> ValueT:
    try:
        async with asyncio.timeout(_PATIENCE):
            return await awaited
    except TimeoutError:
        raise ScenarioFailed(f"the federation port gave no sign: expected {what}") from None
