"""Messages: offline storage, carbons, archive, blocking (XEP-0160, 0280, 0313, 0191), with slixmpp on two nodes."""

from slixmpp import JID

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


async def test_messages_wait_for_who_is_offline_over_a_restart_and_come_once(verona: Verona) -> None:
    alice = await verona.log_in("alice")
    for text in ("one", "two"):
        alice.chat(BOB, text)
    await settle(alice, BOB)
    await verona.restart_nodes()
    bob = await verona.log_in("bob", "desk", "xep_0203")
    received = [await bob.next_message() for _ in range(2)]
    assert [message["body"] for message in received] == ["one", "two"]
    assert all(message["delay"]["stamp"] for message in received)
    await verona.restart_nodes()
    bob = await verona.log_in("bob")
    assert await nothing_came(bob, bob.messages)


async def test_a_headline_is_not_kept(verona: Verona) -> None:
    alice = await verona.log_in("alice")
    alice.send_message(mto=JID(BOB), mbody="news", mtype="headline")
    alice.chat(BOB, "kept")
    await settle(alice, BOB)
    bob = await verona.log_in("bob")
    assert (await bob.next_message())["body"] == "kept"


async def test_carbons_show_one_device_what_the_other_sends_and_gets(verona: Verona) -> None:
    desk = await verona.log_in("alice", "desk", "xep_0280")
    phone = await verona.log_in("alice", "phone", "xep_0280")
    deaf = await verona.log_in("alice", "deaf", "xep_0280")
    bob = await verona.log_in("bob")
    await phone.plugin["xep_0280"].enable()
    sent, received, unasked = (
        events(phone, "carbon_sent"),
        events(phone, "carbon_received"),
        events(deaf, "carbon_sent"),
    )
    desk.chat(BOB, "from the desk")
    assert (await next_of(sent))["carbon_sent"]["body"] == "from the desk"
    bob.chat(desk.boundjid.full, "to the desk")
    assert (await next_of(received))["carbon_received"]["body"] == "to the desk"
    assert await nothing_came(deaf, unasked)


async def test_the_archive_has_both_sides_of_a_conversation_after_a_restart(verona: Verona) -> None:
    alice, bob = await verona.log_in("alice"), await verona.log_in("bob")
    for sender, to, text in ((alice, BOB, "ping"), (bob, ALICE, "pong"), (alice, BOB, "out")):
        sender.chat(to, text)
        await (bob if sender is alice else alice).next_message()
    await verona.restart_nodes()
    for user, peer in (("alice", BOB), ("bob", ALICE)):
        client = await verona.log_in(user, "desk", "xep_0313")
        found = [
            message["mam_result"]["forwarded"]["stanza"]["body"]
            async for message in client.plugin["xep_0313"].iterate(with_jid=JID(peer), rsm={"max": 2})
        ]
        assert found == ["ping", "pong", "out"]


async def test_the_archive_is_its_owner_s_alone(verona: Verona) -> None:
    alice = await verona.log_in("alice", "desk", "xep_0313")
    assert await refusal(alice.plugin["xep_0313"].retrieve(jid=JID(BOB))) == "service-unavailable"


async def test_blocking_holds_both_ways_and_over_a_restart(verona: Verona) -> None:
    await verona.befriend()
    alice = await verona.log_in("alice", "phone", "xep_0191")
    await alice.plugin["xep_0191"].block(JID(BOB))
    await verona.restart_nodes()
    alice, bob = await verona.log_in("alice", "desk", "xep_0191"), await verona.log_in("bob")
    assert await alice.plugin["xep_0191"].get_blocked_jids() == {JID(BOB)}
    bob.chat(ALICE, "let me in")
    assert (await bob.next_message())["error"]["condition"] == "service-unavailable"
    alice.chat(BOB, "stay out")
    refused = await alice.next_message()
    assert refused["error"]["condition"] == "not-acceptable"
    await alice.plugin["xep_0191"].unblock(JID(BOB))
    bob.chat(ALICE, "thanks")
    assert (await alice.next_message())["body"] == "thanks"
