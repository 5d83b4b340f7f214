"""What stands between a home node's session manager (RFC 6121) and the world: router, sessions, store, hooks.

Everything here is synchronous. Addresses are prepared; a `user` is the bare address of a user whose home is
this node.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from proxies.xmpp.conditions import StreamErrorCondition
from proxies.xmpp.jid import Jid
from proxies.xmpp.stanza import Stanza


class Route(Protocol):
    """The XCP router, as those see it who hand it a stanza."""

    def __call__(self, stanza: Stanza) -> None:
        """Take a stanza that carries both addresses; what cannot be delivered comes back as an error stanza."""
        ...


class Session(Protocol):
    """A client's bound stream, as a connection manager gives it; hashed and compared by identity."""

    @property
    def jid(self) -> Jid:
        """The full address that the stream is bound to."""
        ...

    def deliver(self, stanza: Stanza) -> None:
        """Write a stanza to the client."""
        ...

    def close(self, condition: StreamErrorCondition, text: str) -> None:
        """End the stream with a stream error; the connection manager reports the end by `session_closed`."""
        ...


class Subscription(StrEnum):
    """Who gets whose presence (RFC 6121 2.1.2.5)."""

    NONE = "none"
    TO = "to"
    FROM = "from"
    BOTH = "both"

    @property
    def to_contact(self) -> bool:
        """Whether the user gets the contact's presence."""
        return self in (Subscription.TO, Subscription.BOTH)

    @property
    def from_contact(self) -> bool:
        """Whether the contact gets the user's presence."""
        return self in (Subscription.FROM, Subscription.BOTH)


@dataclass(frozen=True, slots=True, kw_only=True)
class RosterItem:
    """A contact in a user's roster (RFC 6121 2.1.2)."""

    jid: Jid
    "The contact."

    name: str = ""
    "What the user calls the contact."

    groups: tuple[str, ...] = ()
    "The groups that the user put the contact in."

    subscription: Subscription = Subscription.NONE
    "Who gets whose presence."

    ask: bool = False
    "Whether the user's request to subscribe waits for the contact's answer (Pending Out)."

    approved: bool = False
    "Whether the user has approved the contact's request before it comes (RFC 6121 3.4)."

    version: int = 0
    "The roster's version that this state of the item came with; the store sets it."


@dataclass(frozen=True, slots=True, kw_only=True)
class RosterVersion:
    """How often a roster was changed (RFC 6121 2.6)."""

    current: int = 0
    "Counts every change; 0 where there never was one."

    last_removal: int = 0
    "The version that the last removal made: from there on the items tell of every change."


@dataclass(frozen=True, slots=True, kw_only=True)
class OfflineMessage:
    """A message kept for a user who was not available (XEP-0160)."""

    stanza: Stanza
    "The message as it would have been delivered."

    received: datetime
    "When it came, in UTC."


@dataclass(frozen=True, slots=True, kw_only=True)
class LastActivity:
    """When and how a user was last available (XEP-0012)."""

    at: datetime
    "When the last available resource went, in UTC."

    status: str = ""
    "What its unavailable presence said."


class ImStore(Protocol):
    """What a home node keeps for its users. Reads come from memory; writes are persisted behind."""

    def roster(self, user: Jid) -> Mapping[Jid, RosterItem]:
        """Return the user's contacts by bare address."""
        ...

    def roster_version(self, user: Jid) -> RosterVersion:
        """Return how often the roster was changed."""
        ...

    def set_roster_item(self, user: Jid, item: RosterItem) -> RosterItem:
        """Store an item under the roster's next version and return it with that."""
        ...

    def remove_roster_item(self, user: Jid, contact: Jid) -> int:
        """Remove an item and return the roster's next version."""
        ...

    def subscription_requests(self, user: Jid) -> Mapping[Jid, Stanza]:
        """Return the requests that wait for the user's answer (Pending In), by the contact's bare address."""
        ...

    def set_subscription_request(self, user: Jid, contact: Jid, request: Stanza) -> None:
        """Keep the complete `subscribe` stanza, which is delivered at each login (RFC 6121 3.1.3)."""
        ...

    def remove_subscription_request(self, user: Jid, contact: Jid) -> None:
        """Forget a request; nothing happens where there is none."""
        ...

    def offline_messages(self, user: Jid) -> Sequence[OfflineMessage]:
        """Return the messages kept for the user, oldest first."""
        ...

    def add_offline_message(self, user: Jid, message: OfflineMessage) -> None:
        """Keep a message behind the others."""
        ...

    def clear_offline_messages(self, user: Jid) -> None:
        """Forget the messages: they were delivered."""
        ...

    def blocklist(self, user: Jid) -> frozenset[Jid]:
        """Return whom the user has blocked (XEP-0191)."""
        ...

    def set_blocklist(self, user: Jid, blocked: frozenset[Jid]) -> None:
        """Replace whom the user has blocked."""
        ...

    def vcard(self, user: Jid) -> bytes:
        """Return the user's `<vCard/>` element as bytes with its namespace, empty where there is none."""
        ...

    def set_vcard(self, user: Jid, vcard: bytes) -> None:
        """Replace the user's `<vCard/>`."""
        ...

    def last_activity(self, user: Jid) -> LastActivity | None:
        """Return when the user was last available, or None where that never was."""
        ...

    def set_last_activity(self, user: Jid, activity: LastActivity) -> None:
        """Store when the user was last available."""
        ...


MessageHook = Callable[[Jid, Stanza], Stanza]
"""The archive's place (XEP-0313): called with a home user and a message that the user sends or is about to get.

What it returns is delivered (with its `stanza-id`, XEP-0359); for a message that the user sends it does not matter.
"""

PresenceHook = Callable[[Jid, Jid, Stanza], None]
"""PEP's place (XEP-0163): a home user, the full address whose presence it is, and that presence (its type is empty or
`unavailable`). Called for the user's own resources, and for others' whose presence comes for the user, who may be
offline."""
