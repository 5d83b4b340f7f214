"""The users of one home node and their connected resources: what every handler of RFC 6121 works on."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from certs.clock import Clock
from proxies.xmpp.conditions import StanzaErrorCondition
from proxies.xmpp.im.interfaces import ImStore, Session
from proxies.xmpp.im.settings import ImSettings
from proxies.xmpp.jid import Jid
from proxies.xmpp.stanza import Stanza


@dataclass(slots=True, eq=False)
class Resource:
    """A connected resource (RFC 6121 1.2): one session of a user."""

    user: "ConnectedUser"
    "Whose it is."

    session: Session
    "The way to the client."

    jid: Jid
    "The full address."

    address: str
    "The full address as text, for the `from` of what the client sends."

    presence: Stanza | None = None
    "The last presence that it broadcast, without `to`; None while it is not available."

    priority: int = 0
    "The priority in that presence (4.7.2.3)."

    directed: set[Jid] = field(default_factory=set)
    "Whom it sent directed presence to, and no unavailable presence since (4.6)."

    wants_roster: bool = False
    "Whether it is an interested resource (2.2): it asked for the roster and gets pushes."

    wants_blocklist: bool = False
    "Whether it asked for the blocklist and gets its pushes (XEP-0191)."


@dataclass(slots=True, eq=False)
class ConnectedUser:
    """A user who has at least one connected resource."""

    jid: Jid
    "The bare address."

    address: str
    "The bare address as text."

    blocked: frozenset[Jid]
    "The blocklist, kept here because every stanza asks for it."

    resources: dict[str, Resource] = field(default_factory=dict)
    "Connected resources by resourcepart."

    carbon_resources: tuple[Resource, ...] = ()
    "Those that enabled message carbons (XEP-0280)."

    def available(self) -> list[Resource]:
        """Return the resources that sent available presence."""
        return [each for each in self.resources.values() if each.presence is not None]

    def interested(self) -> list[Resource]:
        """Return the resources that asked for the roster (2.2)."""
        return [each for each in self.resources.values() if each.wants_roster]


class HomeNode:
    """The connected users, the store, and the way out; shared by the handlers of one node."""

    def __init__(
        self, settings: ImSettings, store: ImStore, clock: Clock, send: Callable[[Stanza], None]
    ) -> None:
        self.settings = settings
        self.store = store
        self.clock = clock
        self.send = send
        "Brings a stanza with both addresses to a user at home here, or hands it to the router."
        self.users: dict[Jid, ConnectedUser] = {}
        self.users_by_address: dict[str, ConnectedUser] = {}
        self.resources: dict[str, Resource] = {}
        "Connected resources by full address."

    def connect(self, session: Session) -> Resource:
        """Make a session a connected resource of its user."""
        jid = session.jid
        bare = jid.bare
        user = self.users.get(bare)
        if user is None:
            user = ConnectedUser(bare, str(bare), self.store.blocklist(bare))
            self.users[bare] = self.users_by_address[user.address] = user
        resource = Resource(user, session, jid, str(jid))
        user.resources[jid.resourcepart] = self.resources[resource.address] = resource
        return resource

    def disconnect(self, resource: Resource) -> None:
        """Forget a resource, and its user with the last one."""
        user = resource.user
        del user.resources[resource.jid.resourcepart], self.resources[resource.address]
        user.carbon_resources = tuple(each for each in user.carbon_resources if each is not resource)
        if not user.resources:
            del self.users[user.jid], self.users_by_address[user.address]

    def available(self, user: Jid) -> list[Resource]:
        """Return the user's available resources."""
        connected = self.users.get(user)
        return connected.available() if connected is not None else []

    def blocked(self, user: Jid) -> frozenset[Jid]:
        """Return whom a user of this node has blocked."""
        connected = self.users.get(user)
        return connected.blocked if connected is not None else self.store.blocklist(user)

    def is_subscribed(self, user: Jid, other: Jid) -> bool:
        """Whether another bare address may see the user's presence: it is the user's own, or subscribed."""
        item = self.store.roster(user).get(other)
        return user == other or (item is not None and item.subscription.from_contact)

    def bounce(self, stanza: Stanza, condition: StanzaErrorCondition, text: str = "") -> None:
        """Answer with an error stanza, unless that would answer an answer (RFC 6120 8.3.1)."""
        if not is_answer(stanza):
            self.send(stanza.error(condition, text))


def is_answer(stanza: Stanza) -> bool:
    """Whether a stanza is an error or a result, which nobody answers."""
    return stanza.attributes.get("type") in ("error", "result")


def deliver_to(resources: Iterable[Resource], stanza: Stanza) -> None:
    """Deliver a stanza to each of some resources."""
    for each in resources:
        each.session.deliver(stanza)
