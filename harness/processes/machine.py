"""The machine under a node in a process of its own: it reboots, and has a FIPS mode."""

import ssl
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from certs.errors import ConfigError
from certs.fips.mode import in_fips_mode
from harness.nodes.machine import FipsStatus
from harness.processes.fips_mode import FipsMode


class ProcessMachine:
    """Implements `harness.nodes.machine.Machine` in a worker."""

    def __init__(self, node_directory: Path, *, reboot: Callable[[], None]) -> None:
        self.fips = FipsMode(node_directory)
        "The node's FIPS mode."
        self._reboot = reboot

    def reboot(self) -> None:
        """End the node's process, and have another one started."""
        self._reboot()

    def fips_status(self) -> FipsStatus:
        """Return what the node's FIPS mode is."""
        record = self.fips.read()
        return FipsStatus(
            enabled=in_fips_mode(),
            self_tests=record.tests if in_fips_mode() else (),
            tested_at=record.tested_at,
            after_restart=record.requested,
            detail=record.detail,
        )

    def check_fips(self, *, enabled: bool) -> None:
        """Raise what `request_fips` would raise, and change nothing."""
        self.fips.check(enabled=enabled)

    def request_fips(self, *, enabled: bool) -> None:
        """Have the next boot change the mode.

        Raises ConfigError where it is that already, CertificateError where there is no FIPS provider.
        """
        self.fips.request(enabled=enabled)


def check_fips_process() -> None:
    """Make sure that this process uses approved algorithms only, before it opens anything.

    Raises ConfigError where its OpenSSL does not obey, as where Python carries one of its own.
    """
    if not in_fips_mode():
        raise ConfigError(
            f"this Python's {ssl.OPENSSL_VERSION} is not in FIPS mode although OPENSSL_CONF asks for it; use "
            "a Python whose ssl module loads the system's OpenSSL 3"
        )
    with suppress(ssl.SSLError):
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).set_ciphers("CHACHA20:@SECLEVEL=0")
        raise ConfigError(
            "this process would take ChaCha20, which is not approved, although it is in FIPS mode"
        )
