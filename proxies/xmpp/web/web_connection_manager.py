"""Cisco XCP Web Connection Manager: web clients over BOSH and WebSocket, with or without secure mode (G23).

Off, port 7335 takes them in the clear. On, port 7336 takes them over TLS and lets in whose certificate, or its
signer's, is in `cup-xmpp-trust`; then nothing listens on 7335, so that no plain way in is left.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from certs.credential import Credential
from certs.purposes import ServiceName
from proxies.clock import SchedulingClock
from proxies.http.serving import HttpConnection, HttpLimits, HttpListener
from proxies.observer import ConnectionInfo, Observer, next_connection_number
from proxies.tls import TlsServerSettings, TrustPolicy
from proxies.xmpp.clients.client_session import ClientAccess, ClientSession, DetachedSessions
from proxies.xmpp.clients.connection_manager import channel_bindings
from proxies.xmpp.conditions import StreamErrorCondition
from proxies.xmpp.connections.carrier import StreamCarrier
from proxies.xmpp.connections.listening import GRACE
from proxies.xmpp.router.attachment import RouterAttachment, RouterPort
from proxies.xmpp.router.directory import XmppDirectory
from proxies.xmpp.sasl.common import NO_CHANNEL_BINDING
from proxies.xmpp.sasl.server import FindCredentials, SaslServerSettings
from proxies.xmpp.stanza import encode_element
from proxies.xmpp.streams.framing import BoshFraming, StreamFraming
from proxies.xmpp.streams.reader_events import CLIENT_STANZAS
from proxies.xmpp.streams.receiving import ReceivingStream
from proxies.xmpp.streams.settings import ReceivingSettings, StreamKind, TlsOffer
from proxies.xmpp.web.alternatives import AlternativeConnections
from proxies.xmpp.web.cross_origin import CrossOriginPolicy
from proxies.xmpp.web.http_binding import BOSH_PATH, WEBSOCKET_PATH, HttpBinding, WebLimits

LISTENER: Final = "HTTP Binding Listener"
SECURE_LISTENER: Final = "HTTP Binding TLS Listener"

_IN_THE_CLEAR: Final = "Web client secure mode is off: passwords and messages travel in the clear."
_SECURE_MODE_ON: Final = (
    "Check Enable Web Client to IM/P Service Secure Mode in System > Security > Settings, restart "
    "Cisco XCP Web Connection Manager."
)

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class WebConnectionManagerSettings:
    """One node's web connection manager. Frozen: it keeps them until it restarts (G23)."""

    node: str
    "The node's name in the topology."

    fqdn: str
    "The node's full name."

    address: str
    "The node's address."

    port: int = 7335
    "Where web clients connect in the clear, while secure mode is off."

    tls_port: int = 7336
    "Where they connect over TLS, while it is on."

    domains: frozenset[str]
    "The presence domains."

    secure_mode: bool = False
    "Web Client to IM/P Service Secure Mode: TLS with client certificates, and nothing else."

    credential: Credential = field(repr=False)
    "The `cup-xmpp` certificate, which XMPP clients are served (G02)."

    trust: TrustPolicy = field(default_factory=TrustPolicy)
    "`cup-xmpp-trust`: clients' certificates, and those of their signers."

    cross_origin: CrossOriginPolicy = field(default_factory=CrossOriginPolicy)
    "Which pages browsers let in."

    limits: WebLimits = field(default_factory=lambda: WebLimits(stanzas=CLIENT_STANZAS))
    "What clients may send and make it hold."

    maximum_connections: int = 20_000
    "HTTP connections at a time; a BOSH client has two."

    resumption_time: int = 300
    "Seconds for which a stream over a broken WebSocket can be resumed (XEP-0198)."


