"""Roles, affiliations, configuration and the end of rooms (XEP-0045 8 to 10), discovery (6), self-ping (XEP-0410)."""

import itertools
from xml.etree import ElementTree as ET

import pytest

from certs.errors import LocalProtocolError, RemoteProtocolError
from proxies.xmpp import namespaces as ns
from proxies.xmpp.muc.privileges import check_affiliation_change, check_role_change
from proxies.xmpp.muc.room import TRANSITIONS, RoomEvent, RoomState
from proxies.xmpp.muc.values import Affiliation, Role
from tests.proxies.xmpp.muc.chat import (
    ALICE,
    BOB,
    CAROL,
    DOMAIN,
    ROOM,
    ROOMCONFIG,
    Chat,
    codes,
    condition,
    item,
    nickname,
)


def room_of_three(**fields: str) -> Chat:
    """Alice owns the room, bob and carol are in it."""
    chat = Chat()
    chat.open_room(**fields)
    chat.enter(BOB, "bob")
    chat.enter(CAROL, "carol")
    chat.sent.clear()
    return chat


def query(namespace: str, *children: ET.Element) -> ET.Element:
    element = ET.Element(f"{{{namespace}}}query")
    element.extend(children)
    return element


def test_a_kick_is_seen_with_its_reason_and_its_actor() -> None:
    chat = room_of_three()
    assert chat.admin(ALICE, nick="bob", role="none", reason="noise").type == "result"
    (own,) = chat.taken(BOB)
    assert own.encode() == (
        b"<presence from='lobby@conference.lab.example/bob' type='unavailable' to='bob@lab.example/phone'>"
        b'<x xmlns="http://jabber.org/protocol/muc#user">'
        b'<item affiliation="none" role="none" jid="bob@lab.example/phone"><actor nick="alice"/>'
        b'<reason>noise</reason></item><status code="307"/><status code="110"/></x></presence>'
    )
    assert [codes(each) for each in chat.taken(CAROL)] == [{"307"}]
    assert chat.enter(BOB, "bob")[-2].type == ""


def test_a_ban_removes_and_keeps_out_until_it_is_lifted() -> None:
    chat = room_of_three()
    chat.admin(ALICE, jid="bob@lab.example", affiliation="outcast")
    assert codes(chat.taken(BOB)[0]) == {"301", "110"}
    assert condition(chat.enter(BOB, "bob")[0]) == "forbidden"
    (listed,) = chat.admin(ALICE, "get", affiliation="outcast").element()[0]
    assert listed.attrib == {"affiliation": "outcast", "jid": "bob@lab.example"}
    chat.admin(ALICE, jid="bob@lab.example", affiliation="none")
    assert chat.enter(BOB, "bob")[-2].type == ""


def test_an_admin_is_a_moderator_and_stops_being_one() -> None:
    chat = room_of_three()
    chat.admin(ALICE, jid="bob@lab.example", affiliation="admin")
    assert item(chat.taken(BOB)[0]) == {"affiliation": "admin", "role": "moderator", "jid": BOB}
    assert chat.admin(BOB, nick="carol", role="none").type == "result"
    chat.admin(ALICE, jid="bob@lab.example", affiliation="none")
    assert item(chat.taken(BOB)[-1])["role"] == "participant"
    assert condition(chat.admin(BOB, nick="alice", role="none")) == "forbidden"


def test_a_member_of_a_moderated_room_has_voice() -> None:
    chat = room_of_three(moderatedroom="1")
    chat.admin(ALICE, nick="bob", affiliation="member")
    assert item(chat.taken(BOB)[0])["role"] == "participant"
    assert condition(chat.say(BOB, "thanks")[0]) == ""


def test_a_room_keeps_an_owner() -> None:
    chat = room_of_three()
    assert condition(chat.admin(ALICE, jid="alice@lab.example", affiliation="member")) == "conflict"
    assert condition(chat.admin(ALICE, jid="alice@lab.example", affiliation="outcast")) == "conflict"
    chat.admin(ALICE, jid="bob@lab.example", affiliation="owner")
    assert chat.admin(ALICE, jid="alice@lab.example", affiliation="member").type == "result"


