"""A certificate chain with its private key, in memory."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """What an end shows in a handshake and proves it holds."""

    chain_pem: bytes
    "The chain in PEM, the end-entity certificate first."

    key_pem: bytes = field(repr=False)
    "The private key in PEM (PKCS #8, unencrypted). Never logged."
