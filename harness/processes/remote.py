"""Objects of a node in another process, with the methods that they have here."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar, cast

from harness.processes.control import ControlClient

KindT = TypeVar("KindT")


def remote(kind: type[KindT], path: str, control: ControlClient, **parts: object) -> KindT:
    """Return what has the public methods of `kind` and calls them in the node's process.

    A method that is no coroutine function here waits for the answer. `parts` are attributes that hold other
    remote objects.
    """
    return cast(KindT, _Remote(kind, path, control, parts))


class _Remote:
    def __init__(
        self, kind: type[Any], path: str, control: ControlClient, parts: Mapping[str, object]
    ) -> None:
        self._kind, self._path, self._control, self._parts = kind, path, control, parts

    def __getattr__(self, name: str) -> Any:
        if name in self._parts:
            return self._parts[name]
        method = None if name.startswith("_") else inspect.getattr_static(self._kind, name, None)
        if not inspect.isfunction(method):
            raise AttributeError(f"{self._kind.__name__} of a node in another process has no {name}")
        call: Callable[..., Any] = self._control.call
        if inspect.iscoroutinefunction(method):
            call = self._control.call_later

        def call_there(*arguments: Any, **named: Any) -> Any:
            return call(f"{self._path}.{name}", *_values(arguments), **named)

        return call_there


def _values(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the arguments with iterators read to their end: those cannot cross."""
    return tuple(tuple(each) if isinstance(each, Iterator) else each for each in arguments)
