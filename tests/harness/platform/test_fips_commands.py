"""`utils fips` without sockets: what it asks, what it changes, and what it refuses to change."""

from dataclasses import dataclass, field, replace

import pytest

from certs.errors import ConfigError
from certs.fips.provider import NoFipsProvider
from harness.nodes.machine import FipsStatus
from harness.platform.interpreter import Interpreter, Outcome
from tests.harness.platform.fake_node import FakeNode, TypedTerminal


@dataclass
class FakeMachine:
    """Implements `harness.nodes.machine.Machine`."""

    enabled: bool = False
    wanted: bool | None = None
    has_provider: bool = True
    reboots: int = 0
    tests: tuple[str, ...] = field(default=("HMAC (Module_Integrity)", "AES_GCM (KAT_Cipher)"))

    def reboot(self) -> None:
        self.reboots += 1

    def fips_status(self) -> FipsStatus:
        return FipsStatus(
            enabled=self.enabled,
            self_tests=self.tests if self.enabled else (),
            tested_at="2026-01-31T12:00:00+00:00",
            after_restart=self.wanted,
        )

    def check_fips(self, *, enabled: bool) -> None:
        if self.enabled is enabled:
            raise ConfigError(f"FIPS mode is {'enabled' if enabled else 'disabled'} already")
        if enabled and not self.has_provider:
            raise NoFipsProvider("this machine has no FIPS provider of OpenSSL; make fips-provider gets one")

    def request_fips(self, *, enabled: bool) -> None:
        self.wanted = enabled


async def type_on(
    machine: FakeMachine | None, node: FakeNode, line: str, *answers: str
) -> tuple[Outcome, str]:
    terminal = TypedTerminal(list(answers))
    outcome = await Interpreter(replace(node.platform, machine=machine), terminal).execute(line)
    return outcome, terminal.shown


@pytest.mark.parametrize(("word", "enabled"), [("enable", True), ("disable", False)])
async def test_a_change_is_confirmed_written_down_and_made_by_a_reboot(
    node: FakeNode, word: str, enabled: bool
) -> None:
    machine = FakeMachine(enabled=not enabled)
    outcome, shown = await type_on(machine, node, f"utils fips {word}", "yes")
    assert outcome is Outcome.DONE
    assert "regenerate the certificates for\n1) tomcat\n2) cup\n3) cup-xmpp\n" in shown
    assert "Do you want to continue (yes/no) ? yes\n" in shown
    assert (machine.wanted, machine.reboots) == (enabled, 1)


async def test_no_changes_nothing(node: FakeNode) -> None:
    machine = FakeMachine()
    outcome, shown = await type_on(machine, node, "utils fips enable", "no")
    assert outcome is Outcome.DECLINED
    assert "Operation cancelled\n" in shown
    assert (machine.wanted, machine.reboots) == (None, 0)


@pytest.mark.parametrize(
    ("machine", "said"),
    [
        (FakeMachine(has_provider=False), "no FIPS provider of OpenSSL; make fips-provider"),
        (FakeMachine(enabled=True), "FIPS mode is enabled already"),
        (None, "this node shares its process with others"),
    ],
)
async def test_what_cannot_be_is_refused_before_it_is_asked(
    node: FakeNode, machine: FakeMachine | None, said: str
) -> None:
    outcome, shown = await type_on(machine, node, "utils fips enable", "yes")
    assert outcome is Outcome.FAILED
    assert said in shown
    assert "Do you want to continue" not in shown
    assert machine is None or (machine.wanted, machine.reboots) == (None, 0)


async def test_the_status_names_mode_and_self_tests(node: FakeNode) -> None:
    _, shown = await type_on(FakeMachine(enabled=True), node, "utils fips status")
    assert shown.startswith("The system is operating in FIPS mode. Self-tests")
    assert "  AES_GCM (KAT_Cipher) passed\n" in shown
    _, shown = await type_on(FakeMachine(wanted=True), node, "utils fips status")
    assert shown == "After the next restart FIPS mode is enabled.\nFIPS mode is disabled.\n"
    _, shown = await type_on(None, node, "utils fips status")
    assert shown == "FIPS mode is disabled.\n"
