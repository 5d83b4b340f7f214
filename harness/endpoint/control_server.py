"""The control socket of a running lab: JSON, a request a line, for commands of the same user.

A request is `{"op": "status", "args": {…}}`. The answer is `{"ok": true, "result": …}` or
`{"ok": false, "kind": "ConfigError", "error": "…"}`; operations that go on send `{"ok": true, "item": …}` for
each thing before their result. A client that goes away ends what goes on.
"""

import asyncio
import json
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from certs.errors import ConfigError, HarnessError
from harness.near_matches import did_you_mean
from proxies.tasks import TaskKeeper

_log: Final = logging.getLogger(__name__)

MAXIMUM_LINE: Final = 256 * 1024
"Bytes of one request."

MAXIMUM_CLIENTS: Final = 32
"Connections at once."

WRITE_SECONDS: Final = 10.0
"How long a client may take to read what it asked for."


class Arguments(BaseModel):
    """What an operation is told; unknown names are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


SubjectT = TypeVar("SubjectT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation(Generic[SubjectT]):
    """One thing that can be asked of a running lab. Exactly one of `answer` and `stream` is given."""

    arguments: type[Arguments] = Arguments
    "The arguments' names and types."

    answer: Callable[[SubjectT, Any], Awaitable[Any]] | None = None
    "Does it and returns JSON values."

    stream: Callable[[SubjectT, Any], AsyncIterator[Any]] | None = None
    "Does it and yields JSON values, until it is over or the client goes."


class ControlServer(Generic[SubjectT]):
    """Listens on a socket that only its owner may use, and does what operations there are."""

    def __init__(self, subject: SubjectT, operations: Mapping[str, Operation[SubjectT]]) -> None:
        self._subject = subject
        self._operations = operations
        self._server: asyncio.Server | None = None
        self._tasks = TaskKeeper()
        self._clients = 0

    async def start(self, path: Path) -> None:
        """Listen. Raises ConfigError where the socket cannot be made."""
        try:
            self._server = await asyncio.start_unix_server(self._accept, path, limit=MAXIMUM_LINE)
            os.chmod(path, 0o600)  # noqa: PTH101 - its folder has 0700, so nobody came in before
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror or error}") from error

    async def close(self) -> None:
        """Stop listening and end what goes on."""
        if self._server is not None:
            self._server.close()
        await self._tasks.close()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._clients >= MAXIMUM_CLIENTS:
            writer.close()
            return
        self._clients += 1
        self._tasks.start(self._serve(reader, writer), name="control client")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                await self._do(line, reader, writer)
        except (OSError, TimeoutError):
            pass  # the client went away, or does not read
        except ValueError:
            await _write(writer, _refusal(ConfigError(f"a request may have {MAXIMUM_LINE} bytes")))
        finally:
            self._clients -= 1
            writer.close()

    async def _do(self, line: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            operation, arguments = self._parse(line)
            if operation.stream is not None:
                if not await self._pass_on(operation.stream(self._subject, arguments), reader, writer):
                    return
                result = None
            else:
                assert operation.answer is not None
                result = await operation.answer(self._subject, arguments)
            answer = {"ok": True, "result": result}
        except HarnessError as error:
            answer = _refusal(error)
        except (OSError, TimeoutError, asyncio.CancelledError):
            raise
        except Exception as error:  # a fault of ours must not end the lab
            _log.exception("a control request failed")
            answer = _refusal(HarnessError(f"{type(error).__name__}: {error}; the lab's log has more"))
        await _write(writer, answer)

    def _parse(self, line: bytes) -> tuple[Operation[SubjectT], Arguments]:
        try:
            request = json.loads(line)
            name, arguments = request["op"], request.get("args", {})
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise ConfigError('expected a request as {"op": "status", "args": {}}') from None
        operation = self._operations.get(name) if isinstance(name, str) else None
        if operation is None:
            known = ", ".join(self._operations)
            raise ConfigError(
                f"no operation is called {name!r}{did_you_mean(str(name), self._operations)}; known: {known}"
            )
        try:
            return operation, operation.arguments.model_validate(arguments)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "args"
            raise ConfigError(f"{name}: {where}: {first['msg']}") from None

    async def _pass_on(
        self, items: AsyncIterator[Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Send items until there are no more; return False where the client went away before."""
        gone = asyncio.ensure_future(reader.read(1))  # nothing is expected from a client that listens
        sending = asyncio.ensure_future(_send_items(items, writer))
        try:
            await asyncio.wait((gone, sending), return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
                return True
            return False
        finally:
            for task in (gone, sending):
                task.cancel()
            await asyncio.gather(gone, sending, return_exceptions=True)


async def _send_items(items: AsyncIterator[Any], writer: asyncio.StreamWriter) -> None:
    async for item in items:
        await _write(writer, {"ok": True, "item": item})


async def _write(writer: asyncio.StreamWriter, value: Mapping[str, Any]) -> None:
    writer.write(json.dumps(value, ensure_ascii=False, default=str).encode() + b"\n")
    async with asyncio.timeout(WRITE_SECONDS):
        await writer.drain()


def _refusal(error: HarnessError) -> dict[str, Any]:
    return {"ok": False, "kind": type(error).__name__, "error": str(error)}
