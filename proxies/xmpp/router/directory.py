"""What a router knows of the others: which nodes there are, and on which of them a user or component is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterAddress:
    """Another node's XCP router."""

    fqdn: str
    "The node's full name: the router's address on the link, and the name in its certificate."

    address: str
    "Where it listens, and where its links come from."

    port: int
    "Where it listens."

    intercluster: bool = False
    "Whether the node is of a peer cluster."


class XmppDirectory(Protocol):
    """Nodes and users of the cluster and of the clusters it is connected to, as replication last knew them.

    It is asked for each stanza and may change while services run.
    """

    def home_node(self, localpart: str) -> str | None:
        """Return the full name of the node that a user of our domains is assigned to, or None."""
        ...

    def component_node(self, domain: str) -> str | None:
        """Return the full name of the node whose router has a component of another router, or None."""
        ...

    def component_domains(self) -> frozenset[str]:
        """Return the domains of all components that the routers of the clusters have."""
        ...

    def federation_node(self) -> str | None:
        """Return the full name of another node of the cluster that federates with other domains, or None."""
        ...

    def routers(self) -> Mapping[str, RouterAddress]:
        """Return the routers of the other nodes by full name, those of peer clusters too."""
        ...

    def follow(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Be told each time that any of this may have changed; return how to leave."""
        ...
