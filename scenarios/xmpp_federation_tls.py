"""Two enterprises federate by XMPP: mutual TLS with EXTERNAL, then dialback over TLS, then in the clear (G11)."""

from xml.etree import ElementTree as ET

import slixmpp

from certs.verdict import Reason
from harness.actors.xmpp import XmppClient, expect_login, xmpp_client
from harness.expectations import expect
from harness.lab import Lab
from harness.nodes.node import ImpNode
from harness.procedures.federation import (
    FEDERATION,
    exchange_messages,
    exchange_presence,
    expect_bounce,
    expect_federation,
    federate,
    name_domain,
    shown_fingerprint,
    trust_each_other,
)
from harness.scenario import ScenarioRun, scenario
from proxies.xmpp.federation.settings import FederationPolicy, FederationSecurityMode

REQUIRED, OPTIONAL, NO_TLS = (
    FederationSecurityMode.TLS_REQUIRED,
    FederationSecurityMode.TLS_OPTIONAL,
    FederationSecurityMode.NO_TLS,
)
MUTUAL = FederationPolicy(security_mode=REQUIRED, require_client_side_certificates=True)
BY_DIALBACK = FederationPolicy(security_mode=OPTIONAL, enable_sasl_external=False)
CAROL, ROOM = "carol@partner.example", "balcony@conference-1-imp.lab.example"


@scenario(
    "xmpp-federation-tls",
    title="Two domains federate over mutual TLS, by dialback over TLS, and in the clear",
    covers=("G11", "G24"),
    topology="two-domains",
    limit=120.0,
)
async def xmpp_federation_tls(lab: Lab, run: ScenarioRun) -> None:
    imp1, imp2, partner1 = lab.imp
    async with run.step("Both clusters: enter the server-to-server domain name, regenerate cup-xmpp-s2s"):
        await name_domain(lab.imp)
    async with run.step("Exchange the cup-xmpp-s2s certificates into cup-xmpp-trust"):
        await trust_each_other((imp1, imp2), (partner1,))
    async with run.step(
        "XMPP Federation > Settings: TLS Required, require client-side security certificates"
    ):
        for node in (imp1, partner1):
            needed = await node.administration.set_federation(MUTUAL)
            expect("a restart of the federation manager", True, FEDERATION in {one.service for one in needed})
        run.saw("; ".join(str(one) for one in needed if one.service is FEDERATION))
    await _restart(lab, run)
    await _mutual_tls(lab, run, imp1, partner1)
    await _other_nodes(lab, run)
    await _conference(lab, run)

    async with run.step("Both clusters: TLS Optional, no certificates required, SASL EXTERNAL off"):
        await federate((imp1, partner1), BY_DIALBACK)
        await imp2.administration.restart(FEDERATION)
    async with run.step("The certificates prove nothing now: dialback does, over TLS"):
        await _exchange(lab, run, "by dialback over TLS")
    async with run.step("partner.example: No TLS; what is optional for lab.example goes in the clear"):
        await federate((partner1,), FederationPolicy(security_mode=NO_TLS))
        await _exchange(lab, run, "by dialback in the clear")


async def _restart(lab: Lab, run: ScenarioRun) -> None:
    async with run.step("Control Center on all nodes: restart Cisco XCP XMPP Federation Connection Manager"):
        for node in lab.imp:
            await node.administration.restart(FEDERATION)


async def _mutual_tls(lab: Lab, run: ScenarioRun, imp1: ImpNode, partner1: ImpNode) -> None:
    since = run.ledger.position
    async with xmpp_client(lab, "alice", imp1) as alice, xmpp_client(lab, "carol", partner1) as carol:
        for client in (alice, carol):
            expect_login("the login", await client.outcome)
        async with run.step("alice and carol exchange messages, and subscribe to each other's presence"):
            await exchange_messages(alice, carol)
            await exchange_presence(alice, carol)
    async with run.step("On the wire each server showed cup-xmpp-s2s, was believed, and proved its domain"):
        for node, peer in ((imp1, partner1), (partner1, imp1)):
            for outgoing in (True, False):
                await _expect_mutual_tls(run, node, peer, outgoing=outgoing, since=since)


