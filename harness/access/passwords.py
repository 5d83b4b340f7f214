"""Passwords as they are kept: scrypt (RFC 7914) with a salt of their own."""

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import Final, Self

from certs.errors import ConfigError

MINIMUM_LENGTH: Final = 8
"Characters of a new password."

MAXIMUM_LENGTH: Final = 256
"Characters of a password that is looked at; a longer one is refused unread."

_COST, _BLOCK_SIZE, _PARALLEL = 2**14, 8, 1
_SALT, _KEY = 16, 32
_MAXIMUM_MEMORY: Final = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class PasswordHash:
    """What is kept of a password."""

    text: str
    "`$scrypt$N$r$p$salt$hash`; salt and hash in base64."

    @classmethod
    def of(cls, password: str) -> Self:
        """Hash a password with a new salt; it takes some 50 ms, on purpose."""
        salt = secrets.token_bytes(_SALT)
        derived = _derive(password, salt, _COST, _BLOCK_SIZE, _PARALLEL)
        return cls(
            "$".join(("", "scrypt", str(_COST), str(_BLOCK_SIZE), str(_PARALLEL), _b64(salt), _b64(derived)))
        )

    def matches(self, password: str) -> bool:
        """Whether this is the password. Raises ConfigError where what is kept is no hash of ours."""
        try:
            empty, kind, cost, block_size, parallel, salt, derived = self.text.split("$")
            if empty or kind != "scrypt":
                raise ValueError(kind)
            expected = base64.b64decode(derived, validate=True)
            made = _derive(
                password, base64.b64decode(salt, validate=True), int(cost), int(block_size), int(parallel)
            )
        except ValueError as error:
            raise ConfigError("password: expected $scrypt$N$r$p$salt$hash, seen something else") from error
        return hmac.compare_digest(made, expected)


def check_new_password(password: str) -> None:
    """Raise ConfigError where a password is too short or too long to be taken."""
    if not MINIMUM_LENGTH <= len(password) <= MAXIMUM_LENGTH:
        raise ConfigError(
            f"Password: expected {MINIMUM_LENGTH} to {MAXIMUM_LENGTH} characters, seen {len(password)}"
        )


def _derive(password: str, salt: bytes, cost: int, block_size: int, parallel: int) -> bytes:
    return hashlib.scrypt(
        password.encode("utf-8", "surrogatepass"),
        salt=salt,
        n=cost,
        r=block_size,
        p=parallel,
        maxmem=_MAXIMUM_MEMORY,
        dklen=_KEY,
    )


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
