"""A home node with PEP, and clients that say what they want to hear of (XEP-0115, XEP-0163)."""

import re
from dataclasses import dataclass, replace
from xml.etree import ElementTree as ET

from proxies.xmpp.im.entity_capabilities import Identity, verification_string
from proxies.xmpp.jid import Jid
from proxies.xmpp.pep.memory_store import MemoryPepStore
from proxies.xmpp.pep.service import PepService
from proxies.xmpp.pep.values import PepSettings
from proxies.xmpp.stanza import Stanza
from tests.proxies.xmpp.im.lab import ROMEO, Client, Lab

NICK = "http://jabber.org/protocol/nick"
DATA, META = "urn:xmpp:avatar:data", "urn:xmpp:avatar:metadata"
PUBSUB, OWNER = "http://jabber.org/protocol/pubsub", "http://jabber.org/protocol/pubsub#owner"
CLIENT_URI = "https://client.example"


def _is_question(stanza: Stanza) -> bool:
    return stanza.is_request and stanza.children == (("http://jabber.org/protocol/disco#info", "query"),)


@dataclass(eq=False)
class PepClient(Client):
    """Keeps the ids of the server's questions, to answer them."""

    def deliver(self, stanza: Stanza) -> None:
        if _is_question(stanza):
            self.inbox.append(stanza.encode().decode())
        else:
            super().deliver(stanza)


class PepLab(Lab):
    """One home node whose accounts have PEP."""

    def __init__(self, *homes: str, **limits: int) -> None:
        super().__init__(*homes)
        self.pep = MemoryPepStore()
        PepService(replace(PepSettings(), **limits), self.pep, self.clock, self.manager)

    def _keep(self, stanza: Stanza) -> None:
        if _is_question(stanza):
            self.outbox.append(stanza.encode().decode())
        else:
            super()._keep(stanza)

    def connect(self, address: str) -> Client:
        client = PepClient(self.manager, Jid.parse(address))
        self.manager.session_opened(client)
        return client

    def login_interested(self, address: str, *nodes: str) -> Client:
        """A client that is available and answers what it was asked about its capabilities; that lies behind it."""
        client = self.connect(address)
        client.send(available(*nodes))
        for question in client.received():
            if f'node="{CLIENT_URI}#' in question:
                client.send(answer(question, *nodes))
        client.received()
        return client


def features(*nodes: str) -> list[str]:
    return ["http://jabber.org/protocol/caps", *(f"{node}+notify" for node in nodes)]


def ver(*nodes: str) -> str:
    return verification_string([Identity("client", "pc", "test")], features(*nodes))


def available(*nodes: str, to: str = "") -> str:
    to = f" to='{to}'" if to else ""
    return (
        f"<presence{to}><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='{CLIENT_URI}' "
        f"ver='{ver(*nodes)}'/></presence>"
    )


def answer(question: str, *nodes: str) -> str:
    """The answer to a question about capabilities."""
    asked = ET.fromstring(question)
    listed = "".join(f"<feature var='{each}'/>" for each in features(*nodes))
    node = re.search(r'node="([^"]*)"', question)
    assert node is not None
    return (
        f"<iq type='result' id='{asked.get('id')}' to='{asked.get('from')}'>"
        f"<query xmlns='http://jabber.org/protocol/disco#info' node='{node[1]}'>"
        f"<identity category='client' type='pc' name='test'/>{listed}</query></iq>"
    )


def publish(node: str, item: str, payload: str, options: str = "") -> str:
    return (
        f"<iq type='set' id='p'><pubsub xmlns='{PUBSUB}'><publish node='{node}'><item id='{item}'>{payload}</item>"
        f"</publish>{options}</pubsub></iq>"
    )


def take_back(node: str, item: str) -> str:
    return (
        f"<iq type='set' id='r'><pubsub xmlns='{PUBSUB}'><retract node='{node}'><item id='{item}'/></retract>"
        "</pubsub></iq>"
    )


def nick(name: str) -> str:
    return publish(NICK, "current", f"<nick xmlns='{NICK}'>{name}</nick>")


def options(**fields: str) -> str:
    written = "".join(
        f"<field var='pubsub#{name}'><value>{value}</value></field>" for name, value in fields.items()
    )
    return (
        "<publish-options><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>"
        f"<value>{PUBSUB}#publish-options</value></field>{written}</x></publish-options>"
    )


def items(node: str, of: str = ROMEO, inside: str = "", **attributes: str) -> str:
    more = "".join(f" {name}='{value}'" for name, value in attributes.items())
    return (
        f"<iq type='get' id='i' to='{of}'><pubsub xmlns='{PUBSUB}'><items node='{node}'{more}>{inside}</items>"
        "</pubsub></iq>"
    )


def owner(action: str, kind: str = "set") -> str:
    return f"<iq type='{kind}' id='o'><pubsub xmlns='{OWNER}'>{action}</pubsub></iq>"
