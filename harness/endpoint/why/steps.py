"""A step of a remedy: something to do on a page of the lab."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing to do on a page."""

    page: str
    "The node, the page, and what to do there, in words."

    do: Callable[[], Awaitable[object]]
    "Does it. Raises ConfigError or CertificateError where it cannot be done; then nothing was changed."
