"""Cisco XCP Router: brings stanzas to users, components and other routers (G22)."""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, Protocol
from xml.etree import ElementTree as ET

from certs.credential import Credential
from certs.purposes import ServiceName
from proxies.clock import SchedulingClock
from proxies.observer import ConnectionInfo, Observer, next_connection_number
from proxies.tasks import TaskKeeper
from proxies.xmpp.conditions import StanzaErrorCondition
from proxies.xmpp.connections.connection import Reading, XmppConnection
from proxies.xmpp.connections.listening import XmppListener
from proxies.xmpp.im.archive import ArchiveSettings, MessageArchive
from proxies.xmpp.im.archive_values import ArchiveStore
from proxies.xmpp.im.interfaces import ImStore, Session
from proxies.xmpp.im.session_manager import SessionManager
from proxies.xmpp.im.settings import ImSettings
from proxies.xmpp.jid import Jid
from proxies.xmpp.muc.service import MucService
from proxies.xmpp.muc.values import MucSettings, RoomStore
from proxies.xmpp.pep.service import PepService
from proxies.xmpp.pep.values import PepSettings, PepStore
from proxies.xmpp.router.accepted_link import AcceptedLink, ResumableLinks
from proxies.xmpp.router.attachment import RouterAttachment
from proxies.xmpp.router.component_listener import ComponentListener, ComponentPlaces
from proxies.xmpp.router.components import Component
from proxies.xmpp.router.directory import XmppDirectory
from proxies.xmpp.router.link import LinkLimits
from proxies.xmpp.router.links import RouterLinks
from proxies.xmpp.router.routing import StanzaRouter
from proxies.xmpp.router.trust import LiveTrust, RouterTrust
from proxies.xmpp.stanza import Stanza
from proxies.xmpp.streams.receiving import ReceivingStream
from proxies.xmpp.streams.settings import ReceivingSettings, StreamKind, TlsOffer

LISTENER: Final = "XCP Router Listener"
OUTGOING: Final = "outgoing"

_PAUSE: Final = 0.02
"Seconds that peers are not read while the store is behind."


class OpenImStore(ImStore, ArchiveStore, RoomStore, Protocol):
    """A store that holds a database open."""

    @property
    def pep(self) -> PepStore:
        """What users publish (XEP-0163)."""
        ...

    @property
    def is_behind(self) -> bool:
        """Whether so much waits to be written that those who send should be read more slowly."""
        ...

    async def aclose(self) -> None:
        """Write what waits and close."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class XcpRouterSettings:
    """One node's XCP router. Frozen: it keeps them until it restarts (G22, G24)."""

    node: str
    "The node's name in the topology."

    fqdn: str
    "The node's full name, by which the other routers know it."

    address: str
    "The node's address."

    port: int = 7400
    "Where other routers connect."

    domains: frozenset[str]
    "The presence domains."

    component_port: int = 5347
    "Where external components attach (XEP-0114)."

    components: tuple[Component, ...] = ()
    "The external components that may attach."

    conference_domain: str
    "The domain of the text conferences that this node has (XEP-0045)."

    secure_mode: bool = False
    "XMPP Router-to-Router Secure Mode: TLS with every router that can do TLS, or TCP (G22)."

    intercluster_routers: frozenset[str] = frozenset()
    "The nodes of peer clusters that it exchanges stanzas with; those that come later wait for its restart."

    credential: Credential = field(repr=False)
    "The `cup-xmpp` certificate, for both ends of links."

    message_archiver: bool = True
    "Whether users' messages are archived (XEP-0313)."

    limits: LinkLimits = field(default_factory=LinkLimits)
    "How long and how much links wait."


