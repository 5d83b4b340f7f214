"""Names inside the lab."""

from ipaddress import IPv4Network

import pytest

from certs.errors import ConnectionFailed
from harness.plan.lab_file import load_topology
from harness.plan.names import LabNames
from harness.plan.topology import plan_lab
from proxies.sip.transport.flow import Transport


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
