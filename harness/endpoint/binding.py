"""A lab on addresses of the machine's real interfaces, where other machines reach it."""

from collections.abc import Sequence
from ipaddress import IPv4Address

from certs.errors import ConfigError
from harness.plan.lab_file import LabFile


def bind_to(lab_file: LabFile, addresses: Sequence[str]) -> LabFile:
    """Return the lab with its nodes on these addresses, one each, in the lab file's order.

    Each node needs one of its own, because nodes know each other by address. Raises ConfigError where an address
    cannot be used or their number is another.
    """
    try:
        given = [IPv4Address(address.strip()) for address in addresses]
    except ValueError as error:
        raise ConfigError(f"--bind: {error}; expected IPv4 addresses of this machine") from None
    for address in given:
        if address.is_unspecified or address.is_multicast:
            raise ConfigError(
                f"--bind: {address} is no address that clients can be told; name an interface's"
            )
    names = [node.name for cluster in lab_file.clusters for node in cluster.nodes]
    if len(set(given)) != len(names):
        raise ConfigError(
            f"--bind: expected {len(names)} different addresses, for {', '.join(names)}, seen {len(set(given))}; "
            "add addresses to an interface (`ip address add 192.0.2.11/24 dev eth0`), or name a lab file with "
            "fewer nodes"
        )
    left = iter(given)
    clusters = tuple(
        cluster.model_copy(
            update={"nodes": tuple(node.model_copy(update={"address": next(left)}) for node in cluster.nodes)}
        )
        for cluster in lab_file.clusters
    )
    return lab_file.model_copy(update={"clusters": clusters})