class XcpRouter:
    """Routes between the sessions of this node's users, components, and the routers of other nodes."""

    def __init__(
        self,
        settings: XcpRouterSettings,
        *,
        attachment: RouterAttachment,
        directory: XmppDirectory,
        trusted: LiveTrust,
        places: ComponentPlaces,
        open_store: Callable[[], Awaitable[OpenImStore]],
        clock: SchedulingClock,
        observer: Observer,
    ) -> None:
        self._settings = settings
        self._attachment = attachment
        self._directory = directory
        self._open_store = open_store
        self._clock = clock
        self._observer = observer
        self._tasks = TaskKeeper()
        self._resumable = ResumableLinks(clock)
        self._trust = (
            RouterTrust(settings.credential, trusted, node=settings.node, clock=clock, observer=observer)
            if settings.secure_mode
            else None
        )
        self._stanza_router = StanzaRouter(
            node=settings.fqdn,
            domains=settings.domains,
            directory=directory,
            links=self,
            external=frozenset(one.domain for one in settings.components),
        )
        self._components = ComponentListener(
            settings.components,
            node=settings.node,
            stanza_router=self._stanza_router,
            places=places,
            pace=self.pace,
            clock=clock,
            observer=observer,
        )
        self._links = RouterLinks(
            node=settings.node,
            fqdn=settings.fqdn,
            local_address=settings.address,
            intercluster_routers=settings.intercluster_routers,
            directory=directory,
            trust=self._trust,
            limits=settings.limits,
            bounce=self._stanza_router.bounce,
            describe=self._describe_outgoing,
            clock=clock,
            observer=observer,
            tasks=self._tasks,
        )
        self._sessions: SessionManager
        self._conferences: MucService
        self._store: OpenImStore | None = None
        self._listener: XmppListener | None = None

    async def start(self) -> None:
        """Read the users' data, listen for other routers and connect to them.

        Raises ConnectionFailed where the address cannot be bound, ConfigError where the database cannot be read.
        """
        settings = self._settings
        self._store = await self._open_store()
        self._sessions = SessionManager(
            ImSettings(domains=settings.domains, is_home=self._is_home),
            self._store,
            self._stanza_router.route,
            self._clock,
        )
        self._stanza_router.home = self._sessions.receive_routed
        PepService(PepSettings(), self._store.pep, self._clock, self._sessions)
        if settings.message_archiver:
            MessageArchive(
                ArchiveSettings(),
                self._store,
                self._store,
                self._clock,
                self._sessions,
                lambda query: self._tasks.start(query, name="look into an archive"),
            )
        self._start_conferences(self._store)
        listener = XmppListener(
            self._accept,
            describe=self._describe,
            clock=self._clock,
            observer=self._observer,
            tls=None,
            reading=Reading(pace=self.pace),
        )
        try:
            await listener.start(settings.address, settings.port)
            self._listener = listener
            await self._components.start(settings.address, settings.component_port)
        except BaseException:
            await listener.close("the start failed")
            await self._store.aclose()
            raise
        self._links.start()
        self._attachment.router_started(self)

    async def stop(self) -> None:
        """End all sessions and links, and write what the users' data still waits for."""
        # First what takes no time: a stop that is cut off leaves no port behind, and loses no data.
        self._components.stop_listening()
        if self._listener is not None:
            self._listener.stop_listening()
        self._attachment.router_stopped()
        self._conferences.close()
        self._links.close()
        try:
            await self._components.stop()
            if self._listener is not None:
                await self._listener.close(f"{ServiceName.XCP_ROUTER} stops")
            await self._tasks.close()
        finally:
            if self._store is not None:
                await self._store.aclose()

    def reset_links(self) -> None:
        """Reset the connections of our links to other routers: the fault `link-loss`."""
        self._links.reset()

    # attachment.RouterPort

    def session_opened(self, session: Session) -> None:
        """Take a client whose resource is bound."""
        self._sessions.session_opened(session)

    def session_closed(self, session: Session) -> None:
        """Forget a client; nothing happens where it is not known."""
        self._sessions.session_closed(session)

    def receive_from_session(self, session: Session, stanza: Stanza) -> None:
        """Take what a client sends."""
        self._sessions.receive_from_session(session, stanza)

    def route(self, stanza: Stanza) -> None:
        """Take a stanza that carries both addresses."""
        self._stanza_router.route(stanza)

    def bounce(self, stanza: Stanza, condition: StanzaErrorCondition, text: str = "") -> None:
        """Give a stanza back to its sender with an error; an answer or an error is never answered."""
        self._stanza_router.bounce(stanza, condition, text)

    def attach(self, domain: str, deliver: Callable[[Stanza], None]) -> None:
        """Have a component of the node take what is for its domain."""
        self._stanza_router.attach(domain, deliver)

    def attach_federation(self, deliver: Callable[[Stanza], None] | None) -> None:
        """Have the federation connection manager take what is for other domains, or nobody."""
        self._stanza_router.federation = deliver

    def pace(self) -> float:
        """Return for how many seconds not to read a peer that has just been read."""
        return _PAUSE if self._store is not None and self._store.is_behind else 0.0

    def stream_features(self) -> list[ET.Element]:
        """Return what instant messaging adds to a client's stream features."""
        return self._sessions.stream_features()

    # routing.Links

    def send(self, fqdn: str, stanza: Stanza) -> None:
        """Send a stanza to another node."""
        self._links.send(fqdn, stanza)

    # Inside.

    def _start_conferences(self, store: RoomStore) -> None:
        domain = self._settings.conference_domain
        settings = MucSettings(domain=domain)
        self._conferences = MucService(settings, self._stanza_router.route, store, self._clock)
        self._stanza_router.attach(domain, self._conferences.receive)
        self._sessions.discovery.add_item(Jid.parse(domain), settings.name)
        self._sessions.discovery.add_items(self._attached_components)

    def _attached_components(self) -> Iterator[tuple[str, str]]:
        for one in self._settings.components:
            here = one.domain in self._stanza_router.components
            if here or self._directory.component_node(one.domain) not in (None, self._settings.fqdn):
                yield one.domain, one.name

    def _is_home(self, user: Jid) -> bool:
        return self._directory.home_node(user.localpart) == self._settings.fqdn

    def _accept(self, connection: XmppConnection) -> AcceptedLink:
        link = AcceptedLink(
            connection,
            node=self._settings.node,
            links=self._links,
            trust=self._trust,
            resumable=self._resumable,
            route=self._stanza_router.route_from_link,
            observer=self._observer,
        )
        settings = ReceivingSettings(
            kind=StreamKind.SERVER,
            domains=frozenset({self._settings.fqdn}),
            tls=TlsOffer.OPTIONAL if self._trust is not None else TlsOffer.NONE,
        )
        connection.stream = ReceivingStream(settings, now=self._clock.monotonic(), make_sasl=link.make_sasl)
        return link

    def _describe(self, local: tuple[str, int], peer: tuple[str, int]) -> ConnectionInfo:
        return self._info(LISTENER, local, peer)

    def _describe_outgoing(self, local: tuple[str, int], peer: tuple[str, int]) -> ConnectionInfo:
        return self._info(OUTGOING, local, peer)

    def _info(self, listener: str, local: tuple[str, int], peer: tuple[str, int]) -> ConnectionInfo:
        return ConnectionInfo(
            id=f"{self._settings.node} xcp-router {next_connection_number()}",
            node=self._settings.node,
            service=ServiceName.XCP_ROUTER,
            listener=listener,
            transport="TCP",
            local=local,
            peer=peer,
        )
