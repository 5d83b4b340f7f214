"""Text conferences (XEP-0045), with slixmpp: rooms of one node with occupants of both."""

import pytest
from slixmpp import JID
from slixmpp.exceptions import PresenceError

from harness.actors.xmpp import XmppClient
from tests.integration.xmpp_features.verona import ALICE, Verona, events, next_of

MUC = "xep_0045"
ROOM = JID("balcony@conference-1-imp.lab.example")


async def enter(client: XmppClient, nick: str) -> None:
    await client.plugin["xep_0045"].join_muc_wait(ROOM, nick, timeout=8)


async def open_room(client: XmppClient, **fields: str) -> None:
    """Enter a room that is made by that, and configure it."""
    await enter(client, "owner")
    form = client.plugin["xep_0004"].make_form(ftype="submit")
    form.add_field("FORM_TYPE", "hidden", value="http://jabber.org/protocol/muc#roomconfig")
    for name, value in fields.items():
        form.add_field(f"muc#roomconfig_{name}", value=value)
    await client.plugin["xep_0045"].set_room_config(ROOM, form)


async def test_occupants_of_two_nodes_talk(verona: Verona) -> None:
    alice, bob = await verona.log_in("alice", "desk", MUC), await verona.log_in("bob", "desk", MUC)
    await open_room(alice)
    await enter(bob, "bob")
    heard = events(alice, "groupchat_message")
    bob.send_message(mto=ROOM, mbody="hello", mtype="groupchat")
    message = await next_of(heard)
    assert (message["body"], message["from"].resource) == ("hello", "bob")
    gone = events(alice, f"muc::{ROOM}::got_offline")
    bob.plugin["xep_0045"].leave_muc(ROOM, "bob")
    assert (await next_of(gone))["from"].resource == "bob"


async def test_a_persistent_room_outlives_a_restart_with_its_owner_and_subject(verona: Verona) -> None:
    alice = await verona.log_in("alice", "desk", "xep_0045")
    await open_room(alice, persistentroom="1", roomname="The balcony")
    subject = events(alice, "groupchat_subject")
    alice.plugin["xep_0045"].set_subject(ROOM, "Star-crossed")
    assert (await next_of(subject))["subject"] == "Star-crossed"
    await verona.restart_nodes()
    bob = await verona.log_in("bob", "desk", "xep_0045")
    subject = events(bob, "groupchat_subject")
    await enter(bob, "bob")
    assert (await next_of(subject))["subject"] == "Star-crossed"
    alice = await verona.log_in("alice", "desk", "xep_0045")
    owners = await alice.plugin["xep_0045"].get_affiliation_list(ROOM, "owner")
    assert [str(each) for each in owners] == [ALICE]


async def test_a_room_with_a_password_lets_in_who_knows_it(verona: Verona) -> None:
    alice, bob = await verona.log_in("alice", "desk", MUC), await verona.log_in("bob", "desk", MUC)
    await open_room(alice, passwordprotectedroom="1", roomsecret="rosemary")
    with pytest.raises(PresenceError) as refused:
        await bob.plugin["xep_0045"].join_muc_wait(ROOM, "bob", timeout=8)
    assert refused.value.condition == "not-authorized"
    await bob.plugin["xep_0045"].join_muc_wait(ROOM, "bob", password="rosemary", timeout=8)
    heard = events(alice, "groupchat_message")
    bob.send_message(mto=ROOM, mbody="I know it", mtype="groupchat")
    assert (await next_of(heard))["body"] == "I know it"


async def test_only_an_owner_configures_a_room(verona: Verona) -> None:
    alice, bob = await verona.log_in("alice", "desk", MUC), await verona.log_in("bob", "desk", MUC)
    await open_room(alice)
    await enter(bob, "bob")
    with pytest.raises(Exception, match="forbidden"):
        await bob.plugin["xep_0045"].get_room_config(ROOM)
