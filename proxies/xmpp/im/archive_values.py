"""What an archive keeps and finds (XEP-0313), and the store behind it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from proxies.xmpp.jid import Jid
from proxies.xmpp.stanza import Stanza


@dataclass(frozen=True, slots=True)
class ArchiveEntry:
    """A message on its way into an archive."""

    owner: Jid
    "Whose archive it is: a user or a room."

    id: int
    "Its place in the archive: later entries have greater ids."

    stamp: datetime
    "When it was archived, in UTC."

    peer: Jid
    "The other side: whom the owner wrote to, or who wrote."

    stanza: Stanza
    "The message."


@dataclass(frozen=True, slots=True)
class ArchivedMessage:
    """A message that was found."""

    id: int
    "Its place in the archive."

    stamp: datetime
    "When it was archived, in UTC."

    wire: bytes
    "The message in the namespace `jabber:client`."


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveQuery:
    """What to look for, and which page of it (sections 4.1 and 4.2)."""

    maximum: int
    "Messages on the page."

    peer: Jid | None = None
    "The other side; a bare address stands for all its resources."

    start: datetime | None = None
    "Not archived before that."

    end: datetime | None = None
    "Not archived after that."

    after: int | None = None
    "The message that the page follows."

    before: int | None = None
    "The message that the page precedes."

    backwards: bool = False
    "Whether it is the last page of what fits that is wanted; the messages still come oldest first."


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivePage:
    """What was found."""

    messages: Sequence[ArchivedMessage]
    "The page, oldest first."

    complete: bool
    "Whether nothing is left in the direction that was asked for."

    count: int
    "Messages on all pages."


class ArchiveDefault(StrEnum):
    """What is archived of those whom the user did not name (section 7.1)."""

    ALWAYS = "always"
    NEVER = "never"
    ROSTER = "roster"


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivePreferences:
    """What a user wants archived (section 7)."""

    default: ArchiveDefault = ArchiveDefault.ALWAYS
    "For those who are in neither list."

    always: frozenset[Jid] = frozenset()
    "Whose messages are archived."

    never: frozenset[Jid] = frozenset()
    "Whose are not; it wins where both lists name one."


class ArchiveStore(Protocol):
    """Keeps archives. Appends and preferences are persisted behind; a query sees every append before it."""

    @property
    def is_full(self) -> bool:
        """Whether so much waits to be written that no more can be appended now."""
        ...

    def append(self, entry: ArchiveEntry) -> None:
        """Keep a message."""
        ...

    async def query(self, owner: Jid, query: ArchiveQuery) -> ArchivePage:
        """Return a page of what an archive has.

        Raises RemoteProtocolError (`item-not-found`) where `after` or `before` is not in the archive.
        """
        ...

    def archive_preferences(self, owner: Jid) -> ArchivePreferences:
        """Return what a user wants archived."""
        ...

    def set_archive_preferences(self, owner: Jid, preferences: ArchivePreferences) -> None:
        """Replace what a user wants archived."""
        ...
