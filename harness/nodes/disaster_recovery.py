"""Disaster Recovery System of one node: its state saved to an encrypted file, and restored from it.

What is saved: certificates with their keys, trust stores, accounts and login banner of the node, and the
configuration in its cluster's database. Users' rosters and messages are not: they are the cluster's, not the node's.

    IMP-DRS 1 imp1 2026-01-31T12:00:00Z\\n   in the clear, and authenticated
    salt (16 bytes), nonce (12 bytes), AES-256-GCM over compressed JSON; the key is made by scrypt (RFC 7914)
"""

import asyncio
import base64
import json
import secrets
import shutil
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Table, delete, insert, select

from certs.errors import CertificateError, ConfigError
from certs.key_store import KeyStore
from certs.purposes import CertificatePurpose, TrustStoreName
from certs.storage import read_file, write_atomically
from harness.access.passwords import derive_scrypt
from harness.configuration.database import SCHEMA_VERSION, Database
from harness.configuration.database_models import Row

MINIMUM_PASSWORD: Final = 8
"Characters of the password that encrypts a backup."

MAXIMUM_BACKUP: Final = 3 * 1024 * 1024
"Bytes of a backup."

MAXIMUM_CONTENT: Final = 32 * 1024 * 1024
"Bytes that a backup may unfold to."

_MAGIC: Final = "IMP-DRS 1"
_SALT, _NONCE, _KEY = 16, 12, 32
_FILES: Final = ("login-banner.txt", "accounts.json")
_NOT_CONFIGURATION: Final = frozenset(
    {
        *("harness_schema", "service_runs", "component_places"),
        *("xmpp_nodes", "peer_users", "peer_nodes", "intercluster_status", "replicated_trust"),
    }
)
"Tables that say what runs and what is replicated: a node writes them anew."

_OF_USERS: Final = "im_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What a restore brought back."""

    saved_at: str
    "When the backup was made, UTC."

    files: int
    "Certificates, trust stores' entries, and other files of the node."

    rows: int
    "Lines of the cluster's configuration."


class DisasterRecovery:
    """Backup and restore of one node."""

    def __init__(
        self,
        node: str,
        directory: Path,
        key_store: KeyStore,
        database: Database,
        *,
        now: Callable[[], datetime],
    ) -> None:
        self._node = node
        self._directory = directory
        self._key_store = key_store
        self._database = database
        self._now = now

    async def back_up(self, password: str) -> bytes:
        """Return the node's state as a file's content.

        Raises ConfigError where the password is too short, CertificateError where a file cannot be read.
        """
        if len(password) < MINIMUM_PASSWORD:
            raise ConfigError(
                f"Backup password: expected at least {MINIMUM_PASSWORD} characters, seen {len(password)}"
            )
        state = {"schema": SCHEMA_VERSION, "files": self._read_files(), "tables": await self._read_tables()}
        header = f"{_MAGIC} {self._node} {self._now():%Y-%m-%dT%H:%M:%SZ}\n".encode("ascii")
        content = await asyncio.to_thread(_encrypt, header, json.dumps(state).encode(), password)
        if len(content) > MAXIMUM_BACKUP:
            raise ConfigError(f"Backup: expected at most {MAXIMUM_BACKUP} bytes, seen {len(content)}")
        return content

    async def restore(self, content: bytes, password: str) -> Restored:
        """Bring back what a backup of this node holds; services go on as they are until they restart.

        Raises ConfigError where the file is not a backup of this node, is damaged, or the password is another one;
        then nothing was changed.
        """
        header, plain = await asyncio.to_thread(_decrypt, content, password)
        _, _, node, saved_at = header.decode("ascii").split()
        if node != self._node:
            raise ConfigError(f"Backup: expected one of {self._node}, seen one of {node}")
        files, tables = _check_state(plain)
        staged = await asyncio.to_thread(self._stage, files)
        try:
            rows = await self._write_tables(tables)
        except BaseException:
            shutil.rmtree(staged, ignore_errors=True)
            raise
        await asyncio.to_thread(self._take_over, staged, files)
        return Restored(saved_at=saved_at, files=len(files), rows=rows)

    # Files.

    def _read_files(self) -> dict[str, str]:
        keys = self._key_store.directory
        paths = {f"certificates/{path.relative_to(keys)}": path for path in sorted(keys.rglob("*.pem"))}
        paths |= {name: self._directory / name for name in _FILES if (self._directory / name).exists()}
        return {name: base64.b64encode(read_file(path)).decode("ascii") for name, path in paths.items()}

    def _stage(self, files: dict[str, bytes]) -> Path:
        """Write the certificates beside the present ones, and read each of them."""
        staged = self._key_store.directory.with_name("certificates.restoring")
        shutil.rmtree(staged, ignore_errors=True)
        try:
            for name, content in files.items():
                if name.startswith("certificates/"):
                    write_atomically(staged / name.removeprefix("certificates/"), content)
            store = KeyStore(staged)
            for purpose in CertificatePurpose:
                if f"certificates/own/{purpose}.pem" in files:
                    store.own(purpose)
            for trust in TrustStoreName:
                store.trust(trust)
        except CertificateError as error:
            shutil.rmtree(staged, ignore_errors=True)
            raise ConfigError(f"Backup: {error}") from error
        return staged

    def _take_over(self, staged: Path, files: dict[str, bytes]) -> None:
        present = self._key_store.directory
        old = present.with_name("certificates.replaced")
        shutil.rmtree(old, ignore_errors=True)
        present.rename(old)
        staged.rename(present)
        shutil.rmtree(old, ignore_errors=True)
        for name in _FILES:
            if name in files:
                write_atomically(self._directory / name, files[name])
            else:
                (self._directory / name).unlink(missing_ok=True)

    # The cluster's configuration.

    async def _read_tables(self) -> dict[str, list[dict[str, Any]]]:
        tables: dict[str, list[dict[str, Any]]] = {}
        async with self._database.read() as session:
            for table in configuration_tables():
                rows = (await session.execute(select(table))).mappings()
                tables[table.name] = [dict(row) for row in rows]
        return tables

    async def _write_tables(self, tables: dict[str, list[dict[str, Any]]]) -> int:
        count = 0
        async with self._database.write() as session:
            for table in configuration_tables():
                await session.execute(delete(table))
                rows = tables.get(table.name, [])
                if rows:
                    await session.execute(insert(table), rows)
                count += len(rows)
        return count


