"""A router's link dies again and again during traffic: nothing is lost or doubled, and a dead end bounces."""

import asyncio

from certs.purposes import ServiceName
from certs.verdict import Reason
from harness.actors.xmpp import XmppClient, expect_login, xmpp_client
from harness.evidence.ledger import Judged
from harness.expectations import expect
from harness.lab import Lab
from harness.procedures.xmpp import restart_routers, set_router_secure_mode, xcp_router
from harness.scenario import ScenarioRun, scenario

LOSSES = 12
BURST = 50
PATIENCE = 30.0


@scenario(
    "xmpp-router-link-loss",
    title="A link between XMPP routers dies during traffic",
    covers=("G22",),
)
async def xmpp_router_link_loss(lab: Lab, run: ScenarioRun) -> None:
    imp1, imp2 = lab.imp
    await set_router_secure_mode(lab, run, enabled=True)
    await restart_routers(lab, run)
    async with xmpp_client(lab, "alice", imp1) as alice, xmpp_client(lab, "bob", imp2) as bob:
        for client in (alice, bob):
            expect_login("the login", await client.outcome)
        await _lose_links(lab, run, alice, bob)

    async with xmpp_client(lab, "alice", imp1) as alice:
        expect_login("alice's login", await alice.outcome)
        async with run.step(
            "imp2's router stops: a message waits for it, and bounces at the end of patience"
        ):
            await imp2.services.stop(ServiceName.XCP_ROUTER)
            alice.chat("bob@lab.example", "is anybody there?")
            await alice.ping_own_server()
            expect("an answer before that", True, alice.messages.empty())
            lab.clock.advance(PATIENCE)
            bounced = await alice.next_message()
            expect("the type", "error", bounced["type"])
            expect("the condition", "remote-server-timeout", bounced["error"]["condition"])
            run.saw(f"{bounced['error']['condition']}: {bounced['error']['text']}")
        async with run.step("From now on messages bounce at once"):
            alice.chat("bob@lab.example", "still nobody?")
            expect("the type", "error", (await alice.next_message())["type"])
        async with run.step("imp2's router starts, the link comes back by itself, and messages pass again"):
            await imp2.services.start(ServiceName.XCP_ROUTER)
            lab.clock.advance(PATIENCE)
            async with xmpp_client(lab, "bob", imp2) as bob:
                expect_login("bob's login", await bob.outcome)
                bob.chat("alice@lab.example", "here I am")
                expect("the message", "here I am", (await alice.next_message())["body"])
                alice.chat("bob@lab.example", "welcome back")
                expect("the message", "welcome back", (await bob.next_message())["body"])


async def _lose_links(lab: Lab, run: ScenarioRun, alice: XmppClient, bob: XmppClient) -> None:
    got_by_bob: list[str] = []
    got_by_alice: list[str] = []
    since = run.ledger.position
    async with run.step(f"{LOSSES} times {BURST} messages each way, fault link-loss in the middle of each"):
        for burst in range(LOSSES):
            moment = run.random.randrange(BURST)
            for number in range(BURST):
                alice.chat("bob@lab.example", f"a{burst * BURST + number}")
                bob.chat("alice@lab.example", f"b{burst * BURST + number}")
                if number == moment:
                    await _let_some_through(run.random.randrange(12))
                    for node in lab.imp:
                        xcp_router(node).reset_links()
            got_by_bob += await _texts(bob)
            got_by_alice += await _texts(alice)
            for node in lab.imp:
                await run.expect_verdict(
                    "the link that came back",
                    node=node.plan.name,
                    reason=Reason.ACCEPTED,
                    since=since,
                    wanted=_is_link,
                )
            since = run.ledger.position
    async with run.step("Each message arrived once, and in order"):
        numbers = range(LOSSES * BURST)
        expect("what bob got", [f"a{number}" for number in numbers], got_by_bob)
        expect("what alice got", [f"b{number}" for number in numbers], got_by_alice)
        run.saw(f"{len(numbers)} messages each way, each link came back {LOSSES} times")


async def _texts(client: XmppClient) -> list[str]:
    return [(await client.next_message(within=10.0))["body"] for _ in range(BURST)]


async def _let_some_through(turns: int) -> None:
    """Give the loop some turns, so that the loss comes at another moment each time."""
    for _ in range(turns):
        await asyncio.sleep(0)


def _is_link(judged: Judged) -> bool:
    return judged.connection.listener == "outgoing" and judged.verdict.accepted
