"""From a URI's host to where a request is sent (RFC 3263 4, within the lab)."""

from typing import Protocol

from proxies.sip.transport.flow import Destination, Transport


class Resolver(Protocol):
    """The names of the lab, as the lab file and its DNS give them."""

    def address_of(self, name: str) -> str | None:
        """Return the address of a host; an address is its own. None where the lab has no such host."""
        ...

    def services_of(self, domain: str, transport: Transport) -> tuple[tuple[str, int], ...]:
        """Return the hosts and ports of a domain's SRV records for a transport, the best one first."""
        ...


def locate(
    host: str,
    *,
    resolver: Resolver,
    transport: Transport | None = None,
    port: int | None = None,
    server_name: str = "",
) -> Destination:
    """Return where requests for a host go.

    An explicit port wins, then the domain's SRV records, then the transport's own port. Without a transport
    an SRV record chooses it, secure first, then UDP as RFC 3263 4.1 ends.
    """
    chosen = transport or Transport.UDP
    if port is not None:
        return Destination(transport=chosen, host=host, port=port, server_name=server_name)
    for candidate in (transport,) if transport else (Transport.TLS, Transport.TCP, Transport.UDP):
        services = resolver.services_of(host, candidate)
        if services:
            target, target_port = services[0]
            return Destination(transport=candidate, host=target, port=target_port, server_name=server_name)
    return Destination(transport=chosen, host=host, port=chosen.default_port, server_name=server_name)
