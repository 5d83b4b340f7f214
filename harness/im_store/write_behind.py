"""Writes that follow memory into the database: together, in order, and again where the database fails."""

import asyncio
import logging
from typing import Any, Final

from sqlalchemy import Delete, delete, insert

from certs.errors import ConfigError
from harness.configuration.database import Database
from harness.configuration.database_models import Row
from harness.im_store.codec import encode_moment
from harness.im_store.models import ArchiveRow
from proxies.clock import SchedulingClock, TimerHandle
from proxies.tasks import TaskKeeper
from proxies.xmpp import namespaces as ns
from proxies.xmpp.im.archive_values import ArchiveEntry

DELAY: Final = 0.03
"Seconds that a write waits for others to go with it."

LONGEST_DELAY: Final = 5.0
"Seconds between attempts while the database fails."

MAXIMUM_WAITING: Final = 50_000
"Archive entries that may wait for the database."

BEHIND: Final = 4_000
"Archive entries that wait before those who send are read more slowly."

CHUNK: Final = 1000
"Archive entries of one transaction; encoding more would hold up the loop."

_log: Final = logging.getLogger(__name__)

_INSERT: Final = insert(ArchiveRow.__table__)  # type: ignore[arg-type]

Key = tuple[type[Row], tuple[Any, ...]]


class WriteBehind:
    """What waits to be written: the newest state of each row, and archive entries in their order."""

    def __init__(self, database: Database, clock: SchedulingClock, *, node: str) -> None:
        self._database = database
        self._clock = clock
        self._node = node
        self._rows: dict[Key, Row | None] = {}
        self._archive: list[ArchiveEntry] = []
        self._timer: TimerHandle | None = None
        self._delay = DELAY
        self._tasks = TaskKeeper()
        self._lock = asyncio.Lock()

    @property
    def is_full(self) -> bool:
        """Whether the database is so far behind that no archive entry can be taken."""
        return len(self._archive) >= MAXIMUM_WAITING

    @property
    def is_behind(self) -> bool:
        """Whether those who send should be read more slowly."""
        return len(self._archive) >= BEHIND

    def put(self, row: Row) -> None:
        """Have a row be in its table as it is here."""
        self._rows[_key(row)] = row
        self._schedule()

    def remove(self, table: type[Row], *key: object) -> None:
        """Have a row be gone."""
        self._rows[(table, key)] = None
        self._schedule()

    def append(self, entry: ArchiveEntry) -> None:
        """Have a message be in its archive."""
        self._archive.append(entry)
        if self._timer is None:
            self._schedule()

    async def flush(self) -> None:
        """Write all that waits; what is not written for a failure still waits.

        Raises ConfigError where the database fails.
        """
        async with self._lock:
            while self._rows or self._archive:
                await self._write_some()
            self._delay = DELAY

    async def aclose(self) -> None:
        """Write what waits, and end; where the database fails, the log says what was lost."""
        await self._tasks.close()
        try:
            await self.flush()
        except ConfigError as error:
            lost = len(self._rows) + len(self._archive)
            _log.error("%s: %d changes of users' data are lost: %s", self._node, lost, error)
        if self._timer is not None:
            self._timer.cancel()

    def _schedule(self) -> None:
        if self._timer is None:
            self._timer = self._clock.call_at(self._clock.monotonic() + self._delay, self._is_due)

    def _is_due(self) -> None:
        self._timer = None
        self._tasks.start(self._flush_or_wait(), name="write users' data")

    async def _flush_or_wait(self) -> None:
        try:
            await self.flush()
        except ConfigError as error:
            self._delay = min(2 * self._delay, LONGEST_DELAY)
            _log.warning("%s: users' data wait to be written, next attempt soon: %s", self._node, error)
            self._schedule()

    async def _write_some(self) -> None:
        rows, self._rows = self._rows, {}
        entries, self._archive = self._archive[:CHUNK], self._archive[CHUNK:]
        try:
            async with self._database.write() as session:
                for (table, key), row in rows.items():
                    if row is None:
                        await session.execute(_delete(table, key))
                    else:
                        await session.merge(row)
                if entries:
                    connection = await session.connection()  # no objects: there are many
                    await connection.execute(_INSERT, _values(entries))
        except BaseException:
            self._rows = {**rows, **self._rows}
            self._archive = entries + self._archive
            raise


def _key(row: Row) -> Key:
    table = type(row)
    return table, tuple(table.__mapper__.primary_key_from_instance(row))


def _delete(table: type[Row], key: tuple[Any, ...]) -> Delete:
    columns = table.__mapper__.primary_key
    return delete(table).where(*(column == part for column, part in zip(columns, key, strict=True)))


def _values(entries: list[ArchiveEntry]) -> list[dict[str, object]]:
    values = []
    stanza, wire = None, b""
    for entry in entries:
        if entry.stanza is not stanza:  # sender and receiver of one node archive the same message
            stanza, wire = entry.stanza, entry.stanza.encode(ns.CLIENT)
        values.append(
            {
                "owner": str(entry.owner),
                "id": entry.id,
                "stamp": encode_moment(entry.stamp),
                "peer": str(entry.peer.bare),
                "peer_resource": entry.peer.resourcepart,
                "message": wire,
            }
        )
    return values
