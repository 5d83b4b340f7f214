"""Message carbons (XEP-0280)."""

import pytest

from tests.proxies.xmpp.im.lab import JULIET, ROMEO, Client, Lab

ENABLE = "<iq type='set' id='c'><enable xmlns='urn:xmpp:carbons:2'/></iq>"
DISABLE = "<iq type='set' id='c'><disable xmlns='urn:xmpp:carbons:2'/></iq>"
BODY = "<body>hi</body>"


def chat(to: str, content: str = BODY, kind: str = "chat") -> str:
    return f"<message to='{to}' type='{kind}' id='1'>{content}</message>"


def three(lab: Lab) -> tuple[Client, Client, Client]:
    """Romeo, and two clients of Juliet's of which the second wants copies."""
    romeo, juliet, tablet = lab.login(f"{ROMEO}/o"), lab.login(f"{JULIET}/b"), lab.login(f"{JULIET}/t")
    assert tablet.ask(ENABLE) == f"<iq type='result' id='c' to='{JULIET}/t'/>"
    juliet.received()
    return romeo, juliet, tablet


def test_what_one_client_gets_the_other_sees() -> None:
    romeo, juliet, tablet = three(Lab())
    romeo.send(chat(f"{JULIET}/b"))
    assert tablet.received() == [
        f"<message from='{JULIET}' to='{JULIET}/t' type='chat'><received xmlns='urn:xmpp:carbons:2'>"
        f"<forwarded xmlns='urn:xmpp:forward:0'><message xmlns=\"jabber:client\" to='{JULIET}/b' type='chat' id='1' "
        f"from='{ROMEO}/o'>{BODY}</message></forwarded></received></message>"
    ]
    assert len(juliet.received()) == 1


def test_what_one_client_sends_the_other_sees() -> None:
    romeo, juliet, tablet = three(Lab())
    juliet.send(chat(f"{ROMEO}/o"))
    assert tablet.received() == [
        f"<message from='{JULIET}' to='{JULIET}/t' type='chat'><sent xmlns='urn:xmpp:carbons:2'>"
        f"<forwarded xmlns='urn:xmpp:forward:0'><message xmlns=\"jabber:client\" to='{ROMEO}/o' type='chat' id='1' "
        f"from='{JULIET}/b'>{BODY}</message></forwarded></sent></message>"
    ]
    assert (len(romeo.received()), juliet.received()) == (1, [])


def test_a_client_does_not_see_its_own_messages_twice() -> None:
    romeo, juliet, tablet = three(Lab())
    juliet.send(ENABLE)
    juliet.received()
    tablet.send(chat(f"{ROMEO}/o"))
    romeo.send(chat(f"{JULIET}/t"))
    assert [BODY in each for each in juliet.received()] == [True, True]
    assert tablet.received() == [
        f"<message to='{JULIET}/t' type='chat' id='1' from='{ROMEO}/o'>{BODY}</message>"
    ]


def test_no_copies_after_disabling() -> None:
    romeo, juliet, tablet = three(Lab())
    tablet.ask(DISABLE)
    romeo.send(chat(f"{JULIET}/b"))
    juliet.send(chat(f"{ROMEO}/o"))
    assert tablet.received() == []


def test_no_copies_for_a_session_that_is_gone() -> None:
    romeo, juliet, tablet = three(Lab())
    tablet.leave()
    romeo.send(chat(f"{JULIET}/b"))
    assert (len(juliet.received()), tablet.received()) == (2, [])


def test_a_message_for_all_is_copied_only_to_who_did_not_get_it() -> None:
    romeo, _, tablet = three(Lab())
    romeo.send(chat(JULIET))
    assert "<received" not in "".join(tablet.received())
    tablet.send("<presence><priority>-1</priority></presence>")
    tablet.received()
    romeo.send(chat(JULIET))
    assert "<received" in "".join(tablet.received())


@pytest.mark.parametrize(
    ("kind", "content", "copied"),
    [
        ("chat", BODY, True),
        ("chat", "<received xmlns='urn:xmpp:receipts'/>", True),
        ("normal", BODY, True),
        ("normal", "<subject>hi</subject>", False),
        ("groupchat", BODY, False),
        ("headline", BODY, False),
        ("error", BODY, False),
        ("chat", f"{BODY}<private xmlns='urn:xmpp:carbons:2'/>", False),
        ("chat", f"{BODY}<no-copy xmlns='urn:xmpp:hints'/>", False),
        ("chat", f"{BODY}<x xmlns='http://jabber.org/protocol/muc#user'/>", False),
    ],
)
def test_what_is_copied(kind: str, content: str, copied: bool) -> None:
    romeo, juliet, tablet = three(Lab())
    romeo.send(chat(f"{JULIET}/b", content, kind))
    assert bool(tablet.received()) is copied
    assert len(juliet.received()) == 1


def test_a_private_message_loses_its_mark_on_delivery() -> None:
    romeo, juliet, _ = three(Lab())
    romeo.send(chat(f"{JULIET}/b", f"{BODY}<private xmlns='urn:xmpp:carbons:2'/>"))
    assert juliet.received() == [
        f"<message to='{JULIET}/b' type='chat' id='1' from='{ROMEO}/o'>{BODY}</message>"
    ]


def test_a_copy_of_a_message_to_another_node() -> None:
    lab = Lab()
    _, juliet, tablet = three(lab)
    juliet.send(chat("benvolio@mantua.example"))
    assert "<sent " in tablet.received()[0]
    assert lab.routed() == [
        f"<message to='benvolio@mantua.example' type='chat' id='1' from='{JULIET}/b'>{BODY}</message>"
    ]
