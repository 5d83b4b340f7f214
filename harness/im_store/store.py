"""A router's store: everything in memory, except archives, and written behind to the cluster's database.

All users' data are read when a router starts, since a user may be assigned to its node while it runs. What a
user does on another node after that is known here from the next start on.
"""

from collections.abc import Sequence
from typing import Self

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from certs.errors import ConfigError, RemoteProtocolError
from harness.configuration.database import Database
from harness.im_store.archive import find_page
from harness.im_store.codec import decode_moment, decode_stanza, encode_moment, encode_stanza
from harness.im_store.models import (
    ArchivePreferencesRow,
    BlocklistRow,
    LastActivityRow,
    OfflineMessageRow,
    RoomRow,
    RosterItemRow,
    RosterVersionRow,
    SubscriptionRequestRow,
    VcardRow,
)
from harness.im_store.published import DatabasePepStore
from harness.im_store.rooms import decode_room, encode_room
from harness.im_store.write_behind import WriteBehind
from proxies.clock import SchedulingClock
from proxies.xmpp.im.archive_values import (
    ArchiveDefault,
    ArchiveEntry,
    ArchivePage,
    ArchivePreferences,
    ArchiveQuery,
)
from proxies.xmpp.im.interfaces import LastActivity, OfflineMessage, RosterItem, RosterVersion, Subscription
from proxies.xmpp.im.memory_store import MemoryImStore
from proxies.xmpp.jid import Jid
from proxies.xmpp.muc.values import RoomRecord
from proxies.xmpp.stanza import Stanza

_USUAL = ArchivePreferences()


