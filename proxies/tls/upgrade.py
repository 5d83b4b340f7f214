"""TLS in the middle of a connection: what STARTTLS leads to (RFC 6120 5.4.3)."""

import asyncio
from collections.abc import Callable

from certs.verdict import Verdict
from proxies.clock import SchedulingClock
from proxies.observer import ConnectionInfo, Observer, tap_of
from proxies.tls.connection import TlsConnection, TlsPump
from proxies.tls.contexts import HandshakeContext, client_context, server_context
from proxies.tls.core import TlsCore
from proxies.tls.settings import TlsClientSettings, TlsServerSettings


class TlsUpgrade:
    """Puts TLS under connections that began in plain text. One serves all connections of a service."""

    def __init__(
        self,
        settings: TlsServerSettings | TlsClientSettings,
        *,
        clock: SchedulingClock,
        observer: Observer,
    ) -> None:
        """Prepare for the side that the settings are of.

        Raises CertificateError and ConfigError where they cannot be used.
        """
        tap = tap_of(observer)
        secrets_file = tap.secrets_file if tap else None
        self._context: HandshakeContext = (
            server_context(settings, secrets_file=secrets_file)
            if isinstance(settings, TlsServerSettings)
            else client_context(settings, secrets_file=secrets_file)
        )
        self._handshake_timeout = settings.handshake_timeout
        self._clock = clock
        self._observer = observer

    def begin(
        self,
        transport: asyncio.Transport,
        connection: ConnectionInfo,
        *,
        protocol_factory: Callable[[TlsConnection], asyncio.Protocol],
        ended: Callable[[Verdict], None],
        closed: Callable[[], None],
    ) -> None:
        """Take a plain connection over and shake hands.

        What the peer sent before must have been read by its old protocol. `ended` gets the verdict; `closed` is
        called once the connection is gone, whether or not a protocol was made.
        """

        def handshake_ended(pump: TlsPump, verdict: Verdict) -> None:
            ended(verdict)

        pump = TlsPump(
            TlsCore(self._context, clock=self._clock),
            protocol_factory=protocol_factory,
            describe=lambda local, peer: connection,
            clock=self._clock,
            observer=self._observer,
            handshake_timeout=self._handshake_timeout,
            handshake_ended=handshake_ended,
            closed=lambda pump: closed(),
        )
        transport.set_protocol(pump)
        pump.begin(transport, connection)
