"""Entering and leaving rooms (XEP-0045 7.2, 7.6, 7.14, 10.1)."""

from datetime import timedelta
from xml.etree import ElementTree as ET

import pytest

from proxies.xmpp import namespaces as ns
from proxies.xmpp.conditions import StanzaErrorCondition
from proxies.xmpp.muc.values import MucSettings
from proxies.xmpp.stamps import format_stamp
from proxies.xmpp.stanza import Stanza
from tests.proxies.xmpp.muc.chat import (
    ALICE,
    BOB,
    CAROL,
    DOMAIN,
    ROOM,
    Chat,
    MemoryRoomStore,
    codes,
    condition,
    item,
    nickname,
)


def history(**attributes: str) -> ET.Element:
    return ET.Element(f"{{{ns.MUC}}}history", attributes)


def bodies(stanzas: list[Stanza]) -> list[str | None]:
    return [each.element().findtext(f"{{{ns.CLIENT}}}body") for each in stanzas if each.has_child("", "body")]


def test_the_first_to_enter_makes_the_room_and_owns_it() -> None:
    chat = Chat()
    presence, subject = chat.enter(ALICE, "alice")
    assert presence.encode() == (
        b"<presence from='lobby@conference.lab.example/alice' to='alice@lab.example/desk'>"
        b'<x xmlns="http://jabber.org/protocol/muc#user">'
        b'<item affiliation="owner" role="moderator" jid="alice@lab.example/desk"/>'
        b'<status code="201"/><status code="110"/></x></presence>'
    )
    assert subject.encode() == (
        b"<message from='lobby@conference.lab.example' type='groupchat' to='alice@lab.example/desk'>"
        b"<subject/></message>"
    )


def test_a_new_room_is_locked_until_its_owner_accepts_a_configuration() -> None:
    chat = Chat()
    chat.enter(ALICE, "alice")
    assert condition(chat.enter(BOB, "bob")[0]) == "item-not-found"
    chat.configure()
    assert nickname(chat.enter(BOB, "bob")[-2]) == "bob"


def test_a_newcomer_sees_the_others_then_itself_then_the_subject() -> None:
    chat = Chat()
    chat.open_room()
    others, own, subject = chat.enter(BOB, "bob")
    assert (nickname(others), item(others)) == ("alice", {"affiliation": "owner", "role": "moderator"})
    assert (nickname(own), codes(own)) == ("bob", {"110"})
    assert subject.has_child("", "subject")
    (seen,) = chat.taken(ALICE)
    assert item(seen) == {"affiliation": "none", "role": "participant", "jid": BOB}


def test_only_moderators_see_addresses_unless_the_room_is_non_anonymous() -> None:
    chat = Chat()
    chat.open_room(whois="anyone")
    chat.enter(BOB, "bob")
    others = chat.enter(CAROL, "carol")
    assert {item(each)["jid"] for each in others[:2]} == {ALICE, BOB}
    assert codes(others[2]) == {"100", "110"}


def test_what_a_client_says_in_its_presence_is_shown_but_not_what_only_the_room_may_say() -> None:
    chat = Chat()
    chat.open_room()
    chat.enter(BOB, "bob")
    forged = ET.Element(f"{{{ns.MUC_USER}}}x")
    ET.SubElement(forged, f"{{{ns.MUC_USER}}}item", {"affiliation": "owner", "role": "moderator"})
    show = ET.Element("show")
    show.text = "away"
    chat.send("presence", BOB, f"{ROOM}/bob", show, forged)
    (seen,) = [each for each in chat.taken(ALICE) if each.has_child("", "show")]
    assert seen.children == (("", "show"), (ns.MUC_USER, "x"))
    assert item(seen)["affiliation"] == "none"


@pytest.mark.parametrize(
    ("fields", "nick", "refusal"),
    [
        ({"membersonly": "1"}, "bob", "registration-required"),
        ({"maxusers": "1"}, "bob", "service-unavailable"),
        ({"passwordprotectedroom": "1", "roomsecret": "cauldronburn"}, "bob", "not-authorized"),
        ({}, "alice", "conflict"),
    ],
)
def test_who_may_not_enter_is_told_why(fields: dict[str, str], nick: str, refusal: str) -> None:
    chat = Chat()
    chat.open_room(**fields)
    (error,) = chat.enter(BOB, nick)
    assert condition(error) == refusal
    assert chat.taken(ALICE) == []
    chat.configure(membersonly="0", maxusers="2", passwordprotectedroom="0")
    assert chat.enter(BOB, "bob")[1].type == ""