async def _expect_mutual_tls(
    run: ScenarioRun, node: ImpNode, peer: ImpNode, *, outgoing: bool, since: int
) -> None:
    what = f"{peer.plan.name} at {node.plan.name}"
    handshake = await expect_federation(
        run, what, node, detail="the peer presented", outgoing=outgoing, since=since
    )
    login = await expect_federation(
        run, what, node, detail="by EXTERNAL over TLS", outgoing=outgoing, since=since
    )
    for verdict in (handshake, login):
        expect("what it showed", shown_fingerprint(peer), verdict.presented_chain[0].sha256)
    expect("that it is believed", None, handshake.disbelieved)
    run.saw(
        f"{node.plan.name} ({'dialled' if outgoing else 'listened'}): {handshake.tls_version} "
        f"{handshake.cipher}, CN={handshake.subject} {handshake.presented_chain[0].sha256[:16]}…; {login.detail}"
    )


async def _other_nodes(lab: Lab, run: ScenarioRun) -> None:
    imp1, imp2, partner1 = lab.imp
    async with xmpp_client(lab, "bob", imp2) as bob, xmpp_client(lab, "carol", partner1) as carol:
        for client in (bob, carol):
            expect_login("the login", await client.outcome)
        async with run.step("bob, at home on imp2, is reached through imp1 and sends from imp2 itself"):
            since = run.ledger.position
            await exchange_messages(bob, carol)
            await expect_federation(run, "bob's message", imp2, outgoing=True, since=since)
        async with run.step("Without the service on imp2 bob sends through imp1"):
            await imp2.services.stop(FEDERATION)
            await exchange_messages(bob, carol)
        async with run.step("Without the service on imp1 too his messages bounce"):
            await imp1.services.stop(FEDERATION)
            run.saw(await expect_bounce(bob, CAROL, "remote-server-not-found"))
        async with run.step("carol's bounce as well: nobody listens for lab.example"):
            carol.chat("bob@lab.example", "is anybody there?")
            await expect_federation(
                run, "imp1", partner1, reason=Reason.UNREACHABLE, outgoing=True, since=since
            )
            lab.clock.advance(30)
            bounced = await carol.next_message()
            expect("the answer", "remote-server-timeout", bounced["error"]["condition"])
            run.saw(bounced["error"]["text"])
        async with run.step("With the service on imp2 alone both ways are open again"):
            await imp2.services.start(FEDERATION)
            await exchange_messages(bob, carol)
            await imp1.services.start(FEDERATION)


async def _conference(lab: Lab, run: ScenarioRun) -> None:
    imp1, _, partner1 = lab.imp
    async with xmpp_client(lab, "alice", imp1) as alice, xmpp_client(lab, "carol", partner1) as carol:
        for client in (alice, carol):
            expect_login("the login", await client.outcome)
        async with run.step(f"alice and carol meet in the room {ROOM}, whose domain the certificate carries"):
            await _enter(alice)
            await _unlock_room(alice)
            await _enter(carol)
            alice.send_message(mto=slixmpp.JID(ROOM), mbody="to all in the room", mtype="groupchat")
            message = await carol.next_message(within=10.0)
            expect("the message", "to all in the room", message["body"])
            expect("from the room", f"{ROOM}/alice", message["from"].full)


async def _enter(client: XmppClient) -> None:
    presence = client.make_presence(pto=f"{ROOM}/{client.boundjid.user}")
    presence.append(ET.Element("{http://jabber.org/protocol/muc}x"))
    presence.send()
    await client.next_available(ROOM, within=10.0)


async def _unlock_room(owner: XmppClient) -> None:
    """Accept the default configuration of a new room (XEP-0045 10.1.2)."""
    query = ET.Element("{http://jabber.org/protocol/muc#owner}query")
    ET.SubElement(query, "{jabber:x:data}x", type="submit")
    request = owner.make_iq_set(ito=slixmpp.JID(ROOM))
    request.append(query)
    await request.send(timeout=5.0)  # type: ignore[no-untyped-call]


async def _exchange(lab: Lab, run: ScenarioRun, how: str) -> None:
    imp1, _, partner1 = lab.imp
    since = run.ledger.position
    async with xmpp_client(lab, "alice", imp1) as alice, xmpp_client(lab, "carol", partner1) as carol:
        for client in (alice, carol):
            expect_login("the login", await client.outcome)
        await exchange_messages(alice, carol)
    for node in (imp1, partner1):
        verdict = await expect_federation(run, "the peer", node, detail=how, outgoing=False, since=since)
        run.saw(f"{node.plan.name} let in {verdict.detail}")
