"""Messages in rooms (XEP-0045 7.4, 7.5, 7.8, 8.1)."""

from xml.etree import ElementTree as ET

import pytest

from proxies.xmpp import namespaces as ns
from proxies.xmpp.jid import Jid
from proxies.xmpp.muc.values import Affiliation
from proxies.xmpp.stanza import make_stanza
from tests.proxies.xmpp.muc.chat import ALICE, BOB, CAROL, DOMAIN, ROOM, Chat, body, condition, nickname

DAVE = "dave@lab.example"


def subject(text: str) -> ET.Element:
    element = ET.Element("subject")
    element.text = text
    return element


def invitation(*invitees: str, reason: str = "") -> ET.Element:
    x = ET.Element(f"{{{ns.MUC_USER}}}x")
    for each in invitees:
        invite = ET.SubElement(x, f"{{{ns.MUC_USER}}}invite", {"to": each})
        if reason:
            ET.SubElement(invite, f"{{{ns.MUC_USER}}}reason").text = reason
    return x


def refusal(inviter: str) -> ET.Element:
    x = ET.Element(f"{{{ns.MUC_USER}}}x")
    ET.SubElement(x, f"{{{ns.MUC_USER}}}decline", {"to": inviter})
    return x


def test_what_one_says_all_hear_under_the_nickname() -> None:
    chat = Chat()
    chat.open_room()
    chat.enter(BOB, "bob")
    (echo,) = chat.say(BOB, "hello", id="m1")
    assert echo.encode() == (
        b"<message from='lobby@conference.lab.example/bob' type='groupchat' id='m1' "
        b"to='bob@lab.example/phone'><body>hello</body></message>"
    )
    assert chat.taken(ALICE)[-1] == echo.with_attributes(to=ALICE)


def test_the_room_takes_out_what_only_it_may_say() -> None:
    chat = Chat()
    chat.open_room()
    forged = ET.Element(f"{{{ns.STANZA_ID}}}stanza-id", {"by": ROOM, "id": "forged"})
    (echo,) = chat.send("message", ALICE, ROOM, body("x"), forged, refusal(BOB), type="groupchat")
    assert echo.children == (("", "body"),)


def test_in_a_moderated_room_a_visitor_speaks_once_given_voice() -> None:
    chat = Chat()
    chat.open_room(moderatedroom="1")
    chat.enter(BOB, "bob")
    assert condition(chat.say(BOB, "may I?")[0]) == "forbidden"
    chat.admin(ALICE, nick="bob", role="participant")
    assert condition(chat.say(BOB, "now?")[0]) == ""


def test_a_private_message_reaches_one_occupant() -> None:
    chat = Chat()
    chat.open_room()
    chat.enter(BOB, "bob")
    chat.enter(CAROL, "carol")
    chat.sent.clear()
    assert chat.send("message", BOB, f"{ROOM}/alice", body("psst"), type="chat") == []
    (got,) = chat.taken(ALICE)
    assert (nickname(got), got.type, got.children) == ("bob", "chat", (("", "body"), (ns.MUC_USER, "x")))
    assert chat.sent == []


@pytest.mark.parametrize(
    ("sender", "to", "type_", "answer"),
    [
        (BOB, "nobody", "chat", "item-not-found"),
        (BOB, "alice", "groupchat", "bad-request"),
        (CAROL, "alice", "chat", "not-acceptable"),
        (BOB, "alice", "chat", None),
    ],
)
def test_a_private_message_is_between_occupants(sender: str, to: str, type_: str, answer: str | None) -> None:
    chat = Chat()
    chat.open_room()
    chat.enter(BOB, "bob")
    answers = chat.send("message", sender, f"{ROOM}/{to}", body("psst"), type=type_)
    assert [condition(each) for each in answers] == ([] if answer is None else [answer])


