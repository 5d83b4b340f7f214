"""What is wrong with a lab file, said with file, line, field, what was seen and what was expected."""

import re
import tomllib
from collections.abc import Iterable
from typing import Any, Final, NoReturn

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from harness.near_matches import did_you_mean
from harness.plan.toml_lines import Path, line_of

_UNION_TAGS: Final = frozenset({"imp", "cucm"})
_TOML_POSITION: Final = re.compile(r" \(at line (\d+), column \d+\)$")


def refuse(path: Path, message: str) -> NoReturn:
    """Refuse a value from within a validator; `path` is relative to the table that is being checked."""
    raise PydanticCustomError("refused", "{message}", {"message": message, "path": path})


def refuse_unknown_keys(cls: type[BaseModel], data: object) -> object:
    """Refuse a key that a table does not have, and name those it may have meant."""
    if isinstance(data, dict):
        for key in data:
            if key not in cls.model_fields:
                refuse(
                    (key,),
                    f"expected no such key{did_you_mean(key, cls.model_fields)}"
                    f" (known: {', '.join(cls.model_fields)})",
                )
    return data


def refuse_doubles(placed: Iterable[tuple[Path, str | int]]) -> None:
    """Refuse the second one of two equal values, each with its path, which have to differ."""
    seen: set[str | int] = set()
    for path, value in placed:
        if value in seen:
            refuse(path, f"expected a value of its own, seen {value!r} a second time")
        seen.add(value)


def describe_syntax_error(error: tomllib.TOMLDecodeError, *, source: str) -> str:
    """Return `file:line: message` for a text that is no TOML."""
    message = str(error)
    position = _TOML_POSITION.search(message)
    if position is None:
        return f"{source}: {message}"
    return f"{source}:{position[1]}: {message[: position.start()]}"


def describe_errors(error: ValidationError, *, text: str, source: str) -> str:
    """Return one line for each thing that is wrong: file, line, field, expected and seen."""
    details = error.errors(include_url=False)
    return "\n".join(_describe(detail, text, source) for detail in details if not _follows(detail, details))


def _follows(detail: ErrorDetails, details: list[ErrorDetails]) -> bool:
    # pydantic calls a list too short when all that is in it was refused.
    path = detail["loc"]
    return detail["type"] == "too_short" and any(
        len(other["loc"]) > len(path) and other["loc"][: len(path)] == path for other in details
    )


def _describe(detail: ErrorDetails, text: str, source: str) -> str:
    path = _document_path(detail)
    line = line_of(text, path)
    place = f"{source}:{line}" if line is not None else source
    return f"{place}: {format_path(path) or 'the file'}: {_explain(detail)}"


def _document_path(detail: ErrorDetails) -> Path:
    # pydantic puts the tag of a union's member behind the list index; the document has no such step.
    location = detail["loc"]
    path = tuple(
        step
        for i, step in enumerate(location)
        if not (step in _UNION_TAGS and i > 0 and isinstance(location[i - 1], int))
    )
    context: dict[str, Any] = detail.get("ctx", {})
    return (*path, *context.get("path", ()))


def _explain(detail: ErrorDetails) -> str:
    if detail["type"] == "refused":
        return detail["msg"]
    if detail["type"] == "too_short":
        return f"expected at least {detail['ctx']['min_length']}, seen {detail['ctx']['actual_length']}"
    if detail["type"] == "missing":
        return "expected a value, seen none"
    if detail["type"].startswith("union_tag"):
        return f'{_expected(detail)}; every cluster has kind = "imp" or kind = "cucm"'
    seen = (
        ""
        if any(word in str(detail["loc"][-1:]) for word in ("password", "secret"))
        else f", seen {_shorten(detail['input'])}"
    )
    return _expected(detail) + seen + _near_matches(detail)


def _expected(detail: ErrorDetails) -> str:
    message = detail["msg"].removeprefix("Value error, ")
    for opening in ("Input should be ", "Input should have "):
        if message.startswith(opening):
            return f"expected {message.removeprefix(opening)}"
    return message.replace("Input is not a valid", "expected a valid")


def _near_matches(detail: ErrorDetails) -> str:
    if detail["type"] not in ("enum", "literal_error") or not isinstance(detail["input"], str):
        return ""
    return did_you_mean(detail["input"], re.findall(r"'([^']+)'", detail["ctx"]["expected"]))


def _shorten(value: object) -> str:
    if isinstance(value, dict | list):  # what is inside could be a password
        return "a table" if isinstance(value, dict) else "a list"
    shown = repr(value)
    return shown if len(shown) <= 80 else f"{shown[:77]}..."


def format_path(path: Path) -> str:
    """Return a path as `clusters[0].nodes[1].address`."""
    formatted = ""
    for step in path:
        formatted += f"[{step}]" if isinstance(step, int) else f".{step}" if formatted else step
    return formatted
