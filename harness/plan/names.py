"""The names of a lab: host names to addresses, and SIP domains to the services in them."""

from collections.abc import Mapping
from ipaddress import IPv4Address
from types import MappingProxyType

from certs.errors import ConnectionFailed
from harness.near_matches import did_you_mean
from harness.plan.topology import LabPlan
from proxies.sip.transport.flow import Transport


class LabNames:
    """What the names of one lab mean; every node has one of its own, as each host has a resolver."""

    def __init__(self, plan: LabPlan) -> None:
        addresses: dict[str, str] = {}
        for node in plan.nodes:
            addresses[node.name] = node.address
            addresses[node.fqdn] = node.address
        self.addresses: Mapping[str, str] = MappingProxyType(addresses)
        "Short and full names with their addresses."
        services: dict[tuple[str, Transport], tuple[tuple[str, int], ...]] = {}
        for cluster in plan.clusters:
            for node in cluster.imp:
                for transport, port in (
                    (Transport.UDP, node.ports.sip),
                    (Transport.TCP, node.ports.sip),
                    (Transport.TLS, node.ports.sip_tls_server_auth),
                ):
                    key = cluster.domain, transport
                    services[key] = (*services.get(key, ()), (node.fqdn, port))
        self._services = services
        self._xmpp_servers = _xmpp_servers(plan)

    def address_of(self, name: str) -> str | None:
        """Return the address of a host; an address is its own. None where the lab has no such host."""
        found = self.addresses.get(name.rstrip(".").lower())
        if found is not None:
            return found
        try:
            return str(IPv4Address(name))
        except ValueError:
            return None

    def resolve(self, name: str) -> str:
        """Return the address of a host.

        Raises ConnectionFailed, which names the hosts that there are.
        """
        address = self.address_of(name)
        if address is None:
            known = ", ".join(self.addresses)
            nearest = did_you_mean(name, self.addresses)
            raise ConnectionFailed(f"no host of the lab is called {name!r}{nearest}; known: {known}")
        return address

    def services_of(self, domain: str, transport: Transport) -> tuple[tuple[str, int], ...]:
        """Return the hosts and ports of a domain's SRV records for a transport (RFC 3263 4.2), best first."""
        return self._services.get((domain.rstrip(".").lower(), transport), ())

    def xmpp_servers_of(self, domain: str) -> tuple[tuple[str, int], ...]:
        """Return the hosts and ports of a domain's SRV records `_xmpp-server._tcp` (RFC 6120 3.2.1), best first."""
        return self._xmpp_servers.get(domain.rstrip(".").lower(), ())


def _xmpp_servers(plan: LabPlan) -> Mapping[str, tuple[tuple[str, int], ...]]:
    """Publish every node of a cluster for its domain and those of its conferences, and the foreign servers."""
    found: dict[str, tuple[tuple[str, int], ...]] = {}
    for cluster in plan.clusters:
        servers = tuple((node.fqdn, node.ports.xmpp_federation) for node in cluster.imp)
        for domain in (cluster.domain, *cluster.conference_domains):
            found[domain] = (*found.get(domain, ()), *servers)
    for foreign in plan.foreign_domains:
        found[foreign.domain] = ((foreign.address, foreign.port),)
    return MappingProxyType({domain: servers for domain, servers in found.items() if servers})
