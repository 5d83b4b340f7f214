"""Ranges of loopback addresses: every run of a lab gets one of its own, also beside runs in other processes."""

import errno
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Final, Self

from certs.errors import ConfigError

LOOPBACK: Final = IPv4Network("127.0.0.0/8")
"Where labs live unless the lab file says otherwise."

GUARD_PORT: Final = 7399
"The port on the first address of a range that says: taken."


@dataclass(frozen=True, slots=True)
class ReservedRange:
    """A range of addresses that this process holds until it releases it or ends.

    What holds it is a UDP socket on the range's first address: two processes cannot both bind it, and the
    kernel releases it when a process dies, however it dies.
    """

    network: IPv4Network
    "The addresses."

    guard: socket.socket
    "What keeps others out."

    def release(self) -> None:
        """Let others have the range."""
        self.guard.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.release()


def reserve_range(preferred: IPv4Network) -> ReservedRange:
    """Reserve a range of 256 addresses: the preferred one, or the next that is free.

    A range outside 127.0.0.0/8 belongs to the machine's real interfaces, so no other one replaces it. Raises
    ConfigError where no range can be had.
    """
    for network in _candidates(preferred):
        guard = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            guard.bind((str(network[1]), GUARD_PORT))
        except OSError as error:
            guard.close()
            if error.errno != errno.EADDRINUSE:
                raise ConfigError(
                    f"address_range: {network[1]} is no address of this machine ({error.strerror}); "
                    f"expected a range of {LOOPBACK} or of an interface"
                ) from error
        else:
            return ReservedRange(network, guard)
    raise ConfigError(f"address_range: {preferred} and what could replace it is taken by other runs")


def reserve_exactly(network: IPv4Network) -> ReservedRange:
    """Reserve this range and no other. Raises ConfigError where another run holds it."""
    reserved = reserve_range(network)
    if reserved.network != network:
        reserved.release()
        raise ConfigError(f"{network} is held by another run; stop that one first (`imp-harness down`)")
    return reserved


def _candidates(preferred: IPv4Network) -> Iterator[IPv4Network]:
    yield preferred
    if not preferred.subnet_of(LOOPBACK):
        return
    # The other ranges of the same /16, from the next one on.
    first = int(preferred.network_address)
    for step in range(1, 256):
        yield IPv4Network(((first & ~0xFF00) | ((first + step * 256) & 0xFF00), 24))
