"""Names inside the lab."""

from ipaddress import IPv4Network

import pytest

from certs.errors import ConnectionFailed
from harness.plan.lab_file import load_topology, parse_lab_file
from harness.plan.names import LabNames
from harness.plan.topology import plan_lab
from proxies.sip.transport.flow import Transport
from tests.harness.plan.lab_texts import SMALL


@pytest.fixture
def names() -> LabNames:
    return LabNames(plan_lab(load_topology(), IPv4Network("127.20.0.0/24")))


@pytest.mark.parametrize("name", ["imp2", "imp2.lab.example", "IMP2.lab.example.", "127.20.0.12"])
def test_a_short_name_a_full_name_and_an_address_mean_the_same_host(names: LabNames, name: str) -> None:
    assert names.resolve(name) == "127.20.0.12"


def test_a_name_that_the_lab_has_not_is_refused_with_those_it_has(names: LabNames) -> None:
    with pytest.raises(ConnectionFailed, match=r"'imp3'; did you mean 'imp2'.*known: imp1, imp1.lab.example"):
        names.resolve("imp3")
    assert names.address_of("imp3") is None


def test_a_sip_domain_leads_to_the_nodes_of_its_cluster(names: LabNames) -> None:
    assert names.services_of("lab.example", Transport.TCP) == (
        ("imp1.lab.example", 5060),
        ("imp2.lab.example", 5060),
    )
    assert names.services_of("Lab.example.", Transport.TLS)[0] == ("imp1.lab.example", 5061)
    assert names.services_of("elsewhere.example", Transport.TLS) == ()


def test_an_xmpp_domain_and_its_conferences_lead_to_the_nodes_of_their_cluster() -> None:
    names = LabNames(plan_lab(load_topology("two-domains"), IPv4Network("127.20.0.0/24")))
    both = (("imp1.lab.example", 5269), ("imp2.lab.example", 5269))
    assert names.xmpp_servers_of("Lab.example.") == both
    assert names.xmpp_servers_of("conference-2-imp.lab.example") == both
    assert names.xmpp_servers_of("partner.example") == (("partner1.partner.example", 5269),)
    assert names.xmpp_servers_of("elsewhere.example") == ()


def test_a_foreign_domain_leads_where_the_lab_file_says() -> None:
    text = (
        f'{SMALL}\n[[foreign_domains]]\ndomain = "montague.example"\naddress = "127.77.0.1"\nport = 15269\n'
    )
    plan = plan_lab(parse_lab_file(text, source="lab.toml"), IPv4Network("127.20.5.0/24"))
    assert LabNames(plan).xmpp_servers_of("montague.example") == (("127.77.0.1", 15269),)
