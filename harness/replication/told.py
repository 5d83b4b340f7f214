"""Checks what a peer cluster tells before any of it is kept: a peer may speak for itself, and no further."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from certs.errors import CertificateError, HarnessError
from certs.presented import parse_certificates
from harness.plan.topology import ClusterPlan
from harness.replication.values import ClusterData, XmppNode
from proxies.http.axl.values import ClusterStamp, InterclusterNode, InterclusterUser
from proxies.xmpp.jid import Jid

_MAXIMUM_NAME: Final = 253
_MAXIMUM_NODES: Final = 100


class PeerRefused(HarnessError):  # noqa: N818 - it is what happened
    """What a peer tells cannot be kept; what it told before stays."""

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy
        "What mends it."


def check_stamp(stamp: ClusterStamp, own: ClusterPlan, told_by_others: Mapping[str, str]) -> None:
    """Raise PeerRefused where this cluster cannot be a peer of ours."""
    if not 0 < len(stamp.cluster) <= _MAXIMUM_NAME or not stamp.stamp:
        raise PeerRefused("expected the name of a cluster and a mark, seen none")
    if stamp.cluster == own.name:
        raise PeerRefused(
            f"the peer is cluster {stamp.cluster!r}, which is this one",
            remedy="Enter the publisher of another cluster as Peer Address, and give each cluster a name of its own.",
        )
    if stamp.cluster in told_by_others:
        raise PeerRefused(
            f"the peer is cluster {stamp.cluster!r}, which is a peer already: {told_by_others[stamp.cluster]}",
            remedy="Delete one of the two peers: a cluster is entered once, by its publisher.",
        )
    if stamp.domain != own.domain:
        raise PeerRefused(
            f"the peer's domain is {stamp.domain!r}, ours is {own.domain!r}: intercluster peers share one domain",
            remedy="Configure XMPP federation between clusters of different domains.",
        )


def check_data(
    stamp: ClusterStamp,
    nodes: Sequence[InterclusterNode],
    users: Sequence[InterclusterUser],
    *,
    own: ClusterPlan,
    told_by_others: Mapping[str, str],
    resolve: Callable[[str], str | None],
) -> ClusterData:
    """Return what may be kept of what a peer told. Raises PeerRefused, which names what is wrong.

    Where its nodes are says our own resolver, not the peer.
    """
    if not 0 < len(nodes) <= _MAXIMUM_NODES or len({node.fqdn for node in nodes}) != len(nodes):
        raise PeerRefused(f"expected nodes, each once, seen {len(nodes)}")
    kept = tuple(_check_node(node, stamp, own, told_by_others, resolve) for node in nodes)
    homes = {node.fqdn for node in kept}
    return ClusterData(
        cluster=stamp.cluster,
        nodes=kept,
        users={user.user_id: user.home_node for user in users if _check_user(user, stamp.domain, homes)},
    )


def _check_node(
    node: InterclusterNode,
    stamp: ClusterStamp,
    own: ClusterPlan,
    told_by_others: Mapping[str, str],
    resolve: Callable[[str], str | None],
) -> XmppNode:
    if node.fqdn in {plan.fqdn for plan in own.nodes}:
        raise PeerRefused(f"{node.fqdn} is a node of this cluster, not of {stamp.cluster}")
    if node.fqdn in told_by_others:
        raise PeerRefused(f"{node.fqdn} is a node of the peer {told_by_others[node.fqdn]} already")
    if not 0 < node.number <= _MAXIMUM_NODES or not 0 < node.router_port < 65536:
        raise PeerRefused(f"{node.fqdn}: expected a place in the cluster and a port, seen neither")
    address = resolve(node.fqdn)
    if address is None:
        raise PeerRefused(
            f"no host is called {node.fqdn[:_MAXIMUM_NAME]!r}, which is a node of {stamp.cluster}"
        )
    try:
        certificates = parse_certificates(node.certificate.encode("ascii"))
    except (CertificateError, UnicodeEncodeError) as error:
        raise PeerRefused(f"{node.fqdn}: its cup-xmpp certificate cannot be read: {error}") from None
    if len(certificates) != 1:
        raise PeerRefused(f"{node.fqdn}: expected one cup-xmpp certificate, seen {len(certificates)}")
    return XmppNode(
        fqdn=node.fqdn,
        cluster=stamp.cluster,
        number=node.number,
        domain=stamp.domain,
        address=address,
        router_port=node.router_port,
        certificate=node.certificate,
    )


def _check_user(user: InterclusterUser, domain: str, homes: set[str]) -> bool:
    if user.home_node not in homes:
        raise PeerRefused(
            f"{user.user_id[:100]!r}: expected a node of the cluster, seen {user.home_node[:100]!r}"
        )
    try:
        Jid.parse(f"{user.user_id}@{domain}")
    except HarnessError as error:
        raise PeerRefused(f"{user.user_id[:100]!r} is no user of an XMPP domain: {error}") from None
    return True
