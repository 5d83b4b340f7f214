"""What users publish by PEP: nodes, items, who may read them, and the store behind it (XEP-0163, XEP-0060)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from proxies.xmpp.jid import Jid


@dataclass(frozen=True, slots=True, kw_only=True)
class PepSettings:
    """The limits of one user's nodes."""

    maximum_nodes: int = 100
    "Nodes of one user."

    maximum_items: int = 256
    "Items of one node; what `max` means in a node's configuration."

    maximum_payload: int = 192 * 1024
    "Octets of one item; an avatar of 128 KiB in Base64 fits (XEP-0084)."

    maximum_stored: int = 4 * 1024 * 1024
    "Octets of all items of one user."

    maximum_name: int = 1023
    "Octets of a node's name, and of an item's id."

    maximum_members: int = 200
    "Addresses in the whitelist of one node."


class AccessModel(StrEnum):
    """Who may see what a node has (XEP-0060 section 4.5)."""

    PRESENCE = "presence"
    "Those who are subscribed to the user's presence."
    OPEN = "open"
    "Everybody may ask; those who are subscribed to the user's presence are told."
    WHITELIST = "whitelist"
    "The user, and those whom the user made members of the node."


class SendLastItem(StrEnum):
    """When somebody is told of what was published before (XEP-0060 section 6.4)."""

    NEVER = "never"
    ON_SUBSCRIBE = "on_sub"
    ON_SUBSCRIBE_AND_PRESENCE = "on_sub_and_presence"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeConfiguration:
    """How a node behaves; the defaults are those of PEP (XEP-0163 section 5)."""

    access_model: AccessModel = AccessModel.PRESENCE
    "Who may see it."

    max_items: int = 1
    "Items that it keeps; older ones give way."

    persist_items: bool = True
    "Whether it keeps items at all."

    deliver_payloads: bool = True
    "Whether notifications carry the item, or its id alone."

    notify_retract: bool = True
    "Whether those interested are told of items that are taken back."

    send_last_published_item: SendLastItem = SendLastItem.ON_SUBSCRIBE_AND_PRESENCE
    "Whether who becomes available is told of the last item."


@dataclass(frozen=True, slots=True, kw_only=True)
class PepNode:
    """A node that a user has."""

    name: str
    "Its name: mostly the namespace of what is published there."

    configuration: NodeConfiguration = field(default_factory=NodeConfiguration)
    "How it behaves."

    members: frozenset[Jid] = frozenset()
    "The bare addresses of those whom its whitelist lets in."


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedItem:
    """An item in a node."""

    id: str
    "Its id in the node."

    payload: bytes = field(repr=False)
    "The one element in it, with its namespace."

    published: datetime
    "When it was published, in UTC."


class PepStore(Protocol):
    """What a home node keeps of its users' nodes. Reads come from memory; writes are persisted behind."""

    def pep_nodes(self, user: Jid) -> Mapping[str, PepNode]:
        """Return the user's nodes by name."""
        ...

    def set_pep_node(self, user: Jid, node: PepNode) -> None:
        """Make a node, or change how it behaves; its items stay."""
        ...

    def remove_pep_node(self, user: Jid, name: str) -> None:
        """Forget a node and its items; nothing happens where there is none."""
        ...

    def pep_items(self, user: Jid, name: str) -> Mapping[str, PublishedItem]:
        """Return a node's items by id, oldest first."""
        ...

    def put_pep_item(self, user: Jid, name: str, item: PublishedItem) -> None:
        """Keep an item as the newest one of a node; one of the same id is replaced."""
        ...

    def remove_pep_item(self, user: Jid, name: str, item_id: str) -> None:
        """Forget an item; nothing happens where there is none."""
        ...
