"""What a server keeps of a password: salted keys that verify it and cannot be used in its place (RFC 5802 3)."""

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from scramp import ScramException, ScramMechanism  # type: ignore[import-untyped]

from certs.errors import ConfigError

ITERATIONS: Final = 4096
"Rounds of PBKDF2: the least that RFC 7677 4 allows, because a lab logs in by the thousand."

_SALT_OCTETS: Final = 16
_DIGESTS: Final[Mapping[str, str]] = MappingProxyType({"SCRAM-SHA-1": "sha1", "SCRAM-SHA-256": "sha256"})


@dataclass(frozen=True, slots=True)
class ScramKeys:
    """The keys of one password for one hash (RFC 5802 3)."""

    salt: bytes = field(repr=False)
    "What makes equal passwords differ."

    iterations: int
    "Rounds of PBKDF2."

    stored_key: bytes = field(repr=False)
    "Verifies the client's proof."

    server_key: bytes = field(repr=False)
    "Signs the server's answer."


@dataclass(frozen=True, slots=True, kw_only=True)
class UserCredentials:
    """How a user of the lab is authenticated. Made by `make_credentials`; the password itself is not kept."""

    scram_sha_1: ScramKeys
    "For SCRAM-SHA-1 and its -PLUS form."

    scram_sha_256: ScramKeys
    "For SCRAM-SHA-256, its -PLUS form, and PLAIN."

    enabled: bool = True
    "Whether the account may log in."


def make_credentials(password: str, *, iterations: int = ITERATIONS) -> UserCredentials:
    """Return what to keep of a new password.

    Raises ConfigError where SASLprep (RFC 4013) does not allow the password.
    """
    salt = secrets.token_bytes(_SALT_OCTETS)
    return UserCredentials(
        scram_sha_1=derive_keys("SCRAM-SHA-1", password, salt, iterations),
        scram_sha_256=derive_keys("SCRAM-SHA-256", password, salt, iterations),
    )


def verify_password(credentials: UserCredentials, password: str) -> bool:
    """Return whether a password is the user's. Costs one PBKDF2, whatever the answer."""
    keys = credentials.scram_sha_256
    try:
        derived = derive_keys("SCRAM-SHA-256", password, keys.salt, keys.iterations)
    except ConfigError:
        return False
    return hmac.compare_digest(derived.stored_key, keys.stored_key)


def decoy_credentials(name: str, secret: bytes) -> UserCredentials:
    """Return credentials that nothing matches, the same at each call, for a user who does not exist.

    An unknown name so gets the questions and the work that a known one gets (RFC 5802 5.1: the salt of
    a user does not change from login to login).
    """
    keys = [
        ScramKeys(
            _mac(secret, "salt", name)[:_SALT_OCTETS],
            ITERATIONS,
            _mac(secret, f"stored {digest}", name, digest),
            _mac(secret, f"server {digest}", name, digest),
        )
        for digest in _DIGESTS.values()
    ]
    return UserCredentials(scram_sha_1=keys[0], scram_sha_256=keys[1])


def derive_keys(mechanism: str, password: str, salt: bytes, iterations: int) -> ScramKeys:
    """Return the keys of a password for a mechanism, `SCRAM-SHA-1` or `SCRAM-SHA-256`.

    Raises ConfigError where SASLprep (RFC 4013) does not allow the password.
    """
    try:
        salt, stored_key, server_key, iterations = ScramMechanism(mechanism).make_auth_info(
            password, iteration_count=iterations, salt=salt
        )
    except ScramException as error:
        raise ConfigError(f"a password must be text that SASLprep allows: {error}") from None
    return ScramKeys(salt, iterations, stored_key, server_key)


def _mac(secret: bytes, purpose: str, name: str, digest: str = "sha256") -> bytes:
    return hmac.new(secret, f"{purpose}\0{name}".encode(), getattr(hashlib, digest)).digest()