def test_the_password_opens_the_room() -> None:
    chat = Chat()
    chat.open_room(passwordprotectedroom="1", roomsecret="cauldronburn")
    assert condition(chat.enter(BOB, "bob", password="wrong")[0]) == "not-authorized"
    assert chat.enter(BOB, "bob", password="cauldronburn")[1].type == ""


def test_entering_without_a_nickname_is_malformed() -> None:
    chat = Chat()
    chat.open_room()
    (error,) = chat.send("presence", BOB, ROOM, ET.Element(f"{{{ns.MUC}}}x"))
    assert condition(error) == "jid-malformed"


def test_a_client_that_believes_to_be_inside_is_told_that_it_is_not() -> None:
    chat = Chat()
    chat.open_room()
    assert condition(chat.send("presence", BOB, f"{ROOM}/bob")[0]) == "not-acceptable"
    assert condition(chat.send("presence", BOB, f"other@{DOMAIN}/bob")[0]) == "item-not-found"


def test_a_nickname_that_the_service_prepared_is_announced() -> None:
    chat = Chat()
    chat.open_room()
    own = chat.enter(BOB, "bo\u00a0b")[1]  # a no-break space becomes a space (RFC 8265 4.2)
    assert (nickname(own), codes(own)) == ("bo b", {"210", "110"})


def test_entering_again_shows_everything_again() -> None:
    chat = Chat()
    chat.enter(ALICE, "alice")
    own, subject = chat.enter(ALICE, "alice")
    assert codes(own) == {"110"}
    assert subject.has_child("", "subject")


def test_a_change_of_nickname_is_seen_as_one() -> None:
    chat = Chat()
    chat.open_room()
    chat.enter(BOB, "bob")
    chat.taken(ALICE)
    gone, come = chat.send("presence", BOB, f"{ROOM}/robert")
    assert (gone.type, nickname(gone), item(gone)["nick"]) == ("unavailable", "bob", "robert")
    assert codes(gone) == {"303", "110"}
    assert (come.type, nickname(come), codes(come)) == ("", "robert", {"110"})
    assert [codes(each) for each in chat.taken(ALICE)] == [{"303"}, set()]


def test_a_nickname_in_use_stays_its_owners() -> None:
    chat = Chat()
    chat.open_room()
    chat.enter(BOB, "bob")
    (error,) = chat.send("presence", BOB, f"{ROOM}/alice")
    assert condition(error) == "conflict"


def test_leaving_is_seen_by_all_and_by_oneself() -> None:
    chat = Chat()
    chat.open_room()
    chat.enter(BOB, "bob")
    chat.taken(ALICE)
    (own,) = chat.leave(BOB, "bob")
    assert (own.type, item(own)["role"], codes(own)) == ("unavailable", "none", {"110"})
    (seen,) = chat.taken(ALICE)
    assert (seen.type, nickname(seen), codes(seen)) == ("unavailable", "bob", set())
    assert condition(chat.say(BOB, "still here?")[0]) == "not-acceptable"


def test_an_occupant_whose_client_cannot_be_reached_is_removed() -> None:
    chat = Chat()
    chat.open_room()
    chat.enter(BOB, "bob")
    chat.say(ALICE, "hello")
    (message,) = [each for each in chat.taken(BOB) if each.has_child("", "body")]
    chat.taken(ALICE)
    chat.service.receive(message.error(StanzaErrorCondition.NOT_ACCEPTABLE))
    assert [(each.type, nickname(each)) for each in chat.taken(ALICE)] == [("error", "bob")]
    chat.service.receive(message.error(StanzaErrorCondition.RECIPIENT_UNAVAILABLE))
    assert [codes(each) for each in chat.taken(ALICE)] == [{"307", "333"}]


def test_a_presence_that_bounces_removes_the_occupant() -> None:
    chat = Chat()
    chat.open_room()
    own = chat.enter(BOB, "bob")[1]
    chat.taken(ALICE)
    chat.service.receive(own.error(StanzaErrorCondition.SERVICE_UNAVAILABLE))
    assert [each.type for each in chat.taken(ALICE)] == ["unavailable"]


