"""A stream that we open to another domain's server, up to the point where it can be authenticated (RFC 6120 4, 5)."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from certs.errors import ConnectionFailed, RemoteProtocolError
from certs.verdict import Reason, Side, Verdict
from proxies.clock import SchedulingClock
from proxies.observer import ConnectionInfo, Observer
from proxies.tasks import TaskKeeper
from proxies.xmpp.conditions import StanzaErrorCondition, StreamErrorCondition
from proxies.xmpp.connections.connection import Describe, XmppConnection
from proxies.xmpp.connections.dialling import connect
from proxies.xmpp.federation.dialback import DomainPair
from proxies.xmpp.federation.identity import FederationVerdicts, PeerCertificate
from proxies.xmpp.federation.locating import ServerNames, locate_servers
from proxies.xmpp.federation.settings import FederationSettings
from proxies.xmpp.federation.trust import FederationTls
from proxies.xmpp.streams.certificate_identity import DomainRefused
from proxies.xmpp.streams.events import (
    FeaturesReceived,
    StreamErrorReceived,
    StreamEvent,
    StreamFailed,
    TlsProceeding,
    TlsRefused,
)
from proxies.xmpp.streams.features import StreamFeatures
from proxies.xmpp.streams.initiating import InitiatingStream
from proxies.xmpp.streams.settings import InitiatingSettings, StreamKind, TlsOffer
from proxies.xmpp.streams.state import StreamState

_LASTING: Final = frozenset(
    {
        StreamErrorCondition.HOST_UNKNOWN,
        StreamErrorCondition.HOST_GONE,
        StreamErrorCondition.INVALID_FROM,
        StreamErrorCondition.NOT_AUTHORIZED,
        StreamErrorCondition.POLICY_VIOLATION,
        StreamErrorCondition.UNSUPPORTED_FEATURE,
        StreamErrorCondition.UNSUPPORTED_VERSION,
    }
)
"Stream errors that the next attempt would meet again."


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why no stanza can be sent."""

    condition: StanzaErrorCondition
    "What the senders are told (RFC 6120 8.3.3.16, 8.3.3.17)."

    text: str
    "The same for people."

    passing: bool
    "Whether another attempt may meet something else."


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialling:
    """What all streams that we open share."""

    settings: FederationSettings
    "What the service runs on."

    tls: FederationTls
    "How we shake hands."

    names: ServerNames
    "Where domains are."

    verdicts: FederationVerdicts
    "What is told to the ledger."

    describe: Describe
    "Names a connection."

    clock: SchedulingClock
    "The time."

    observer: Observer
    "What takes down the wire."

    tasks: TaskKeeper
    "Owns what connects."


