"""The SSH host key of a node: Ed25519 (RFC 8709), made at its first start, kept in its folder with mode 0600."""

import base64
import hashlib
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_ssh_private_key,
)

from certs.errors import CertificateError
from certs.storage import read_file, write_atomically

HOST_KEY_FILE: Final = "ssh_host_ed25519_key"
"Its name in the node's folder; the public key lies beside it, as OpenSSH keeps them."


def load_or_create_host_key(path: Path) -> bytes:
    """Return the private key in OpenSSH's form, made and written where there is none yet.

    Raises CertificateError where the file cannot be read or is no such key.
    """
    if not path.exists():
        key = Ed25519PrivateKey.generate()
        write_atomically(path, key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
        _write_public(path, key)
        return read_file(path)
    content = read_file(path)
    try:
        key = load_ssh_private_key(content, password=None)  # type: ignore[assignment]
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise CertificateError(f"{path} is damaged: {error}; delete it, and a new one is made") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise CertificateError(
            f"{path} is damaged: expected an Ed25519 key; delete it, and a new one is made"
        )
    _write_public(path, key)
    return content


def read_public_key(path: Path) -> str:
    """Return a node's public key as `ssh-ed25519 AAAA…`, for a known_hosts file.

    Raises CertificateError where it cannot be read.
    """
    return read_file(_public(path)).decode("ascii", "replace").strip()


def fingerprint(public_key: str) -> str:
    """Return what SSH clients show of a public key: `SHA256:` and the digest in base64."""
    digest = hashlib.sha256(base64.b64decode(public_key.split()[1])).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def _public(path: Path) -> Path:
    return path.with_name(f"{path.name}.pub")


def _write_public(path: Path, key: Ed25519PrivateKey) -> None:
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH) + b"\n"
    if not _public(path).exists() or _public(path).read_bytes() != public:
        write_atomically(_public(path), public)
