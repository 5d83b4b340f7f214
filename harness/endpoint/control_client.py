"""Speaks to a running lab over its control socket; blocking, for commands."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, Final

from certs.errors import ConfigError, ConnectionFailed
from harness.endpoint.description import LabDescription
from harness.endpoint.runtime import find_lab

SECONDS: Final = 60.0
"How long an answer may take, where nothing else is said."


class ControlClient:
    """A running lab, as commands see it."""

    def __init__(self, description: LabDescription) -> None:
        self.description = description
        "What the lab says of itself."

    @classmethod
    def of(cls, name: str | None = None) -> "ControlClient":
        """Return the running lab of a name, or the only one. Raises ConfigError as `find_lab` does."""
        return cls(find_lab(name))

    def ask(self, op: str, *, within: float | None = SECONDS, **arguments: Any) -> Any:
        """Have the lab do something and return its result.

        Raises ConfigError with the lab's own words where it refuses, ConnectionFailed where it does not answer.
        """
        with self._send(op, within, arguments) as file:
            return self._read(file)["result"]

    def follow(self, op: str, *, within: float | None = None, **arguments: Any) -> Iterator[Any]:
        """Yield what the lab tells, until it is over. Raises as `ask` does."""
        with self._send(op, within, arguments) as file:
            while "item" in (answer := self._read(file)):
                yield answer["item"]

    @contextmanager
    def _send(self, op: str, within: float | None, arguments: dict[str, Any]) -> Iterator[IO[bytes]]:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(within)
            try:
                connection.connect(str(self.description.control))
                given = {name: value for name, value in arguments.items() if value is not None}
                connection.sendall(json.dumps({"op": op, "args": given}).encode() + b"\n")
            except OSError as error:
                raise self._silent(error) from error
            with connection.makefile("rb") as file:
                yield file

    def _read(self, file: IO[bytes]) -> dict[str, Any]:
        try:
            line = file.readline()
        except OSError as error:
            raise self._silent(error) from error
        if not line:
            raise ConnectionFailed(f"lab {self.description.id} ended before it answered")
        answer: dict[str, Any] = json.loads(line)
        if not answer["ok"]:
            raise ConfigError(answer["error"])
        return answer

    def _silent(self, error: OSError) -> ConnectionFailed:
        return ConnectionFailed(
            f"lab {self.description.id} does not answer: {error.strerror or error}; see `imp-harness status`"
        )
