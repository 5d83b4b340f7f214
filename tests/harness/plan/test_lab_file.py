"""The lab file: what is in it, and errors that name file, line, field, what was expected and what was seen."""

import contextlib
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from certs.errors import ConfigError
from certs.issuing import KeyAlgorithm
from harness.plan.lab_file import (
    CertificateSource,
    ImpClusterEntry,
    load_lab_file,
    load_topology,
    parse_lab_file,
    topologies,
)
from tests.harness.plan.lab_texts import SMALL


def refused(text: str) -> str:
    with pytest.raises(ConfigError) as refusal:
        parse_lab_file(text, source="lab.toml")
    return str(refusal.value)


def test_a_small_lab_file_gets_the_defaults_of_the_product() -> None:
    lab_file = parse_lab_file(SMALL, source="lab.toml")

    assert lab_file.key_algorithm is KeyAlgorithm.EC_P256
    assert lab_file.certificates is CertificateSource.SELF_SIGNED
    assert lab_file.address_range == IPv4Network("127.20.0.0/24")
    imp, cucm = lab_file.clusters
    assert [node.name for node in imp.nodes] == ["imp1", "imp2"]
    assert [node.address for node in imp.nodes] == [None, IPv4Address("127.20.0.20")]
    assert imp.kind == "imp"
    assert imp.nodes[0].ports.sip_tls_peer_auth == 5062
    assert imp.nodes[0].ports.ssh == 2222
    assert cucm.kind == "cucm"
    assert cucm.lines == ("1001",)


def test_the_built_in_topologies_load() -> None:
    for name in topologies():
        assert load_topology(name).name == name


def test_the_default_topology_has_two_imp_nodes_and_one_cucm_node() -> None:
    imp, cucm = load_topology().clusters
    assert ([len(imp.nodes), imp.kind], [len(cucm.nodes), cucm.kind]) == ([2, "imp"], [1, "cucm"])


def test_an_unknown_topology_names_near_matches() -> None:
    with pytest.raises(ConfigError, match="did you mean 'two-imp-one-cucm'"):
        load_topology("two-imp-one-cucn")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (
            'domain = "lab.example"\naddress = "127.77.0.1"',
            "lab.toml:26: foreign_domains[0].domain: expected a domain outside the lab, seen 'lab.example'",
        ),
        (
            'domain = "chat.lab.example"\naddress = "127.77.0.1"',
            "lab.toml:26: foreign_domains[0].domain: expected a domain outside the lab, seen 'chat.lab.example'",
        ),
        (
            'domain = "montague.example"\naddress = "127.20.0.7"',
            "lab.toml:27: foreign_domains[0].address: expected an address outside 127.20.0.0/24",
        ),
        (
            'domain = "montague.example"\naddress = "xmpp.montague.example"',
            "lab.toml:27: foreign_domains[0].address: expected a valid IPv4 address",
        ),
        ('domain = "montague.example"', "foreign_domains[0].address: expected a value, seen none"),
        (
            'domain = "montague.example"\naddress = "127.77.0.1"\nprot = 5269',
            "lab.toml:28: foreign_domains[0].prot: expected no such key; did you mean 'port'?",
        ),
    ],
)
def test_a_foreign_domain_that_cannot_be_names_its_field(entry: str, message: str) -> None:
    assert message in refused(f"{SMALL}\n[[foreign_domains]]\n{entry}\n")


PEERS = """
[[clusters]]
name = "west"
kind = "imp"
peers = ["imp"]
nodes = [{ name = "imp9" }]
"""


def test_clusters_are_each_other_s_intercluster_peers() -> None:
    lab = parse_lab_file(SMALL + PEERS, source="lab.toml")
    west = lab.clusters[-1]
    assert isinstance(west, ImpClusterEntry)
    assert (west.peers, west.axl_user, west.axl_password) == (("imp",), "axl", None)


