"""Where external components attach to the router (XEP-0114), and on which node of the cluster each one is."""

import logging
from collections.abc import Callable, Sequence
from itertools import count
from typing import Final, Protocol

from certs.errors import HarnessError
from certs.purposes import ServiceName
from proxies.clock import SchedulingClock, TimerHandle, wait
from proxies.observer import ConnectionInfo, Observer
from proxies.tasks import TaskKeeper
from proxies.xmpp.conditions import StreamErrorCondition
from proxies.xmpp.connections.connection import Reading, XmppConnection
from proxies.xmpp.connections.listening import XmppListener
from proxies.xmpp.router.component_session import ComponentSession
from proxies.xmpp.router.components import Component
from proxies.xmpp.router.routing import StanzaRouter
from proxies.xmpp.streams.receiving import ReceivingStream
from proxies.xmpp.streams.settings import ReceivingSettings, StreamKind, TlsOffer

LISTENER: Final = "XCP Component Listener"

INTERVAL: Final = 0.25
"Seconds between two looks whether a component of ours has attached to another node."

_MAXIMUM_CONNECTIONS: Final = 200

_log: Final = logging.getLogger(__name__)


class ComponentPlaces(Protocol):
    """On which node each component of the cluster is, as the cluster's database says."""

    async def put(self, domain: str) -> None:
        """Say that a component is on this node now, wherever it was before."""
        ...

    async def remove(self, domains: Sequence[str]) -> None:
        """Say that components are not on this node any more; what another node said stays."""
        ...

    async def taken(self, domains: Sequence[str]) -> Sequence[str]:
        """Return those that another node has said it has."""
        ...


class ComponentListener:
    """Listens for components; the newest stream of a domain is the one that counts, wherever in the cluster."""

    def __init__(
        self,
        components: Sequence[Component],
        *,
        node: str,
        stanza_router: StanzaRouter,
        places: ComponentPlaces,
        pace: Callable[[], float],
        clock: SchedulingClock,
        observer: Observer,
    ) -> None:
        """Take the components that may attach; `pace` says for how long not to read one that was just read."""
        self._node = node
        self._router = stanza_router
        self._places = places
        self._pace = pace
        self._clock = clock
        self._observer = observer
        self._settings = ReceivingSettings(
            kind=StreamKind.COMPONENT,
            domains=frozenset(one.domain for one in components),
            tls=TlsOffer.NONE,
            component_secrets={one.domain: one.secret for one in components},
            stream_management=False,
        )
        self._sessions: dict[str, ComponentSession] = {}
        self._told: set[str] = set()
        self._changed = False
        self._telling = False
        self._timer: TimerHandle | None = None
        self._tasks = TaskKeeper()
        self._numbers = count(1)
        self._listener: XmppListener | None = None

    async def start(self, address: str, port: int) -> None:
        """Listen.

        Raises ConnectionFailed where the address cannot be bound, ConfigError where the database fails.
        """
        await self._places.remove(sorted(self._settings.domains))  # what a killed run has left behind
        listener = XmppListener(
            self._accept,
            describe=self._describe,
            clock=self._clock,
            observer=self._observer,
            tls=None,
            maximum_connections=_MAXIMUM_CONNECTIONS,
            reading=Reading(pace=self._pace),
        )
        await listener.start(address, port)
        self._listener = listener

    def stop_listening(self) -> None:
        """Let no component in any more, at once."""
        if self._listener is not None:
            self._listener.stop_listening()

    async def stop(self) -> None:
        """End the components' streams with `system-shutdown`, and say that they are not here any more."""
        if self._listener is not None:
            await self._listener.close(f"{ServiceName.XCP_ROUTER} stops")
        await self._tasks.close()
        if self._timer is not None:
            self._timer.cancel()
        try:
            await self._places.remove(sorted(self._told))
        except HarnessError as error:
            _log.warning("%s: the components' places stay in the database: %s", self._node, error)

    # component_session.Components

    def session_attached(self, session: ComponentSession) -> None:
        """Route the domain's stanzas to a session from now on; an older one gives way (RFC 6120 4.9.3.3)."""
        older = self._sessions.get(session.domain)
        self._sessions[session.domain] = session
        self._router.attach(session.domain, session.deliver)
        self._told.discard(session.domain)  # said again, lest another node has just said otherwise
        self._look()
        if older is not None:
            older.end(StreamErrorCondition.CONFLICT, f"{session.domain} attached again")

    def session_gone(self, session: ComponentSession) -> None:
        """Route nothing to a session any more."""
        if self._sessions.get(session.domain) is session:
            del self._sessions[session.domain]
            self._router.detach(session.domain)
            self._look()

    # Inside.

    def _look(self) -> None:
        """Tell the cluster what is attached here, and look again as long as there is something."""
        self._changed = True
        if not self._telling:
            self._telling = True
            self._tasks.start(self._tell(), name=f"{self._node} component places")

    async def _tell(self) -> None:
        try:
            while self._changed:
                self._changed = False
                try:
                    await self._synchronise()
                except HarnessError as error:
                    _log.warning("%s: components' places cannot be told: %s", self._node, error)
                    await wait(self._clock, INTERVAL)
                    self._changed = True
        finally:
            self._telling = False
        if self._sessions and self._timer is None:
            self._timer = self._clock.call_at(self._clock.monotonic() + INTERVAL, self._look_again)

    def _look_again(self) -> None:
        self._timer = None
        self._look()

    async def _synchronise(self) -> None:
        for domain in [each for each in self._sessions if each not in self._told]:
            await self._places.put(domain)
            self._told.add(domain)
        gone = [each for each in self._told if each not in self._sessions]
        if gone:
            await self._places.remove(gone)
            self._told.difference_update(gone)
        told = [each for each in self._told if each in self._sessions]
        for domain in await self._places.taken(told) if told else ():
            # Asked behind our own writes, so it is newer than they are. One that came back here meanwhile stays.
            if domain in self._told and domain in self._sessions:
                self._told.discard(domain)
                session = self._sessions[domain]
                self.session_gone(session)
                text = f"{domain} attached to another node of the cluster"
                session.end(StreamErrorCondition.CONFLICT, text)

    def _accept(self, connection: XmppConnection) -> ComponentSession:
        session = ComponentSession(
            connection,
            node=self._node,
            components=self,
            route=self._router.route,
            bounce=self._router.bounce,
            observer=self._observer,
        )
        connection.stream = ReceivingStream(self._settings, now=self._clock.monotonic())
        return session

    def _describe(self, local: tuple[str, int], peer: tuple[str, int]) -> ConnectionInfo:
        return ConnectionInfo(
            id=f"{self._node} xcp-component {next(self._numbers)}",
            node=self._node,
            service=ServiceName.XCP_ROUTER,
            listener=LISTENER,
            transport="TCP",
            local=local,
            peer=peer,
        )
