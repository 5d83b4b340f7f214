"""A `PepStore` in memory: what tests use, and what a store that persists its writes builds on."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from proxies.xmpp.jid import Jid
from proxies.xmpp.pep.values import PepNode, PublishedItem


@dataclass(slots=True)
class _Nodes:
    nodes: dict[str, PepNode] = field(default_factory=dict)
    items: dict[str, dict[str, PublishedItem]] = field(default_factory=dict)


class MemoryPepStore:
    """Keeps everything of `PepStore` in dictionaries, for as long as the object lives."""

    def __init__(self) -> None:
        self._pep: dict[Jid, _Nodes] = {}

    def pep_nodes(self, user: Jid) -> Mapping[str, PepNode]:
        """Return the user's nodes by name."""
        nodes = self._pep.get(user)
        return nodes.nodes if nodes is not None else {}

    def set_pep_node(self, user: Jid, node: PepNode) -> None:
        """Make a node, or change how it behaves."""
        self._of(user).nodes[node.name] = node

    def remove_pep_node(self, user: Jid, name: str) -> None:
        """Forget a node and its items."""
        of = self._of(user)
        of.nodes.pop(name, None)
        of.items.pop(name, None)

    def pep_items(self, user: Jid, name: str) -> Mapping[str, PublishedItem]:
        """Return a node's items by id, oldest first."""
        nodes = self._pep.get(user)
        return nodes.items.get(name, {}) if nodes is not None else {}

    def put_pep_item(self, user: Jid, name: str, item: PublishedItem) -> None:
        """Keep an item as the newest one of a node."""
        items = self._of(user).items.setdefault(name, {})
        items.pop(item.id, None)
        items[item.id] = item

    def remove_pep_item(self, user: Jid, name: str, item_id: str) -> None:
        """Forget an item."""
        self._of(user).items.get(name, {}).pop(item_id, None)

    def _of(self, user: Jid) -> _Nodes:
        nodes = self._pep.get(user)
        if nodes is None:
            nodes = self._pep[user] = _Nodes()
        return nodes
