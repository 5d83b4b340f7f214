"""The incoming access list: who may send requests without a certificate (System > Security > Incoming ACL)."""

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Final

from proxies.sip.transport.flow import Flow, Transport
from proxies.sip.transport.locating import Resolver

ALL: Final = "ALL"
"The entry that lets everybody in."

_REMEMBERED: Final = 4096


class IncomingAccessList:
    """Addresses, networks, host names and domains whose requests are taken.

    A host name means the address that the lab gives it; a domain means the hosts of its SRV records, because
    the name that a request claims to come from proves nothing. An empty list lets in only peers that TLS has
    authenticated.
    """

    def __init__(self, entries: Iterable[str], *, resolver: Resolver) -> None:
        self._all = False
        self._networks: list[IPv4Network | IPv6Network] = []
        self._names: list[str] = []
        for entry in entries:
            if entry.upper() == ALL:
                self._all = True
                continue
            try:
                self._networks.append(ip_network(entry, strict=False))
            except ValueError:
                self._names.append(entry)
        self._resolver = resolver
        self._admits_address = lru_cache(maxsize=_REMEMBERED)(self._look_up)

    def admits(self, flow: Flow) -> bool:
        """Return whether requests may come by this flow."""
        return is_authenticated(flow) or self._all or self._admits_address(flow.peer[0])

    def _look_up(self, address: str) -> bool:
        parsed = ip_address(address)
        if any(parsed in network for network in self._networks):
            return True
        return any(address in self._addresses_of(name) for name in self._names)

    def _addresses_of(self, name: str) -> list[str | None]:
        hosts = [name]
        for transport in Transport:
            hosts += [host for host, _ in self._resolver.services_of(name, transport)]
        return [self._resolver.address_of(host) for host in hosts]


def is_authenticated(flow: Flow) -> bool:
    """Return whether the peer proved by a certificate who it is."""
    return flow.verdict is not None and flow.verdict.accepted and bool(flow.verdict.presented_chain)
