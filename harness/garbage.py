"""How often Python looks for garbage in cycles."""

import gc
from typing import Final

_ALLOCATIONS: Final = 50_000


def collect_seldom() -> None:
    """Look for it after many more new objects than the 700 of Python's default.

    Imports are most of a short command's time, and what they make is no garbage.
    """
    gc.set_threshold(_ALLOCATIONS, 10, 10)