class PeerStream(ABC):
    """Owns one such stream: from `sender_domain`, which is ours, to `target_domain`. Used once."""

    def __init__(
        self, pair: DomainPair, dialling: Dialling, failed: Callable[[Failure], None], *, attempt: int = 0
    ) -> None:
        """`failed` is called once, when the stream cannot be used or is used no longer, unless we closed it.

        A further `attempt` begins with another of the domain's servers: the first may answer and be of no use.
        """
        self.pair = pair
        "Who asks, and whom."
        self._dialling = dialling
        self._failed = failed
        self._attempt = attempt
        self._connection: XmppConnection | None = None
        self._certificate = PeerCertificate()
        self._over = False
        self._why = Failure(
            condition=StanzaErrorCondition.REMOTE_SERVER_TIMEOUT, text="not connected yet", passing=True
        )

    def open(self) -> None:
        """Begin to connect."""
        self._dialling.tasks.start(self._dial(), name=f"connect to {self.pair.target_domain}")

    def close(self) -> None:
        """Close the stream; nothing more is heard of it."""
        self._over = True
        if self._connection is not None and hasattr(self._connection, "stream"):
            self._connection.close()

    @property
    def why(self) -> str:
        """Why no stanza can be sent, as far as it is known."""
        return self._why.text

    @abstractmethod
    def _authenticate(self, features: StreamFeatures) -> None:
        """Go on: TLS has been settled."""

    @abstractmethod
    def _take(self, event: StreamEvent) -> None:
        """Take an event that negotiation does not need."""

    # carrier.StreamOwner

    def handle(self, event: StreamEvent) -> None:
        """Take what happened on the stream."""
        match event:
            case FeaturesReceived():
                if self._stream().state is StreamState.ESTABLISHED:
                    self._take(event)
                else:
                    self._take_offer(event.features)
            case TlsProceeding():
                self._carrier().begin_tls(self._dialling.tls.dialling(self.pair.target_domain))
            case TlsRefused():
                self._fail("STARTTLS was offered and then refused", passing=False)
            case StreamErrorReceived():
                text = f"{self.pair.target_domain} says {event.condition} {event.text}".strip()
                self._remember(text, passing=event.condition not in _LASTING)
            case StreamFailed():
                self._remember(event.text or str(event.condition), passing=True)
            case _:
                self._take(event)

    def secured(self, verdict: Verdict) -> None:
        """Take how the handshake was judged."""
        if verdict.accepted:
            self._certificate = PeerCertificate.of(verdict)
        else:
            self._remember(f"TLS was refused: {verdict.reason}", passing=False)

    def broken(self, error: RemoteProtocolError) -> None:
        """Take which rule the other server broke."""
        self._remember(f"{self.pair.target_domain} broke a rule: {error}", passing=False)

    def lost(self, why: str) -> None:
        """Say that the stream is over."""
        if self._why.text == "not connected yet":
            self._remember(f"the connection ended: {why}", passing=True)
        self._end()

    # For subclasses.

    def _carrier(self) -> XmppConnection:
        assert self._connection is not None
        return self._connection

    def _stream(self) -> InitiatingStream:
        stream = self._carrier().stream
        assert isinstance(stream, InitiatingStream)
        return stream

    def _remember(
        self,
        text: str,
        *,
        passing: bool,
        condition: StanzaErrorCondition = StanzaErrorCondition.REMOTE_SERVER_TIMEOUT,
    ) -> None:
        self._why = Failure(condition=condition, text=text, passing=passing)

    def _fail(
        self,
        text: str,
        *,
        passing: bool,
        condition: StanzaErrorCondition = StanzaErrorCondition.REMOTE_SERVER_TIMEOUT,
    ) -> None:
        """Give the stream up for a reason of ours, at once; its connection may take a while to end."""
        self._remember(text, passing=passing, condition=condition)
        self._end()

    def _refuse(self, reason: Reason, detail: str, stream_condition: StreamErrorCondition) -> None:
        """Judge the other server and end the stream with an error."""
        carrier = self._carrier()
        self._dialling.verdicts.refuse(
            carrier.connection, Side.CLIENT, reason, detail, self._certificate.chain
        )
        carrier.fail(stream_condition, detail)
        self._fail(f"{reason}: {detail}", passing=False)

    def _break(self, error: RemoteProtocolError) -> None:
        """End the stream because the other server broke a rule that is not the stream's own."""
        self._carrier().fail(StreamErrorCondition(error.reply), str(error))
        self._fail(f"{self.pair.target_domain} broke a rule: {error}", passing=False)

    # Inside.

    def _end(self) -> None:
        if not self._over:
            self._over = True
            self._failed(self._why)

    async def _dial(self) -> None:
        limits = self._dialling.settings.limits
        domain = self.pair.target_domain
        servers = locate_servers(domain, self._dialling.names)[: limits.servers]
        if not servers:
            text = f"no way leads to {domain}: it has no XMPP server that this lab knows"
            self._judge_unreachable(text)
            self._fail(text, passing=False, condition=StanzaErrorCondition.REMOTE_SERVER_NOT_FOUND)
            return
        first = self._attempt % len(servers)
        seen: list[str] = []
        for address, port in (*servers[first:], *servers[:first]):
            if self._over:
                return
            dialling = self._dialling
            connection = XmppConnection(
                self._make, describe=dialling.describe, clock=dialling.clock, observer=dialling.observer
            )
            self._connection = connection
            try:
                await connect(
                    connection,
                    address,
                    port,
                    local_address=dialling.settings.address,
                    within=limits.connect,
                )
            except ConnectionFailed as error:
                self._connection = None
                seen.append(str(error))
            else:
                return
        self._judge_unreachable("; ".join(seen))
        self._fail("; ".join(seen), passing=True)

    def _judge_unreachable(self, text: str) -> None:
        nowhere: ConnectionInfo = self._dialling.describe(
            (self._dialling.settings.address, 0), (self.pair.target_domain, 0)
        )
        self._dialling.verdicts.refuse(nowhere, Side.CLIENT, Reason.UNREACHABLE, text)

    def _make(self, connection: XmppConnection) -> "PeerStream":
        settings = InitiatingSettings(
            kind=StreamKind.SERVER,
            to=self.pair.target_domain,
            sender=self.pair.sender_domain,
            negotiation_timeout=self._dialling.settings.limits.negotiation,
        )
        connection.stream = InitiatingStream(settings, now=self._dialling.clock.monotonic())
        if self._over:
            connection.close()
        return self

    def _take_offer(self, features: StreamFeatures) -> None:
        """Take TLS as the security modes of both servers say, then go on."""
        stream, offer = self._stream(), self._dialling.settings.policy.tls_offer
        if self._over:
            return
        if stream.secure:
            if self._is_believed():
                self._authenticate(features)
        elif features.starttls and offer is not TlsOffer.NONE:
            stream.start_tls()
        elif offer is TlsOffer.REQUIRED or features.tls_required:
            theirs = "requires TLS" if features.tls_required else "offers no TLS"
            ours = self._dialling.settings.policy.security_mode
            text = f"{self.pair.target_domain} {theirs}; our security mode is {ours}"
            self._refuse(Reason.SECURITY_MODES_DIFFER, text, StreamErrorCondition.UNSUPPORTED_FEATURE)
        else:
            self._authenticate(features)

    def _is_believed(self) -> bool:
        """Whether the certificate proves what it has to (RFC 6120 13.7.2)."""
        if not self._dialling.settings.policy.require_client_side_certificates:
            return True
        matched = self._certificate.speaks_for(self.pair.target_domain)
        if isinstance(matched, DomainRefused):
            self._refuse(matched.reason, matched.detail, StreamErrorCondition.NOT_AUTHORIZED)
            return False
        return True
