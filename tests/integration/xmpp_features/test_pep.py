"""PEP: avatars, nicknames, bookmarks (XEP-0163, 0084, 0172, 0402), with slixmpp on two nodes."""

from slixmpp import JID

from harness.actors.xmpp import XmppClient
from tests.integration.xmpp_features.verona import (
    ALICE,
    BOB,
    Verona,
    events,
    next_of,
    nothing_came,
    refusal,
    settle,
)

AVATAR = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40
PEP = ("xep_0115", "xep_0163", "xep_0084", "xep_0172")
METADATA = "urn:xmpp:avatar:metadata"


async def publish_avatar(client: XmppClient) -> str:
    avatar = client.plugin["xep_0084"]
    id_ = avatar.generate_id(AVATAR)
    await avatar.publish_avatar(AVATAR)
    await avatar.publish_avatar_metadata([{"id": id_, "type": "image/png", "bytes": len(AVATAR)}])
    return str(id_)


async def befriend(verona: Verona) -> tuple[XmppClient, XmppClient]:
    """Alice and bob, who see each other's presence and want to hear of avatars and nicknames."""
    await verona.befriend()
    await verona.restart_nodes()
    alice, bob = await verona.log_in("alice", "desk", *PEP), await verona.log_in("bob", "desk", *PEP)
    await alice.next_available(BOB)
    await bob.next_available(ALICE)
    return alice, bob


async def test_a_contact_on_another_node_is_told_of_an_avatar_and_fetches_it(verona: Verona) -> None:
    alice, bob = await befriend(verona)
    told = events(bob, "avatar_metadata_publish")
    id_ = await publish_avatar(alice)
    message = await next_of(told)
    assert message["from"] == ALICE
    (info,) = message["pubsub_event"]["items"]["item"]["avatar_metadata"]["items"]
    assert info["id"] == id_
    fetched = await bob.plugin["xep_0084"].retrieve_avatar(JID(ALICE), id_)
    assert fetched["pubsub"]["items"]["item"]["avatar_data"]["value"] == AVATAR


async def test_a_nickname_outlives_a_restart_and_is_told_to_who_becomes_available(verona: Verona) -> None:
    alice, _ = await befriend(verona)
    await alice.plugin["xep_0172"].publish_nick("Allie")
    await verona.restart_nodes()
    await verona.log_in("alice")
    bob = await verona.log_in("bob", "desk", *PEP, roster=False)
    message = await next_of(events(bob, "user_nick_publish"))
    assert message["pubsub_event"]["items"]["item"]["nick"]["nick"] == "Allie"
    assert message.xml.find("{urn:xmpp:delay}delay") is not None


async def test_who_did_not_ask_and_who_may_not_see_are_told_nothing(verona: Verona) -> None:
    alice, bob = await verona.log_in("alice", "desk", *PEP), await verona.log_in("bob", "desk", *PEP)
    told = events(bob, "avatar_metadata_publish")
    await publish_avatar(alice)
    await settle(alice, BOB)
    assert await nothing_came(bob, told)
    assert await refusal(bob.plugin["xep_0060"].get_items(JID(ALICE), METADATA)) == "not-authorized"


async def test_an_avatar_that_is_taken_back_is_gone_after_a_restart(verona: Verona) -> None:
    alice = await verona.log_in("alice", "desk", *PEP)
    id_ = await publish_avatar(alice)
    await alice.plugin["xep_0060"].retract(JID(ALICE), METADATA, id_, notify=True)
    await verona.restart_nodes()
    alice = await verona.log_in("alice", "desk", *PEP)
    items = await alice.plugin["xep_0060"].get_items(JID(ALICE), METADATA)
    assert len(items["pubsub"]["items"]) == 0


async def test_bookmarks_are_private_and_persist(verona: Verona) -> None:
    await verona.befriend()
    alice = await verona.log_in("alice", "phone", "xep_0004", "xep_0163", "xep_0402")
    options = alice.plugin["xep_0004"].make_form(ftype="submit")
    options.add_field("FORM_TYPE", "hidden", value="http://jabber.org/protocol/pubsub#publish-options")
    for name, value in (
        ("persist_items", "true"),
        ("max_items", "max"),
        ("send_last_published_item", "never"),
        ("access_model", "whitelist"),
    ):
        options.add_field(f"pubsub#{name}", value=value)
    stanza = alice.plugin["xep_0402"].stanza
    for room in ("balcony", "garden"):
        bookmark = stanza.Conference()
        bookmark["name"] = room.title()
        bookmark["autojoin"] = True
        await alice.plugin["xep_0163"].publish(
            bookmark, node=stanza.NS, id=f"{room}@conference-1-imp.lab.example", options=options
        )
    await verona.restart_nodes()
    alice, bob = (
        await verona.log_in("alice", "desk", "xep_0060", "xep_0402"),
        await verona.log_in("bob", "desk", "xep_0060"),
    )
    found = (await alice.plugin["xep_0060"].get_items(JID(ALICE), stanza.NS))["pubsub"]["items"]
    assert [item["conference"]["name"] for item in found] == ["Balcony", "Garden"]
    assert await refusal(bob.plugin["xep_0060"].get_items(JID(ALICE), stanza.NS)) == "not-allowed"