class DatabaseImStore(MemoryImStore):
    """Implements `ImStore`, `ArchiveStore` and `RoomStore` for the router of one node."""

    def __init__(self, database: Database, writes: WriteBehind) -> None:
        """Take where to read archives and where to write; `open` is what reads the rest."""
        super().__init__()
        self._database = database
        self._writes = writes
        self._preferences: dict[Jid, ArchivePreferences] = {}
        self._rooms: dict[Jid, RoomRecord] = {}
        self.pep = DatabasePepStore(writes)
        "What users publish (XEP-0163)."
        self._offline_numbers: dict[Jid, list[int]] = {}
        self._last_number = 0

    @classmethod
    async def open(
        cls, database: Database, clock: SchedulingClock, *, node: str, conference_domain: str
    ) -> Self:
        """Read users' data, and the rooms of one domain.

        Raises ConfigError where the database cannot be read, or holds what no router wrote.
        """
        store = cls(database, WriteBehind(database, clock, node=node))
        async with database.read() as session:
            try:
                await store._read_accounts(session)
                await store._read_rooms(session, conference_domain)
                await store.pep.read(session)
            except (ValueError, KeyError, TypeError, RemoteProtocolError) as error:
                raise ConfigError(
                    f"users' data in the cluster's database are damaged: {error}; delete the line, or the file"
                ) from error
        return store

    async def aclose(self) -> None:
        """Write what waits; whoever waits for this may be cut off, and the writing goes on."""
        await self._writes.aclose()

    async def finished(self) -> None:
        """Wait until what `aclose` left is written."""
        await self._writes.finished()

    @property
    def is_behind(self) -> bool:
        """Whether so much waits to be written that clients should be read more slowly."""
        return self._writes.is_behind

    # ImStore: what is changed in memory is written behind.

    def set_roster_item(self, user: Jid, item: RosterItem) -> RosterItem:
        """Store an item under the roster's next version and return it with that."""
        item = super().set_roster_item(user, item)
        self._writes.put(
            RosterItemRow(
                user=str(user),
                contact=str(item.jid),
                name=item.name,
                groups=list(item.groups),
                subscription=item.subscription,
                ask=item.ask,
                approved=item.approved,
                version=item.version,
            )
        )
        self._put_version(user)
        return item

    def remove_roster_item(self, user: Jid, contact: Jid) -> int:
        """Remove an item and return the roster's next version."""
        version = super().remove_roster_item(user, contact)
        self._writes.remove(RosterItemRow, str(user), str(contact))
        self._put_version(user)
        return version

    def set_subscription_request(self, user: Jid, contact: Jid, request: Stanza) -> None:
        """Keep a request to subscribe."""
        super().set_subscription_request(user, contact, request)
        row = SubscriptionRequestRow(user=str(user), contact=str(contact), request=encode_stanza(request))
        self._writes.put(row)

    def remove_subscription_request(self, user: Jid, contact: Jid) -> None:
        """Forget a request; nothing happens where there is none."""
        if contact in self.subscription_requests(user):
            super().remove_subscription_request(user, contact)
            self._writes.remove(SubscriptionRequestRow, str(user), str(contact))

    def add_offline_message(self, user: Jid, message: OfflineMessage) -> None:
        """Keep a message behind the others."""
        super().add_offline_message(user, message)
        received = encode_moment(message.received)
        number = self._last_number = max(self._last_number + 1, received)
        self._offline_numbers.setdefault(user, []).append(number)
        text = encode_stanza(message.stanza)
        self._writes.put(OfflineMessageRow(user=str(user), number=number, received=received, message=text))

    def clear_offline_messages(self, user: Jid) -> None:
        """Forget the messages."""
        super().clear_offline_messages(user)
        for number in self._offline_numbers.pop(user, ()):
            self._writes.remove(OfflineMessageRow, str(user), number)

    def set_blocklist(self, user: Jid, blocked: frozenset[Jid]) -> None:
        """Replace whom the user has blocked."""
        super().set_blocklist(user, blocked)
        self._writes.put(BlocklistRow(user=str(user), blocked=sorted(map(str, blocked))))

    def set_vcard(self, user: Jid, vcard: bytes) -> None:
        """Replace the user's `<vCard/>`."""
        super().set_vcard(user, vcard)
        self._writes.put(VcardRow(user=str(user), vcard=vcard))

    def set_last_activity(self, user: Jid, activity: LastActivity) -> None:
        """Store when the user was last available."""
        super().set_last_activity(user, activity)
        at = encode_moment(activity.at)
        self._writes.put(LastActivityRow(user=str(user), at=at, status=activity.status))

    # ArchiveStore

    @property
    def is_full(self) -> bool:
        """Whether so much waits to be written that no more can be appended now."""
        return self._writes.is_full

    def append(self, entry: ArchiveEntry) -> None:
        """Keep a message."""
        self._writes.append(entry)

    async def query(self, owner: Jid, query: ArchiveQuery) -> ArchivePage:
        """Return a page of what an archive has.

        Raises RemoteProtocolError (`item-not-found`) where `after` or `before` is not in the archive, ConfigError
        where the database fails.
        """
        await self._writes.flush()
        async with self._database.read() as session:
            return await find_page(session, owner, query)

    def archive_preferences(self, owner: Jid) -> ArchivePreferences:
        """Return what a user wants archived."""
        return self._preferences.get(owner, _USUAL)

    def set_archive_preferences(self, owner: Jid, preferences: ArchivePreferences) -> None:
        """Replace what a user wants archived."""
        self._preferences[owner] = preferences
        self._writes.put(
            ArchivePreferencesRow(
                owner=str(owner),
                default=preferences.default,
                always=sorted(map(str, preferences.always)),
                never=sorted(map(str, preferences.never)),
            )
        )

    # RoomStore

    def rooms(self) -> Sequence[RoomRecord]:
        """Return all rooms that are kept."""
        return tuple(self._rooms.values())

    def save_room(self, record: RoomRecord) -> None:
        """Keep a room as it is now."""
        self._rooms[record.jid] = record
        self._writes.put(encode_room(record))

    def delete_room(self, room: Jid) -> None:
        """Forget a room; nothing happens where it is not kept."""
        if self._rooms.pop(room, None) is not None:
            self._writes.remove(RoomRow, str(room))

    # Inside.

    def _put_version(self, user: Jid) -> None:
        version = self.roster_version(user)
        row = RosterVersionRow(user=str(user), current=version.current, last_removal=version.last_removal)
        self._writes.put(row)

    async def _read_accounts(self, session: AsyncSession) -> None:
        for version in await session.scalars(select(RosterVersionRow)):
            account = self._account(Jid.parse(version.user))
            account.version = RosterVersion(current=version.current, last_removal=version.last_removal)
        for item in await session.scalars(select(RosterItemRow)):
            contact = Jid.parse(item.contact)
            self._account(Jid.parse(item.user)).roster[contact] = RosterItem(
                jid=contact,
                name=item.name,
                groups=tuple(item.groups),
                subscription=Subscription(item.subscription),
                ask=item.ask,
                approved=item.approved,
                version=item.version,
            )
        for request in await session.scalars(select(SubscriptionRequestRow)):
            requests = self._account(Jid.parse(request.user)).requests
            requests[Jid.parse(request.contact)] = decode_stanza(request.request)
        for message in await session.scalars(select(OfflineMessageRow).order_by(OfflineMessageRow.number)):
            user = Jid.parse(message.user)
            kept = OfflineMessage(
                stanza=decode_stanza(message.message), received=decode_moment(message.received)
            )
            self._account(user).offline.append(kept)
            self._offline_numbers.setdefault(user, []).append(message.number)
            self._last_number = message.number
        for blocklist in await session.scalars(select(BlocklistRow)):
            self._account(Jid.parse(blocklist.user)).blocklist = _jids(blocklist.blocked)
        for vcard in await session.scalars(select(VcardRow)):
            self._account(Jid.parse(vcard.user)).vcard = vcard.vcard
        for activity in await session.scalars(select(LastActivityRow)):
            seen = LastActivity(at=decode_moment(activity.at), status=activity.status)
            self._account(Jid.parse(activity.user)).last_activity = seen
        for each in await session.scalars(select(ArchivePreferencesRow)):
            self._preferences[Jid.parse(each.owner)] = ArchivePreferences(
                default=ArchiveDefault(each.default), always=_jids(each.always), never=_jids(each.never)
            )

    async def _read_rooms(self, session: AsyncSession, conference_domain: str) -> None:
        for row in await session.scalars(select(RoomRow)):
            record = decode_room(row)
            if record.jid.domainpart == conference_domain:
                self._rooms[record.jid] = record


def _jids(texts: Sequence[str]) -> frozenset[Jid]:
    return frozenset(map(Jid.parse, texts))
