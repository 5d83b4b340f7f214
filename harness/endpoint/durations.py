"""Lengths of time as people write them: `60s`, `500ms`, `2m`, or seconds without a unit."""

import re
from typing import Final

from certs.errors import ConfigError

_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)?")
_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, None: 1.0}


def parse_duration(text: str) -> float:
    """Return the seconds. Raises ConfigError where the text is no length of time, or none at all."""
    found = _DURATION.fullmatch(text.strip())
    seconds = float(found[1]) * _SECONDS[found[2]] if found else 0.0
    if seconds <= 0:
        raise ConfigError(f"expected a length of time as 60s, 500ms or 2m, seen {text!r}")
    return seconds
