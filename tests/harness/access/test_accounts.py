"""Logins at a node: who is let in, who is not, and the lock after repeated failures."""

import stat
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from certs.errors import ConfigError
from certs.verdict import Reason
from harness.access.accounts import ADMINISTRATOR, Accounts, CredentialPolicy, LoginRefused, Role
from harness.access.passwords import PasswordHash
from proxies.clock import TimerHandle

SECRET = "open sesame"


class ManualClock:
    time = 0.0

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.time, UTC)

    def monotonic(self) -> float:
        return self.time

    def call_at(self, when: float, callback: Callable[[], None]) -> TimerHandle:
        raise AssertionError


async def password_of(user_id: str) -> str | None:
    return {"alice": "her own"}.get(user_id)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def accounts(tmp_path: Path, clock: ManualClock) -> Accounts:
    return Accounts(
        tmp_path / "accounts.json", installed_password=SECRET, user_password=password_of, clock=clock
    )


async def refusal(accounts: Accounts, name: str, password: str) -> Reason:
    with pytest.raises(LoginRefused) as refused:
        await accounts.log_in(name, password)
    return refused.value.reason


async def test_the_administrator_and_a_user_are_let_in_each_in_a_role(accounts: Accounts) -> None:
    assert (await accounts.log_in(ADMINISTRATOR, SECRET)).role is Role.ADMINISTRATOR
    assert (await accounts.log_in("alice", "her own")).role is Role.END_USER


@pytest.mark.parametrize(
    ("name", "password"),
    [
        (ADMINISTRATOR, "wrong"),
        (ADMINISTRATOR, ""),
        (ADMINISTRATOR, "her own"),
        ("alice", SECRET),
        ("bob", ""),
    ],
)
async def test_another_s_password_no_password_and_a_stranger_are_refused_alike(
    accounts: Accounts, name: str, password: str
) -> None:
    with pytest.raises(LoginRefused, match=r"^User name or password is wrong\.$") as refused:
        await accounts.log_in(name, password)
    assert refused.value.reason is Reason.BAD_CREDENTIALS


async def test_the_third_failure_locks_and_the_right_password_opens_when_the_lock_has_ended(
    accounts: Accounts, clock: ManualClock
) -> None:
    for _ in range(3):
        assert await refusal(accounts, ADMINISTRATOR, "guess") is Reason.BAD_CREDENTIALS
    assert await refusal(accounts, ADMINISTRATOR, SECRET) is Reason.LOCKED_OUT
    await accounts.log_in("alice", "her own")  # other accounts are not touched
    clock.time = 1799
    assert await refusal(accounts, ADMINISTRATOR, SECRET) is Reason.LOCKED_OUT
    clock.time = 1800
    await accounts.log_in(ADMINISTRATOR, SECRET)


async def test_two_failures_and_a_login_start_the_count_again(accounts: Accounts) -> None:
    for _ in range(3):
        for _ in range(2):
            assert await refusal(accounts, ADMINISTRATOR, "guess") is Reason.BAD_CREDENTIALS
        await accounts.log_in(ADMINISTRATOR, SECRET)


async def test_failures_are_forgotten_after_half_an_hour(accounts: Accounts, clock: ManualClock) -> None:
    for _ in range(4):
        assert await refusal(accounts, "alice", "guess") is Reason.BAD_CREDENTIALS
        clock.time += 1000
    await accounts.log_in("alice", "her own")


async def test_names_that_nobody_has_are_locked_too_so_that_a_lock_tells_nothing(accounts: Accounts) -> None:
    for _ in range(3):
        assert await refusal(accounts, "nobody" * 100, "guess") is Reason.BAD_CREDENTIALS
    assert await refusal(accounts, "nobody" * 100, "guess") is Reason.LOCKED_OUT


async def test_the_policy_is_a_setting(tmp_path: Path, clock: ManualClock) -> None:
    accounts = Accounts(
        tmp_path / "accounts.json",
        installed_password=SECRET,
        user_password=password_of,
        clock=clock,
        policy=CredentialPolicy(failed_logon=1, lockout_duration=60),
    )
    assert await refusal(accounts, "alice", "guess") is Reason.BAD_CREDENTIALS
    assert await refusal(accounts, "alice", "her own") is Reason.LOCKED_OUT
    clock.time = 60
    await accounts.log_in("alice", "her own")


async def test_the_password_is_kept_hashed_and_readable_by_its_owner_only(
    accounts: Accounts, tmp_path: Path
) -> None:
    await accounts.log_in(ADMINISTRATOR, SECRET)
    path = tmp_path / "accounts.json"
    assert SECRET not in path.read_text()
    assert "$scrypt$16384$8$1$" in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_a_new_password_takes_the_old_one_s_place(accounts: Accounts) -> None:
    await accounts.set_administrator_password("a new password")
    await accounts.log_in(ADMINISTRATOR, "a new password")
    assert await refusal(accounts, ADMINISTRATOR, SECRET) is Reason.BAD_CREDENTIALS
    with pytest.raises(ConfigError, match="Password: expected 8 to 256 characters, seen 5"):
        await accounts.set_administrator_password("short")
    await accounts.log_in(ADMINISTRATOR, "a new password")


@pytest.mark.parametrize("damage", [b"", b"{}", b"[]", b"\xff", b'{"administrator": "clear"}'])
async def test_a_damaged_file_is_named_and_users_still_log_in(
    accounts: Accounts, tmp_path: Path, damage: bytes
) -> None:
    (tmp_path / "accounts.json").write_bytes(damage)
    with pytest.raises(ConfigError, match=r"accounts\.json is damaged; delete it"):
        await accounts.log_in(ADMINISTRATOR, SECRET)
    await accounts.log_in("alice", "her own")
    (tmp_path / "accounts.json").unlink()
    await accounts.log_in(ADMINISTRATOR, SECRET)


async def test_without_an_installed_password_no_administrator_is_let_in(
    tmp_path: Path, clock: ManualClock
) -> None:
    path = tmp_path / "accounts.json"
    accounts = Accounts(path, installed_password="", user_password=password_of, clock=clock)
    assert await refusal(accounts, ADMINISTRATOR, "") is Reason.BAD_CREDENTIALS


def test_equal_passwords_have_different_hashes() -> None:
    one, other = PasswordHash.of(SECRET), PasswordHash.of(SECRET)
    assert one != other
    assert one.matches(SECRET)
    assert not one.matches(SECRET + " ")
