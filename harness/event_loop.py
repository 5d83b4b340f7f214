"""Which event loop a lab or a node runs on: uvloop where it is there, asyncio's own where it is not."""

from asyncio import AbstractEventLoop
from collections.abc import Callable
from contextlib import suppress


def event_loop_factory() -> Callable[[], AbstractEventLoop] | None:
    """Return what makes the loop, for `asyncio.Runner`; None for asyncio's own."""
    with suppress(ImportError):
        import uvloop

        return uvloop.new_event_loop
    return None