def test_a_moderator_sets_the_subject_and_others_where_the_room_allows_it() -> None:
    chat = Chat()
    chat.open_room()
    chat.enter(BOB, "bob")
    (told,) = chat.send("message", ALICE, ROOM, subject("tea"), type="groupchat", id="s1")
    assert told.encode() == (
        b"<message from='lobby@conference.lab.example/alice' type='groupchat' id='s1' "
        b"to='alice@lab.example/desk'><subject>tea</subject></message>"
    )
    assert condition(chat.send("message", BOB, ROOM, subject("beer"), type="groupchat")[0]) == "forbidden"
    chat.configure(changesubject="1")
    assert condition(chat.send("message", BOB, ROOM, subject("beer"), type="groupchat")[0]) == ""
    assert chat.enter(CAROL, "carol")[-1].element().findtext(f"{{{ns.CLIENT}}}subject") == "beer"


def test_a_message_with_a_subject_and_a_body_is_a_message() -> None:
    chat = Chat()
    chat.open_room()
    (echo,) = chat.send("message", ALICE, ROOM, subject("tea"), body("is ready"), type="groupchat")
    assert echo.children == (("", "subject"), ("", "body"))
    assert chat.enter(BOB, "bob")[-1].element().findtext(f"{{{ns.CLIENT}}}subject") == ""


def test_a_mediated_invitation_comes_from_the_room_with_its_password() -> None:
    chat = Chat()
    chat.open_room(passwordprotectedroom="1", roomsecret="cauldronburn")
    chat.send("message", ALICE, ROOM, invitation(DAVE, reason="tea"))
    (got,) = chat.taken(DAVE)
    assert got.encode() == (
        b"<message from='lobby@conference.lab.example' to='dave@lab.example'>"
        b'<x xmlns="http://jabber.org/protocol/muc#user"><invite from="alice@lab.example/desk">'
        b"<reason>tea</reason></invite><password>cauldronburn</password></x></message>"
    )


def test_an_invitation_makes_a_member_where_the_room_is_for_members() -> None:
    chat = Chat()
    chat.open_room(membersonly="1", persistentroom="1")
    chat.send("message", ALICE, ROOM, invitation(BOB.partition("/")[0]))
    assert chat.store.kept[Jid.parse(ROOM)].affiliations[Jid.parse(BOB).bare] is Affiliation.MEMBER
    assert chat.enter(BOB, "bob")[1].type == ""


@pytest.mark.parametrize("allowed", [True, False])
def test_whether_everybody_may_invite_is_configured(allowed: bool) -> None:
    chat = Chat()
    chat.open_room(allowinvites="1" if allowed else "0")
    chat.enter(BOB, "bob")
    answers = chat.send("message", BOB, ROOM, invitation(DAVE))
    assert [condition(each) for each in answers] == ([] if allowed else ["forbidden"])
    assert len(chat.taken(DAVE)) == allowed


def test_one_malformed_invitation_stops_them_all() -> None:
    chat = Chat()
    chat.open_room()
    (error,) = chat.send("message", ALICE, ROOM, invitation(DAVE, "@lab.example"))
    assert condition(error) == "jid-malformed"
    assert chat.taken(DAVE) == []


def test_an_invitation_is_declined_to_the_inviter_and_to_nobody_else() -> None:
    chat = Chat()
    chat.open_room()
    assert chat.send("message", DAVE, ROOM, refusal(ALICE)) == []
    (told,) = chat.taken(ALICE)
    decline = told.element().find(f"{{{ns.MUC_USER}}}x/{{{ns.MUC_USER}}}decline")
    assert decline is not None
    assert decline.get("from") == DAVE
    assert condition(chat.send("message", DAVE, ROOM, refusal(CAROL))[0]) == "item-not-found"
    assert chat.taken(CAROL) == []


def test_a_message_for_no_room_or_of_no_use_is_refused() -> None:
    chat = Chat()
    chat.open_room()
    assert condition(chat.send("message", ALICE, ROOM, body("x"), type="chat")[0]) == "bad-request"
    (error,) = chat.send("message", ALICE, f"other@{DOMAIN}", body("x"), type="groupchat")
    assert condition(error) == "item-not-found"
    assert chat.send("message", ALICE, f"other@{DOMAIN}", body("x"), type="error") == []
    chat.service.receive(make_stanza("message", {"to": ROOM, "type": "groupchat"}, [body("x")]))
    assert chat.sent == []
