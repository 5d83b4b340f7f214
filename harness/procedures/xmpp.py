"""Procedures of the guide for XMPP that several scenarios share, step by step."""

from dataclasses import replace

from certs.purposes import CertificatePurpose, ServiceName, TrustStoreName
from certs.verdict import Reason
from harness.actors.xmpp import expect_login, xmpp_client
from harness.evidence.ledger import Judged
from harness.expectations import expect
from harness.lab import Lab
from harness.nodes.node import ImpNode
from harness.scenario import ScenarioRun
from proxies.xmpp.router.xcp_router import XcpRouter

ROUTER = ServiceName.XCP_ROUTER


def own_certificate(node: ImpNode, purpose: CertificatePurpose = CertificatePurpose.CUP_XMPP) -> str:
    """Return the SHA-256 of a certificate that a node has now."""
    listed = {each.name: each.certificate for each in node.administration.certificate_management.find()}
    return listed[purpose].sha256


def trusted_certificates(node: ImpNode) -> set[str]:
    """Return the SHA-256 of each certificate in a node's `cup-xmpp-trust`."""
    found = node.administration.certificate_management.find()
    return {each.certificate.sha256 for each in found if each.name is TrustStoreName.CUP_XMPP_TRUST}


def xcp_router(node: ImpNode) -> XcpRouter:
    """Return a node's running Cisco XCP Router, to do a fault to it. Raises ServiceFailed where it does not run."""
    service = node.services.running(ROUTER)
    assert isinstance(service, XcpRouter)
    return service


async def set_router_secure_mode(lab: Lab, run: ScenarioRun, *, enabled: bool) -> None:
    """Check or clear Enable XMPP Router-to-Router Secure Mode (G22), as a step; restarts are still needed."""
    what = "check" if enabled else "clear"
    async with run.step(f"System > Security > Settings: {what} Enable XMPP Router-to-Router Secure Mode"):
        administration = lab.imp[0].administration
        modes = replace(await administration.secure_modes(), router_to_router=enabled)
        needed = await administration.set_secure_modes(modes)
        expect("which services must restart", {ROUTER}, {one.service for one in needed})
        run.saw("; ".join(map(str, needed)))


async def restart_router(lab: Lab, run: ScenarioRun, node: ImpNode) -> None:
    """Restart Cisco XCP Router on a node (G22), as a step."""
    async with run.step(f"Control Center - Network Services on {node.plan.name}: restart Cisco XCP Router"):
        await node.administration.restart(ROUTER)


async def restart_routers(lab: Lab, run: ScenarioRun) -> None:
    """Restart Cisco XCP Router on all IM and Presence nodes, a step each."""
    for node in lab.imp:
        await restart_router(lab, run, node)


async def expect_link_over_tls(lab: Lab, run: ScenarioRun, *, since: int) -> None:
    """Expect that each router accepted the other's certificate, at both ends of both links."""
    for node in lab.imp:
        for peer in lab.imp:
            if peer is node:
                continue
            for listener in ("outgoing", "XCP Router Listener"):
                verdict = await run.expect_verdict(
                    f"{peer.plan.name} at {node.plan.name}",
                    node=node.plan.name,
                    reason=Reason.ACCEPTED,
                    since=since,
                    wanted=lambda judged, listener=listener, peer=peer: (  # type: ignore[misc]
                        _is_tls_of(judged, listener, peer)
                    ),
                )
                run.saw(
                    f"{node.plan.name} ({'dialled' if listener == 'outgoing' else 'listened'}) accepted "
                    f"CN={verdict.subject} over {verdict.tls_version} {verdict.cipher}"
                )


def _is_tls_of(judged: Judged, listener: str, peer: ImpNode) -> bool:
    connection, verdict = judged.connection, judged.verdict
    return (
        connection.service == ROUTER
        and connection.listener == listener
        and connection.peer[0] == peer.plan.address
        and bool(verdict.tls_version)
        and peer.plan.fqdn in (verdict.subject, *_names(judged))
    )


def _names(judged: Judged) -> tuple[str, ...]:
    names = judged.verdict.presented_chain[0].subject_alternative_names
    return tuple(name.removeprefix("DNS:") for name in names)


async def expect_link_in_the_clear(lab: Lab, run: ScenarioRun, *, since: int = 0) -> None:
    """Expect that each router let the other in without TLS, by its address."""
    for node in lab.imp:
        for peer in lab.imp:
            if peer is node:
                continue
            verdict = await run.expect_verdict(
                f"{peer.plan.name} at {node.plan.name}",
                node=node.plan.name,
                reason=Reason.ACCEPTED,
                since=since,
                wanted=lambda judged, peer=peer: (  # type: ignore[misc]
                    judged.connection.service == ROUTER
                    and judged.connection.peer[0] == peer.plan.address
                    and "in the clear" in judged.verdict.detail
                ),
            )
            expect("a certificate on the wire", (), verdict.presented_chain)
            run.saw(f"{node.plan.name} let in {verdict.detail}")


async def pass_messages(lab: Lab) -> None:
    """Have the lab's first two users, each at home on a node of its own, exchange messages and presence."""
    (imp1, imp2), (alice_id, bob_id) = lab.imp[:2], lab.user_ids[:2]
    async with xmpp_client(lab, alice_id, imp1) as alice, xmpp_client(lab, bob_id, imp2) as bob:
        for client in (alice, bob):
            expect_login("the login", await client.outcome)
        for sender, receiver in ((alice, bob), (bob, alice)):
            text = f"from {sender.boundjid.bare}"
            sender.chat(receiver.boundjid.bare, text)
            message = await receiver.next_message()
            expect("the message", (text, sender.boundjid.full), (message["body"], message["from"].full))
