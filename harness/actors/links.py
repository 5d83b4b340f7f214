"""What somebody at a router's port sees from outside: the offer, the TLS handshake, the mechanisms (G22)."""

import asyncio
from dataclasses import dataclass
from typing import Final

from certs.credential import Credential
from certs.errors import ConnectionFailed, RemoteProtocolError, ScenarioFailed
from certs.purposes import CertificatePurpose
from certs.verdict import Verdict
from harness.actors.sip import client_address
from harness.lab import Lab
from harness.nodes.node import ImpNode
from proxies.observer import ConnectionInfo, next_connection_number
from proxies.tls import TlsClientSettings, TlsUpgrade, TrustPolicy
from proxies.xmpp.conditions import StreamErrorCondition
from proxies.xmpp.connections.connection import XmppConnection
from proxies.xmpp.connections.dialling import connect
from proxies.xmpp.streams.events import FeaturesReceived, StreamErrorReceived, StreamEvent, TlsProceeding
from proxies.xmpp.streams.features import StreamFeatures
from proxies.xmpp.streams.initiating import InitiatingStream
from proxies.xmpp.streams.settings import InitiatingSettings, StreamKind

_PATIENCE: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkAttempt:
    """What a stranger at the router's port was shown."""

    offers_tls: bool
    "Whether STARTTLS was offered."

    verdict: Verdict | None
    "How our end judged the handshake; None without TLS."

    mechanisms: tuple[str, ...]
    "What the router offers to authenticate by, in the end; nothing where it does not know us."

    error: StreamErrorCondition | None
    "The stream error that it sent."


class _Visitor:
    """Opens a stream as a router would, and takes TLS where it is offered."""

    def __init__(self, lab: Lab, node: ImpNode, sender: str, credential: Credential | None) -> None:
        self._sender = sender
        self._node = node
        pem = node.administration.certificate_management.download(CertificatePurpose.CUP_XMPP)
        settings = TlsClientSettings(
            trust=TrustPolicy(certificates=(pem,)), credential=credential, server_name=node.plan.fqdn
        )
        self.tls = TlsUpgrade(settings, clock=lab.clock, observer=lab.observer)
        self.offers_tls = False
        self.verdict: Verdict | None = None
        self.mechanisms: tuple[str, ...] = ()
        self.error: StreamErrorCondition | None = None
        self.done = asyncio.Event()
        self._connection: XmppConnection

    def make(self, connection: XmppConnection) -> "_Visitor":
        self._connection = connection
        settings = InitiatingSettings(kind=StreamKind.SERVER, to=self._node.plan.fqdn, sender=self._sender)
        connection.stream = InitiatingStream(settings, now=connection.clock.monotonic())
        return self

    def handle(self, event: StreamEvent) -> None:
        match event:
            case FeaturesReceived():
                self._take(event.features)
            case TlsProceeding():
                self._connection.begin_tls(self.tls)
            case StreamErrorReceived():
                self.error = event.condition
            case _:
                pass

    def secured(self, verdict: Verdict) -> None:
        self.verdict = verdict

    def broken(self, error: RemoteProtocolError) -> None:
        raise ScenarioFailed(f"the router broke a rule: {error}")

    def lost(self, why: str) -> None:
        self.done.set()

    def _take(self, features: StreamFeatures) -> None:
        stream = self._connection.stream
        assert isinstance(stream, InitiatingStream)
        if features.starttls and not stream.secure:
            self.offers_tls = True
            stream.start_tls()
        else:
            self.mechanisms = features.mechanisms
            self.done.set()


async def try_link(
    lab: Lab, node: ImpNode, *, sender: str, credential: Credential | None = None, address: str = ""
) -> LinkAttempt:
    """Knock at a node's router port in the name of `sender`, with a certificate or without.

    Raises ScenarioFailed where nobody answers.
    """
    visitor = _Visitor(lab, node, sender, credential)

    def describe(local: tuple[str, int], peer: tuple[str, int]) -> ConnectionInfo:
        return ConnectionInfo(
            id=f"visitor visiting-router {next_connection_number()}",
            node="visitor",
            service="visiting router",
            listener="outgoing",
            transport="TCP",
            local=local,
            peer=peer,
        )

    connection = XmppConnection(visitor.make, describe=describe, clock=lab.clock, observer=lab.observer)
    try:
        await connect(
            connection,
            node.plan.address,
            node.plan.ports.xcp_router,
            local_address=address or client_address(lab),
            within=_PATIENCE,
        )
        async with asyncio.timeout(_PATIENCE):
            await visitor.done.wait()
    except (ConnectionFailed, TimeoutError) as error:
        raise ScenarioFailed(f"the router of {node.plan.fqdn} did not answer: {error}") from None
    finally:
        connection.abort()
    return LinkAttempt(
        offers_tls=visitor.offers_tls,
        verdict=visitor.verdict,
        mechanisms=visitor.mechanisms,
        error=visitor.error,
    )
