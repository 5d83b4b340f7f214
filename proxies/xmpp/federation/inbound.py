"""A stream that another domain's server opened to us: who it is, for which domain pairs, and its stanzas (G11)."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from certs.errors import RemoteProtocolError
from certs.verdict import Reason, Side, Verdict
from proxies.xmpp.conditions import StanzaErrorCondition, StreamErrorCondition
from proxies.xmpp.connections.carrier import StreamCarrier
from proxies.xmpp.federation.dialback import DialbackOutcome, DialbackTask, DomainPair
from proxies.xmpp.federation.dialback_streams import (
    AuthorizationRequested,
    InboundDialback,
    KeyConfirmed,
    KeyRefused,
    RequestAnswered,
)
from proxies.xmpp.federation.identity import FederationVerdicts, PeerCertificate
from proxies.xmpp.federation.outbound import KeyAnswer
from proxies.xmpp.federation.settings import FederationSettings
from proxies.xmpp.federation.trust import FederationTls
from proxies.xmpp.jid import Jid
from proxies.xmpp.router.attachment import RouterAttachment
from proxies.xmpp.sasl.common import SaslMechanism
from proxies.xmpp.sasl.server import SaslServer, SaslServerSettings
from proxies.xmpp.stanza import Nonza, Stanza
from proxies.xmpp.streams.certificate_identity import DomainMatched, DomainRefused
from proxies.xmpp.streams.events import (
    Authenticated,
    AuthenticationFailed,
    StreamClosed,
    StreamErrorReceived,
    StreamEvent,
    StreamOpened,
    TlsProceeding,
)
from proxies.xmpp.streams.receiving import ReceivingStream
from proxies.xmpp.streams.settings import TlsOffer
from proxies.xmpp.streams.state import StreamState

_EXTERNAL: Final = SaslServerSettings(mechanisms=(SaslMechanism.EXTERNAL,))
_NO_ROUTER: Final = "Cisco XCP Router does not run on this node"
_TAKES_DIALBACK: Final = (StreamState.NEGOTIATING, StreamState.ESTABLISHED)
_ABOUT_ADDRESSES: Final = frozenset(
    {
        StreamErrorCondition.INVALID_FROM,
        StreamErrorCondition.IMPROPER_ADDRESSING,
        StreamErrorCondition.HOST_UNKNOWN,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepting:
    """What all streams that come in share."""

    settings: FederationSettings
    "What the service runs on."

    tls: FederationTls
    "How we shake hands."

    verdicts: FederationVerdicts
    "What is told to the ledger."

    attachment: RouterAttachment
    "The way to the router."

    local_domains: Callable[[], frozenset[str]]
    "The domains that we serve now: presence domains and those of components."

    verify: Callable[[DomainPair, str, str, KeyAnswer], None]
    "Has a key verified: the pair, the stream on which it came, the key."


class InboundStream:
    """Owns one such stream."""

    def __init__(self, carrier: StreamCarrier, accepting: Accepting) -> None:
        self._carrier = carrier
        self._accepting = accepting
        self._policy = accepting.settings.policy
        self._certificate = PeerCertificate()
        self._dialback: InboundDialback | None = None
        self._is_trusted = False
        self._has_left = False

    def make_sasl(self, opened: StreamOpened) -> SaslServer:
        """Return what judges the other server by its certificate (XEP-0178 3)."""
        offers = self._policy.enable_sasl_external and opened.secure and bool(opened.sender)
        matched = offers and isinstance(self._certificate.speaks_for(opened.sender), DomainMatched)
        return SaslServer(
            _EXTERNAL,
            domain=opened.to,
            encrypted=opened.secure,
            certificate_identities=(Jid("", opened.sender),) if matched else (),
        )

    # carrier.StreamOwner

    def handle(self, event: StreamEvent) -> None:
        """Take what happened on the stream."""
        match event:
            case Stanza():
                self._take_stanza(event)
            case Nonza():
                self._take_dialback(event)
            case StreamOpened():
                self._take_opening(event)
            case TlsProceeding():
                self._carrier.begin_tls(self._accepting.tls.accepting)
            case Authenticated():
                self._is_trusted = True
                self._accept(f"{event.identity} by EXTERNAL over TLS")
            case AuthenticationFailed():
                self._refuse(event.failure.reason, f"{event.mechanism}: {event.failure.detail}")
            case StreamErrorReceived() | StreamClosed():
                self._take_end()
            case _:
                pass  # nothing else needs an answer

    def secured(self, verdict: Verdict) -> None:
        """Keep the certificate that the other server showed."""
        self._certificate = PeerCertificate.of(verdict)

    def broken(self, error: RemoteProtocolError) -> None:
        """Say which rule of federation was broken, where it is one."""
        if error.reply in _ABOUT_ADDRESSES:
            self._refuse(Reason.FORGED_SENDER, str(error))
        elif error.reply == StreamErrorCondition.NOT_AUTHORIZED and self._needs_tls():
            self._refuse_in_the_clear(str(error))

    def lost(self, why: str) -> None:
        """Hear no more of keys that are being verified."""
        self._has_left = True

    # Who it is.

    def _take_opening(self, opened: StreamOpened) -> None:
        stream, sender = self._stream(), opened.sender
        self._dialback = InboundDialback(
            self._accepting.settings.dialback_secret,
            stream_id=opened.id,
            is_local=lambda domain: domain in self._accepting.local_domains(),
        )
        if self._accepting.attachment.router is None:
            stream.fail(StreamErrorCondition.REMOTE_CONNECTION_FAILED, _NO_ROUTER)
        elif sender and ("@" in sender or "/" in sender):
            self._end(Reason.FORGED_SENDER, f"{sender} is no domain", StreamErrorCondition.INVALID_FROM)
        elif sender in self._accepting.local_domains():
            text = f"a stream from {sender}, which is served here"
            self._end(Reason.FORGED_SENDER, text, StreamErrorCondition.INVALID_FROM)
        elif sender and not self._policy.allows(sender):
            self._end(Reason.DOMAIN_NOT_ALLOWED, sender, StreamErrorCondition.POLICY_VIOLATION)
        elif sender and opened.secure and not self._is_trusted:
            refused = self._unproven(sender)
            if refused is not None:
                self._end(refused.reason, refused.detail, StreamErrorCondition.NOT_AUTHORIZED)

    def _unproven(self, domain: str) -> DomainRefused | None:
        """Return what is missing where a certificate has to speak for the domain."""
        if not self._policy.require_client_side_certificates:
            return None
        matched = self._certificate.speaks_for(domain)
        return matched if isinstance(matched, DomainRefused) else None

    def _needs_tls(self) -> bool:
        return self._policy.tls_offer is TlsOffer.REQUIRED and not self._stream().secure

    def _take_end(self) -> None:
        """Say so where the other server has turned away from TLS."""
        if self._dialback is not None and self._needs_tls():
            self._refuse_in_the_clear("it did not take up STARTTLS")

    def _refuse_in_the_clear(self, seen: str) -> None:
        mode = self._policy.security_mode
        self._refuse(Reason.SECURITY_MODES_DIFFER, f"our security mode is {mode}; {seen}")

    # Dialback (XEP-0220).

    def _take_dialback(self, nonza: Nonza) -> None:
        dialback = self._dialback
        assert dialback is not None
        try:
            asked = dialback.receive_nonza(nonza)
        except RemoteProtocolError as error:
            self._end(Reason.DIALBACK_FAILED, str(error), StreamErrorCondition(error.reply))
            return
        match asked:
            case RequestAnswered():
                self._stream().send_nonza(asked.answer)
                if asked.outcome is not DialbackOutcome.VALID:
                    doing = "verify" if asked.task is DialbackTask.VERIFY else "send for"
                    text = f"asked to {doing} {_words(asked.pair)}: answered {asked.outcome}"
                    self._refuse(Reason.DIALBACK_FAILED, text)
            case AuthorizationRequested():
                self._consider(dialback, asked)

    def _consider(self, dialback: InboundDialback, asked: AuthorizationRequested) -> None:
        pair = asked.pair
        unproven = self._unproven(pair.sender_domain)
        if pair.sender_domain in self._accepting.local_domains():
            self._refuse(Reason.FORGED_SENDER, f"{pair.sender_domain} is served here")
            self._answer(dialback.refuse(pair, StanzaErrorCondition.NOT_AUTHORIZED))
        elif not self._policy.allows(pair.sender_domain):
            self._refuse(Reason.DOMAIN_NOT_ALLOWED, pair.sender_domain)
            self._answer(dialback.refuse(pair, StanzaErrorCondition.POLICY_VIOLATION))
        elif unproven is not None:
            self._refuse(unproven.reason, unproven.detail)
            self._answer(dialback.refuse(pair, StanzaErrorCondition.NOT_AUTHORIZED))
        else:
            answered = partial(self._take_key_answer, dialback)
            self._accepting.verify(pair, dialback.stream_id, asked.key, answered)

    def _take_key_answer(self, dialback: InboundDialback, answer: KeyConfirmed | KeyRefused) -> None:
        stream, pair = self._stream(), answer.pair
        if self._has_left or dialback is not self._dialback or stream.state not in _TAKES_DIALBACK:
            return
        match answer:
            case KeyConfirmed():
                self._answer(dialback.accept(pair))
                stream.peer_trusted()
                secure = "over TLS" if stream.secure else "in the clear"
                self._accept(f"{_words(pair)} by dialback {secure}")
            case KeyRefused(answer=condition, detail=detail):
                self._refuse(Reason.DIALBACK_FAILED, f"{_words(pair)}: {detail}")
                self._answer(dialback.refuse(pair, condition))
                if condition is None:  # XEP-0220 2.2.1
                    self._carrier.close()

    def _answer(self, answer: Nonza) -> None:
        self._stream().send_nonza(answer)
        self._carrier.flush_soon()

    # Stanzas (RFC 6120 4.9.3.6, 4.9.3.7, 4.9.3.9).

    def _take_stanza(self, stanza: Stanza) -> None:
        try:
            sender, to = stanza.sender, stanza.to
        except RemoteProtocolError as error:
            self._end(Reason.FORGED_SENDER, str(error), StreamErrorCondition.IMPROPER_ADDRESSING)
            return
        assert sender is not None
        assert to is not None, "the stream lets no stanza through that lacks an address"
        if not self._may_send(DomainPair(sender.domainpart, to.domainpart)):
            text = f"a {stanza.kind} from {sender} to {to}, which this stream has not proven"
            self._end(Reason.FORGED_SENDER, text, StreamErrorCondition.INVALID_FROM)
        elif to.domainpart not in self._accepting.local_domains():
            text = f"a {stanza.kind} for {to}, whose domain is not served here"
            self._end(Reason.FORGED_SENDER, text, StreamErrorCondition.HOST_UNKNOWN)
        elif (router := self._accepting.attachment.router) is not None:
            router.route(stanza)

    def _may_send(self, pair: DomainPair) -> bool:
        """Whether the pair was proven: a certificate proves who sends, dialback the pair (XEP-0220 1.3)."""
        peer = self._stream().peer
        if peer is not None and peer.domainpart == pair.sender_domain:
            return True
        return self._dialback is not None and self._dialback.is_verified(pair)

    # The ledger, and the end.

    def _accept(self, detail: str) -> None:
        verdicts = self._accepting.verdicts
        verdicts.accept(self._carrier.connection, Side.SERVER, detail, self._certificate.chain)

    def _refuse(self, reason: Reason, detail: str) -> None:
        verdicts = self._accepting.verdicts
        verdicts.refuse(self._carrier.connection, Side.SERVER, reason, detail, self._certificate.chain)

    def _end(self, reason: Reason, detail: str, condition: StreamErrorCondition) -> None:
        self._refuse(reason, detail)
        self._carrier.fail(condition, f"{reason}: {detail}")

    def _stream(self) -> ReceivingStream:
        stream = self._carrier.stream
        assert isinstance(stream, ReceivingStream)
        return stream


def _words(pair: DomainPair) -> str:
    return f"{pair.sender_domain} to {pair.target_domain}"