def test_all_changes_of_a_request_are_made_or_none() -> None:
    chat = room_of_three()
    chat.admin(ALICE, jid="bob@lab.example", affiliation="admin")
    chat.sent.clear()
    changes = [
        ET.Element(f"{{{ns.MUC_ADMIN}}}item", {"nick": "carol", "role": "none"}),
        ET.Element(f"{{{ns.MUC_ADMIN}}}item", {"jid": "alice@lab.example", "affiliation": "none"}),
    ]
    assert condition(chat.iq(BOB, ROOM, query(ns.MUC_ADMIN, *changes), "set")) == "not-allowed"
    assert chat.taken(CAROL) == []
    assert chat.iq(BOB, ROOM, query(ns.MUC_ADMIN, changes[0]), "set").type == "result"


@pytest.mark.parametrize(
    ("attributes", "answer"),
    [
        ({"nick": "nobody", "role": "none"}, "item-not-found"),
        ({"nick": "bob", "role": "king"}, "bad-request"),
        ({"jid": "bob@lab.example", "affiliation": "king"}, "bad-request"),
        ({"jid": "@lab.example", "affiliation": "member"}, "jid-malformed"),
        ({"affiliation": "member"}, "bad-request"),
        ({}, "bad-request"),
    ],
)
def test_a_change_that_makes_no_sense_is_refused(attributes: dict[str, str], answer: str) -> None:
    assert condition(room_of_three().admin(ALICE, **attributes)) == answer


def test_affiliations_change_as_the_document_says() -> None:
    refused = {
        change
        for change in itertools.product(Affiliation, repeat=3)
        if _refuses(lambda change=change: check_affiliation_change(*change))
    }
    below = {Affiliation.MEMBER, Affiliation.NONE, Affiliation.OUTCAST}
    allowed = set(itertools.product(Affiliation, repeat=3)) - refused
    assert {each for each in allowed if each[0] is Affiliation.ADMIN} == set(
        itertools.product([Affiliation.ADMIN], below, below)
    )
    assert {each[0] for each in allowed} == {Affiliation.OWNER, Affiliation.ADMIN}


def _refuses(check: object) -> bool:
    assert callable(check)
    try:
        check()
    except RemoteProtocolError:
        return True
    return False


@pytest.mark.parametrize(
    ("actor", "target", "new", "answer"),
    [
        ((Role.MODERATOR, Affiliation.NONE), (Role.PARTICIPANT, Affiliation.NONE), Role.NONE, ""),
        ((Role.PARTICIPANT, Affiliation.NONE), (Role.PARTICIPANT, Affiliation.NONE), Role.NONE, "forbidden"),
        ((Role.MODERATOR, Affiliation.NONE), (Role.MODERATOR, Affiliation.ADMIN), Role.NONE, "not-allowed"),
        ((Role.MODERATOR, Affiliation.ADMIN), (Role.MODERATOR, Affiliation.ADMIN), Role.NONE, ""),
        ((Role.MODERATOR, Affiliation.NONE), (Role.VISITOR, Affiliation.NONE), Role.PARTICIPANT, ""),
        (
            (Role.MODERATOR, Affiliation.NONE),
            (Role.VISITOR, Affiliation.NONE),
            Role.MODERATOR,
            "not-allowed",
        ),
        ((Role.MODERATOR, Affiliation.ADMIN), (Role.VISITOR, Affiliation.NONE), Role.MODERATOR, ""),
        (
            (Role.MODERATOR, Affiliation.OWNER),
            (Role.MODERATOR, Affiliation.ADMIN),
            Role.VISITOR,
            "not-allowed",
        ),
        ((Role.MODERATOR, Affiliation.OWNER), (Role.MODERATOR, Affiliation.NONE), Role.VISITOR, ""),
    ],
)
def test_roles_change_as_the_document_says(
    actor: tuple[Role, Affiliation], target: tuple[Role, Affiliation], new: Role, answer: str
) -> None:
    if not answer:
        check_role_change(actor, target, new)
        return
    with pytest.raises(RemoteProtocolError) as refusal:
        check_role_change(actor, target, new)
    assert refusal.value.reply == answer


def test_lists_are_for_those_who_run_the_room() -> None:
    chat = room_of_three()
    assert condition(chat.admin(BOB, "get", affiliation="owner")) == "forbidden"
    assert condition(chat.admin(BOB, "get", role="participant")) == "forbidden"
    listed = chat.admin(ALICE, "get", role="participant").element()[0]
    assert [each.get("nick") for each in listed] == ["bob", "carol"]