def test_history_is_as_long_as_the_settings_say() -> None:
    chat = Chat(MucSettings(domain=DOMAIN, history_length=2))
    chat.open_room()
    for text in ("one", "two", "three"):
        chat.say(ALICE, text)
    shown = chat.enter(BOB, "bob")
    assert bodies(shown) == ["two", "three"]
    assert shown[2].encode() == (
        b"<message from='lobby@conference.lab.example/alice' type='groupchat' to='bob@lab.example/phone'>"
        b'<body>two</body><delay xmlns="urn:xmpp:delay" from="lobby@conference.lab.example" '
        b'stamp="2026-01-01T00:00:00.000Z"/></message>'
    )


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        ({}, ["one", "two", "three"]),
        ({"maxstanzas": "1"}, ["three"]),
        ({"maxstanzas": "0"}, []),
        ({"maxchars": "0"}, []),
        ({"seconds": "90"}, ["two", "three"]),
        ({"since": "2026-01-01T00:01:30Z"}, ["three"]),
    ],
)
def test_a_client_says_how_much_history_it_wants(asked: dict[str, str], shown: list[str]) -> None:
    chat = Chat()
    chat.open_room()
    for text in ("one", "two", "three"):
        chat.say(ALICE, text)
        chat.clock.advance(60)
    chat.clock.advance(-30)
    assert bodies(chat.enter(BOB, "bob", history(**asked))) == shown


@pytest.mark.parametrize("asked", [{"maxstanzas": "-1"}, {"seconds": "soon"}, {"since": "2026-01-01"}])
def test_a_limit_that_is_none_is_refused_before_anything_is_shown(asked: dict[str, str]) -> None:
    chat = Chat()
    chat.open_room()
    assert [condition(each) for each in chat.enter(BOB, "bob", history(**asked))] == ["bad-request"]
    assert chat.taken(ALICE) == []


def test_a_temporary_room_ends_with_its_last_occupant_and_a_persistent_one_does_not() -> None:
    chat = Chat()
    chat.open_room()
    chat.leave(ALICE, "alice")
    assert "201" in codes(chat.enter(BOB, "bob")[0])
    chat.leave(BOB, "bob")
    chat.open_room(persistentroom="1")
    chat.leave(ALICE, "alice")
    assert codes(chat.enter(BOB, "bob")[0]) == {"110"}


def test_a_persistent_room_survives_a_restart_of_the_service() -> None:
    store = MemoryRoomStore()
    chat = Chat(store=store)
    chat.open_room(persistentroom="1", membersonly="1", roomname="The Lobby")
    chat.admin(ALICE, affiliation="member", jid="bob@lab.example")
    subject = ET.Element("subject")
    subject.text = "restarts"
    chat.send("message", ALICE, ROOM, subject, type="groupchat")
    chat.service.close()
    assert [codes(each) for each in chat.taken(ALICE)] == [{"332", "110"}]
    chat = Chat(store=store)
    assert condition(chat.enter(CAROL, "carol")[0]) == "registration-required"
    own, told = chat.enter(BOB, "bob")
    assert item(own)["affiliation"] == "member"
    assert told.element().findtext(f"{{{ns.CLIENT}}}subject") == "restarts"
    assert format_stamp(chat.clock.now() + timedelta(0)) in told.encode().decode()


def test_the_service_has_so_many_rooms() -> None:
    chat = Chat(MucSettings(domain=DOMAIN, maximum_rooms=1))
    chat.open_room()
    (error,) = chat.enter(BOB, "bob", room=f"second@{DOMAIN}")
    assert condition(error) == "resource-constraint"
    chat.leave(ALICE, "alice")
    assert "201" in codes(chat.enter(BOB, "bob", room=f"second@{DOMAIN}")[0])


def test_what_comes_back_while_the_room_is_speaking_keeps_everybodys_order() -> None:
    chat = Chat()
    seen: list[Stanza] = []

    def route(stanza: Stanza) -> None:
        seen.append(stanza)
        if stanza.attributes["to"] == BOB and stanza.has_child("", "body"):
            chat.service.receive(stanza.error(StanzaErrorCondition.RECIPIENT_UNAVAILABLE))

    chat.open_room()
    chat.enter(BOB, "bob")
    chat.enter(CAROL, "carol")
    chat.service._route = route
    chat.say(ALICE, "hello")
    for client in (ALICE, CAROL):
        got = [each for each in seen if each.attributes["to"] == client]
        assert [each.kind for each in got] == ["message", "presence"]
