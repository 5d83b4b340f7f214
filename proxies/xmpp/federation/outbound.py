"""The streams that we open: one for each domain pair that we send for, and one for each key that is verified."""

from collections.abc import Callable
from typing import Final

from certs.errors import RemoteProtocolError
from certs.verdict import Reason, Side
from proxies.xmpp.conditions import StreamErrorCondition
from proxies.xmpp.federation.dialback import DomainPair
from proxies.xmpp.federation.dialback_streams import (
    KeyConfirmed,
    KeyRefused,
    OutboundDialback,
    PairAccepted,
    PairRefused,
)
from proxies.xmpp.federation.peer_stream import Dialling, Failure, PeerStream
from proxies.xmpp.sasl.client import SaslClient, SaslClientSettings
from proxies.xmpp.sasl.common import SaslMechanism
from proxies.xmpp.stanza import Nonza, Stanza
from proxies.xmpp.streams.events import (
    Authenticated,
    AuthenticationFailed,
    FeaturesReceived,
    ManagementFailed,
    StreamEvent,
)
from proxies.xmpp.streams.features import StreamFeatures
from proxies.xmpp.streams.state import StreamState

_NOT_OURS: Final = "stanzas come on streams that you open, not on this one (RFC 6120 4.5)"

KeyAnswer = Callable[[KeyConfirmed | KeyRefused], None]
"Is told what the authoritative server says of a key."


class OutboundStream(PeerStream):
    """The stream of one domain pair; `came_up` is called when stanzas can be sent."""

    def __init__(
        self,
        pair: DomainPair,
        dialling: Dialling,
        *,
        failed: Callable[[Failure], None],
        came_up: Callable[[], None],
        attempt: int = 0,
    ) -> None:
        super().__init__(pair, dialling, failed, attempt=attempt)
        self._came_up = came_up
        self._features = StreamFeatures()
        self._dialback: OutboundDialback | None = None

    def close(self) -> None:
        """Close the stream; nothing more is heard of it."""
        self._judge_silence()
        super().close()

    def lost(self, why: str) -> None:
        """Say that the stream is over."""
        self._judge_silence()
        super().lost(why)

    def _judge_silence(self) -> None:
        """Say so where the other server never answered our key."""
        for unanswered in self._dialback.close() if self._dialback is not None else ():
            text = f"{self.pair.sender_domain} to {self.pair.target_domain}: {unanswered.detail}"
            self._dialling.verdicts.refuse(
                self._carrier().connection, Side.CLIENT, Reason.DIALBACK_FAILED, text
            )
            self._remember(f"{Reason.DIALBACK_FAILED}: {unanswered.detail}", passing=True)

    @property
    def is_ready(self) -> bool:
        """Whether a stanza can be sent now."""
        connection = self._connection
        return connection is not None and connection.stream.state is StreamState.ESTABLISHED

    def send(self, stanza: Stanza) -> None:
        """Send a stanza, once the stream has come up."""
        self._carrier().send_stanza(stanza)

    @property
    def unacknowledged(self) -> tuple[Stanza, ...]:
        """What the other server has not said to have handled, where it acknowledges (XEP-0198)."""
        connection = self._connection
        managed = connection.stream.managed if connection is not None else None
        return managed.unacknowledged if managed is not None else ()

    def _authenticate(self, features: StreamFeatures) -> None:
        """Prove who we are: by certificate where that is offered, else by dialback."""
        self._features = features
        stream = self._stream()
        if not (stream.secure and SaslMechanism.EXTERNAL in features.mechanisms):
            self._ask_by_dialback()
            return
        # XEP-0178 3 wants the domain only where it differs from `from`; servers that want it always are older.
        settings = SaslClientSettings(
            mechanisms=(SaslMechanism.EXTERNAL,), authorization_id=self.pair.sender_domain
        )
        stream.authenticate(SaslClient(settings, encrypted=True, has_certificate=True))

    def _ask_by_dialback(self) -> None:
        features, stream = self._features, self._stream()
        if not features.dialback and features.mechanisms:
            offered = ", ".join(features.mechanisms)
            text = f"{self.pair.target_domain} offers neither EXTERNAL to our certificate nor dialback: {offered}"
            self._refuse(Reason.LOGIN_NOT_CARRIED_THROUGH, text, StreamErrorCondition.UNSUPPORTED_FEATURE)
            return
        self._dialback = OutboundDialback(
            self._dialling.settings.dialback_secret, stream_id=stream.id, peer_handles_errors=False
        )
        stream.send_nonza(self._dialback.request(self.pair))

    def _established(self, features: StreamFeatures) -> None:
        if features.stream_management:
            self._stream().enable_management(resumable=False)
        self._accepted("by EXTERNAL")

    def _take(self, event: StreamEvent) -> None:
        match event:
            case Nonza():
                self._take_dialback(event)
            case AuthenticationFailed():
                self._take_refused_certificate(event)
            case Stanza():
                self._refuse(Reason.FORGED_SENDER, _NOT_OURS, StreamErrorCondition.NOT_AUTHORIZED)
            case FeaturesReceived():
                self._established(event.features)
            case Authenticated() | ManagementFailed():
                pass  # features follow; without acknowledgements it goes as well
            case _:
                pass  # an end is followed by `lost`

    def _take_refused_certificate(self, event: AuthenticationFailed) -> None:
        """Try dialback on the same stream, where the other server has it (RFC 6120 6.4.5)."""
        if self._features.dialback:
            self._ask_by_dialback()
            return
        text = f"{self.pair.target_domain} refused our certificate: {event.failure.condition} {event.failure.text}"
        self._refuse(Reason.LOGIN_NOT_CARRIED_THROUGH, text.strip(), StreamErrorCondition.UNSUPPORTED_FEATURE)

    def _take_dialback(self, nonza: Nonza) -> None:
        if self._dialback is None:
            self._break(
                RemoteProtocolError("dialback that nobody asked for", reply=StreamErrorCondition.INVALID_FROM)
            )
            return
        try:
            answer = self._dialback.receive_nonza(nonza)
        except RemoteProtocolError as error:
            self._break(error)
            return
        match answer:
            case PairAccepted():
                self._stream().peer_trusted()
                self._accepted("by dialback")
            case PairRefused(bounce=bounce, detail=detail):
                carrier = self._carrier()
                self._dialling.verdicts.refuse(
                    carrier.connection,
                    Side.CLIENT,
                    Reason.DIALBACK_FAILED,
                    f"{self.pair.sender_domain}: {detail}",
                )
                carrier.close()
                self._fail(f"{Reason.DIALBACK_FAILED}: {detail}", passing=False, condition=bounce)
            case KeyConfirmed() | KeyRefused():
                pass  # no key is verified on this stream, so its core refuses such an answer

    def _accepted(self, how: str) -> None:
        secure = "over TLS" if self._stream().secure else "in the clear"
        self._dialling.verdicts.accept(
            self._carrier().connection,
            Side.CLIENT,
            f"{self.pair.target_domain} takes stanzas of {self.pair.sender_domain} {how} {secure}",
            self._certificate.chain,
        )
        self._came_up()


