"""Writes that follow memory into the database: together, in order, and again where the database fails."""

import asyncio
import itertools
import logging
from collections.abc import Iterable
from typing import Any, Final

from sqlalchemy import bindparam, delete, insert
from sqlalchemy.ext.asyncio import AsyncConnection

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
"Archive entries, and rows, of one transaction; encoding more would hold up the loop."

LAST_ATTEMPTS: Final = 3
"How often what waits at the end is tried while the database fails, as when another node holds its lock."

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
        self._flushing: asyncio.Task[None] | None = None
        self._failure: ConfigError | None = None
        self._closing: asyncio.Task[None] | None = None

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

        Whoever waits for this may be cut off, the writing is not: nobody could tell what it committed.
        Raises ConfigError where the database fails.
        """
        if self._flushing is None:
            self._flushing = self._tasks.start(self._write_all(), name="write users' data")
        await asyncio.shield(self._flushing)
        if self._failure is not None:
            raise ConfigError(str(self._failure)) from self._failure

    async def aclose(self) -> None:
        """Write what waits, and end; where the database fails, the log says what was lost.

        Whoever waits for this may be cut off: the writing goes on, and `finished` waits for it.
        """
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._closing is None:
            self._closing = self._tasks.start(self._write_the_rest(), name="write the last of users' data")
        await asyncio.shield(self._closing)

    async def finished(self) -> None:
        """Wait until what `aclose` left is written, or lost."""
        if self._closing is not None:
            await asyncio.shield(self._closing)

    def _schedule(self) -> None:
        if self._timer is None and self._closing is None:
            self._timer = self._clock.call_at(self._clock.monotonic() + self._delay, self._is_due)

    def _is_due(self) -> None:
        self._timer = None
        self._tasks.start(self._flush_or_wait(), name="flush users' data")

    async def _flush_or_wait(self) -> None:
        try:
            await self.flush()
        except ConfigError as error:
            self._delay = min(2 * self._delay, LONGEST_DELAY)
            _log.warning("%s: users' data wait to be written, next attempt soon: %s", self._node, error)
            self._schedule()

    async def _write_the_rest(self) -> None:
        for attempt in range(1, LAST_ATTEMPTS + 1):
            try:
                await self.flush()
                return
            except ConfigError as error:
                if attempt == LAST_ATTEMPTS:
                    lost = len(self._rows) + len(self._archive)
                    _log.error("%s: %d changes of users' data are lost: %s", self._node, lost, error)

    async def _write_all(self) -> None:
        self._failure = None
        try:
            while self._rows or self._archive:
                await self._write_some()
            self._delay = DELAY
        except ConfigError as error:
            self._failure = error
        finally:
            self._flushing = None

    async def _write_some(self) -> None:
        rows = dict(itertools.islice(self._rows.items(), CHUNK))
        for key in rows:
            del self._rows[key]
        entries, self._archive = self._archive[:CHUNK], self._archive[CHUNK:]
        try:
            async with self._database.write() as session:
                connection = await session.connection()  # no objects: there may be many
                await _write_rows(connection, rows.items())
                if entries:
                    await connection.execute(_INSERT, _values(entries))
        except BaseException:
            self._rows = {**rows, **self._rows}
            self._archive = entries + self._archive
            raise


async def _write_rows(connection: AsyncConnection, rows: Iterable[tuple[Key, Row | None]]) -> None:
    """Take out what each table has of these rows, and put in those that are there now."""
    gone: dict[type[Row], list[dict[str, object]]] = {}
    present: dict[type[Row], list[dict[str, object]]] = {}
    for (table, key), row in rows:
        columns = table.__mapper__.primary_key
        gone.setdefault(table, []).append(
            {f"key_{column.name}": part for column, part in zip(columns, key, strict=True)}
        )
        if row is not None:
            values = {each.key: getattr(row, each.key) for each in table.__mapper__.column_attrs}
            present.setdefault(table, []).append(values)
    for table, keys in gone.items():
        columns = table.__mapper__.primary_key
        matching = (column == bindparam(f"key_{column.name}") for column in columns)
        await connection.execute(delete(table).where(*matching), keys)
    for table, there in present.items():
        await connection.execute(insert(table.__table__), there)  # type: ignore[arg-type]


def _key(row: Row) -> Key:
    table = type(row)
    return table, tuple(table.__mapper__.primary_key_from_instance(row))


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