def test_members_of_a_private_room_may_list_each_other() -> None:
    chat = Chat()
    chat.open_room(membersonly="1", whois="anyone")
    chat.admin(ALICE, jid="bob@lab.example", affiliation="member")
    assert chat.admin(BOB, "get", affiliation="member").type == "result"
    assert condition(chat.admin(BOB, "get", affiliation="outcast")) == "forbidden"
    assert condition(chat.admin(CAROL, "get", affiliation="member")) == "forbidden"


# Configuration


def test_the_owner_is_shown_the_configuration_and_others_are_not() -> None:
    chat = room_of_three(roomname="The Lobby", whois="anyone")
    form = chat.iq(ALICE, ROOM, query(ns.MUC_OWNER)).element()[0][0]
    values = {
        field.get("var"): [each.text for each in field.iter(f"{{{ns.DATA_FORMS}}}value")] for field in form
    }
    assert values["FORM_TYPE"] == [ROOMCONFIG]
    assert values["muc#roomconfig_roomname"] == ["The Lobby"]
    assert values["muc#roomconfig_whois"][0] == "anyone"
    assert condition(chat.iq(BOB, ROOM, query(ns.MUC_OWNER))) == "forbidden"


def test_an_instant_room_takes_the_defaults() -> None:
    chat = Chat()
    chat.enter(ALICE, "alice")
    form = ET.Element(f"{{{ns.DATA_FORMS}}}x", {"type": "submit"})
    assert chat.iq(ALICE, ROOM, query(ns.MUC_OWNER, form), "set").type == "result"
    assert chat.enter(BOB, "bob")[1].type == ""


def test_a_cancelled_first_configuration_is_the_end_of_the_room() -> None:
    chat = Chat()
    chat.enter(ALICE, "alice")
    form = ET.Element(f"{{{ns.DATA_FORMS}}}x", {"type": "cancel"})
    assert chat.iq(ALICE, ROOM, query(ns.MUC_OWNER, form), "set").type == "result"
    assert "201" in codes(chat.enter(BOB, "bob")[0])


@pytest.mark.parametrize(
    ("fields", "answer"),
    [
        ({"whois": "nobody"}, "not-acceptable"),
        ({"maxusers": "many"}, "not-acceptable"),
        ({"membersonly": "perhaps"}, "bad-request"),
        ({"passwordprotectedroom": "1"}, "not-acceptable"),
        ({"roomname": "x" * 1025}, "not-acceptable"),
        ({"roomname": "x" * 1024}, ""),
    ],
)
def test_a_configuration_that_cannot_be_is_refused(fields: dict[str, str], answer: str) -> None:
    chat = room_of_three()
    assert condition(chat.configure(**fields)) == answer
    assert len(chat.taken(BOB)) == (not answer)


def test_occupants_learn_of_a_new_configuration() -> None:
    chat = room_of_three()
    chat.configure(whois="anyone")
    assert [codes(each) for each in chat.taken(BOB)] == [{"104", "172"}]
    chat.configure(whois="moderators", roomname="x")
    assert [codes(each) for each in chat.taken(BOB)] == [{"104", "173"}]


def test_a_room_that_becomes_members_only_loses_the_others() -> None:
    chat = room_of_three()
    chat.admin(ALICE, jid="bob@lab.example", affiliation="member")
    chat.sent.clear()
    chat.configure(membersonly="1")
    assert codes(chat.taken(CAROL)[-1]) == {"322", "110"}
    assert [codes(each) for each in chat.taken(BOB)] == [{"104"}, {"322"}]


def test_a_member_who_is_none_any_more_leaves_a_members_only_room() -> None:
    chat = Chat()
    chat.open_room(membersonly="1")
    chat.admin(ALICE, jid="bob@lab.example", affiliation="member")
    chat.enter(BOB, "bob")
    chat.admin(ALICE, jid="bob@lab.example", affiliation="none")
    assert codes(chat.taken(BOB)[-1]) == {"321", "110"}


