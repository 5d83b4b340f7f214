"""Cisco Tomcat: one https port of a node for its administration pages, SOAP and AXL (G01, G05, G06).

What it serves are web applications, each with routes of its own; this module knows none of them.
"""

from dataclasses import dataclass, field
from typing import Final, Protocol

from aiohttp import web

from certs.credential import Credential
from certs.purposes import ServiceName
from proxies.clock import SchedulingClock
from proxies.http.serving import HttpLimits, HttpListener
from proxies.observer import ConnectionInfo, Observer, next_connection_number
from proxies.tls import TlsServerSettings

LISTENER: Final = "Cisco Tomcat Listener"

HTTP_LISTENER: Final = web.AppKey("http_listener", HttpListener)
"Where a handler finds over which connection its request came (`connection_of`), for verdicts of its own."


class WebApplication(Protocol):
    """Something that Cisco Tomcat serves."""

    def add_routes(self, app: web.Application) -> None:
        """Add its routes, its middlewares and what it cleans up; called once for each start of the service."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TomcatSettings:
    """One node's Cisco Tomcat. Frozen: it keeps them until it restarts."""

    node: str
    "The node's name in the topology."

    address: str
    "The node's address."

    port: int = 8443
    "Where browsers and programs connect, over TLS."

    credential: Credential = field(repr=False)
    "The `tomcat` certificate (G05 to G07)."

    maximum_body: int = 4 * 1024 * 1024
    "Bytes of a request's body."

    maximum_connections: int = 1000
    "Connections at a time."


class Tomcat:
    """Listens on the node's https port and serves its web applications there."""

    def __init__(
        self,
        settings: TomcatSettings,
        applications: tuple[WebApplication, ...],
        *,
        clock: SchedulingClock,
        observer: Observer,
    ) -> None:
        self._settings = settings
        self._applications = applications
        self._clock = clock
        self._observer = observer
        self._listener: HttpListener | None = None

    async def start(self) -> None:
        """Listen.

        Raises ConnectionFailed where the address cannot be bound, CertificateError for a bad certificate.
        """
        settings = self._settings
        application = web.Application(client_max_size=settings.maximum_body)
        listener = HttpListener(
            application,
            describe=self._describe,
            clock=self._clock,
            observer=self._observer,
            # Everybody may shake hands: who a client is shows its login, not a certificate.
            tls=TlsServerSettings(credential=settings.credential, require_client_certificate=False),
            limits=HttpLimits(maximum_connections=settings.maximum_connections),
        )
        application[HTTP_LISTENER] = listener
        for each in self._applications:
            each.add_routes(application)
        await listener.start(settings.address, settings.port)
        self._listener = listener

    async def stop(self) -> None:
        """Listen no more, let requests be answered, close all connections."""
        if self._listener is not None:
            await self._listener.close()

    def _describe(self, local: tuple[str, int], peer: tuple[str, int]) -> ConnectionInfo:
        return ConnectionInfo(
            id=f"{self._settings.node} tomcat {next_connection_number()}",
            node=self._settings.node,
            service=ServiceName.TOMCAT,
            listener=LISTENER,
            transport="TLS",
            local=local,
            peer=peer,
        )
