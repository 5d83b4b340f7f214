"""Takes bytes down as they cross sockets. An append each; packets are made of them when the run is over."""

import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from proxies.observer import ConnectionInfo, Direction

MAXIMUM_BYTES: Final = 64 * 1024 * 1024
"What one capture keeps. What comes later is counted and not kept: a stream without its handshake tells nothing."

MAXIMUM_SECRETS: Final = 8 * 1024 * 1024
"What one capture keeps of TLS secrets: some ten thousand handshakes."

OVERHEAD: Final = 128
"What a chunk costs beside its bytes."


@dataclass(frozen=True, slots=True)
class Opened:
    """A TCP connection began."""

    at: datetime
    connection: ConnectionInfo


@dataclass(frozen=True, slots=True)
class Closed:
    """A TCP connection ended."""

    at: datetime
    connection: ConnectionInfo


@dataclass(frozen=True, slots=True)
class Chunk:
    """Bytes of a TCP connection."""

    at: datetime
    connection: ConnectionInfo
    direction: Direction
    data: bytes


@dataclass(frozen=True, slots=True)
class Datagram:
    """A datagram, with the address it really came from or went to."""

    at: datetime
    connection: ConnectionInfo
    direction: Direction
    data: bytes
    peer: tuple[str, int]


Recorded = Opened | Closed | Chunk | Datagram


class WireRecorder:
    """Implements `proxies.observer.WireTap`; the ledger tells it of connections that open and close.

    TLS secrets go from OpenSSL to memory where the system can, and otherwise to a file of mode 0600 that `close`
    removes. They leave it only through `secrets`.
    """

    def __init__(
        self,
        *,
        now: Callable[[], datetime],
        keep_secrets: bool = True,
        maximum_bytes: int = MAXIMUM_BYTES,
        maximum_secrets: int = MAXIMUM_SECRETS,
    ) -> None:
        self.entries: list[Recorded] = []
        "What was taken down, in order."
        self.not_kept = 0
        "Chunks and datagrams that came when the recorder was full."
        self._now = now
        self._room = maximum_bytes
        self._maximum_secrets = maximum_secrets
        self._secrets = _SecretsFile() if keep_secrets else None
        self.secrets_file: str | None = self._secrets.path if self._secrets else None
        "See `proxies.observer.WireTap`."

    # proxies.observer.WireTap

    def crossed(self, connection: ConnectionInfo, direction: Direction, data: bytes) -> None:
        """Take down bytes of a connection."""
        if self._has_room(data):
            self.entries.append(Chunk(self._now(), connection, direction, data))

    def datagram(
        self, connection: ConnectionInfo, direction: Direction, data: bytes, peer: tuple[str, int]
    ) -> None:
        """Take down a datagram."""
        if self._has_room(data):
            self.entries.append(Datagram(self._now(), connection, direction, data, peer))

    # For the ledger.

    def opened(self, connection: ConnectionInfo) -> None:
        """Take down that a connection began."""
        if connection.transport != "UDP" and self._has_room(b""):
            self.entries.append(Opened(self._now(), connection))

    def closed(self, connection: ConnectionInfo) -> None:
        """Take down that it ended."""
        if connection.transport != "UDP" and self._has_room(b""):
            self.entries.append(Closed(self._now(), connection))

    # For who writes the capture.

    def secrets(self) -> bytes:
        """Return what OpenSSL wrote so far, whole lines of it."""
        if self._secrets is None:
            return b""
        kept = self._secrets.read(self._maximum_secrets)
        return kept[: kept.rfind(b"\n") + 1]

    def close(self) -> None:
        """Forget the secrets; nothing is to be recorded any more."""
        if self._secrets is not None:
            self._secrets.close()

    def _has_room(self, data: bytes) -> bool:
        self._room -= len(data) + OVERHEAD
        if self._room >= 0:
            return True
        self.not_kept += 1
        if self._secrets is not None:
            self._secrets.bound(self._maximum_secrets)
        return False


class _SecretsFile:
    """A file without a name where Linux has them, else one that only this user can read."""

    def __init__(self) -> None:
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        if hasattr(os, "memfd_create"):
            self._descriptor = os.memfd_create("tls-secrets", os.MFD_CLOEXEC)
            # Not /proc/self: the processes of a lab's nodes, of the same user, write to it as well.
            self.path = f"/proc/{os.getpid()}/fd/{self._descriptor}"
        else:
            self._folder = tempfile.TemporaryDirectory()  # mode 0700
            self.path = str(Path(self._folder.name) / "tls-secrets")
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)

    def read(self, size: int) -> bytes:
        return os.pread(self._descriptor, size, 0)

    def bound(self, size: int) -> None:
        """Take the end away where it has grown too long. OpenSSL appends, so it goes on at the new end."""
        if os.fstat(self._descriptor).st_size > 2 * size:
            os.ftruncate(self._descriptor, size)

    def close(self) -> None:
        with suppress(OSError):
            os.close(self._descriptor)
        if self._folder is not None:
            self._folder.cleanup()