@pytest.mark.parametrize(
    ("good", "bad", "message"),
    [
        (
            'peers = ["imp"]',
            'peers = ["inp"]',
            "lab.toml:28: clusters[2].peers[0]: expected the name of another IM and Presence cluster, seen 'inp'; "
            "did you mean 'imp'?",
        ),
        ('peers = ["imp"]', 'peers = ["west"]', "of another IM and Presence cluster, seen 'west'"),
        ('peers = ["imp"]', 'peers = ["cucm"]', "of another IM and Presence cluster, seen 'cucm'"),
        ('peers = ["imp"]', 'peers = ["imp", "imp"]', "peers[1]: expected a value of its own, seen 'imp'"),
        (
            'kind = "imp"\npeers',
            'kind = "imp"\ndomain = "west.example"\npeers',
            "expected a cluster of the same domain, west.example, seen 'imp' of lab.example: clusters of different",
        ),
        ('peers = ["imp"]', 'peers = "imp"', "clusters[2].peers: expected a valid tuple, seen 'imp'"),
        ('peers = ["imp"]', 'peer = ["imp"]', "expected no such key; did you mean 'peers'?"),
    ],
)
def test_a_peer_that_cannot_be_names_its_field(good: str, bad: str, message: str) -> None:
    assert good in PEERS
    assert message in refused(SMALL + PEERS.replace(good, bad))


@pytest.mark.parametrize(
    ("good", "bad", "message"),
    [
        (
            'address = "127.20.0.20"',
            'address = "127.20.0.300"',
            "lab.toml:13: clusters[0].nodes[1].address: expected a valid IPv4 address, seen '127.20.0.300'",
        ),
        ('name = "small"', 'name = "Small"', "lab.toml:1: name: expected a host name label: small letters"),
        (
            'domain = "lab.example"',
            'domian = "lab.example"',
            "lab.toml:2: domian: expected no such key; did you mean 'domain'?",
        ),
        (
            'address = "127.20.0.20"',
            "ports.sip = 80",
            "lab.toml:13: clusters[0].nodes[1].ports.sip: expected greater than or equal to 1024, seen 80",
        ),
        (
            'address = "127.20.0.20"',
            "ports.tomcat = 5062",
            "lab.toml:13: clusters[0].nodes[1].ports.tomcat: expected a value of its own, seen 5062",
        ),
        (
            'address = "127.20.0.20"',
            "ports.spi = 5070",
            "lab.toml:13: clusters[0].nodes[1].ports.spi: expected no such key; did you mean 'sip'",
        ),
        (
            'domain = "lab.example"',
            'key_algorithm = "rsa-2084"',
            "lab.toml:2: key_algorithm: expected 'ec-p256' or 'rsa-2048', seen 'rsa-2084'; "
            "did you mean 'rsa-2048'",
        ),
        (
            'domain = "lab.example"',
            'address_range = "127.20.0.0/16"',
            "lab.toml:2: address_range: expected a range of 256 addresses, as 127.20.0.0/24",
        ),
        (
            'name = "imp2"',
            'name = "imp1"',
            "lab.toml:12: clusters[0].nodes[1].name: expected a value of its own, seen 'imp1' a second time",
        ),
        (
            'home_node = "imp1"',
            'home_node = "imp3"',
            "lab.toml:23: users[0].home_node: expected the name of an IM and Presence node, seen 'imp3'; "
            "did you mean 'imp2' or 'imp1'?",
        ),
        (
            'home_node = "imp1"',
            'home_node = "cucm1"',
            "lab.toml:23: users[0].home_node: expected the name of an IM and Presence node, seen 'cucm1'",
        ),
        (
            'lines = ["1001"]',
            'lines = ["1001", "1001"]',
            "lab.toml:19: clusters[1].lines[1]: expected a value of its own, seen '1001' a second time",
        ),
        (
            'lines = ["1001"]',
            'lines = ["10 01"]',
            "lab.toml:19: clusters[1].lines[0]: expected a directory number: digits, * and #, as 1001, seen '10 01'",
        ),
        (
            'kind = "imp"',
            'kind = "imp"\nweb_client_origins = ["https://app.example/page"]',
            "lab.toml:7: clusters[0].web_client_origins[0]: expected an origin in small letters, as "
            "https://app.example:8443, seen 'https://app.example/page'",
        ),
        ('kind = "cucm"', 'kind = "cuc"', "lab.toml:15: clusters[1]: "),
        ('user_id = "alice"\nhome', "home", "lab.toml:21: users[0].user_id: expected a value, seen none"),
        ('nodes = [{ name = "cucm1" }]', "nodes = []", "lab.toml:18: clusters[1].nodes: expected at least 1"),
        ('name = "small"', "name = ", "lab.toml:1: Invalid value"),
    ],
)
def test_an_error_names_file_line_field_expected_and_seen(good: str, bad: str, message: str) -> None:
    assert SMALL.count(good) >= 1
    parse_lab_file(SMALL, source="lab.toml")
    assert refused(SMALL.replace(good, bad)).startswith(message)


