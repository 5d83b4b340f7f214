"""On which line of a TOML text a value is written; the standard library's parser does not tell."""

import re
from collections import Counter
from collections.abc import Mapping
from typing import Final

Path = tuple[str | int, ...]
"Keys and list indexes from the top of a document."

_HEADER: Final = re.compile(r"\s*(\[\[?)\s*([^\]\[]+?)\s*\]\]?\s*(#.*)?$")
_KEY: Final = re.compile(r"""\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*=""")
_STEP: Final = re.compile(r"""[\w-]+|"[^"]*"|'[^']*'""")


def line_of(text: str, path: Path) -> int | None:
    """Return the line where a value stands, or else the nearest one around it that can be told.

    Good for headers and `key = value` lines; what is inside a list or an inline table is found at its key.
    Returns None where not even the outermost key is written.
    """
    lines = _lines(text)
    while path:
        if path in lines:
            return lines[path]
        path = path[:-1]
    return None


def _lines(text: str) -> Mapping[Path, int]:
    lines: dict[Path, int] = {}
    counts: Counter[Path] = Counter()
    table: Path = ()
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(line):
            table = _resolve(_steps(header[2]), counts)
            if header[1] == "[[":
                index = counts[table]
                counts[table] += 1
                table = (*table, index)
            lines.setdefault(table, number)
        elif key := _KEY.match(line):
            lines.setdefault((*table, *_steps(key[1])), number)
    return lines


def _steps(dotted: str) -> list[str]:
    return [step.strip("\"'") for step in _STEP.findall(dotted)]


def _resolve(steps: list[str], counts: Counter[Path]) -> Path:
    """Return where a header points: a name that is a list of tables means its last one, but at the end."""
    path: Path = ()
    for i, step in enumerate(steps):
        path = (*path, step)
        if i < len(steps) - 1 and counts[path]:
            path = (*path, counts[path] - 1)
    return path
