"""Where a stanza goes (RFC 6120 10.5, RFC 6121 8): home users, components, other routers, other domains."""

from collections.abc import Callable
from typing import Final, Protocol

from certs.errors import RemoteProtocolError
from proxies.xmpp.conditions import StanzaErrorCondition
from proxies.xmpp.jid import Jid
from proxies.xmpp.router.directory import XmppDirectory
from proxies.xmpp.stanza import Stanza

_NEVER_ANSWERED: Final = frozenset({"error", "result", "unavailable"})

Deliver = Callable[[Stanza], None]


class Links(Protocol):
    """The links to other routers."""

    def send(self, fqdn: str, stanza: Stanza) -> None:
        """Take a stanza for another node; one that cannot get there comes back through the router as an error."""
        ...


class StanzaRouter:
    """Hands each stanza to whom its address means, or gives it back with an error."""

    def __init__(
        self,
        *,
        node: str,
        domains: frozenset[str],
        directory: XmppDirectory,
        links: Links,
        external: frozenset[str] = frozenset(),
    ) -> None:
        """Take this node's full name, the domains whose users the clusters have, and those of external components."""
        self._node = node
        self._domains = domains
        self._directory = directory
        self._links = links
        self._external = external
        self._components: dict[str, Deliver] = {}
        self.home: Deliver | None = None
        "Takes what is for this node's users and for the domains themselves: the session manager."
        self.federation: Deliver | None = None
        "Takes what is for other domains; None while nothing here federates."

    def attach(self, domain: str, deliver: Deliver) -> None:
        """Have a component take what is for its domain."""
        self._components[domain] = deliver

    def detach(self, domain: str) -> None:
        """Forget a component; what is for its domain bounces from now on."""
        self._components.pop(domain, None)

    @property
    def components(self) -> tuple[str, ...]:
        """The domains of the components that are attached here."""
        return tuple(self._components)

    def route(self, stanza: Stanza) -> None:
        """Hand a stanza on. It must carry both addresses."""
        self._route(stanza, over_link=False)

    def route_from_link(self, stanza: Stanza) -> None:
        """Hand on what another router sent. What is for other domains goes out from here or nowhere."""
        self._route(stanza, over_link=True)

    def _route(self, stanza: Stanza, *, over_link: bool) -> None:
        try:
            to = stanza.to
        except RemoteProtocolError as error:
            self.bounce(stanza, StanzaErrorCondition.JID_MALFORMED, str(error))
            return
        if to is None:
            self.bounce(stanza, StanzaErrorCondition.BAD_REQUEST, "a routed stanza says whom it is for")
            return
        domain = to.domainpart
        if domain in self._domains:
            self._route_to_user(stanza, to)
        elif (component := self._components.get(domain)) is not None:
            component(stanza)
        elif (
            # A link's stanza goes no further: while a component moves, two routers may each think it is at the other.
            not (over_link and domain in self._external)
            and (node := self._directory.component_node(domain)) is not None
            and node != self._node
        ):
            self._links.send(node, stanza)
        elif domain in self._external:
            self.bounce(stanza, StanzaErrorCondition.SERVICE_UNAVAILABLE, f"no component is {domain} now")
        elif self.federation is not None:
            self.federation(stanza)
        elif not over_link and (node := self._directory.federation_node()) is not None:
            self._links.send(node, stanza)
        else:
            self.bounce(stanza, StanzaErrorCondition.REMOTE_SERVER_NOT_FOUND, f"no way leads to {domain}")

    def bounce(self, stanza: Stanza, condition: StanzaErrorCondition, text: str = "") -> None:
        """Give a stanza back to its sender with an error; an answer or an error is never answered (8.3.1)."""
        if stanza.attributes.get("type") in _NEVER_ANSWERED or "from" not in stanza.attributes:
            return
        self.route(stanza.error(condition, text))

    def _route_to_user(self, stanza: Stanza, to: Jid) -> None:
        home = self._directory.home_node(to.localpart) if to.localpart else self._node
        if home is None or home == self._node:
            # A user that nobody knows gets the answer that the session manager gives (RFC 6121 8.5.1).
            if self.home is not None:
                self.home(stanza)
        else:
            self._links.send(home, stanza)
