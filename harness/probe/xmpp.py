"""An XMPP server from outside: what it offers before and after TLS, and whom its certificate speaks for."""

import asyncio
from dataclasses import replace
from typing import Final, assert_never

from certs.catalogue import explain
from certs.errors import ConnectionFailed, RemoteProtocolError
from certs.verdict import Side, Verdict
from harness.probe.kinds import Protocol, TlsMode
from harness.probe.options import ProbeOptions
from harness.probe.report import ProbeReport
from harness.probe.watching import ProbeObserver, describe, require_reached
from proxies.clock import LoopClock
from proxies.tls import TlsClientSettings, TlsUpgrade, dial_tls
from proxies.xmpp.conditions import StreamErrorCondition
from proxies.xmpp.connections.connection import XmppConnection
from proxies.xmpp.connections.dialling import connect
from proxies.xmpp.sasl.client import SaslClient, SaslClientSettings
from proxies.xmpp.sasl.common import SaslMechanism
from proxies.xmpp.streams.certificate_identity import DomainMatched, DomainRefused, XmppService, match_domain
from proxies.xmpp.streams.events import (
    Authenticated,
    AuthenticationFailed,
    FeaturesReceived,
    StreamErrorReceived,
    StreamEvent,
    StreamOpened,
    TlsProceeding,
    TlsRefused,
)
from proxies.xmpp.streams.features import StreamFeatures
from proxies.xmpp.streams.initiating import InitiatingStream
from proxies.xmpp.streams.settings import InitiatingSettings, StreamKind

_EXTERNAL: Final = SaslClientSettings(mechanisms=(SaslMechanism.EXTERNAL,))
_PLAIN_ALONE: Final = {"PLAIN", "LOGIN"}


