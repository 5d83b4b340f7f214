"""Connections are used again, but only for the peer that proved its name (RFC 5923)."""

from certs.verdict import Reason, Side, Verdict
from proxies.observer import ConnectionInfo
from proxies.sip.transport.flow import Flow, Transport
from proxies.sip.transport.flow_table import FlowTable
from tests.proxies.sip.messages.test_identity import certificate

PEER = ("127.0.0.2", 40000)


def flow(*names: str, transport: Transport = Transport.TLS, peer: tuple[str, int] = PEER) -> Flow:
    verdict = Verdict(
        accepted=True,
        reason=Reason.ACCEPTED,
        side=Side.SERVER,
        presented_chain=(certificate(*names),) if names else (),
    )
    local = ("127.0.0.1", 5061)
    connection = ConnectionInfo(
        id="imp1 1",
        node="imp1",
        service="Cisco SIP Proxy",
        listener="5061",
        transport=transport,
        local=local,
        peer=peer,
    )
    return Flow(
        connection=connection,
        transport=transport,
        local=local,
        peer=peer,
        verdict=verdict if transport is Transport.TLS else None,
    )


def test_a_flow_is_found_by_transport_address_and_port() -> None:
    table, tcp = FlowTable(), flow(transport=Transport.TCP)
    table.add(tcp)
    assert table.find(Transport.TCP, *PEER) is tcp
    assert table.find(Transport.TLS, *PEER) is None
    assert table.find(Transport.TCP, PEER[0], 40001) is None
    assert table.find(Transport.TCP, "127.0.0.3", PEER[1]) is None


def test_the_newest_flow_is_used() -> None:
    table, first, second = FlowTable(), flow("DNS:a"), flow("DNS:a")
    table.add(first)
    table.add(second)
    assert table.find(Transport.TLS, *PEER) is second
    table.remove(second)
    assert table.find(Transport.TLS, *PEER) is first


def test_a_flow_is_used_only_for_a_name_that_its_peer_proved() -> None:
    table, tls = FlowTable(), flow("DNS:cucm1.example.com")
    table.add(tls)
    assert table.find(Transport.TLS, *PEER, server_name="cucm1.example.com") is tls
    assert table.find(Transport.TLS, *PEER, server_name="cucm2.example.com") is None


def test_an_alias_is_used_for_the_advertised_port() -> None:
    table, tls = FlowTable(), flow("DNS:cucm1.example.com")
    table.add(tls)
    assert table.add_alias(tls, sent_by_host="cucm1.example.com", sent_by_port=5061)
    assert table.find(Transport.TLS, PEER[0], 5061) is tls


def test_an_alias_without_a_port_means_5061() -> None:
    table, tls = FlowTable(), flow("IP:127.0.0.2")
    table.add(tls)
    assert table.add_alias(tls, sent_by_host="127.0.0.2", sent_by_port=None)
    assert table.find(Transport.TLS, PEER[0], 5061) is tls


def test_an_alias_needs_a_certificate_for_the_advertised_host() -> None:
    table, tls = FlowTable(), flow("DNS:other.example.com")
    table.add(tls)
    assert not table.add_alias(tls, sent_by_host="cucm1.example.com", sent_by_port=5061)
    assert table.find(Transport.TLS, PEER[0], 5061) is None


def test_an_alias_needs_a_client_certificate() -> None:
    table, anonymous = FlowTable(), flow()
    table.add(anonymous)
    assert not table.add_alias(anonymous, sent_by_host="cucm1.example.com", sent_by_port=5061)


def test_an_alias_needs_tls() -> None:
    table, tcp = FlowTable(), flow(transport=Transport.TCP)
    table.add(tcp)
    assert not table.add_alias(tcp, sent_by_host="127.0.0.2", sent_by_port=5060)


def test_a_removed_flow_is_found_no_more_not_even_by_its_alias() -> None:
    table, tls = FlowTable(), flow("DNS:cucm1.example.com")
    table.add(tls)
    table.add_alias(tls, sent_by_host="cucm1.example.com", sent_by_port=5061)
    table.remove(tls)
    table.remove(tls)
    assert len(table) == 0
    assert table.find(Transport.TLS, PEER[0], 5061) is None
    assert table.find(Transport.TLS, *PEER) is None
