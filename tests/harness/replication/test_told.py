"""What a peer cluster tells is checked before any of it is kept; each refusal is beside what is taken."""

from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import IPv4Network

import pytest

from certs.issuing import CertificateSpec, KeyAlgorithm, issue_self_signed, make_key
from harness.plan.lab_file import load_topology
from harness.plan.names import LabNames
from harness.plan.topology import plan_lab
from harness.replication.told import PeerRefused, check_data, check_stamp
from harness.replication.values import ClusterData
from proxies.http.axl.values import ClusterStamp, InterclusterNode, InterclusterUser

PLAN = plan_lab(load_topology("two-clusters"), IPv4Network("127.20.0.0/24"))
OWN, PEER = PLAN.clusters[:2]
STAMP = ClusterStamp(cluster="b", domain="lab.example", stamp="7")
CERTIFICATE = issue_self_signed(
    CertificateSpec.for_node("imp3.lab.example", "127.20.0.13", now=datetime.now(UTC)),
    make_key(KeyAlgorithm.EC_P256),
).chain_pem.decode()
NODE = InterclusterNode(fqdn="imp3.lab.example", number=1, router_port=7400, certificate=CERTIFICATE)
CAROL = InterclusterUser(user_id="carol", home_node="imp3.lab.example")


def check(
    *nodes: InterclusterNode,
    users: tuple[InterclusterUser, ...] = (CAROL,),
    others: dict[str, str] | None = None,
) -> ClusterData:
    names = LabNames(PLAN)
    return check_data(STAMP, nodes, users, own=OWN, told_by_others=others or {}, resolve=names.address_of)


def test_nodes_and_users_are_taken_and_the_address_is_our_resolver_s() -> None:
    data = check(NODE)
    (node,) = data.nodes
    assert (node.fqdn, node.address, node.router_port) == ("imp3.lab.example", "127.20.0.13", 7400)
    assert node.conference_domain == "conference-1-b.lab.example"
    assert data.users == {"carol": "imp3.lab.example"}


@pytest.mark.parametrize(
    ("stamp", "others", "text"),
    [
        (replace(STAMP, cluster="a"), {}, "the peer is cluster 'a', which is this one"),
        (replace(STAMP, domain="partner.example"), {}, "the peer's domain is 'partner.example', ours is"),
        (replace(STAMP, cluster=""), {}, "expected the name of a cluster"),
        (STAMP, {"b": "imp4.lab.example"}, "which is a peer already: imp4.lab.example"),
    ],
)
def test_a_cluster_that_cannot_be_a_peer_is_refused(
    stamp: ClusterStamp, others: dict[str, str], text: str
) -> None:
    check_stamp(STAMP, OWN, {})
    with pytest.raises(PeerRefused, match=text):
        check_stamp(stamp, OWN, others)


@pytest.mark.parametrize(
    ("node", "text"),
    [
        (replace(NODE, fqdn="imp1.lab.example"), "imp1.lab.example is a node of this cluster, not of b"),
        (replace(NODE, fqdn="elsewhere.example"), "no host is called 'elsewhere.example'"),
        (replace(NODE, number=0), "a place in the cluster and a port"),
        (replace(NODE, router_port=70000), "a place in the cluster and a port"),
        (replace(NODE, certificate="no certificate"), "certificate cannot be read"),
        (replace(NODE, certificate="kein Zertifikät"), "certificate cannot be read"),
        (replace(NODE, certificate=CERTIFICATE * 2), "expected one cup-xmpp certificate, seen 2"),
    ],
)
def test_a_node_that_cannot_be_is_refused_with_all_that_came_with_it(
    node: InterclusterNode, text: str
) -> None:
    with pytest.raises(PeerRefused, match=text):
        check(node, users=())


def test_a_node_comes_once_and_from_one_peer() -> None:
    with pytest.raises(PeerRefused, match="each once, seen 2"):
        check(NODE, NODE)
    with pytest.raises(PeerRefused, match="each once, seen 0"):
        check(users=())
    with pytest.raises(PeerRefused, match=r"is a node of the peer imp4\.lab\.example already"):
        check(NODE, others={"imp3.lab.example": "imp4.lab.example"})


@pytest.mark.parametrize(
    ("user", "text"),
    [
        (
            replace(CAROL, home_node="imp1.lab.example"),
            "expected a node of the cluster, seen 'imp1.lab.example'",
        ),
        (replace(CAROL, user_id="ca@rol"), "'ca@rol' is no user of an XMPP domain"),
        (replace(CAROL, user_id=""), "'' is no user of an XMPP domain"),
    ],
)
def test_a_user_who_cannot_be_is_refused(user: InterclusterUser, text: str) -> None:
    with pytest.raises(PeerRefused, match=text):
        check(NODE, users=(user,))
