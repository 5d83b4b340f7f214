"""Two clusters of one domain as intercluster peers: users and certificates by AXL, stanzas over mutual TLS."""

from dataclasses import replace

from certs.errors import ScenarioFailed
from certs.purposes import CertificatePurpose, ServiceName
from certs.verdict import Reason
from harness.actors.xmpp import XmppClient, expect_login, xmpp_client
from harness.evidence.ledger import Judged
from harness.expectations import expect
from harness.lab import Lab
from harness.procedures.federation import exchange_messages, exchange_presence, expect_bounce
from harness.procedures.intercluster import (
    AGENT,
    ROUTER,
    WITHIN,
    expect_intercluster_links,
    expect_replicated,
    expect_status,
    expect_synchronised,
    import_tomcat,
    restart_router_where_needed,
)
from harness.procedures.xmpp import own_certificate
from harness.scenario import ScenarioRun, scenario
from proxies.clock import wait

PATIENCE = 30.0


@scenario(
    "xmpp-intercluster-tls",
    title="Two clusters exchange messages and presence over mutual TLS",
    covers=("G02", "G06", "G21", "G22"),
    topology="two-clusters",
    limit=180.0,
)
async def xmpp_intercluster_tls(lab: Lab, run: ScenarioRun) -> None:
    imp1, imp2, imp3 = lab.imp
    await _synchronise(lab, run)

    async with run.step(
        "System > Security > Settings of both clusters: Enable XMPP Router-to-Router Secure Mode"
    ):
        for node in (imp1, imp3):
            modes = await node.administration.secure_modes()
            await node.administration.set_secure_modes(replace(modes, router_to_router=True))
    async with (
        run.step("Before Cisco XCP Router restarts, no way leads to the other cluster"),
        xmpp_client(lab, "alice", imp1) as alice,
    ):
        expect_login("alice's login", await alice.outcome)
        run.saw(await expect_bounce(alice, "carol@lab.example", "remote-server-not-found"))
    since = run.ledger.position
    await restart_router_where_needed(lab, run)
    async with run.step("Each router of a cluster and each of the other shake hands: both show cup-xmpp"):
        await expect_intercluster_links(run, (imp1, imp2), (imp3,), since=since)

    await _talk(lab, run)
    await _lose_the_other_cluster(lab, run)
    await _regenerate(lab, run)


async def _synchronise(lab: Lab, run: ScenarioRun) -> None:
    imp1, _, imp3 = lab.imp
    async with run.step(
        "On a fresh lab each publisher asks the other one by AXL, and does not believe its tomcat"
    ):
        for node in (imp1, imp3):
            refused = await run.expect_verdict(
                f"AXL from {node.plan.name}",
                node=node.plan.name,
                reason=Reason.UNTRUSTED_ISSUER,
                within=WITHIN,
                wanted=lambda judged: judged.connection.service == AGENT,
            )
            expect("the clause", "G06", refused.clause)
            status = await expect_status(
                lab, "the refusal in the status", node, lambda status: bool(status.error)
            )
            expect("the reason", Reason.UNTRUSTED_ISSUER, status.reason)
            run.saw(f"{node.plan.name}: {status.reason}, alert {refused.alert_sent}; remedy: {status.remedy}")
    since = run.ledger.position
    for node, peer in ((imp1, imp3), (imp3, imp1)):
        await import_tomcat(run, node, peer)
    async with run.step("Now the agents synchronise by themselves, over TLS with tomcat and tomcat-trust"):
        for node, peer in ((imp1, imp3), (imp3, imp1)):
            await expect_synchronised(lab, run, node)
            seen = await run.expect_verdict(
                f"AXL from {node.plan.name}",
                node=node.plan.name,
                reason=Reason.ACCEPTED,
                since=since,
                within=WITHIN,
                wanted=_is_of_agent,
            )
            shown = seen.presented_chain[0].sha256
            expect("the certificate of AXL", own_certificate(peer, CertificatePurpose.TOMCAT), shown)
            run.saw(
                f"{node.plan.name} asked {peer.plan.name} over {seen.tls_version} {seen.cipher}, tomcat {shown[:16]}…"
            )
    async with run.step(
        "Each node of both clusters trusts the cup-xmpp of all the others, and nobody imported them"
    ):
        await expect_replicated(lab, run)


def _is_of_agent(judged: Judged) -> bool:
    return judged.connection.service == AGENT


