"""The SIP intra-cluster proxy-to-proxy transport is what the menu says, on the wire (G20)."""

from collections.abc import Callable

from certs.purposes import ServiceName
from harness.actors.sip import user_agent
from harness.evidence.ledger import MessageSeen
from harness.expectations import expect, expect_outcome
from harness.lab import Lab
from harness.nodes.node import ImpNode
from harness.procedures.sip import import_cup_certificates, let_clients_in, restart_sip_proxies
from harness.scenario import ScenarioRun, scenario
from proxies.observer import Direction
from proxies.sip.transport.flow import Transport

BOB = "sip:bob@lab.example"


@scenario(
    "sip-intracluster-tcp",
    title="SIP intra-cluster proxy-to-proxy transport: TLS by default, TCP after a restart",
    covers=("G15", "G20"),
)
async def sip_intracluster_tcp(lab: Lab, run: ScenarioRun) -> None:
    imp1, imp2 = lab.imp
    await let_clients_in(lab, run)
    await import_cup_certificates(lab, run)
    await restart_sip_proxies(lab, run)

    async with run.step("By default the proxies of the cluster speak TLS"):
        await _expect_transport_between(lab, run, Transport.TLS)

    async with run.step("System > Security > General Settings: select TCP, Save"):
        needed = await imp1.administration.set_proxy_to_proxy_transport(Transport.TCP)
        expect(
            "the nodes whose Cisco SIP Proxy needs a restart",
            {"imp1", "imp2"},
            {one.node for one in needed if one.service is ServiceName.SIP_PROXY},
        )
        run.saw("; ".join(map(str, needed)))

    async with run.step("Until Cisco SIP Proxy restarts, it is still TLS"):
        await _expect_transport_between(lab, run, Transport.TLS)

    await restart_sip_proxies(lab, run)
    async with run.step("After the restart it is TCP"):
        await _expect_transport_between(lab, run, Transport.TCP)

    async with run.step("Select TLS again and restart: it is TLS, and TCP was not kept"):
        await imp2.administration.set_proxy_to_proxy_transport(Transport.TLS)
        for node in (imp1, imp2):
            await node.administration.restart(ServiceName.SIP_PROXY)
        await _expect_transport_between(lab, run, Transport.TLS)


async def _expect_transport_between(lab: Lab, run: ScenarioRun, transport: Transport) -> None:
    """Send a message from imp1 to imp2 and look at the connection that carried it."""
    imp1, imp2 = lab.imp
    since = run.ledger.position
    async with user_agent(lab, "alice", imp1) as alice, user_agent(lab, "bob", imp2) as bob:
        expect_outcome("bob's registration", await bob.register(), 200)
        expect_outcome("the message", await alice.message(BOB, f"over {transport}"), 200)
    for node, peer, direction in (
        (imp1, imp2, Direction.SENT),
        (imp2, imp1, Direction.RECEIVED),
    ):
        seen = await run.expect_message(
            f"the MESSAGE between the proxies, at {node.plan.name}",
            _is_message_between(node, peer, direction),
            since=since,
        )
        expect(f"the transport at {node.plan.name}", transport, seen.connection.transport)
        run.saw(
            f"{node.plan.name} {direction} it over {seen.connection.transport} {seen.connection.listener}"
        )


def _is_message_between(node: ImpNode, peer: ImpNode, direction: Direction) -> Callable[[MessageSeen], bool]:
    def wanted(entry: MessageSeen) -> bool:
        return (
            entry.connection.node == node.plan.name
            and entry.connection.peer[0] == peer.plan.address
            and entry.direction is direction
            and entry.wire.startswith(b"MESSAGE ")
        )

    return wanted
