"""What AXL tells of a cluster, as values, and where it comes from."""

from dataclasses import dataclass, field
from typing import Final, Protocol

MAXIMUM_ROWS: Final = 1000
"Rows in one answer; whoever wants more asks again with `skip`."


@dataclass(frozen=True, slots=True, kw_only=True)
class AxlAccount:
    """The application user whose name and password AXL asks for."""

    user_id: str
    "The name."

    password: str = field(repr=False)
    "The password."


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterStamp:
    """Which cluster this is, and a mark that is another one after each change of what it tells its peers."""

    cluster: str
    "The cluster's name."

    domain: str
    "Its presence domain."

    stamp: str
    "The mark: equal marks mean that nothing has changed."


@dataclass(frozen=True, slots=True, kw_only=True)
class InterclusterNode:
    """A node of a cluster, as its peers need to know it."""

    fqdn: str
    "Its full name."

    number: int
    "Its place in the cluster; the publisher is 1."

    router_port: int
    "Where its XCP router listens for other routers."

    certificate: str
    "Its `cup-xmpp` certificate in PEM (G22)."


@dataclass(frozen=True, slots=True, kw_only=True)
class InterclusterUser:
    """A user of a cluster, as its peers need to know the user."""

    user_id: str
    "The user part of the address."

    home_node: str
    "The full name of the node that the user is assigned to."


class AxlSource(Protocol):
    """Where the AXL web service of a node finds what it tells."""

    async def account(self) -> AxlAccount:
        """Return who may use AXL."""
        ...

    async def stamp(self) -> ClusterStamp:
        """Return the cluster's name and the mark of its present state."""
        ...

    async def nodes(self) -> tuple[InterclusterNode, ...]:
        """Return the cluster's nodes, the publisher first."""
        ...

    async def users(self) -> tuple[InterclusterUser, ...]:
        """Return the cluster's users by name."""
        ...
