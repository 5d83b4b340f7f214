"""The accounts of one node: its administrator and the users who are at home in its cluster.

A file of the node's folder holds the administrator's password, hashed; the users' passwords are the cluster's. The
lock after repeated failures is the product's credential policy, and holds for pages, API and command line together.
"""

import asyncio
import hmac
import json
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from certs.catalogue import explain
from certs.errors import ConfigError, HarnessError
from certs.storage import read_file, write_atomically
from certs.verdict import Reason, Side, Verdict
from harness.access.passwords import MAXIMUM_LENGTH, PasswordHash, check_new_password
from proxies.clock import SchedulingClock
from proxies.observer import ConnectionInfo, Observer

ADMINISTRATOR: Final = "administrator"
"The account that every node is installed with."

MAXIMUM_NAME: Final = 128
"Characters of an account's name."

_NAMES_REMEMBERED: Final = 4096
_MAXIMUM_WAITING: Final = 64


class Role(StrEnum):
    """What an account may do."""

    ADMINISTRATOR = "administrator"
    "Everything but User Options, which belong to users."

    END_USER = "end user"
    "User Options."


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Who is logged in."""

    name: str
    "The name that was typed."

    role: Role
    "What the account may do."


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialPolicy:
    """When an account is locked; the defaults are those of the product's Default Credential Policy."""

    failed_logon: int = 3
    "Failures after which an account is locked."

    reset_failed_logon_attempts_every: float = 1800.0
    "Seconds after which the failures of an account are forgotten."

    lockout_duration: float = 1800.0
    "Seconds for which it is locked."


class LoginRefused(HarnessError):  # noqa: N818 - it is what happened to somebody, not a bug
    """Nobody was let in. The text is for the person who tried, and does not say whether the account exists."""

    def __init__(self, reason: Reason, text: str, detail: str) -> None:
        super().__init__(text)
        self.reason = reason
        "BAD_CREDENTIALS or LOCKED_OUT."
        self.detail = detail
        "For the evidence: which account."


@dataclass(slots=True)
class _Failures:
    count: int = 0
    first_at: float = 0.0
    locked_until: float = 0.0


class Accounts:
    """The accounts of one node."""

    def __init__(
        self,
        path: Path,
        *,
        installed_password: str,
        user_password: Callable[[str], Awaitable[str | None]],
        clock: SchedulingClock,
        policy: CredentialPolicy | None = None,
    ) -> None:
        """Take the file, and what the administrator's password is until somebody sets another one.

        An empty `installed_password` lets no administrator in. `user_password` returns a user's, None for strangers.
        """
        self._path = path
        self._installed_password = installed_password
        self._user_password = user_password
        self._clock = clock
        self._policy = policy or CredentialPolicy()
        self._failures: OrderedDict[str, _Failures] = OrderedDict()
        # One at a time: hashing is expensive on purpose, and a lock must not be outrun by parallel guesses.
        self._turn = asyncio.Lock()
        self._waiting = 0

    async def log_in(self, name: str, password: str) -> Account:
        """Return the account that a name and a password open.

        Raises LoginRefused where they open none or the account is locked, ConfigError where the node's file of
        accounts is damaged.
        """
        if self._waiting >= _MAXIMUM_WAITING:
            raise LoginRefused(Reason.LOCKED_OUT, "Too many people log in at the moment.", "too many logins")
        self._waiting += 1
        try:
            async with self._turn:
                return await self._log_in(name, password)
        finally:
            self._waiting -= 1

    async def set_administrator_password(self, password: str) -> None:
        """Replace the administrator's password. Raises ConfigError where it is too short or too long."""
        check_new_password(password)
        async with self._turn:
            await self._keep(password)

    # Inside.

    async def _keep(self, password: str) -> None:
        kept = await asyncio.to_thread(PasswordHash.of, password)
        content = json.dumps({ADMINISTRATOR: kept.text}, indent=1)
        await asyncio.to_thread(write_atomically, self._path, content.encode())

    async def _log_in(self, name: str, password: str) -> Account:
        shown = name[:MAXIMUM_NAME]
        self._check_lock(shown)
        if len(name) <= MAXIMUM_NAME and len(password) <= MAXIMUM_LENGTH:
            role = Role.ADMINISTRATOR if name == ADMINISTRATOR else Role.END_USER
            is_right = (
                await self._is_administrator(password)
                if role is Role.ADMINISTRATOR
                else await self._is_user(name, password)
            )
            if is_right:
                self._failures.pop(shown, None)
                return Account(name=name, role=role)
        self._count_failure(shown)
        raise LoginRefused(Reason.BAD_CREDENTIALS, "User name or password is wrong.", f"account {shown!r}")

    async def _is_administrator(self, password: str) -> bool:
        if not self._path.exists():
            if not self._installed_password:
                return False
            # At the first login and not at boot, where it would cost every lab 50 ms a node.
            await self._keep(self._installed_password)
        kept = self._read()
        try:
            is_right = await asyncio.to_thread(kept.matches, password)
        except ConfigError as error:
            raise self._damaged() from error
        if is_right and kept.is_to_be_replaced:
            await self._keep(password)
        return is_right

    async def _is_user(self, name: str, password: str) -> bool:
        expected = await self._user_password(name)
        return expected is not None and _same(password, expected)

    def _read(self) -> PasswordHash:
        try:
            values = json.loads(read_file(self._path))
            return PasswordHash(str(values[ADMINISTRATOR]))
        except (ValueError, LookupError, TypeError) as error:
            raise self._damaged() from error

    def _damaged(self) -> ConfigError:
        return ConfigError(
            f"{self._path} is damaged; delete it, and the password of the installation holds again"
        )

    def _check_lock(self, name: str) -> None:
        failures = self._failures.get(name)
        if failures is not None and self._clock.monotonic() < failures.locked_until:
            minutes = self._policy.lockout_duration / 60
            raise LoginRefused(
                Reason.LOCKED_OUT,
                f"This account is locked after {self._policy.failed_logon} failed logins, for {minutes:g} minutes.",
                f"account {name!r}",
            )

    def _count_failure(self, name: str) -> None:
        now = self._clock.monotonic()
        failures = self._failures.setdefault(name, _Failures(first_at=now))
        self._failures.move_to_end(name)
        if now - failures.first_at >= self._policy.reset_failed_logon_attempts_every:
            failures.count, failures.first_at = 0, now
        failures.count += 1
        if failures.count >= self._policy.failed_logon:
            failures.count, failures.locked_until = 0, now + self._policy.lockout_duration
        while len(self._failures) > _NAMES_REMEMBERED:
            self._failures.popitem(last=False)


def note_login(observer: Observer, connection: ConnectionInfo, outcome: Account | LoginRefused) -> None:
    """Tell the evidence how a login ended."""
    if isinstance(outcome, Account):
        verdict = Verdict(
            accepted=True,
            reason=Reason.ACCEPTED,
            side=Side.SERVER,
            rule="A user is let in with the credentials of an account that is enabled here.",
            clause="G01",
            detail=f"login of {outcome.name!r}, {outcome.role}",
        )
    else:
        explanation = explain(outcome.reason, node=connection.node)
        verdict = Verdict(
            accepted=False,
            reason=outcome.reason,
            side=Side.SERVER,
            rule=explanation.rule,
            clause=explanation.clause,
            remedy=explanation.remedy,
            detail=outcome.detail,
        )
    observer.judged(connection, verdict)


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode("utf-8", "surrogatepass"), other.encode("utf-8", "surrogatepass"))
