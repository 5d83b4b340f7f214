"""A node's FIPS 140-2 mode across its boots: what was asked for, what the self-tests said (G25 to G27).

    fips/mode.json      the mode, what the next boot is to change, how the last boot's self-tests ended
    fips/fault.json     a fault for the next boot alone
    fips/module/        the node's copy of the cryptographic module

The mode is that of a process, so it changes only between two processes: a command writes down what is wanted, and
the supervisor acts on it before it starts the next worker.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from certs.catalogue import explain
from certs.errors import CertificateError, ConfigError
from certs.fips.module import FipsModule, SelfTestFailed, SelfTestFault
from certs.fips.provider import NoFipsProvider, find_provider
from certs.storage import make_directory, read_file, write_atomically
from certs.verdict import Reason, Side, Verdict
from harness.plan.topology import NodePlan
from proxies.observer import ConnectionInfo, Observer

HOW_TO_MEND: Final = "restart the node; if the test fails again, recover it: imp-harness recover"
"What to do about a halted node (G27)."

_DIRECTORY: Final = "fips"


@dataclass(frozen=True, slots=True, kw_only=True)
class FipsRecord:
    """What is written down of a node's FIPS mode."""

    enabled: bool = False
    "Whether its process is in FIPS mode, or would be if its self-tests passed."

    requested: bool | None = None
    "What the next boot is to make of it; None leaves it."

    keys_to_make: bool = False
    "Whether keys and certificates are still to be made by the module that is used now."

    failed_test: str = ""
    "The self-test that failed at the last boot and halted the node, in the provider's words."

    detail: str = ""
    "What was seen of the failure, or why the mode could not be changed."

    tested_at: str = ""
    "When the self-tests ran last, in ISO 8601."

    tests: tuple[str, ...] = ()
    "The tests that passed then."

    @property
    def halted(self) -> bool:
        """Whether the last boot's self-tests halted the node."""
        return bool(self.failed_test)


@dataclass(frozen=True, slots=True, kw_only=True)
class BootedMode:
    """What the supervisor starts the worker with."""

    enabled: bool = False
    "Whether the worker has to be in FIPS mode."

    keys_to_make: bool = False
    "Whether it makes new keys and certificates before its services start."

    environment: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    "The variables that put its OpenSSL into the mode."


class FipsMode:
    """The FIPS mode of one node, in the node's folder."""

    def __init__(self, node_directory: Path) -> None:
        self._directory = node_directory / _DIRECTORY
        self._record = self._directory / "mode.json"
        self._fault = self._directory / "fault.json"
        self.module = FipsModule(self._directory / "module")
        "The node's copy of the cryptographic module."

    def read(self) -> FipsRecord:
        """Return what is written down. Raises ConfigError where it is damaged."""
        found = self._read(self._record)
        if found is None:
            return FipsRecord()
        try:
            return FipsRecord(**{**found, "tests": tuple(found.get("tests", ()))})
        except TypeError as error:
            raise ConfigError(
                f"{self._record} is damaged: {error}; imp-harness recover installs the node anew"
            ) from None

    def request(self, *, enabled: bool) -> None:
        """Write down what the next boot is to do.

        Raises ConfigError where the mode is that already, NoFipsProvider where it cannot be; then nothing changes.
        """
        self._write(replace(self.check(enabled=enabled), requested=enabled))

    def check(self, *, enabled: bool) -> FipsRecord:
        """Return what is written down where the mode can be changed so; raise as `request` does where it cannot."""
        record = self.read()
        if record.enabled is enabled and record.requested is None:
            raise ConfigError(f"FIPS mode is {'enabled' if enabled else 'disabled'} already")
        if enabled:
            find_provider()
        return record

    def spoil_next_boot(self, fault: SelfTestFault) -> None:
        """Have one self-test of the next boot, and of that one alone, compute wrongly."""
        make_directory(self._directory)
        write_atomically(self._fault, json.dumps(asdict(fault)).encode())

    def boot(self) -> BootedMode:
        """Do what comes before the node's process starts: change the mode where asked, test the module.

        Raises SelfTestFailed where the node has to halt; that is written down.
        """
        record = self.read()
        fault = self._take_fault()
        if record.requested is not None:
            record = self._change(record, enabled=record.requested)
        if not record.enabled:
            self._write(replace(record, failed_test=""), only_if_there=True)
            return BootedMode(keys_to_make=record.keys_to_make)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        try:
            tests = self.module.test(fault)
        except SelfTestFailed as failure:
            self._write(
                replace(record, failed_test=failure.test, detail=failure.detail, tested_at=now, tests=())
            )
            raise
        self._write(
            replace(
                record, failed_test="", detail="", tested_at=now, tests=tuple(each.name for each in tests)
            )
        )
        return BootedMode(
            enabled=True, keys_to_make=record.keys_to_make, environment=self.module.environment()
        )

    def keys_made(self) -> None:
        """Write down that keys and certificates are those of the present module."""
        self._write(replace(self.read(), keys_to_make=False))

    def _change(self, record: FipsRecord, *, enabled: bool) -> FipsRecord:
        """Install the module, or take it away; a record that says so, or why not."""
        if not enabled:
            self.module.remove()
            return FipsRecord(keys_to_make=True)
        try:
            self.module.install(find_provider())
        except NoFipsProvider as error:
            return replace(record, requested=None, detail=f"FIPS mode could not be enabled: {error}")
        except SelfTestFailed as failure:
            self._write(
                FipsRecord(enabled=True, keys_to_make=True, failed_test=failure.test, detail=failure.detail)
            )
            raise
        return FipsRecord(enabled=True, keys_to_make=True)

    def _take_fault(self) -> SelfTestFault | None:
        found = self._read(self._fault)
        self._fault.unlink(missing_ok=True)
        try:
            return SelfTestFault(**found) if found is not None else None
        except TypeError:
            return None

    def _read(self, path: Path) -> dict[str, Any] | None:
        if not path.exists():
            return None
        try:
            found = json.loads(read_file(path))
        except (ValueError, CertificateError) as error:
            raise ConfigError(
                f"{path} is damaged: {error}; imp-harness recover installs the node anew"
            ) from error
        if not isinstance(found, dict):
            raise ConfigError(
                f"{path} is damaged: expected an object; imp-harness recover installs the node anew"
            )
        return found

    def _write(self, record: FipsRecord, *, only_if_there: bool = False) -> None:
        if only_if_there and not self._record.exists():
            return
        make_directory(self._directory)
        write_atomically(self._record, json.dumps(asdict(record), indent=2).encode())


def tell_of_halt(observer: Observer, node: NodePlan, failure: SelfTestFailed) -> None:
    """Tell of a failed self-test as a verdict: the node itself was refused its start, and no listener opens."""
    here = (node.address, 0)
    connection = ConnectionInfo(
        id=f"{node.name} boot",
        node=node.name,
        service="FIPS 140-2 self-tests",
        listener="boot",
        transport="none",
        local=here,
        peer=here,
    )
    observer.judged(connection, _verdict_of(failure))


def _verdict_of(failure: SelfTestFailed) -> Verdict:
    explanation = explain(Reason.SELF_TEST_FAILED)
    return Verdict(
        accepted=False,
        reason=Reason.SELF_TEST_FAILED,
        side=Side.SERVER,
        rule=explanation.rule,
        clause=explanation.clause,
        remedy=explanation.remedy,
        detail=f"{failure.test}: {failure.detail}",
    )
