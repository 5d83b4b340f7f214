"""The links of one router: ours to other routers, theirs to us, and which routers there may be (G22)."""

from collections.abc import Callable
from typing import Final

from proxies.clock import SchedulingClock
from proxies.observer import Observer
from proxies.tasks import TaskKeeper
from proxies.xmpp.conditions import StanzaErrorCondition
from proxies.xmpp.connections.connection import Describe
from proxies.xmpp.router.accepted_link import AcceptedLink
from proxies.xmpp.router.directory import RouterAddress, XmppDirectory
from proxies.xmpp.router.link import Bounce, LinkLimits, RouterLink
from proxies.xmpp.router.trust import RouterTrust
from proxies.xmpp.stanza import Stanza

GONE: Final = "this router is no longer connected to that node"


class RouterLinks:
    """Opens a link to each router that it knows of, and ends those of routers that are no longer to be known.

    Routers of the own cluster come and go as replication tells. Those of peer clusters go so too, and come with a
    restart of Cisco XCP Router (Deployment Guide 9.0(1), "Intercluster router to router connections").
    """

    def __init__(
        self,
        *,
        node: str,
        fqdn: str,
        local_address: str,
        intercluster_routers: frozenset[str],
        directory: XmppDirectory,
        trust: RouterTrust | None,
        limits: LinkLimits,
        bounce: Bounce,
        describe: Describe,
        clock: SchedulingClock,
        observer: Observer,
        tasks: TaskKeeper,
    ) -> None:
        """Take this node's name, full name and address, and the nodes of peer clusters that it may be linked to."""
        self._node = node
        self._fqdn = fqdn
        self._local_address = local_address
        self._intercluster_routers = intercluster_routers
        self._directory = directory
        self._trust = trust
        self._limits = limits
        self._bounce = bounce
        self._describe = describe
        self._clock = clock
        self._observer = observer
        self._tasks = tasks
        self._links: dict[str, RouterLink] = {}
        self._accepted: dict[AcceptedLink, None] = {}
        self._leave: Callable[[], None] | None = None

    def start(self) -> None:
        """Open the links, and follow what replication tells."""
        self._review()
        self._leave = self._directory.follow(self._review)

    def close(self) -> None:
        """Close our links; what was not delivered goes back to its senders."""
        if self._leave is not None:
            self._leave()
            self._leave = None
        for link in self._links.values():
            link.close()

    def reset(self) -> None:
        """Reset the connections of our links: the fault `link-loss`."""
        for link in self._links.values():
            link.reset()

    def find(self, fqdn: str) -> RouterAddress | None:
        """Return another router that this one may be linked to, or None."""
        known = self._directory.routers().get(fqdn)
        if known is not None and known.intercluster and fqdn not in self._intercluster_routers:
            return None
        return known

    def send(self, fqdn: str, stanza: Stanza) -> None:
        """Send a stanza to another node; one that cannot get there comes back as an error."""
        peer = self.find(fqdn)
        if peer is None:
            text = f"{fqdn} came with an intercluster peer: restart Cisco XCP Router on {self._node}"
            self._bounce(stanza, StanzaErrorCondition.REMOTE_SERVER_NOT_FOUND, text)
        else:
            self._link(peer).send(stanza)

    def accepted(self, link: AcceptedLink) -> None:
        """Take a link of a router that has proven who it is."""
        self._accepted[link] = None

    def lost(self, link: AcceptedLink) -> None:
        """Forget a link that another router had opened."""
        self._accepted.pop(link, None)

    # Inside.

    def _review(self) -> None:
        for fqdn in [fqdn for fqdn in self._links if self.find(fqdn) is None]:
            self._links.pop(fqdn).close()
        for link in tuple(self._accepted):
            if self.find(link.peer) is None:
                link.end(GONE)
        for fqdn in self._directory.routers():
            peer = self.find(fqdn)
            if peer is not None:
                self._link(peer)

    def _link(self, peer: RouterAddress) -> RouterLink:
        link = self._links.get(peer.fqdn)
        if link is None or link.peer != peer:
            if link is not None:
                link.close()
            link = self._links[peer.fqdn] = RouterLink(
                peer,
                fqdn=self._fqdn,
                local_address=self._local_address,
                trust=self._trust,
                bounce=self._bounce,
                describe=self._describe,
                clock=self._clock,
                observer=self._observer,
                tasks=self._tasks,
                limits=self._limits,
            )
            link.open()
        return link