class VerificationStream(PeerStream):
    """Has the authoritative server of a domain say whether a key is its own (XEP-0220 2.3)."""

    def __init__(
        self, pair: DomainPair, stream_id: str, key: str, dialling: Dialling, *, answered: KeyAnswer
    ) -> None:
        """Take the pair that was asked for: its sender domain is the one that we ask."""
        super().__init__(DomainPair(pair.target_domain, pair.sender_domain), dialling, self._unanswered)
        self._asked = pair
        self._stream_id = stream_id
        self._key = key
        self._answered = answered
        self._dialback: OutboundDialback | None = None
        due = dialling.clock.monotonic() + dialling.settings.limits.verification
        self._timer = dialling.clock.call_at(due, self._time_is_up)

    def _authenticate(self, features: StreamFeatures) -> None:
        """Ask at once: a verification needs no login (XEP-0220 2.3)."""
        stream = self._stream()
        self._dialback = OutboundDialback(
            self._dialling.settings.dialback_secret, stream_id=stream.id, peer_handles_errors=False
        )
        stream.send_nonza(self._dialback.verify(self._asked, self._stream_id, self._key))

    def _take(self, event: StreamEvent) -> None:
        if isinstance(event, Stanza):
            self._break(RemoteProtocolError(_NOT_OURS, reply=StreamErrorCondition.NOT_AUTHORIZED))
        elif isinstance(event, Nonza) and self._dialback is not None:
            try:
                answer = self._dialback.receive_nonza(event)
            except RemoteProtocolError as error:
                self._break(error)
                return
            if isinstance(answer, KeyConfirmed | KeyRefused):
                self._timer.cancel()
                self.close()
                self._answered(answer)

    def _time_is_up(self) -> None:
        self._fail(f"{self.pair.target_domain} did not answer in time", passing=False)
        self.close()

    def _unanswered(self, failure: Failure) -> None:
        self._timer.cancel()
        self._answered(KeyRefused(self._asked, self._stream_id, failure.condition, failure.text))

    def give_up(self) -> None:
        """Close it without an answer: the service stops."""
        self._timer.cancel()
        self.close()
