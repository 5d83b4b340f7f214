"""A session manager with clients that write down what they get, as wire text."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from xml.etree import ElementTree as ET

from certs.clock import ManualClock
from proxies.xmpp.conditions import StreamErrorCondition
from proxies.xmpp.im.memory_store import MemoryImStore
from proxies.xmpp.im.session_manager import SessionManager
from proxies.xmpp.im.settings import ImSettings
from proxies.xmpp.jid import Jid
from proxies.xmpp.stanza import Stanza, make_stanza, stanza_kind

DOMAIN = "verona.example"
ROMEO, JULIET, NURSE = "romeo@verona.example", "juliet@verona.example", "nurse@verona.example"
ROSTER_GET = "<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>"


def stanza(text: str) -> Stanza:
    tree = ET.fromstring(text)
    return make_stanza(stanza_kind(tree.tag), tree.attrib, list(tree))


def wire(sent: Stanza) -> str:
    """The stanza as it goes to a client, with the ids that servers make up replaced by one word."""
    return re.sub(r" id='[0-9a-f]{13,}'", " id='made'", sent.encode().decode())


@dataclass(eq=False)
class Client:
    manager: SessionManager
    jid: Jid
    inbox: list[str] = field(default_factory=list)
    closed: tuple[StreamErrorCondition, str] | None = None

    def deliver(self, stanza: Stanza) -> None:
        self.inbox.append(wire(stanza))

    def close(self, condition: StreamErrorCondition, text: str) -> None:
        self.closed = (condition, text)

    def send(self, text: str) -> None:
        self.manager.receive_from_session(self, stanza(text))

    def received(self) -> list[str]:
        """What came since the last time this was asked."""
        got, self.inbox = self.inbox, []
        return got

    def ask(self, text: str) -> str:
        """Send a request and return the one thing that comes back."""
        self.received()
        self.send(text)
        (answer,) = self.received()
        return answer

    def leave(self) -> None:
        self.manager.session_closed(self)


class Lab:
    """One home node. What it hands to the router is in `routed`."""

    def __init__(self, *homes: str, route: Callable[[Stanza], None] | None = None, **limits: int) -> None:
        self.homes = frozenset(map(Jid.parse, homes or (ROMEO, JULIET, NURSE)))
        self.settings = replace(
            ImSettings(domains=frozenset({DOMAIN}), is_home=self.homes.__contains__), **limits
        )
        self.store = MemoryImStore()
        self.clock = ManualClock()
        self.outbox: list[str] = []
        self.manager = SessionManager(self.settings, self.store, route or self._keep, self.clock)

    def _keep(self, stanza: Stanza) -> None:
        self.outbox.append(wire(stanza))

    def routed(self) -> list[str]:
        got, self.outbox = self.outbox, []
        return got

    def receive(self, text: str) -> None:
        self.manager.receive_routed(stanza(text))

    def connect(self, address: str) -> Client:
        """A client that bound a resource and has said nothing."""
        client = Client(self.manager, Jid.parse(address))
        self.manager.session_opened(client)
        return client

    def login(self, address: str, priority: int = 0) -> Client:
        """A client that has fetched its roster and is available, with all of that behind it."""
        client = self.connect(address)
        client.send(ROSTER_GET)
        client.send(f"<presence><priority>{priority}</priority></presence>" if priority else "<presence/>")
        client.received()
        return client

    def befriend(self, one: str, other: str) -> None:
        """Let both see each other's presence. Both are at home here."""
        for user, contact in ((one, other), (other, one)):
            self.manager.receive_routed(stanza(f"<presence type='subscribe' from='{contact}' to='{user}'/>"))
            client = self.connect(f"{user}/befriending")
            client.send(f"<presence type='subscribe' to='{contact}'/>")
            client.send(f"<presence type='subscribed' to='{contact}'/>")
            client.leave()
        self.routed()
