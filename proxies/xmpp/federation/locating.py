"""From a domain to its servers (RFC 6120 3.2): SRV records first, else the domain's own address."""

import ipaddress
from typing import Final, Protocol

SERVER_PORT: Final = 5269
"Where a server listens whose domain has no SRV record (RFC 6120 3.2.2)."


class ServerNames(Protocol):
    """The names of the lab, as far as federation asks for them."""

    def address_of(self, name: str) -> str | None:
        """Return the address of a host; None where there is no such host."""
        ...

    def xmpp_servers_of(self, domain: str) -> tuple[tuple[str, int], ...]:
        """Return the hosts and ports of a domain's records `_xmpp-server._tcp`, the best one first."""
        ...


def locate_servers(domain: str, names: ServerNames) -> tuple[tuple[str, int], ...]:
    """Return the addresses and ports to try, in their order; none where no way leads to the domain.

    A domain that is an address is not looked for: nothing says that it is one of the lab's.
    """
    try:
        ipaddress.ip_address(domain.strip("[]"))
    except ValueError:
        pass
    else:
        return ()
    records = names.xmpp_servers_of(domain) or ((domain, SERVER_PORT),)
    found = (
        (names.address_of(host), port) for host, port in records if host != "."
    )  # RFC 2782: not available
    return tuple((address, port) for address, port in found if address is not None)
