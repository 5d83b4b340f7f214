"""Cisco XCP Connection Manager: XMPP clients on port 5222, with or without secure mode (G21)."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from certs.credential import Credential
from certs.errors import CertificateError
from certs.presented import leaf_der
from certs.purposes import ServiceName
from proxies.clock import SchedulingClock
from proxies.observer import ConnectionInfo, Observer, next_connection_number
from proxies.tls import TlsServerSettings, TlsUpgrade
from proxies.xmpp.clients.client_session import ClientAccess, ClientSession, DetachedSessions
from proxies.xmpp.conditions import StreamErrorCondition
from proxies.xmpp.connections.connection import Reading, XmppConnection
from proxies.xmpp.connections.listening import XmppListener
from proxies.xmpp.router.attachment import RouterAttachment, RouterPort
from proxies.xmpp.router.directory import XmppDirectory
from proxies.xmpp.sasl.channel_binding import tls_server_end_point
from proxies.xmpp.sasl.common import NO_CHANNEL_BINDING, ChannelBindings, ChannelBindingType
from proxies.xmpp.sasl.server import FindCredentials, SaslServerSettings
from proxies.xmpp.stanza import encode_element
from proxies.xmpp.streams.reader_events import CLIENT_STANZAS, ReaderLimits
from proxies.xmpp.streams.receiving import ReceivingStream
from proxies.xmpp.streams.settings import ReceivingSettings, StreamKind, TlsOffer

LISTENER: Final = "XMPP Client Listener"

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionManagerSettings:
    """One node's connection manager. Frozen: it keeps them until it restarts (G21)."""

    node: str
    "The node's name in the topology."

    fqdn: str
    "The node's full name."

    address: str
    "The node's address."

    port: int = 5222
    "Where clients connect."

    domains: frozenset[str]
    "The presence domains."

    secure_mode: bool = True
    "XMPP Client To IM/P Service Secure Mode: TLS required, or none offered (G21)."

    credential: Credential = field(repr=False)
    "The `cup-xmpp` certificate, which XMPP clients are served (G02)."

    limits: ReaderLimits = CLIENT_STANZAS
    "What a client may send."

    bytes_per_second: float = 8 * 1024 * 1024
    "How fast a client is read; who sends faster waits (RFC 6120 4.9.3.14, 13.12)."

    burst: float = 16 * 1024 * 1024
    "Bytes that a client may send at once."

    maximum_connections: int = 10_000
    "Clients at a time."

    resumption_time: int = 300
    "Seconds for which a broken stream can be resumed (XEP-0198)."


class ConnectionManager:
    """Listens for XMPP clients and brings those who log in to the router."""

    def __init__(
        self,
        settings: ConnectionManagerSettings,
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
        self._listener: XmppListener | None = None
        self._resumable = DetachedSessions()
        self._stream_settings = ReceivingSettings(
            kind=StreamKind.CLIENT,
            domains=settings.domains,
            tls=TlsOffer.REQUIRED if settings.secure_mode else TlsOffer.NONE,
            limits=settings.limits,
            resumption_time=settings.resumption_time,
        )
        bindings = channel_bindings(settings.credential) if settings.secure_mode else NO_CHANNEL_BINDING
        self._access = ClientAccess(
            node=settings.fqdn,
            name=settings.node,
            service=ServiceName.XCP_CONNECTION_MANAGER,
            home_node=directory.home_node,
            find_credentials=find_credentials,
            sasl=SaslServerSettings(plain_in_the_clear=not settings.secure_mode),
            channel_bindings=bindings,
        )
        self._leave: Callable[[], None] = lambda: None

    async def start(self) -> None:
        """Listen.

        Raises ConnectionFailed where the address cannot be bound, CertificateError for a bad certificate.
        """
        settings = self._settings
        upgrade = None
        if settings.secure_mode:
            tls = TlsServerSettings(credential=settings.credential, require_client_certificate=False)
            upgrade = TlsUpgrade(tls, clock=self._clock, observer=self._observer)
        else:
            _log.warning(
                "%s: XMPP client secure mode is off: logins travel in the clear (G21)", settings.node
            )
        listener = XmppListener(
            self._make_session,
            describe=self._describe,
            clock=self._clock,
            observer=self._observer,
            tls=upgrade,
            channel_bindings=tuple(self._access.channel_bindings),
            maximum_connections=settings.maximum_connections,
            reading=Reading(
                bytes_per_second=settings.bytes_per_second, burst=settings.burst, pace=self._pace
            ),
        )
        await listener.start(settings.address, settings.port)
        self._listener = listener
        self._leave = self._attachment.follow(came=self._router_came, went=self._router_went)

    async def stop(self) -> None:
        """Close every stream with `system-shutdown` and listen no more."""
        self._leave()
        self._resumable.close_all(f"{ServiceName.XCP_CONNECTION_MANAGER} stops")
        if self._listener is not None:
            await self._listener.close(f"{ServiceName.XCP_CONNECTION_MANAGER} stops")

    def _router_came(self, router: RouterPort) -> None:
        features = tuple(map(encode_element, router.stream_features()))
        self._stream_settings = replace(self._stream_settings, bound_features=features)

    def _router_went(self) -> None:
        text = f"{ServiceName.XCP_ROUTER} stops"
        self._resumable.close_all(text)
        if self._listener is not None:
            self._listener.fail_all(StreamErrorCondition.SYSTEM_SHUTDOWN, text)

    def _pace(self) -> float:
        router = self._attachment.router
        return router.pace() if router is not None else 0.0

    def _make_session(self, connection: XmppConnection) -> ClientSession:
        session = ClientSession(
            connection,
            access=self._access,
            attachment=self._attachment,
            resumable=self._resumable,
            observer=self._observer,
        )
        connection.stream = ReceivingStream(
            self._stream_settings, now=self._clock.monotonic(), make_sasl=session.make_sasl
        )
        return session

    def _describe(self, local: tuple[str, int], peer: tuple[str, int]) -> ConnectionInfo:
        return ConnectionInfo(
            id=f"{self._settings.node} xcp-connection-manager {next_connection_number()}",
            node=self._settings.node,
            service=ServiceName.XCP_CONNECTION_MANAGER,
            listener=LISTENER,
            transport="TCP",
            local=local,
            peer=peer,
        )


def channel_bindings(credential: Credential) -> ChannelBindings:
    """Return what stands for TLS connections that show this certificate; nothing where RFC 5929 defines nothing."""
    try:
        end_point = tls_server_end_point(leaf_der(credential.chain_pem))
    except CertificateError:
        return NO_CHANNEL_BINDING
    return {ChannelBindingType.TLS_SERVER_END_POINT: end_point}
