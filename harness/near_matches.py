"""Names that a person may have meant, for error messages."""

import difflib
from collections.abc import Iterable


def nearest(seen: str, known: Iterable[str]) -> list[str]:
    """Return the three known names that are nearest to what was seen, however far."""
    return difflib.get_close_matches(seen, list(known), n=3, cutoff=0.0)


def did_you_mean(seen: str, known: Iterable[str]) -> str:
    """Return `; did you mean …?` with the known names nearest to what was seen, or nothing."""
    matches = difflib.get_close_matches(seen, list(known), n=3, cutoff=0.6)
    return f"; did you mean {' or '.join(repr(match) for match in matches)}?" if matches else ""
