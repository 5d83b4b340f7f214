"""vCards, service discovery, capabilities, pings (XEP-0054, 0030, 0115, 0199), with slixmpp on two nodes."""

from slixmpp import JID

from tests.integration.xmpp_features.verona import ALICE, BOB, Verona, events, next_of, refusal, until


async def test_a_vcard_is_read_on_another_node_after_a_restart(verona: Verona) -> None:
    alice = await verona.log_in("alice", "desk", "xep_0054")
    vcard = alice.plugin["xep_0054"].make_vcard()
    vcard["FN"] = "Alice Capulet"
    await alice.plugin["xep_0054"].publish_vcard(vcard)
    await verona.restart_nodes()
    bob = await verona.log_in("bob", "desk", "xep_0054")
    answer = await bob.plugin["xep_0054"].get_vcard(JID(ALICE))
    assert answer["vcard_temp"]["FN"] == "Alice Capulet"


async def test_a_vcard_is_changed_by_its_user_alone(verona: Verona) -> None:
    bob = await verona.log_in("bob", "desk", "xep_0054")
    vcard = bob.plugin["xep_0054"].make_vcard()
    vcard["FN"] = "Not Alice"
    assert await refusal(bob.plugin["xep_0054"].publish_vcard(vcard, jid=JID(ALICE))) == "forbidden"


async def test_the_server_and_an_account_say_what_they_can_do(verona: Verona) -> None:
    alice, bob = await verona.befriend()
    del bob
    alice.register_plugin("xep_0030")
    disco = alice.plugin["xep_0030"]
    server = (await disco.get_info(JID("lab.example")))["disco_info"]
    assert ("server", "im") in {each[:2] for each in server["identities"]}
    assert {"urn:xmpp:carbons:2", "urn:xmpp:blocking", "urn:xmpp:ping", "vcard-temp"} <= set(
        server["features"]
    )
    account = (await disco.get_info(JID(BOB)))["disco_info"]
    assert ("pubsub", "pep") in {each[:2] for each in account["identities"]}
    assert {"urn:xmpp:mam:2", "http://jabber.org/protocol/pubsub#publish-options"} <= set(account["features"])
    items = (await disco.get_items(JID("lab.example")))["disco_items"]["items"]
    assert "conference-1-imp.lab.example" in {item[0] for item in items}


async def test_an_account_says_nothing_to_strangers(verona: Verona) -> None:
    alice = await verona.log_in("alice", "desk", "xep_0030")
    assert await refusal(alice.plugin["xep_0030"].get_info(JID(BOB))) == "service-unavailable"


async def test_capabilities_of_a_contact_are_known_by_their_hash(verona: Verona) -> None:
    alice = await verona.log_in("alice", "desk", "xep_0115", "xep_0172")
    bob = await verona.log_in("bob", "desk", "xep_0115", "xep_0172")
    alice.send_presence_subscription(pto=JID(BOB))
    await until(lambda: alice.client_roster[BOB]["subscription"] == "both")
    known = events(alice, "entity_caps")
    bob.send_presence(pshow="chat")
    assert (await next_of(known))["from"] == bob.boundjid
    caps = alice.plugin["xep_0115"]
    assert await caps.get_verstring(bob.boundjid) == await bob.plugin["xep_0115"].get_verstring(bob.boundjid)
    info = await caps.get_caps(bob.boundjid)
    assert "http://jabber.org/protocol/caps" in info["features"]


async def test_pings_are_answered_by_the_server_and_by_a_contact_s_client(verona: Verona) -> None:
    alice = await verona.log_in("alice", "desk", "xep_0199")
    bob = await verona.log_in("bob", "desk", "xep_0199")
    assert await alice.plugin["xep_0199"].ping(JID("lab.example")) >= 0
    assert await alice.plugin["xep_0199"].ping(bob.boundjid) >= 0


async def test_a_resource_that_is_not_there_does_not_answer(verona: Verona) -> None:
    alice = await verona.log_in("alice", "desk", "xep_0199")
    request = alice.plugin["xep_0199"].send_ping(JID(f"{BOB}/nowhere"))
    assert await refusal(request) == "service-unavailable"
