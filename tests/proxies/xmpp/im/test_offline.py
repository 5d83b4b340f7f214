"""Messages for users who are not available (XEP-0160)."""

import pytest

from proxies.xmpp.jid import Jid
from tests.proxies.xmpp.im.lab import JULIET, ROMEO, Lab

HELLO = f"<message to='{JULIET}' type='chat' id='1'><body>hi</body></message>"
KEPT = (
    f"<message to='{JULIET}' type='chat' id='1' from='{ROMEO}/o'><body>hi</body>"
    '<delay xmlns="urn:xmpp:delay" from="verona.example" stamp="2026-01-01T00:00:00Z"/></message>'
)


def test_a_kept_message_comes_with_its_delay_and_once() -> None:
    lab = Lab()
    romeo = lab.login(f"{ROMEO}/o")
    romeo.send(HELLO)
    lab.clock.advance(3600)
    juliet = lab.connect(f"{JULIET}/b")
    juliet.send("<presence/>")
    assert juliet.received() == [f"<presence from='{JULIET}/b' to='{JULIET}'/>", KEPT]
    assert lab.login(f"{JULIET}/c").received() == []
    assert lab.store.offline_messages(Jid.parse(JULIET)) == []


def test_a_resource_with_a_negative_priority_gets_them_when_it_rises() -> None:
    lab = Lab()
    lab.login(f"{ROMEO}/o").send(HELLO)
    juliet = lab.login(f"{JULIET}/b", -1)
    assert lab.store.offline_messages(Jid.parse(JULIET))
    juliet.send("<presence><priority>1</priority></presence>")
    assert KEPT in juliet.received()


@pytest.mark.parametrize(
    "child",
    ["<no-store xmlns='urn:xmpp:hints'/>", "<no-permanent-store xmlns='urn:xmpp:hints'/>"],
)
def test_a_message_that_asks_not_to_be_stored_comes_back(child: str) -> None:
    lab = Lab()
    romeo = lab.login(f"{ROMEO}/o")
    romeo.send(f"<message to='{JULIET}' type='chat' id='1'><body>hi</body>{child}</message>")
    assert "<service-unavailable" in romeo.received()[0]
    assert lab.store.offline_messages(Jid.parse(JULIET)) == []


@pytest.mark.parametrize(
    ("content", "kept"),
    [
        ("<composing xmlns='http://jabber.org/protocol/chatstates'/>", 0),
        ("<composing xmlns='http://jabber.org/protocol/chatstates'/><thread>t</thread>", 0),
        ("<composing xmlns='http://jabber.org/protocol/chatstates'/><body>hi</body>", 1),
        ("<received xmlns='urn:xmpp:receipts' id='0'/>", 1),
    ],
)
def test_chat_states_alone_are_forgotten(content: str, kept: int) -> None:
    lab = Lab()
    romeo = lab.login(f"{ROMEO}/o")
    romeo.send(f"<message to='{JULIET}' type='chat' id='1'>{content}</message>")
    assert romeo.received() == []
    assert len(lab.store.offline_messages(Jid.parse(JULIET))) == kept


def test_storage_is_bounded() -> None:
    lab = Lab(maximum_offline_messages=2)
    romeo = lab.login(f"{ROMEO}/o")
    for _ in range(3):
        romeo.send(HELLO)
    assert len(lab.store.offline_messages(Jid.parse(JULIET))) == 2
    assert romeo.received() == [
        f"<message type='error' id='1' to='{ROMEO}/o' from='{JULIET}'>"
        '<error type="cancel"><service-unavailable xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error></message>'
    ]
