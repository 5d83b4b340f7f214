"""A Text Conference Manager without a router: what it sends is taken down by recipient."""

from collections.abc import Sequence
from xml.etree import ElementTree as ET

from certs.clock import ManualClock
from proxies.xmpp import namespaces as ns
from proxies.xmpp.data_forms import FormField, form_element
from proxies.xmpp.jid import Jid
from proxies.xmpp.muc.service import MucService
from proxies.xmpp.muc.values import MucSettings, RoomRecord
from proxies.xmpp.stanza import Stanza, StanzaKind, make_stanza, split_name

DOMAIN = "conference.lab.example"
ROOM = f"lobby@{DOMAIN}"
ALICE = "alice@lab.example/desk"
BOB = "bob@lab.example/phone"
CAROL = "carol@lab.example/home"
ROOMCONFIG = "http://jabber.org/protocol/muc#roomconfig"


class MemoryRoomStore:
    """Keeps rooms as long as the object lives."""

    def __init__(self) -> None:
        self.kept: dict[Jid, RoomRecord] = {}

    def rooms(self) -> Sequence[RoomRecord]:
        return tuple(self.kept.values())

    def save_room(self, record: RoomRecord) -> None:
        self.kept[record.jid] = record

    def delete_room(self, room: Jid) -> None:
        self.kept.pop(room, None)


class Chat:
    """The service and its clients."""

    def __init__(self, settings: MucSettings | None = None, store: MemoryRoomStore | None = None) -> None:
        self.clock = ManualClock()
        self.store = store or MemoryRoomStore()
        self.sent: list[Stanza] = []
        self.service = MucService(
            settings or MucSettings(domain=DOMAIN), self.sent.append, self.store, self.clock
        )

    def taken(self, client: str) -> list[Stanza]:
        """Return what a client got since it was last asked."""
        got = [each for each in self.sent if each.attributes["to"] == client]
        self.sent[:] = [each for each in self.sent if each.attributes["to"] != client]
        return got

    def send(
        self, kind: StanzaKind, sender: str, to: str, *payload: ET.Element, **attributes: str
    ) -> list[Stanza]:
        """Send a stanza and return what comes back to its sender."""
        self.taken(sender)
        self.service.receive(make_stanza(kind, {"from": sender, "to": to, **attributes}, payload))
        return self.taken(sender)

    def enter(
        self, sender: str, nickname: str, *asked: ET.Element, password: str = "", room: str = ROOM
    ) -> list[Stanza]:
        x = ET.Element(f"{{{ns.MUC}}}x")
        x.extend(asked)
        if password:
            ET.SubElement(x, f"{{{ns.MUC}}}password").text = password
        return self.send("presence", sender, f"{room}/{nickname}", x)

    def leave(self, sender: str, nickname: str) -> list[Stanza]:
        return self.send("presence", sender, f"{ROOM}/{nickname}", type="unavailable")

    def say(self, sender: str, text: str, **attributes: str) -> list[Stanza]:
        return self.send("message", sender, ROOM, body(text), type="groupchat", **attributes)

    def iq(self, sender: str, to: str, payload: ET.Element, type_: str = "get") -> Stanza:
        answers = [
            each for each in self.send("iq", sender, to, payload, type=type_, id="q1") if each.kind == "iq"
        ]
        assert len(answers) == 1, answers
        return answers[0]

    def admin(self, sender: str, type_: str = "set", reason: str = "", **attributes: str) -> Stanza:
        query = ET.Element(f"{{{ns.MUC_ADMIN}}}query")
        item = ET.SubElement(query, f"{{{ns.MUC_ADMIN}}}item", attributes)
        if reason:
            ET.SubElement(item, f"{{{ns.MUC_ADMIN}}}reason").text = reason
        return self.iq(sender, ROOM, query, type_)

    def configure(self, sender: str = ALICE, **fields: str) -> Stanza:
        values = [FormField(f"muc#roomconfig_{name}", (value,)) for name, value in fields.items()]
        query = ET.Element(f"{{{ns.MUC_OWNER}}}query")
        query.append(form_element(ROOMCONFIG, values, type_="submit"))
        return self.iq(sender, ROOM, query, "set")

    def open_room(self, **fields: str) -> None:
        """Have alice make the room and configure it."""
        self.enter(ALICE, "alice")
        assert self.configure(**fields).type == "result"
        self.sent.clear()


def body(text: str) -> ET.Element:
    element = ET.Element("body")
    element.text = text
    return element


def condition(stanza: Stanza) -> str:
    """Return the condition of an error stanza, empty for another one."""
    error = stanza.element().find(f"{{{ns.CLIENT}}}error")
    return split_name(error[0].tag)[1] if error is not None else ""


def item(stanza: Stanza) -> dict[str, str]:
    """Return the attributes of the `<item/>` of a presence."""
    found = stanza.element().find(f"{{{ns.MUC_USER}}}x/{{{ns.MUC_USER}}}item")
    assert found is not None
    return dict(found.attrib)


def codes(stanza: Stanza) -> set[str]:
    """Return the status codes that a stanza carries."""
    return {each.get("code", "") for each in stanza.element().iter(f"{{{ns.MUC_USER}}}status")}


def nickname(stanza: Stanza) -> str:
    return stanza.attributes["from"].partition("/")[2]