def test_every_wrong_field_has_a_line_of_its_own() -> None:
    text = SMALL.replace('"small"', '"Small"').replace('"127.20.0.20"', '"no"')
    assert [line.split(": ")[1] for line in refused(text).splitlines()] == [
        "name",
        "clusters[0].nodes[1].address",
    ]


def test_a_password_is_shown_neither_in_an_error_nor_in_the_file_s_value() -> None:
    given_password = SMALL + 'digest_password = "hush-hush"\n'
    assert "hush" not in repr(parse_lab_file(given_password, source="lab.toml"))
    assert "hush" not in refused(SMALL + 'digest_password = ["hush-hush"]\n')
    assert "hush" not in refused('name = "x"\nclusters = []\nusers = { digest_password = "hush-hush" }\n')


def test_a_lab_file_is_read_from_disk(tmp_path: Path) -> None:
    path = tmp_path / "lab.toml"
    path.write_text(SMALL, "utf-8")
    assert load_lab_file(path) == parse_lab_file(SMALL, source="lab.toml")


def test_a_lab_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml: No such file"):
        load_lab_file(tmp_path / "none.toml")
    broken = tmp_path / "latin.toml"
    broken.write_bytes(b'name = "caf\xe9"')
    with pytest.raises(ConfigError, match="expected UTF-8, seen the byte 0xe9"):
        load_lab_file(broken)


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=120), st.integers(0, len(SMALL)))
def test_any_text_gives_a_lab_file_or_a_config_error(text: str, place: int) -> None:
    with contextlib.suppress(ConfigError):
        parse_lab_file(SMALL[:place] + text + SMALL[place:], source="lab.toml")


COMPONENT = """
[[clusters.components]]
domain = "{domain}"
secret = "{secret}"
"""


def with_components(*domains: str, secret: str = "long enough") -> str:
    parts = "".join(COMPONENT.format(domain=domain, secret=secret) for domain in domains)
    return SMALL.replace('address = "127.20.0.20"\n', f'address = "127.20.0.20"\n{parts}')


def test_a_cluster_has_external_components() -> None:
    lab_file = parse_lab_file(with_components("echo.lab.example", "sms.example"), source="lab.toml")
    (cluster, _) = lab_file.clusters
    assert isinstance(cluster, ImpClusterEntry)
    assert [one.domain for one in cluster.components] == ["echo.lab.example", "sms.example"]
    assert "long enough" not in repr(lab_file)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (with_components("echo.lab.example", "echo.lab.example"), "echo.lab.example"),
        (with_components("lab.example"), "it is a cluster's presence domain"),
        (with_components("conference-1-imp.lab.example"), "it is kept for text conferences"),
        (with_components("Echo.lab.example"), "expected a domain name in small letters"),
        (with_components("echo.lab.example", secret="short"), "at least 8"),
    ],
)
def test_a_component_that_cannot_be_is_named(text: str, complaint: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        parse_lab_file(text, source="lab.toml")
    assert complaint in str(refusal.value)
    assert "components[" in str(refusal.value)
    assert "short" not in str(refusal.value)
