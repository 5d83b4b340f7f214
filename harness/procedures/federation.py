"""The guide's procedure for XMPP federation (G11), and what is expected of two domains that federate."""

from collections.abc import Iterable

from certs.purposes import CertificatePurpose, ServiceName, TrustStoreName
from certs.verdict import Reason, Verdict
from harness.actors.xmpp import XmppClient
from harness.configuration.cluster_settings import XmppCertificateSettings
from harness.evidence.ledger import Judged
from harness.expectations import ScenarioExpectations, expect
from harness.nodes.node import ImpNode
from harness.procedures.xmpp import own_certificate
from proxies.xmpp.federation.settings import FederationPolicy

FEDERATION = ServiceName.XCP_XMPP_FEDERATION
S2S, TRUST = CertificatePurpose.CUP_XMPP_S2S, TrustStoreName.CUP_XMPP_TRUST


async def name_domain(nodes: Iterable[ImpNode]) -> None:
    """Enter the server-to-server domain name of the nodes' clusters and regenerate `cup-xmpp-s2s` (G24)."""
    for node in nodes:
        settings = XmppCertificateSettings(domain_name=node.plan.domain)
        await node.administration.set_xmpp_certificate_settings(settings)
        await node.administration.certificate_management.regenerate(S2S)


async def trust_each_other(ours: Iterable[ImpNode], theirs: Iterable[ImpNode]) -> None:
    """Upload the `cup-xmpp-s2s` certificates of each side into `cup-xmpp-trust` of the other (G11)."""
    ours, theirs = tuple(ours), tuple(theirs)
    for node, peer in [(a, b) for a in ours for b in theirs] + [(b, a) for a in ours for b in theirs]:
        pem = peer.administration.certificate_management.download(S2S)
        await node.administration.certificate_management.upload_certificate(TRUST, pem)


async def federate(nodes: Iterable[ImpNode], policy: FederationPolicy) -> None:
    """Save settings and policy of XMPP federation, restart Cisco XCP XMPP Federation Connection Manager."""
    nodes = tuple(nodes)
    for node in nodes:
        await node.administration.set_federation(policy)
    for node in nodes:
        await node.administration.restart(FEDERATION)


def shown_fingerprint(node: ImpNode) -> str:
    """Return the SHA-256 of the `cup-xmpp-s2s` certificate that a node has now."""
    return own_certificate(node, S2S)


async def exchange_messages(one: XmppClient, other: XmppClient) -> None:
    """Have two clients of two domains send each other a message."""
    for sender, receiver in ((one, other), (other, one)):
        text = f"from {sender.boundjid.bare}"
        sender.chat(receiver.boundjid.bare, text)
        message = await receiver.next_message(within=10.0)
        seen = (message["body"], message["from"].full, str(message["error"]["text"] or ""))
        expect("the message", (text, sender.boundjid.full, ""), seen)


async def exchange_presence(one: XmppClient, other: XmppClient) -> None:
    """Have two clients of two domains subscribe to each other's presence, and see it (RFC 6121 3, 4)."""
    one.send_presence_subscription(pto=other.boundjid.bare, ptype="subscribe")
    for watcher, watched in ((one, other), (other, one)):
        await watcher.next_available(watched.boundjid.bare, within=10.0)
    one.send_presence(pshow="dnd", pstatus="at the dentist's")
    seen = await other.next_available(one.boundjid.bare, within=10.0, show="dnd")
    expect("the status", "at the dentist's", seen["status"])
    other.send_presence(pshow="away", pstatus="out")
    seen = await one.next_available(other.boundjid.bare, within=10.0, show="away")
    expect("the status", "out", seen["status"])


async def expect_bounce(sender: XmppClient, to: str, condition: str) -> str:
    """Expect that a message comes back with an error, and return its text."""
    sender.chat(to, "is anybody there?")
    bounced = await sender.next_message(within=10.0)
    expect("the answer", ("error", condition), (bounced["type"], bounced["error"]["condition"]))
    return str(bounced["error"]["text"])


async def expect_federation(
    run: ScenarioExpectations,
    what: str,
    node: ImpNode,
    *,
    reason: Reason = Reason.ACCEPTED,
    detail: str = "",
    outgoing: bool | None = None,
    since: int = 0,
) -> Verdict:
    """Expect a verdict of a node's federation connection manager, whose detail has a text in it.

    `outgoing` tells streams that the node opened from those that came in; None takes either.
    """

    def wanted(judged: Judged) -> bool:
        connection = judged.connection
        return (
            connection.service == FEDERATION
            and outgoing in (None, connection.listener == "outgoing")
            and detail in judged.verdict.detail
        )

    return await run.expect_verdict(
        what, node=node.plan.name, reason=reason, since=since, within=10.0, wanted=wanted
    )