class _Visitor:
    """Opens a stream, takes TLS where it is offered, and adds to the report what it is shown."""

    def __init__(
        self,
        report: ProbeReport,
        mode: TlsMode,
        options: ProbeOptions,
        tls: TlsClientSettings,
        observer: ProbeObserver,
        *,
        behind: bool,
    ) -> None:
        self.done = asyncio.Event()
        self.refused: Verdict | None = None
        self._report = report
        self._mode = mode
        self._options = options
        self._tls = tls
        self._observer = observer
        self._behind = behind
        self._clock = LoopClock()
        self._is_server = report.protocol is Protocol.XMPP_SERVER
        self._asked_external = False
        self._connection: XmppConnection

    # What a connection needs.

    def new_connection(self) -> XmppConnection:
        return XmppConnection(self.make, describe=describe, clock=self._clock, observer=self._observer)

    async def dial(self, address: str) -> None:
        """Connect, and return once there is no more to be shown or the time is up."""
        connection = self.new_connection()
        try:
            async with asyncio.timeout(self._options.timeout):
                if self._mode is TlsMode.DIRECT:
                    await self._dial_tls(address, connection)
                else:
                    await connect(
                        connection, address, self._report.port, local_address="", within=self._options.timeout
                    )
                await self.done.wait()
        except TimeoutError:
            self._wrong(
                "stream",
                f"no more came within {self._options.timeout:g} s",
                "Check that this port is for "
                f"{'servers' if self._is_server else 'clients'}, or give it more time by --timeout.",
            )
        except ConnectionFailed as error:
            raise ConnectionFailed(f"nobody answers at {error}") from None
        finally:
            if hasattr(connection, "_transport"):
                connection.abort()

    async def _dial_tls(self, address: str, connection: XmppConnection) -> None:
        dialled = await dial_tls(
            self._tls, address, self._report.port,
            protocol_factory=lambda transport: connection,
            describe=describe, clock=self._clock, observer=self._observer,
        )  # fmt: skip
        require_reached([dialled.verdict])
        if dialled.protocol is None:
            self.secured(dialled.verdict)
            self.done.set()

    # carrier.StreamOwner

    def make(self, connection: XmppConnection) -> "_Visitor":
        """Open the stream."""
        self._connection = connection
        secure = self._mode is TlsMode.DIRECT
        if secure:
            self.secured(self._observer.verdicts[0])
        settings = InitiatingSettings(
            kind=StreamKind.SERVER if self._is_server else StreamKind.CLIENT,
            to=self._options.domain,
            sender=self._options.sender if self._is_server else "",
            negotiation_timeout=self._options.timeout,
        )
        connection.stream = InitiatingStream(settings, now=connection.clock.monotonic(), secure=secure)
        return self

    def handle(self, event: StreamEvent) -> None:
        """Take what happened on the stream."""
        match event:
            case StreamOpened():
                if event.sender and event.sender != self._options.domain:
                    self._note("stream", f"the server calls itself {event.sender}")
            case FeaturesReceived():
                self._take(event.features)
            case TlsProceeding():
                self._connection.begin_tls(TlsUpgrade(self._tls, clock=self._clock, observer=self._observer))
            case TlsRefused():
                self._wrong(
                    "STARTTLS", "offered, and refused when asked for",
                    "Look into the server's log: it may have no certificate for this domain.",
                )  # fmt: skip
            case Authenticated():
                self._ok("SASL EXTERNAL", "the certificate of --cert is accepted")
                self.done.set()
            case AuthenticationFailed():
                self._wrong(
                    "SASL EXTERNAL",
                    f"{event.failure.condition} {event.failure.text}".strip(),
                    f"The certificate of --cert must carry the domain {self._options.sender!r} of --from.",
                )
                self.done.set()
            case StreamErrorReceived():
                self._take_error(event)
            case _:
                pass

    def secured(self, verdict: Verdict) -> None:
        """Take how our end judged the handshake, and whom the certificate speaks for."""
        judged = self._judge_domain(verdict) if verdict.accepted and self._tls.verify else verdict
        if not self._behind:
            self._report.judge("TLS handshake", judged)
        if not judged.accepted:
            self.refused = judged

    def broken(self, error: RemoteProtocolError) -> None:
        """Say which rule the server broke."""
        is_other_port = error.reply == StreamErrorCondition.INVALID_NAMESPACE
        remedy = self._other_port() if is_other_port else "Check that this port speaks XMPP."
        self._wrong("stream", f"the server broke a rule: {error}", remedy)

    def lost(self, why: str) -> None:
        """The connection is gone."""
        late = self._observer.verdicts[1:]
        if late and not late[-1].accepted and late[-1] is not self.refused:
            self._report.judge("the server's answer to our handshake", late[-1])
        elif not self.done.is_set() and self.refused is None and self._report.is_ok:
            self._wrong(
                "stream", f"ended before its features: {why}",
                "Look into the server's log for this moment; check that this port is for "
                f"{'servers' if self._is_server else 'clients'}.",
            )  # fmt: skip
        self.done.set()

    # Inside.

    def _take(self, features: StreamFeatures) -> None:
        stream = self._connection.stream
        assert isinstance(stream, InitiatingStream)
        if stream.secure:
            self._take_secure(stream, features)
        else:
            self._take_clear(stream, features)

    def _take_clear(self, stream: InitiatingStream, features: StreamFeatures) -> None:
        offer = "required" if features.tls_required else "offered, not required" if features.starttls else ""
        match self._mode:
            case TlsMode.STARTTLS if features.starttls:
                self._ok("STARTTLS", offer)
                if features.mechanisms:
                    self._wrong(
                        "SASL before TLS", ", ".join(features.mechanisms),
                        "Let the server require TLS before it takes a login (RFC 6120 13.8.2).",
                    )  # fmt: skip
                stream.start_tls()
                return
            case TlsMode.STARTTLS:
                self._wrong(
                    "STARTTLS", "not offered",
                    "Give the server a certificate and let it offer TLS; to look at it in the clear: --tls none.",
                )  # fmt: skip
            case _:
                self._note("STARTTLS", offer or "not offered")
                self._note("SASL before TLS", ", ".join(features.mechanisms) or "no mechanism")
        self._take_server_features(features)
        self.done.set()

    def _take_secure(self, stream: InitiatingStream, features: StreamFeatures) -> None:
        names = ", ".join(features.mechanisms)
        if self._asked_external:
            return
        if names:
            self._ok("SASL after TLS", names)
            if set(features.mechanisms) <= _PLAIN_ALONE:
                self._note(
                    "passwords", "sent as they are, within TLS; SCRAM would not show them to the server"
                )
        elif self._is_server:
            self._note("SASL after TLS", "no mechanism: the server does not know us by a certificate")
        else:
            self._wrong(
                "SASL after TLS", "no mechanism", "Let the server offer SCRAM-SHA-256 or another one."
            )
        if features.channel_bindings:
            self._ok("channel bindings", ", ".join(features.channel_bindings))
        self._take_server_features(features)
        if self._is_server and SaslMechanism.EXTERNAL in features.mechanisms and self._options.credential:
            self._asked_external = True
            stream.authenticate(SaslClient(_EXTERNAL, encrypted=True, has_certificate=True))
            return
        self.done.set()

    def _take_server_features(self, features: StreamFeatures) -> None:
        if not self._is_server:
            return
        if features.dialback:
            self._ok("server dialback", "offered (XEP-0220)")
        else:
            self._note("server dialback", "not offered; many servers take it all the same (XEP-0220 2.4.2)")

    def _take_error(self, event: StreamErrorReceived) -> None:
        remedies = {
            "host-unknown": f"The server does not serve {self._options.domain}: name its domain by --domain.",
            "not-well-formed": "Check that this port speaks XMPP.",
            "invalid-namespace": self._other_port(),
            "policy-violation": "The server's policy refuses us; its log says which rule.",
        }
        default = "Look into the server's log for this moment."
        text = f"{event.condition} {event.text}".strip()
        self._wrong("stream error", text, remedies.get(event.condition, default))
        self.done.set()

    def _other_port(self) -> str:
        return f"This port is for {'clients: --as xmpp' if self._is_server else 'servers: --as xmpp-server'}."

    def _judge_domain(self, verdict: Verdict) -> Verdict:
        """Judge whether the certificate speaks for the XMPP domain (RFC 6120 13.7.2)."""
        service = XmppService.SERVER if self._is_server else XmppService.CLIENT
        matched = match_domain(verdict.presented_chain[0].der, self._options.server_name, service=service)
        match matched:
            case DomainMatched():
                return replace(verdict, detail=str(matched.identifier))
            case DomainRefused():
                explanation = explain(matched.reason, subject=verdict.subject)
                return replace(
                    verdict, accepted=False, reason=matched.reason, side=Side.CLIENT, rule=explanation.rule,
                    clause=explanation.clause, remedy=explanation.remedy, detail=matched.detail,
                )  # fmt: skip
            case _:
                assert_never(matched)

    # Behind a refused certificate all that is seen is a note.

    def _ok(self, what: str, seen: str) -> None:
        if self._behind:
            self._note(what, seen)
        else:
            self._report.ok(what, seen)

    def _note(self, what: str, seen: str) -> None:
        self._report.note(f"{what} (behind the refused certificate)" if self._behind else what, seen)

    def _wrong(self, what: str, seen: str, remedy: str) -> None:
        if self._behind:
            self._report.note(f"{what} (behind the refused certificate)", seen, remedy=remedy)
        else:
            self._report.wrong(what, seen, remedy=remedy)


async def probe_xmpp(report: ProbeReport, address: str, mode: TlsMode, options: ProbeOptions) -> None:
    """Open a stream; where the certificate is refused, open another to look behind it."""
    # A certificate speaks for an XMPP domain in more ways than OpenSSL knows: the name is judged afterwards.
    tls = replace(options.tls, check_host_name=False)
    visitor = _Visitor(report, mode, options, tls, ProbeObserver(), behind=False)
    await visitor.dial(address)
    refused = visitor.refused
    if refused is not None and refused.presented_chain and not refused.alert_received:
        again = options.tls_without_belief
        await _Visitor(report, mode, options, again, ProbeObserver(), behind=True).dial(address)
