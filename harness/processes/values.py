"""The values of the lab as JSON, there and back: what crosses a node's control socket.

JSON has no bytes, tuples, dates and types of ours, so these are objects with one key that begins with `$`. Only
frozen values of this project's packages are made from what comes in, by their module and name.
"""

import base64
import dataclasses
import importlib
import json
from collections.abc import Mapping, Set
from datetime import datetime
from enum import Enum
from types import MappingProxyType
from typing import Any, Final

from cryptography import x509

from certs.errors import LocalProtocolError, RemoteProtocolError

PACKAGES: Final = ("certs", "proxies", "harness")
"Where the types come from that may be named."

MAXIMUM_DEPTH: Final = 32
"How deep values may lie inside one another."


def encode(value: object) -> bytes:
    """Return a value as one line of JSON, without its end of line.

    Raises LocalProtocolError where it holds something that is no value: a function, a service, a socket.
    """
    return json.dumps(_to_json(value), ensure_ascii=False, separators=(",", ":")).encode()


def decode(line: bytes) -> Any:
    """Return the value of a line.

    Raises RemoteProtocolError where it is no JSON, or names a type that is no value of the lab.
    """
    try:
        return _from_json(json.loads(line), 0)
    except (ValueError, TypeError, RecursionError) as error:
        raise RemoteProtocolError(f"not a value in JSON: {error}") from error


def _to_json(value: object) -> Any:
    match value:
        case Enum():
            return {"$enum": _name_of(type(value)), "value": value.value}
        case None | bool() | int() | float() | str():
            return value
        case bytes():
            return {"$bytes": base64.b64encode(value).decode("ascii")}
        case datetime():
            return {"$datetime": value.isoformat()}
        case x509.ObjectIdentifier():
            return {"$oid": value.dotted_string}
        case list():
            return [_to_json(each) for each in value]
        case tuple():
            return {"$tuple": [_to_json(each) for each in value]}
        case Mapping():
            return {"$mapping": [[_to_json(key), _to_json(each)] for key, each in value.items()]}
        case Set():
            # In one order, so that equal sets are written alike.
            return {"$set": sorted((_to_json(each) for each in value), key=json.dumps)}
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            fields = {each.name: getattr(value, each.name) for each in dataclasses.fields(value) if each.init}
            return {
                "$value": _name_of(type(value)),
                "fields": {name: _to_json(each) for name, each in fields.items()},
            }
        case _:
            raise LocalProtocolError(f"{type(value).__name__} is no value that can leave its process")


def _from_json(found: Any, depth: int) -> Any:
    if depth > MAXIMUM_DEPTH:
        raise RemoteProtocolError(f"values lie deeper than {MAXIMUM_DEPTH} inside one another")

    def inside(each: Any) -> Any:
        return _from_json(each, depth + 1)

    match found:
        case list():
            return [inside(each) for each in found]
        case {"$enum": str(name), "value": value, **rest} if not rest:
            return _make(name, Enum, (inside(value),), {})
        case {"$bytes": str(text), **rest} if not rest:
            return base64.b64decode(text, validate=True)
        case {"$datetime": str(text), **rest} if not rest:
            return datetime.fromisoformat(text)
        case {"$oid": str(text), **rest} if not rest:
            return x509.ObjectIdentifier(text)
        case {"$tuple": list(values), **rest} if not rest:
            return tuple(inside(each) for each in values)
        case {"$set": list(values), **rest} if not rest:
            return frozenset(inside(each) for each in values)
        case {"$mapping": list(pairs), **rest} if not rest:
            return MappingProxyType({inside(key): inside(value) for key, value in pairs})
        case {"$value": str(name), "fields": dict(fields), **rest} if not rest:
            return _make(name, None, (), {str(key): inside(value) for key, value in fields.items()})
        case dict():
            raise RemoteProtocolError(f"an object with the keys {sorted(found)[:5]} is no value of the lab")
        case _:
            return found


def _name_of(kind: type) -> str:
    if kind.__module__.partition(".")[0] not in PACKAGES:
        raise LocalProtocolError(f"{kind.__module__}.{kind.__qualname__} is no value of the lab")
    return f"{kind.__module__}:{kind.__qualname__}"


def _make(name: str, base: type | None, values: tuple[object, ...], fields: Mapping[str, object]) -> object:
    """Make a value of a type: one that descends from `base`, or a frozen dataclass."""
    module, _, kind_name = name.partition(":")
    if module.partition(".")[0] not in PACKAGES or not kind_name.isidentifier():
        raise RemoteProtocolError(f"{name!r} names no type of the lab")
    try:
        kind = getattr(importlib.import_module(module), kind_name)
    except (ImportError, AttributeError):
        raise RemoteProtocolError(f"{name!r} names no type of the lab") from None
    if base is not None:
        fits = isinstance(kind, type) and issubclass(kind, base)
    else:
        parameters = getattr(kind, "__dataclass_params__", None)
        fits = isinstance(kind, type) and parameters is not None and parameters.frozen
    if not fits:
        raise RemoteProtocolError(f"{name!r} is no value")
    try:
        return kind(*values, **fields)
    except TypeError as error:
        raise RemoteProtocolError(f"{name!r}: {error}") from error