async def _talk(lab: Lab, run: ScenarioRun) -> None:
    imp1, imp2, imp3 = lab.imp
    async with (
        xmpp_client(lab, "alice", imp1) as alice,
        xmpp_client(lab, "bob", imp2) as bob,
        xmpp_client(lab, "carol", imp3) as carol,
    ):
        async with run.step("Clients of both clusters log in, and are served cup-xmpp"):
            for client, node in ((alice, imp1), (bob, imp2), (carol, imp3)):
                outcome = expect_login(f"the login of {client.boundjid.bare}", await client.outcome)
                expect("the certificate on the wire", own_certificate(node), outcome.server_sha256)
                run.saw(
                    f"{client.boundjid.bare} at {node.plan.name}: {outcome.tls_version} {outcome.cipher}, "
                    f"CN={outcome.server_subject} {outcome.server_sha256[:16]}…, {outcome.mechanism}"
                )
        async with run.step("alice and bob of cluster a exchange messages with carol of cluster b"):
            await exchange_messages(alice, carol)
            await exchange_messages(bob, carol)
        async with run.step("alice and carol subscribe to each other's presence, and see it"):
            await exchange_presence(alice, carol)
        async with run.step("A user who is new in cluster b is reached without any restart"):
            await imp3.configuration.add_user(replace(await lab.user("carol"), user_id="erin"))
            await expect_status(lab, "three users", imp1, lambda status: status.users == 3)
            async with xmpp_client(lab, "erin", imp3) as erin:
                expect_login("erin's login", await erin.outcome)
                await _until_known(lab, bob, erin)
                await exchange_messages(bob, erin)
    async with run.step("carol has left: a message waits for her in cluster b, and comes at her next login"):
        async with xmpp_client(lab, "alice", imp1) as alice:
            expect_login("alice's login", await alice.outcome)
            alice.chat("carol@lab.example", "read this later")
            await alice.ping_own_server()
            await _until_it_crossed(lab)
        async with xmpp_client(lab, "carol", imp3) as carol:
            expect_login("carol's login", await carol.outcome)
            expect("the message", "read this later", (await carol.next_message())["body"])


async def _until_known(lab: Lab, sender: XmppClient, receiver: XmppClient) -> None:
    """Send until a message arrives: the sender's node takes over from the database what its publisher was told."""
    for _ in range(50):
        sender.chat(receiver.boundjid.bare, "are you there?")
        await sender.ping_own_server()
        await receiver.ping_own_server()
        await wait(lab.clock, 0.1)
        if sender.messages.empty():
            await receiver.next_message()
            return
        bounced = await sender.next_message()
        expect("the answer before that", "service-unavailable", bounced["error"]["condition"])
    raise ScenarioFailed(
        f"{receiver.boundjid.bare} does not become known at the node of {sender.boundjid.bare}"
    )


async def _until_it_crossed(lab: Lab) -> None:
    """Send something after a message over the same link: it arrives behind it."""
    imp1, _, imp3 = lab.imp
    async with xmpp_client(lab, "alice", imp1) as alice, xmpp_client(lab, "dave", imp3) as dave:
        for client in (alice, dave):
            expect_login("the login", await client.outcome)
        await exchange_messages(alice, dave)


async def _lose_the_other_cluster(lab: Lab, run: ScenarioRun) -> None:
    imp1, imp2, imp3 = lab.imp
    async with xmpp_client(lab, "alice", imp1) as alice:
        expect_login("alice's login", await alice.outcome)
        async with run.step(
            "Cisco XCP Router of cluster b stops: a message waits for it, and bounces in the end"
        ):
            await imp3.services.stop(ROUTER)
            alice.chat("carol@lab.example", "is anybody there?")
            await alice.ping_own_server()
            lab.clock.advance(PATIENCE)
            bounced = await alice.next_message()
            expect(
                "the answer",
                ("error", "remote-server-timeout"),
                (bounced["type"], bounced["error"]["condition"]),
            )
            run.saw(f"{bounced['error']['condition']}: {bounced['error']['text']}")
        since = run.ledger.position
        async with run.step("It starts: the links come back by themselves, and messages pass again"):
            await imp3.services.start(ROUTER)
            lab.clock.advance(PATIENCE)
            await expect_intercluster_links(run, (imp1, imp2), (imp3,), since=since)
            async with xmpp_client(lab, "carol", imp3) as carol:
                expect_login("carol's login", await carol.outcome)
                await exchange_messages(alice, carol)


async def _regenerate(lab: Lab, run: ScenarioRun) -> None:
    imp1, imp2, imp3 = lab.imp
    old = own_certificate(imp3)
    async with run.step(
        "Regenerate cup-xmpp of imp3: by itself the new one takes the old one's place everywhere"
    ):
        await imp3.administration.certificate_management.regenerate(CertificatePurpose.CUP_XMPP)
        lab.clock.advance(2.0)
        await expect_replicated(lab, run)
        run.saw(f"{old[:16]}… is gone, {own_certificate(imp3)[:16]}… has come")
    since = run.ledger.position
    async with run.step(
        "Restart Cisco XCP Router and Connection Manager on imp3: the links show the new one"
    ):
        await imp3.administration.restart(ROUTER)
        await imp3.administration.restart(ServiceName.XCP_CONNECTION_MANAGER)
        lab.clock.advance(PATIENCE)
        await expect_intercluster_links(run, (imp1, imp2), (imp3,), since=since)
        async with xmpp_client(lab, "alice", imp1) as alice, xmpp_client(lab, "carol", imp3) as carol:
            for client in (alice, carol):
                expect_login("the login", await client.outcome)
            await exchange_messages(alice, carol)
