"""External components of an XCP router, as a cluster is told of them (XEP-0114)."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """A component that may attach to the routers of a cluster."""

    domain: str
    "Its domain."

    secret: str = field(repr=False)
    "What it proves that it knows."

    name: str = ""
    "What service discovery calls it."
