"""What keeps two clusters from being peers: one thing wrong at a time, beside the entry that is accepted."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from certs.purposes import CertificatePurpose, TrustStoreName
from certs.verdict import Reason
from harness.actors.xmpp import expect_login, xmpp_client
from harness.evidence.ledger import Judged
from harness.expectations import expect
from harness.lab import Lab
from harness.nodes.node import ImpNode
from harness.procedures.federation import exchange_messages
from harness.procedures.intercluster import (
    AGENT,
    ROUTER,
    TOMCAT,
    WITHIN,
    expect_status,
    expect_synchronised,
    import_tomcat,
    restart_router_where_needed,
)
from harness.replication.values import InterclusterPeer
from harness.scenario import ScenarioRun, scenario
from proxies.http.axl.values import AxlAccount


@scenario(
    "intercluster-peer-refusals",
    title="What keeps two clusters from being intercluster peers",
    covers=("G06", "G22"),
    topology="two-clusters",
    limit=180.0,
)
async def intercluster_peer_refusals(lab: Lab, run: ScenarioRun) -> None:
    imp1, imp2, imp3 = lab.imp
    (good,) = await imp1.intercluster.peers()
    plain = imp3.plan.ports.http_binding

    async with run.step("The peer's tomcat certificate is not in tomcat-trust"):
        await _expect_refusal(lab, run, imp1, Reason.UNTRUSTED_ISSUER)
    await import_tomcat(run, imp1, imp3)
    await _accept(lab, run, imp1)

    for title, entry, reason in (
        (
            "A wrong password of the AXL application account",
            replace(good, axl_password="wrong"),
            Reason.BAD_CREDENTIALS,
        ),
        ("An AXL user whom the peer does not have", replace(good, axl_user="nobody"), Reason.BAD_CREDENTIALS),
        (f"Port {plain}, where the peer speaks HTTP in the clear", replace(good, port=plain), Reason.NOT_TLS),
        ("A port where nobody listens", replace(good, port=9), Reason.UNREACHABLE),
        (
            "A name that is not in the peer's certificate",
            replace(good, address="imp3"),
            Reason.HOST_NAME_MISMATCH,
        ),
        (
            "A node of this cluster, which is no peer and not trusted",
            replace(good, address=imp2.plan.fqdn),
            Reason.UNTRUSTED_ISSUER,
        ),
    ):
        async with run.step(f"{title}"):
            await _enter(imp1, entry)
            await _expect_refusal(lab, run, imp1, reason)
        await _enter(imp1, good)
        await _accept(lab, run, imp1)

    async with run.step("This cluster's own subscriber, trusted now, is asked and is no peer"):
        pem = imp2.administration.certificate_management.download(CertificatePurpose.TOMCAT)
        await imp1.administration.certificate_management.upload_certificate(TrustStoreName.TOMCAT_TRUST, pem)
        account = await imp1.intercluster.axl_account()
        own = InterclusterPeer(
            address=imp2.plan.fqdn, axl_user=account.user_id, axl_password=account.password
        )
        await _enter(imp1, own)
        status = await expect_status(lab, "a refusal", imp1, lambda status: bool(status.error))
        expect("what is wrong", "the peer is cluster 'a', which is this one", status.error)
        run.saw(f"{status.error}; remedy: {status.remedy}")
    await _enter(imp1, good)
    await _accept(lab, run, imp1)

    await _change_the_peer(lab, run, good)
    await _refuse_routers(lab, run)


async def _change_the_peer(lab: Lab, run: ScenarioRun, good: InterclusterPeer) -> None:
    imp1, _, imp3 = lab.imp
    steps: tuple[
        tuple[str, Reason, Callable[[], Awaitable[object]], Callable[[], Awaitable[object]]], ...
    ] = (
        (
            "The peer changes the password of its AXL application account",
            Reason.BAD_CREDENTIALS,
            lambda: imp3.intercluster.set_axl_account(AxlAccount(user_id="axl", password="another")),
            lambda: imp1.intercluster.save_peer(replace(good, axl_password="another")),
        ),
        (
            "The peer's Cisco Tomcat is stopped",
            Reason.UNREACHABLE,
            lambda: imp3.services.stop(TOMCAT),
            lambda: imp3.services.start(TOMCAT),
        ),
        (
            "The peer regenerates tomcat and restarts Cisco Tomcat",
            Reason.UNTRUSTED_ISSUER,
            lambda: _regenerate_tomcat(imp3),
            lambda: imp1.administration.import_certificate(
                TrustStoreName.TOMCAT_TRUST, imp3.plan.fqdn, imp3.plan.ports.tomcat
            ),
        ),
    )
    for title, reason, break_it, mend_it in steps:
        async with run.step(title):
            await break_it()
            lab.clock.advance(5.0)
            await _expect_refusal(lab, run, imp1, reason)
            (status,) = await imp1.intercluster.statuses()
            expect("users who were told of before", 2, status.users)
        await mend_it()
        lab.clock.advance(60.0)
        await _accept(lab, run, imp1)


async def _refuse_routers(lab: Lab, run: ScenarioRun) -> None:
    imp1, _, imp3 = lab.imp
    async with run.step("Cluster b does not have cluster a as a peer: its router knows none of cluster a's"):
        (entry,) = await imp3.intercluster.peers()
        await imp3.intercluster.delete_peer(entry.address)
        since = run.ledger.position
        await imp1.administration.restart(ROUTER)
        refused = await run.expect_verdict(
            "imp1 at imp3",
            node="imp3",
            reason=Reason.UNKNOWN_ROUTER,
            since=since,
            within=WITHIN,
            wanted=lambda judged: judged.connection.peer[0] == imp1.plan.address,
        )
        run.saw(f"{refused.detail}; remedy: {refused.remedy}")
    async with run.step("The twin: the peer is entered there too, and the routers are restarted"):
        await imp3.intercluster.save_peer(entry)
        await imp3.administration.import_certificate(
            TrustStoreName.TOMCAT_TRUST, imp1.plan.fqdn, imp1.plan.ports.tomcat
        )
        await expect_synchronised(lab, run, imp3)
    since = run.ledger.position
    await restart_router_where_needed(lab, run, nodes=lab.imp[1:])
    async with run.step("Without router-to-router secure mode the links are TCP, let in by their address"):
        for node, peer in ((imp1, imp3), (imp3, imp1)):
            accepted = await run.expect_verdict(
                f"{peer.plan.name} at {node.plan.name}",
                node=node.plan.name,
                reason=Reason.ACCEPTED,
                since=since,
                within=WITHIN,
                wanted=lambda judged, peer=peer: (  # type: ignore[misc]
                    judged.connection.service == ROUTER and judged.connection.peer[0] == peer.plan.address
                ),
            )
            run.saw(f"{node.plan.name} let in {accepted.detail}")
        async with xmpp_client(lab, "alice", imp1) as alice, xmpp_client(lab, "carol", imp3) as carol:
            for client in (alice, carol):
                expect_login("the login", await client.outcome)
            await exchange_messages(alice, carol)


async def _enter(node: ImpNode, peer: InterclusterPeer) -> None:
    """Have this one and no other in Presence > Inter-Clustering."""
    for known in await node.intercluster.peers():
        await node.intercluster.delete_peer(known.address)
    await node.intercluster.save_peer(peer)


async def _accept(lab: Lab, run: ScenarioRun, node: ImpNode) -> None:
    async with run.step("The twin: with that mended the clusters synchronise"):
        await expect_synchronised(lab, run, node)


async def _expect_refusal(lab: Lab, run: ScenarioRun, node: ImpNode, reason: Reason) -> None:
    """Expect that the status and a verdict of the agent name the reason, with a remedy."""
    status = await expect_status(lab, f"a refusal: {reason}", node, lambda status: status.reason == reason)
    verdict = await run.expect_verdict(
        "the agent's verdict", node=node.plan.name, reason=reason, within=WITHIN, wanted=_is_of_agent
    )
    expect("a remedy", True, bool(status.remedy) and status.remedy == verdict.remedy)
    run.saw(f"{status.reason} ({verdict.clause}): {status.error}; remedy: {status.remedy}")


async def _regenerate_tomcat(node: ImpNode) -> None:
    await node.administration.certificate_management.regenerate(CertificatePurpose.TOMCAT)
    await node.administration.restart(TOMCAT)


def _is_of_agent(judged: Judged) -> bool:
    return judged.connection.service == AGENT
