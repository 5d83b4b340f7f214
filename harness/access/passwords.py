"""Passwords as they are kept: scrypt (RFC 7914) with a salt of their own; in FIPS mode PBKDF2 (SP 800-132)."""

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import Final, Self

from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from certs.errors import ConfigError
from certs.fips.mode import in_fips_mode

MINIMUM_LENGTH: Final = 8
"Characters of a new password."

MAXIMUM_LENGTH: Final = 256
"Characters of a password that is looked at; a longer one is refused unread."

_COST, _BLOCK_SIZE, _PARALLEL = 2**14, 8, 1
_SALT, _KEY = 16, 32
_MAXIMUM_MEMORY: Final = 64 * 1024 * 1024
_ITERATIONS: Final = 600_000
_MAXIMUM_ITERATIONS: Final = 10_000_000


@dataclass(frozen=True, slots=True)
class PasswordHash:
    """What is kept of a password."""

    text: str
    "`$scrypt$N$r$p$salt$hash` or `$pbkdf2-sha256$iterations$salt$hash`; salt and hash in base64."

    @classmethod
    def of(cls, password: str) -> Self:
        """Hash a password with a new salt; it takes some 50 ms, in FIPS mode more, on purpose."""
        salt = secrets.token_bytes(_SALT)
        if in_fips_mode():
            derived = _derive_approved(password, salt, _ITERATIONS)
            return cls("$".join(("", "pbkdf2-sha256", str(_ITERATIONS), _b64(salt), _b64(derived))))
        derived = _derive(password, salt, _COST, _BLOCK_SIZE, _PARALLEL)
        return cls(
            "$".join(("", "scrypt", str(_COST), str(_BLOCK_SIZE), str(_PARALLEL), _b64(salt), _b64(derived)))
        )

    @property
    def is_to_be_replaced(self) -> bool:
        """Whether this process is in FIPS mode and the hash is none that it would make."""
        return in_fips_mode() and self.text.startswith("$scrypt$")

    def matches(self, password: str) -> bool:
        """Whether this is the password. Raises ConfigError where what is kept is no hash of ours."""
        try:
            match self.text.split("$"):
                case ["", "scrypt", cost, block_size, parallel, salt, derived]:
                    made = _derive(password, _bytes(salt), int(cost), int(block_size), int(parallel))
                case ["", "pbkdf2-sha256", iterations, salt, derived]:
                    made = _derive_approved(password, _bytes(salt), int(iterations))
                case _:
                    raise ValueError(self.text[:16])
            return hmac.compare_digest(made, _bytes(derived))
        except ValueError as error:
            raise ConfigError("password: expected $scrypt$N$r$p$salt$hash, seen something else") from error


def check_new_password(password: str) -> None:
    """Raise ConfigError where a password is too short or too long to be taken."""
    if not MINIMUM_LENGTH <= len(password) <= MAXIMUM_LENGTH:
        raise ConfigError(
            f"Password: expected {MINIMUM_LENGTH} to {MAXIMUM_LENGTH} characters, seen {len(password)}"
        )


def derive_scrypt(
    password: bytes, salt: bytes, *, cost: int, block_size: int, parallel: int, length: int
) -> bytes:
    """Return `length` bytes made by scrypt (RFC 7914), which is not FIPS-approved.

    In FIPS mode the library cryptography makes them, outside the module: to read what was written before.
    """
    if in_fips_mode():
        kdf = Scrypt(salt=salt, length=length, n=cost, r=block_size, p=parallel)
        return kdf.derive(password)
    return hashlib.scrypt(
        password, salt=salt, n=cost, r=block_size, p=parallel, maxmem=_MAXIMUM_MEMORY, dklen=length
    )


def _derive(password: str, salt: bytes, cost: int, block_size: int, parallel: int) -> bytes:
    given = password.encode("utf-8", "surrogatepass")
    return derive_scrypt(given, salt, cost=cost, block_size=block_size, parallel=parallel, length=_KEY)


def _derive_approved(password: str, salt: bytes, iterations: int) -> bytes:
    if not 0 < iterations <= _MAXIMUM_ITERATIONS:
        raise ValueError(iterations)
    given = password.encode("utf-8", "surrogatepass")
    return hashlib.pbkdf2_hmac("sha256", given, salt, iterations, _KEY)


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
