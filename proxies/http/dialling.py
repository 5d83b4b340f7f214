"""aiohttp's client over the lab's own dialler: each TLS handshake ends in a verdict and is in the evidence."""

from asyncio import Protocol
from collections.abc import Callable
from typing import Any, Final

from aiohttp import BaseConnector
from aiohttp.client_proto import ResponseHandler

from certs.errors import HarnessError
from certs.verdict import Verdict
from proxies.clock import SchedulingClock
from proxies.observer import ConnectionInfo, Observer
from proxies.tls import TlsClientSettings, TlsConnection, dial_tls

IDLE: Final = 60.0
"Seconds for which a connection is kept for the next request; servers wait a little longer."


class HandshakeRefused(HarnessError):  # noqa: N818 - it is what happened, as ConnectionFailed is
    """No TLS connection to a server: it cannot be reached, it is not believed, or it does not believe us."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.detail or str(verdict.reason))
        self.verdict = verdict
        "Why."


class TlsConnector(BaseConnector):
    """Gives an aiohttp session its connections, all of them to one server over TLS."""

    def __init__(
        self,
        settings: TlsClientSettings,
        host: str,
        port: int,
        *,
        local_address: str,
        describe: Callable[[tuple[str, int], tuple[str, int]], ConnectionInfo],
        clock: SchedulingClock,
        observer: Observer,
    ) -> None:
        """`host` is an address: what its certificate must be for say the settings."""
        super().__init__(keepalive_timeout=IDLE, limit=1)
        self._settings = settings
        self._address = host, port
        self._local_address = local_address
        self._describe = describe
        self._clock = clock
        self._observer = observer
        self.connection: TlsConnection | None = None
        "The last connection that was made."

    # The hook of aiohttp's connectors, as its UnixConnector uses it.
    async def _create_connection(self, req: Any, traces: Any, timeout: Any) -> ResponseHandler:  # noqa: ASYNC109 - aiohttp's
        """Connect. Raises HandshakeRefused where that fails, ConfigError for settings that cannot be used."""
        dialled = await dial_tls(
            self._settings,
            *self._address,
            protocol_factory=self._make_protocol,
            describe=self._describe,
            clock=self._clock,
            observer=self._observer,
            local_address=self._local_address,
        )
        if not isinstance(dialled.protocol, ResponseHandler):
            raise HandshakeRefused(dialled.verdict)
        return dialled.protocol

    def _make_protocol(self, connection: TlsConnection) -> Protocol:
        self.connection = connection
        return ResponseHandler(self._loop)