def configuration_tables() -> list[Table]:
    """Return the tables of a cluster's database that a backup holds."""
    return [
        table
        for table in Row.metadata.sorted_tables
        if table.name not in _NOT_CONFIGURATION and not table.name.startswith(_OF_USERS)
    ]


def _check_state(plain: bytes) -> tuple[dict[str, bytes], dict[str, list[dict[str, Any]]]]:
    """Return files and tables of a backup. Raises ConfigError where they are not what a node has."""
    try:
        state = json.loads(plain)
        schema, tables = state["schema"], state["tables"]
        files = {str(name): base64.b64decode(content) for name, content in state["files"].items()}
        columns = {str(table): [set(row) for row in rows] for table, rows in tables.items()}
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise ConfigError(f"Backup: its content is not a node's: {error}") from error
    if schema != SCHEMA_VERSION:
        raise ConfigError(f"Backup: expected schema version {SCHEMA_VERSION}, seen {schema}")
    for name in files:
        if name not in _FILES and not _is_certificate(name):
            raise ConfigError(f"Backup: a node has no file {name[:100]!r}")
    known = {table.name: {column.name for column in table.columns} for table in configuration_tables()}
    for table, rows in columns.items():
        if table not in known or any(row != known[table] for row in rows):
            raise ConfigError(f"Backup: table {table[:100]!r} is not what this lab has")
    return files, tables


def _is_certificate(name: str) -> bool:
    parts = name.split("/")
    if not name.endswith(".pem") or parts[0] != "certificates":
        return False
    stem = parts[-1].removesuffix(".pem")
    if len(parts) == 3 and parts[1] in ("own", "csr"):
        return stem in list(CertificatePurpose)
    return len(parts) == 4 and parts[1] == "trust" and parts[2] in list(TrustStoreName) and stem.isalnum()


def _encrypt(header: bytes, plain: bytes, password: str) -> bytes:
    salt, nonce = secrets.token_bytes(_SALT), secrets.token_bytes(_NONCE)
    sealed = AESGCM(_derive(password, salt)).encrypt(nonce, zlib.compress(plain), header)
    return header + salt + nonce + sealed


def _decrypt(content: bytes, password: str) -> tuple[bytes, bytes]:
    if len(content) > MAXIMUM_BACKUP:
        raise ConfigError(f"Backup: expected at most {MAXIMUM_BACKUP} bytes, seen {len(content)}")
    line, found, rest = content.partition(b"\n")
    header = line + b"\n"
    words = line.decode("ascii", "replace").split()
    if not found or len(words) != 4 or " ".join(words[:2]) != _MAGIC or len(rest) < _SALT + _NONCE:
        raise ConfigError(
            f"Backup: expected a file that begins with {_MAGIC!r}; this is none, or it was cut short"
        )
    salt, nonce, sealed = rest[:_SALT], rest[_SALT : _SALT + _NONCE], rest[_SALT + _NONCE :]
    try:
        packed = AESGCM(_derive(password, salt)).decrypt(nonce, sealed, header)
    except InvalidTag:
        raise ConfigError(
            "Backup: the password is another one, or the file was changed or cut short"
        ) from None
    unpacking = zlib.decompressobj()
    plain = unpacking.decompress(packed, MAXIMUM_CONTENT)
    if unpacking.unconsumed_tail:
        raise ConfigError(f"Backup: expected at most {MAXIMUM_CONTENT} bytes of content")
    return header, plain


def _derive(password: str, salt: bytes) -> bytes:
    return derive_scrypt(password.encode(), salt, cost=2**14, block_size=8, parallel=1, length=_KEY)
