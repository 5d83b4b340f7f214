"""From a lab file and a range of addresses to what every node is told."""

from ipaddress import IPv4Network

import pytest

from certs.errors import ConfigError
from harness.plan.lab_file import load_topology, parse_lab_file
from harness.plan.topology import plan_lab
from tests.harness.plan.lab_texts import SMALL

RANGE = IPv4Network("127.20.0.0/24")


def test_nodes_get_addresses_in_order_and_full_names_in_their_domain() -> None:
    plan = plan_lab(load_topology(), RANGE)
    assert [(node.fqdn, node.address) for node in plan.nodes] == [
        ("imp1.lab.example", "127.20.0.11"),
        ("imp2.lab.example", "127.20.0.12"),
        ("cucm1.lab.example", "127.20.0.13"),
    ]


def test_another_range_moves_every_node_also_one_whose_address_the_file_names() -> None:
    plan = plan_lab(parse_lab_file(SMALL, source="lab.toml"), IPv4Network("127.20.9.0/24"))
    assert [node.address for node in plan.nodes] == ["127.20.9.11", "127.20.9.20", "127.20.9.12"]


def test_an_address_outside_the_range_stays() -> None:
    lab_file = parse_lab_file(SMALL.replace("127.20.0.20", "127.99.0.1"), source="lab.toml")
    assert plan_lab(lab_file, IPv4Network("127.20.9.0/24")).nodes[1].address == "127.99.0.1"


def test_an_address_that_the_file_names_is_given_to_no_other_node() -> None:
    lab_file = parse_lab_file(SMALL.replace("127.20.0.20", "127.20.0.11"), source="lab.toml")
    assert [node.address for node in plan_lab(lab_file, RANGE).nodes] == [
        "127.20.0.12",
        "127.20.0.11",
        "127.20.0.13",
    ]


def test_a_cluster_s_own_domain_is_in_its_nodes_names() -> None:
    text = SMALL.replace('kind = "cucm"', 'kind = "cucm"\ndomain = "voice.example"')
    plan = plan_lab(parse_lab_file(text, source="lab.toml"), RANGE)
    assert [node.fqdn for node in plan.nodes] == [
        "imp1.lab.example",
        "imp2.lab.example",
        "cucm1.voice.example",
    ]


def test_a_cluster_knows_the_pages_that_may_use_its_web_connection_managers() -> None:
    text = SMALL.replace('kind = "imp"', 'kind = "imp"\nweb_client_origins = ["https://app.example:8443"]')
    assert plan_lab(parse_lab_file(text, source="lab.toml"), RANGE).clusters[0].web_client_origins == {
        "https://app.example:8443"
    }
    assert plan_lab(load_topology(), RANGE).clusters[0].web_client_origins is None


def test_a_range_that_is_used_up_is_an_error() -> None:
    cluster = '[[clusters]]\nname = "c{0}"\nkind = "cucm"\nnodes = [{1}]\n'
    clusters = "".join(
        cluster.format(i, ", ".join(f'{{ name = "n{i}-{j}" }}' for j in range(20))) for i in range(13)
    )
    lab_file = parse_lab_file(f'name = "big"\n{clusters}', source="lab.toml")
    with pytest.raises(ConfigError, match=r"127\.20\.0\.0/24: no address is left for n12-4"):
        plan_lab(lab_file, RANGE)
