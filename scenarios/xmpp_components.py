"""External components attach to the XCP routers (XEP-0114): who may, how they are reached, and where they moved."""

import asyncio

from slixmpp import JID

from certs.errors import ScenarioFailed
from certs.verdict import Reason
from harness.actors.components import EchoComponent, echo_component
from harness.actors.xmpp import XmppClient, expect_login, xmpp_client
from harness.evidence.ledger import Judged
from harness.expectations import expect
from harness.lab import Lab
from harness.procedures.xmpp import restart_router, restart_routers, set_router_secure_mode
from harness.scenario import ScenarioRun, scenario
from proxies.xmpp.router.component_listener import LISTENER

ECHO = "echo.lab.example"
SECRET = "echo-of-the-lab"  # noqa: S105 - the built-in lab file's
ATTEMPTS = 40


@scenario(
    "xmpp-components",
    title="Components of others attach to the routers by XEP-0114, and are reached from every node",
    covers=("G22",),
    topology="two-imp-components",
    limit=120.0,
)
async def xmpp_components(lab: Lab, run: ScenarioRun) -> None:
    imp1, imp2 = lab.imp
    await set_router_secure_mode(lab, run, enabled=True)
    await restart_routers(lab, run)
    async with xmpp_client(lab, "alice", imp1) as alice, xmpp_client(lab, "bob", imp2) as bob:
        for client in (alice, bob):
            expect_login("the login", await client.outcome)
        async with run.step("Nobody has attached: a message to the component bounces"):
            alice.chat(f"parrot@{ECHO}", "anybody?")
            expect("the condition", "service-unavailable", (await alice.next_message())["error"]["condition"])

        async with echo_component(imp1, ECHO, SECRET) as component:
            async with run.step("A component with its secret attaches to imp1, and both nodes reach it"):
                expect("attached", True, (await component.outcome).accepted)
                accepted = await run.expect_verdict(
                    "the ledger", node="imp1", reason=Reason.ACCEPTED, wanted=_is_of_component
                )
                run.saw(accepted.detail)
                await _is_reached(alice, "from its own node")
                await _is_reached(bob, "from the other node, over the routers' TLS link")
                await _is_found(bob, wanted=True)
            await _move(lab, run, component, alice, bob)

        async with run.step(
            "It has left: messages bounce on both nodes, and service discovery does not show it"
        ):
            for client in (alice, bob):
                await _bounces(client)
                await _is_found(client, wanted=False)
    await _refusals(lab, run)
    await _restart(lab, run)


def _is_of_component(judged: Judged) -> bool:
    return judged.connection.listener == LISTENER


async def _move(lab: Lab, run: ScenarioRun, first: EchoComponent, alice: XmppClient, bob: XmppClient) -> None:
    imp2 = lab.imp[1]
    async with (
        run.step("The component moves: it attaches to imp2, and imp1 closes the older stream"),
        echo_component(imp2, ECHO, SECRET) as second,
    ):
        expect("attached", True, (await second.outcome).accepted)
        expect("the end of the older stream", "conflict", await asyncio.wait_for(first.ended, 5.0))
        await _is_reached(bob, "from its new node")
        await _is_reached(alice, "from its old node")
        run.saw("alice and bob reach it at imp2")


async def _refusals(lab: Lab, run: ScenarioRun) -> None:
    imp1 = lab.imp[0]
    for what, domain, secret, condition, reason in (
        ("a wrong secret", ECHO, f"{SECRET}!", "not-authorized", Reason.WRONG_COMPONENT_HANDSHAKE),
        (
            "a domain that no component has",
            "other.lab.example",
            SECRET,
            "host-unknown",
            Reason.UNKNOWN_COMPONENT,
        ),
    ):
        async with run.step(f"A component with {what} is refused"):
            since = run.ledger.position
            async with echo_component(imp1, domain, secret) as component:
                outcome = await component.outcome
                expect("the stream error", condition, outcome.condition)
            verdict = await run.expect_verdict("the ledger", node="imp1", reason=reason, since=since)
            run.saw(f"{outcome.condition}: {outcome.text}")
            run.saw(f"remedy: {verdict.remedy}")
    async with run.step("A component that sends in another domain's name is thrown out"):
        since = run.ledger.position
        async with echo_component(imp1, ECHO, SECRET) as component:
            expect("attached", True, (await component.outcome).accepted)
            component.send_message(
                mto=JID("alice@lab.example"), mfrom=JID("bob@lab.example"), mbody="I am bob", mtype="chat"
            )
            expect("the stream error", "invalid-from", await asyncio.wait_for(component.ended, 5.0))
        reason = Reason.FORGED_COMPONENT_SENDER
        verdict = await run.expect_verdict("the ledger", node="imp1", reason=reason, since=since)
        run.saw(verdict.detail)


async def _restart(lab: Lab, run: ScenarioRun) -> None:
    imp1, imp2 = lab.imp
    async with echo_component(imp1, ECHO, SECRET) as component:
        expect("attached", True, (await component.outcome).accepted)
        await restart_router(lab, run, imp1)
        async with run.step("The router's restart ended the component's stream; it can attach again at once"):
            expect("the stream error", "system-shutdown", await asyncio.wait_for(component.ended, 5.0))
            async with echo_component(imp1, ECHO, SECRET) as again, xmpp_client(lab, "bob", imp2) as bob:
                expect("attached", True, (await again.outcome).accepted)
                expect_login("bob's login", await bob.outcome)
                await _is_reached(bob, "after the restart")


async def _is_reached(client: XmppClient, text: str) -> None:
    """Expect an echo; until the component's place is known on the client's node, messages bounce."""
    for _ in range(ATTEMPTS):
        client.chat(f"parrot@{ECHO}", text)
        answer = await client.next_message()
        if answer["type"] != "error":
            expect("the echo", f"echo of {text}", answer["body"])
            expect("its sender", f"parrot@{ECHO}", answer["from"].full)
            return
        await asyncio.sleep(0.05)
    raise ScenarioFailed(f"{ECHO} is not reached {text}")


async def _bounces(client: XmppClient) -> None:
    """Expect that a message comes back, as soon as the client's node knows that the component is gone."""
    for _ in range(ATTEMPTS):
        client.chat(f"parrot@{ECHO}", "still there?")
        answer = await client.next_message()
        if answer["type"] == "error":
            expect("the condition", "service-unavailable", answer["error"]["condition"])
            return
        await asyncio.sleep(0.05)
    raise ScenarioFailed(f"{ECHO} still answers")


async def _is_found(client: XmppClient, *, wanted: bool) -> None:
    """Expect the component among the server's items (XEP-0030), or not."""
    client.register_plugin("xep_0030")
    for _ in range(ATTEMPTS):
        answer = await client.plugin["xep_0030"].get_items(jid=JID(client.boundjid.domain))
        seen = ECHO in {item[0] for item in answer["disco_items"]["items"]}
        if seen == wanted:
            return
        await asyncio.sleep(0.05)
    raise ScenarioFailed(f"{ECHO} among the server's items: {not wanted}")
