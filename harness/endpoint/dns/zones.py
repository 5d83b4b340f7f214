"""What the lab's names mean, as DNS records: A, PTR, SRV, NAPTR and TXT, made from the plan.

SRV is RFC 2782; which services look for which records: XMPP RFC 6120 3.2.1, SIP RFC 3263 4.1, web clients the TXT
records of XEP-0156, Jabber `_cisco-uds` and `_cuplogin` (Cisco's DNS planning guide for Jabber).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Final

from dnslib import CLASS, NAPTR, NS, PTR, QTYPE, RD, RR, SOA, SRV, TXT, A  # type: ignore[import-untyped]

from harness.plan.topology import ClusterPlan, LabPlan
from proxies.xmpp.web.alternatives import AlternativeConnections
from proxies.xmpp.web.http_binding import BOSH_PATH, WEBSOCKET_PATH

TTL: Final = 5
"Seconds that an answer may be kept: the next lab may mean something else by the same name."

Records = Mapping[str, tuple[RR, ...]]
"Records by their names, small letters, without the last dot."


@dataclass(frozen=True, slots=True)
class Zones:
    """All records of a lab, and where the zones begin that they are in."""

    records: Records
    "The records by name."

    origins: frozenset[str]
    "The names of the zones."

    def origin_of(self, name: str) -> str | None:
        """Return the zone that a name is in, the longest one; None where the lab has none."""
        labels = name.split(".")
        return next(
            (zone for n in range(len(labels)) if (zone := ".".join(labels[n:])) in self.origins), None
        )

    def exists(self, name: str) -> bool:
        """Whether a name is there, be it only as a part of longer ones (RFC 8020 2)."""
        return name in self.records or any(each.endswith(f".{name}") for each in self.records)


def zones_of(plan: LabPlan, server_address: str) -> Zones:
    """Return the zones of a lab whose name server is at an address."""
    found: dict[str, list[RR]] = {}

    def add(name: str, data: RD) -> None:
        rtype = type(data).__name__
        record = RR(name, getattr(QTYPE, rtype), CLASS.IN, TTL, data)
        records = found.setdefault(name, [])
        if record not in records:
            records.append(record)

    networks = {IPv4Network(f"{node.address}/24", strict=False) for node in plan.nodes}
    reverse = {_reverse_zone(network) for network in networks}
    forward = {cluster.domain for cluster in plan.clusters} | {each.domain for each in plan.foreign_domains}
    for zone in sorted(forward | reverse):
        name_server = f"ns.{zone}" if zone in forward else f"ns.{plan.clusters[0].domain}"
        # The times are those of RFC 1912 2.2, but for the last: how long a name that is not there stays so.
        add(zone, SOA(name_server, f"hostmaster.{zone}", (1, 3600, 900, 1_209_600, TTL)))
        add(zone, NS(name_server))
        if zone in forward:
            add(f"ns.{zone}", A(server_address))
    for node in plan.nodes:
        add(node.fqdn, A(node.address))
        add(IPv4Address(node.address).reverse_pointer, PTR(node.fqdn))
    for cluster in plan.clusters:
        for name, data in _records_of(cluster):
            add(name, data)
    for foreign in plan.foreign_domains:
        host = f"xmpp.{foreign.domain}"
        add(host, A(foreign.address))
        add(f"_xmpp-server._tcp.{foreign.domain}", SRV(0, 0, foreign.port, host))
    return Zones({name: tuple(records) for name, records in found.items()}, frozenset(forward | reverse))


def _reverse_zone(network: IPv4Network) -> str:
    return network.network_address.reverse_pointer.partition(".")[2]


def _records_of(cluster: ClusterPlan) -> Iterator[tuple[str, RD]]:
    domain = cluster.domain
    for cucm in cluster.cucm:
        yield f"_cisco-uds._tcp.{domain}", SRV(0, 0, cucm.ports.tomcat, cucm.fqdn)
    for node in cluster.imp:
        # A client that finds no SRV record asks for the domain itself (RFC 6120 3.2.2).
        yield domain, A(node.address)
        yield f"_xmpp-client._tcp.{domain}", SRV(0, 0, node.ports.xmpp_client, node.fqdn)
        for served in (domain, *cluster.conference_domains):
            yield f"_xmpp-server._tcp.{served}", SRV(0, 0, node.ports.xmpp_federation, node.fqdn)
        yield f"_cuplogin._tcp.{domain}", SRV(0, 0, node.ports.tomcat, node.fqdn)
        yield f"_sips._tcp.{domain}", SRV(0, 0, node.ports.sip_tls_server_auth, node.fqdn)
        yield f"_sip._tcp.{domain}", SRV(0, 0, node.ports.sip, node.fqdn)
        yield f"_sip._udp.{domain}", SRV(0, 0, node.ports.sip, node.fqdn)
        for secure, port in ((True, node.ports.http_binding_tls), (False, node.ports.http_binding)):
            web = AlternativeConnections.of(
                node.fqdn, port, secure=secure, bosh_path=BOSH_PATH, websocket_path=WEBSOCKET_PATH
            )
            yield f"_xmppconnect.{domain}", TXT(f"_xmpp-client-xbosh={web.bosh}")
            yield f"_xmppconnect.{domain}", TXT(f"_xmpp-client-websocket={web.websocket}")
    if cluster.imp:
        # RFC 3263 4.1: the transports of the domain, the one that is liked best first.
        for order, (service, name) in enumerate(
            (("SIPS+D2T", "_sips._tcp"), ("SIP+D2T", "_sip._tcp"), ("SIP+D2U", "_sip._udp")), start=1
        ):
            yield domain, NAPTR(order * 10, 50, "s", service, "", f"{name}.{domain}")
