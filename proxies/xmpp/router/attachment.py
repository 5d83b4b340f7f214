"""Where the services of one node meet its XCP router, which comes and goes with its restarts."""

from collections.abc import Callable
from typing import Protocol
from xml.etree import ElementTree as ET

from proxies.xmpp.conditions import StanzaErrorCondition
from proxies.xmpp.im.interfaces import Session
from proxies.xmpp.stanza import Stanza


class RouterPort(Protocol):
    """A running router, as the connection managers of its node see it."""

    def session_opened(self, session: Session) -> None:
        """Take a client whose resource is bound."""
        ...

    def session_closed(self, session: Session) -> None:
        """Forget a client; nothing happens where it is not known."""
        ...

    def receive_from_session(self, session: Session, stanza: Stanza) -> None:
        """Take what a client sends."""
        ...

    def route(self, stanza: Stanza) -> None:
        """Take a stanza that carries both addresses."""
        ...

    def bounce(self, stanza: Stanza, condition: StanzaErrorCondition, text: str = "") -> None:
        """Give a stanza back to its sender with an error; an answer or an error is never answered."""
        ...

    def attach(self, domain: str, deliver: Callable[[Stanza], None]) -> None:
        """Have a component of the node take what is for its domain."""
        ...

    def attach_federation(self, deliver: Callable[[Stanza], None] | None) -> None:
        """Have the federation connection manager take what is for other domains, or nobody."""
        ...

    def pace(self) -> float:
        """Return for how many seconds not to read a peer that has just been read."""
        ...

    def stream_features(self) -> list[ET.Element]:
        """Return what instant messaging adds to a client's stream features."""
        ...


class RouterAttachment:
    """One for each node: the router registers here, and the others find it and learn of its end."""

    def __init__(self) -> None:
        self.router: RouterPort | None = None
        "The router that runs; None while none does."
        self._came: list[Callable[[RouterPort], None]] = []
        self._went: list[Callable[[], None]] = []

    def follow(self, *, came: Callable[[RouterPort], None], went: Callable[[], None]) -> Callable[[], None]:
        """Be told when a router has started, at once where one runs, and when it stops; return how to leave."""
        self._came.append(came)
        self._went.append(went)
        if self.router is not None:
            came(self.router)

        def leave() -> None:
            self._came.remove(came)
            self._went.remove(went)

        return leave

    def router_started(self, router: RouterPort) -> None:
        """Tell all that follow."""
        self.router = router
        for came in tuple(self._came):
            came(router)

    def router_stopped(self) -> None:
        """Tell all that follow: their sessions and components end with the router."""
        self.router = None
        for went in tuple(self._went):
            went()