def test_a_destroyed_room_says_where_to_go() -> None:
    chat = room_of_three(persistentroom="1")
    destroy = ET.Element(f"{{{ns.MUC_OWNER}}}destroy", {"jid": f"other@{DOMAIN}"})
    ET.SubElement(destroy, f"{{{ns.MUC_OWNER}}}reason").text = "moved"
    assert condition(chat.iq(BOB, ROOM, query(ns.MUC_OWNER, destroy), "set")) == "forbidden"
    assert chat.iq(ALICE, ROOM, query(ns.MUC_OWNER, destroy), "set").type == "result"
    (end,) = chat.taken(BOB)
    assert end.encode() == (
        b"<presence from='lobby@conference.lab.example/bob' type='unavailable' to='bob@lab.example/phone'>"
        b'<x xmlns="http://jabber.org/protocol/muc#user">'
        b'<item affiliation="none" role="none" jid="bob@lab.example/phone"/>'
        b'<destroy jid="other@conference.lab.example"><reason>moved</reason></destroy>'
        b'<status code="110"/></x></presence>'
    )
    assert chat.store.kept == {}
    assert condition(chat.say(BOB, "anyone?")[0]) == "item-not-found"


def test_a_room_goes_only_where_the_table_says() -> None:
    chat = room_of_three()
    (room,) = chat.service._rooms.values()
    room.move(RoomEvent.DESTROYED)
    for event in RoomEvent:
        assert (RoomState.DESTROYED, event) not in TRANSITIONS
        with pytest.raises(LocalProtocolError, match=f"{event.name} is not allowed in DESTROYED"):
            room.move(event)


# Discovery, ping, vCard


def test_the_service_lists_public_rooms_only() -> None:
    chat = room_of_three(roomname="The Lobby")
    info = chat.iq(BOB, DOMAIN, query(ns.DISCO_INFO)).element()[0]
    assert info[0].attrib == {"category": "conference", "type": "text", "name": "Text Conferencing"}
    assert ns.MUC in {each.get("var") for each in info}
    items = chat.iq(BOB, DOMAIN, query(ns.DISCO_ITEMS)).element()[0]
    assert [each.attrib for each in items] == [{"jid": ROOM, "name": "The Lobby"}]
    chat.configure(publicroom="0")
    assert len(chat.iq(BOB, DOMAIN, query(ns.DISCO_ITEMS)).element()[0]) == 0


def test_a_room_says_what_it_is_like() -> None:
    chat = room_of_three(membersonly="0", persistentroom="1")
    info = chat.iq(BOB, ROOM, query(ns.DISCO_INFO)).element()[0]
    features = {each.get("var") for each in info}
    assert {"muc_open", "muc_persistent", "muc_public", "muc_unsecured", "muc_semianonymous"} <= features
    occupants = [each.get("jid") for each in chat.iq(BOB, ROOM, query(ns.DISCO_ITEMS)).element()[0]]
    assert occupants == [f"{ROOM}/alice", f"{ROOM}/bob", f"{ROOM}/carol"]
    assert len(chat.iq("dave@lab.example/x", ROOM, query(ns.DISCO_ITEMS)).element()[0]) == 0


def test_a_ping_of_oneself_tells_whether_one_is_inside() -> None:
    chat = room_of_three()
    ping = ET.Element(f"{{{ns.PING}}}ping")
    assert chat.iq(BOB, f"{ROOM}/bob", ping).type == "result"
    chat.leave(BOB, "bob")
    assert condition(chat.iq(BOB, f"{ROOM}/bob", ping)) == "not-acceptable"


def test_a_request_goes_to_another_occupant_and_its_answer_comes_back() -> None:
    chat = room_of_three()
    vcard = ET.Element(f"{{{ns.VCARD}}}vCard")
    assert chat.send("iq", BOB, f"{ROOM}/carol", vcard, type="get", id="v1") == []
    (asked,) = chat.taken("carol@lab.example")
    assert nickname(asked) == "bob"
    chat.service.receive(asked.reply(vcard))
    (answer,) = chat.taken(BOB)
    assert (nickname(answer), answer.type, answer.id) == ("carol", "result", "v1")


def test_what_nobody_answers_is_unavailable() -> None:
    chat = room_of_three()
    strange = ET.Element("{urn:example:strange}query")
    assert condition(chat.iq(BOB, DOMAIN, strange)) == "service-unavailable"
    assert condition(chat.iq(BOB, ROOM, strange)) == "service-unavailable"
    assert condition(chat.iq(BOB, f"none@{DOMAIN}", strange)) == "item-not-found"