class WebConnectionManager:
    """Listens for web clients and brings those who log in to the router."""

    def __init__(
        self,
        settings: WebConnectionManagerSettings,
        *,
        attachment: RouterAttachment,
        directory: XmppDirectory,
        find_credentials: FindCredentials,
        clock: SchedulingClock,
        observer: Observer,
    ) -> None:
        self._settings = settings
        self._attachment = attachment
        self._clock = clock
        self._observer = observer
        self._listener: HttpListener | None = None
        self._resumable = DetachedSessions()
        self._stream_settings = ReceivingSettings(
            kind=StreamKind.CLIENT,
            domains=settings.domains,
            tls=TlsOffer.NONE,  # TLS is there from the first byte, or never
            limits=settings.limits.stanzas,
            resumption_time=settings.resumption_time,
        )
        bindings = channel_bindings(settings.credential) if settings.secure_mode else NO_CHANNEL_BINDING
        self._access = ClientAccess(
            node=settings.fqdn,
            name=settings.node,
            service=ServiceName.XCP_WEB_CONNECTION_MANAGER,
            home_node=directory.home_node,
            find_credentials=find_credentials,
            sasl=SaslServerSettings(plain_in_the_clear=not settings.secure_mode),
            channel_bindings=bindings,
            clause="G23",
            in_the_clear=_IN_THE_CLEAR,
            secure_mode_on=_SECURE_MODE_ON,
        )
        self._binding = HttpBinding(
            make_session=self._make_session,
            alternatives=AlternativeConnections.of(
                settings.fqdn,
                settings.tls_port if settings.secure_mode else settings.port,
                secure=settings.secure_mode,
                bosh_path=BOSH_PATH,
                websocket_path=WEBSOCKET_PATH,
            ),
            cross_origin=settings.cross_origin,
            limits=settings.limits,
            pace=self._pace,
            clock=clock,
            observer=observer,
        )
        self._leave: Callable[[], None] = lambda: None

    async def start(self) -> None:
        """Listen.

        Raises ConnectionFailed where the address cannot be bound, CertificateError for a bad certificate.
        """
        settings = self._settings
        tls = None
        if settings.secure_mode:
            tls = TlsServerSettings(
                credential=settings.credential, require_client_certificate=True, trust=settings.trust
            )
        else:
            _log.info("%s: web client secure mode is off: logins travel in the clear (G23)", settings.node)
        listener = HttpListener(
            self._binding.application(),
            describe=self._describe,
            clock=self._clock,
            observer=self._observer,
            tls=tls,
            limits=HttpLimits(maximum_connections=settings.maximum_connections),
        )
        self._binding.connection_of = listener.connection_of
        await listener.start(settings.address, settings.tls_port if settings.secure_mode else settings.port)
        self._listener = listener
        self._leave = self._attachment.follow(came=self._router_came, went=self._router_went)

    async def stop(self) -> None:
        """Close every stream with `system-shutdown` and listen no more."""
        self._leave()
        self._end_sessions(f"{ServiceName.XCP_WEB_CONNECTION_MANAGER} stops")
        await self._binding.end_all(GRACE)
        if self._listener is not None:
            await self._listener.close()

    def _router_came(self, router: RouterPort) -> None:
        features = tuple(map(encode_element, router.stream_features()))
        self._stream_settings = replace(self._stream_settings, bound_features=features)

    def _router_went(self) -> None:
        self._end_sessions(f"{ServiceName.XCP_ROUTER} stops")

    def _end_sessions(self, text: str) -> None:
        self._resumable.close_all(text)
        for carrier in self._binding.carriers:
            carrier.fail(StreamErrorCondition.SYSTEM_SHUTDOWN, text)

    def _pace(self) -> float:
        router = self._attachment.router
        return router.pace() if router is not None else 0.0

    def _make_session(
        self, carrier: StreamCarrier, framing: StreamFraming, connection: HttpConnection
    ) -> ClientSession:
        session = ClientSession(
            carrier,
            access=self._access,
            attachment=self._attachment,
            resumable=self._resumable,
            observer=self._observer,
        )
        settings = self._stream_settings
        if isinstance(framing, BoshFraming):
            # BOSH numbers, repeats and outlives connections by itself (XEP-0198 8).
            settings = replace(settings, stream_management=False)
        carrier.stream = ReceivingStream(
            settings,
            now=self._clock.monotonic(),
            make_sasl=session.make_sasl,
            secure=connection.verdict is not None,
            channel_bindings=tuple(self._access.channel_bindings),
            framing=framing,
        )
        return session

    def _describe(self, local: tuple[str, int], peer: tuple[str, int]) -> ConnectionInfo:
        secure = self._settings.secure_mode
        return ConnectionInfo(
            id=f"{self._settings.node} xcp-web-connection-manager {next_connection_number()}",
            node=self._settings.node,
            service=ServiceName.XCP_WEB_CONNECTION_MANAGER,
            listener=SECURE_LISTENER if secure else LISTENER,
            transport="TLS" if secure else "TCP",
            local=local,
            peer=peer,
        )
