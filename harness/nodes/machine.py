"""The machine under a node, where it has one: the process of its own that it runs in."""

from dataclasses import dataclass
from typing import Protocol

from certs.fips.mode import in_fips_mode


@dataclass(frozen=True, slots=True, kw_only=True)
class FipsStatus:
    """What `utils fips status` tells (G26)."""

    enabled: bool
    "Whether the node's process uses approved algorithms only."

    self_tests: tuple[str, ...] = ()
    "The self-tests that passed at the last boot, in the provider's words."

    tested_at: str = ""
    "When they ran, in ISO 8601."

    after_restart: bool | None = None
    "What the next boot makes of the mode; None leaves it."

    detail: str = ""
    "Why the mode could not be changed, where it could not."


class Machine(Protocol):
    """What a node asks of the machine it runs on."""

    def reboot(self) -> None:
        """End the node's process, and have another one started."""
        ...

    def fips_status(self) -> FipsStatus:
        """Return what the node's FIPS mode is."""
        ...

    def check_fips(self, *, enabled: bool) -> None:
        """Raise what `request_fips` would raise, and change nothing."""
        ...

    def request_fips(self, *, enabled: bool) -> None:
        """Have the next boot change the mode.

        Raises ConfigError where it is that already, CertificateError where there is no FIPS provider.
        """
        ...


def status_without_a_machine() -> FipsStatus:
    """Return the mode of this process, which the node shares with others."""
    return FipsStatus(enabled=in_fips_mode())
