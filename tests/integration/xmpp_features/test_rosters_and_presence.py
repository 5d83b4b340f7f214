"""Rosters, subscriptions, presence, probes, last activity (RFC 6121, XEP-0012), with slixmpp on two nodes."""

from slixmpp import JID

from tests.integration.xmpp_features.verona import (
    ALICE,
    BOB,
    Verona,
    events,
    next_of,
    nothing_came,
    refusal,
    senders,
    settle,
    until,
)


async def test_a_subscription_both_ways_over_two_nodes_outlives_their_restart(verona: Verona) -> None:
    alice, _ = await verona.befriend()
    await alice.update_roster(BOB, name="Bob the builder", groups=["Work"])
    await verona.restart_nodes()
    alice, bob = await verona.log_in("alice"), await verona.log_in("bob")
    for client, contact in ((alice, BOB), (bob, ALICE)):
        assert client.client_roster[contact]["subscription"] == "both"
    assert alice.client_roster[BOB]["name"] == "Bob the builder"
    assert alice.client_roster[BOB]["groups"] == ["Work"]
    await alice.next_available(BOB)
    await bob.next_available(ALICE)


async def test_a_request_to_subscribe_waits_for_its_answer_over_a_restart(verona: Verona) -> None:
    alice = await verona.log_in("alice")
    alice.send_presence_subscription(pto=JID(BOB))
    await alice.ping_own_server()
    await settle(alice, BOB)
    await verona.restart_nodes()
    await verona.log_in("bob")  # slixmpp approves
    alice = await verona.log_in("alice")
    await until(lambda: alice.client_roster[BOB]["subscription"] in ("to", "both"))


async def test_who_is_not_subscribed_sees_nothing(verona: Verona) -> None:
    alice, bob = await verona.log_in("alice"), await verona.log_in("bob")
    bob.send_presence(pshow="dnd")
    await settle(bob, ALICE)
    alice.send_presence(pto=JID(BOB), ptype="probe")
    await settle(alice, BOB)
    assert not senders(alice, BOB)


async def test_directed_presence_reaches_one_and_ends_with_its_sender(verona: Verona) -> None:
    alice, bob = await verona.log_in("alice"), await verona.log_in("bob")
    phone = await verona.log_in("bob", "phone")
    alice.send_presence(pto=bob.boundjid, pstatus="for you alone")
    assert (await bob.next_available(ALICE))["status"] == "for you alone"
    await settle(alice, BOB)
    assert not senders(phone, ALICE)
    await verona.log_out(alice)
    gone = await bob.next_available(ALICE, show="unavailable")
    assert gone["from"].resource == "desk"


async def test_a_probe_is_answered_for_those_who_are_subscribed(verona: Verona) -> None:
    alice, bob = await verona.befriend()
    bob.send_presence(pshow="away", pstatus="at lunch")
    assert (await alice.next_available(BOB, show="away"))["status"] == "at lunch"
    alice.send_presence(pto=JID(BOB), ptype="probe")
    assert (await alice.next_available(BOB, show="away"))["status"] == "at lunch"


async def test_last_activity_is_told_to_subscribers_and_outlives_a_restart(verona: Verona) -> None:
    await verona.befriend()
    await verona.restart_nodes()
    alice = await verona.log_in("alice", "desk", "xep_0012")
    answer = await alice.plugin["xep_0012"].get_last_activity(JID(BOB))
    assert 0 <= answer["last_activity"]["seconds"] < 60


async def test_last_activity_is_not_for_strangers(verona: Verona) -> None:
    await verona.log_in("bob")
    alice = await verona.log_in("alice", "desk", "xep_0012")
    assert await refusal(alice.plugin["xep_0012"].get_last_activity(JID(BOB))) == "forbidden"


async def test_a_contact_who_is_taken_out_sees_nothing_any_more(verona: Verona) -> None:
    alice, bob = await verona.befriend()
    gone = events(bob, "presence_unavailable")
    await alice.del_roster_item(BOB)
    assert (await next_of(gone))["from"].bare == ALICE
    await until(lambda: bob.client_roster[ALICE]["subscription"] == "none")
    seen = events(bob, "presence")
    alice.send_presence(pshow="chat")
    await alice.ping_own_server()
    assert await nothing_came(bob, seen)
    await verona.restart_nodes()
    bob = await verona.log_in("bob")
    assert bob.client_roster[ALICE]["subscription"] == "none"
