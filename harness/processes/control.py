"""A node's control socket: how whoever started its process administers it.

A Unix socket of mode 0600 in the node's folder. A connection carries one call: a line with a `Call`, then a line
with `Returned` or `Raised`. `Follow` instead of a call gets what happens on the node's sockets, a line each.
"""

import asyncio
import inspect
import logging
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from certs.errors import ConfigError, ConnectionFailed, HarnessError, RemoteProtocolError
from certs.storage import make_directory
from harness.processes.forwarding import EventForwarder
from harness.processes.values import decode, encode
from proxies.tasks import TaskKeeper

SOCKET_NAME: Final = "control.sock"
"The socket's name in the node's folder."

MAXIMUM_LINE: Final = 8 * 1024 * 1024
"Bytes of one call or answer."

MAXIMUM_CONNECTIONS: Final = 32
"Calls under way at a time."

CALL_SECONDS: Final = 60.0
"How long a call may take; a restart of all services is far below."

_LINGER_SECONDS: Final = 1.0

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Call:
    """Asks for a method by its path, as `administration.restart`."""

    path: str
    arguments: tuple[Any, ...] = ()
    named: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Follow:
    """Asks for what happens on the node's sockets from now on."""


@dataclass(frozen=True, slots=True)
class Returned:
    """What a call returned."""

    value: Any


@dataclass(frozen=True, slots=True)
class Raised:
    """The error of ours that a call raised."""

    kind: str
    text: str
    fields: Mapping[str, Any]


@contextmanager
def short_path(path: Path) -> Iterator[str]:
    """Lend a path to a Unix socket that fits into the 107 bytes the kernel takes, however deep its folder lies."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


class ControlServer:
    """Answers calls to the objects of one node."""

    def __init__(self, path: Path, roots: Mapping[str, object], events: EventForwarder) -> None:
        """Take where to listen and what may be called: public methods of `roots`, by their names."""
        self.path = path
        "The socket."
        self._roots = roots
        self._events = events
        self._calls = TaskKeeper()
        self._server: asyncio.Server | None = None
        self._open = 0

    async def start(self) -> None:
        """Listen. Raises ConfigError where the socket cannot be made."""
        make_directory(self.path.parent)
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            # The path holds until asyncio has the socket: from Python 3.13 on it looks at the file too.
            with short_path(self.path) as short:
                before = os.umask(0o177)
                try:
                    self.path.unlink(missing_ok=True)  # of a killed process; the folder is held by us
                    listening.bind(short)
                finally:
                    os.umask(before)
                self._server = await asyncio.start_unix_server(
                    self._accept, sock=listening, limit=MAXIMUM_LINE
                )
        except OSError as error:
            listening.close()
            raise ConfigError(f"{self.path}: no control socket can be made: {error.strerror}") from error

    async def close(self) -> None:
        """Stop listening, and end what is under way after a moment."""
        if self._server is not None:
            self._server.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(_LINGER_SECONDS):
                await self._calls.join()
        await self._calls.close()
        self.path.unlink(missing_ok=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._open >= MAXIMUM_CONNECTIONS:
            writer.transport.abort()
            return
        self._open += 1
        self._calls.start(self._serve(reader, writer), name="a call on the control socket")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(CALL_SECONDS):
                line = await reader.readline()
            try:
                asked = decode(line)
                if isinstance(asked, Follow):
                    await self._events.forward(writer)
                    return
                async with asyncio.timeout(CALL_SECONDS):
                    answer = encode(Returned(await self._call(asked)))
            except HarnessError as error:
                answer = encode(_raised(error))
            writer.write(answer + b"\n")
            await writer.drain()
        except (OSError, ValueError, TimeoutError) as error:
            _log.warning("a call on the control socket was not answered: %s", error or type(error).__name__)
        finally:
            self._open -= 1
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _call(self, asked: object) -> Any:
        if not isinstance(asked, Call):
            raise RemoteProtocolError(f"expected a call, seen {type(asked).__name__}")
        method = self._find(asked.path)
        try:
            result = method(*asked.arguments, **asked.named)
            return await result if inspect.isawaitable(result) else result
        except HarnessError:
            raise
        except Exception as error:  # a bug of ours is told to whoever called, and the node goes on
            _log.exception("%s failed", asked.path)
            raise ConfigError(f"{asked.path} failed: {type(error).__name__}: {error}") from error

    def _find(self, path: str) -> Any:
        first, *others = path.split(".")
        found = self._roots.get(first)
        for name in others:
            found = None if name.startswith("_") else getattr(found, name, None)
        if found is None or not (inspect.ismethod(found) or inspect.isfunction(found)):
            raise RemoteProtocolError(f"{path!r} is no method of the node")
        return found


class ControlClient:
    """Calls the methods of a node in another process; each call is a connection of its own."""

    def __init__(self, path: Path, node: str) -> None:
        """Take the node's control socket, and its name for errors."""
        self._path = path
        self._node = node

    def call(self, path: str, *arguments: Any, **named: Any) -> Any:
        """Call a method and wait for what it returns.

        Raises what the method raises, and ConnectionFailed where the node does not answer.
        """
        asked = encode(Call(path, arguments, MappingProxyType(named)))
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(CALL_SECONDS)
                with short_path(self._path) as short:
                    connection.connect(short)
                connection.sendall(asked + b"\n")
                with connection.makefile("rb") as answers:
                    line = answers.readline(MAXIMUM_LINE)
        except OSError as error:
            raise ConnectionFailed(
                f"{self._node} does not run, or does not answer on its control socket: {error.strerror or error}"
            ) from error
        if not line.endswith(b"\n"):
            raise ConnectionFailed(f"{self._node} ended before it answered {path}")
        answer = decode(line)
        if isinstance(answer, Raised):
            raise _error_of(answer)
        if not isinstance(answer, Returned):
            raise RemoteProtocolError(f"expected an answer, seen {type(answer).__name__}")
        return answer.value

    async def call_later(self, path: str, *arguments: Any, **named: Any) -> Any:
        """Call a method from an event loop, which goes on meanwhile. Raises as `call` does."""
        return await asyncio.to_thread(self.call, path, *arguments, **named)

    async def follow(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Return the stream of what happens on the node's sockets from now on, and what closes it.

        Raises ConnectionFailed where the node does not run.
        """
        try:
            with short_path(self._path) as short:
                reader, writer = await asyncio.open_unix_connection(short, limit=MAXIMUM_LINE)
        except OSError as error:
            raise ConnectionFailed(f"{self._node} does not run: {error.strerror or error}") from error
        writer.write(encode(Follow()) + b"\n")
        await reader.readline()  # from here on nothing is missed
        return reader, writer


def _raised(error: HarnessError) -> Raised:
    return Raised(f"{type(error).__module__}:{type(error).__qualname__}", str(error), dict(vars(error)))


def _error_of(answer: Raised) -> HarnessError:
    """Make the error anew, with its text and what else it says."""
    kind = {f"{each.__module__}:{each.__qualname__}": each for each in _kinds(HarnessError)}.get(
        answer.kind, ConfigError
    )
    error = kind.__new__(kind)
    Exception.__init__(error, answer.text)
    for name, value in answer.fields.items():
        if not name.startswith("_"):
            setattr(error, name, value)
    return error


def _kinds(base: type[HarnessError]) -> list[type[HarnessError]]:
    return [base, *(found for kind in base.__subclasses__() for found in _kinds(kind))]
