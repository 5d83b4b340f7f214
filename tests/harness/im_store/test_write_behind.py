"""Users' data reach the database: together, in order, and also when a router stops in the middle."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from certs.errors import ConfigError
from harness.configuration.database import Database, sqlite_url
from harness.im_store.models import ArchiveRow, RosterItemRow
from harness.im_store.store import DatabaseImStore
from harness.im_store.write_behind import CHUNK, WriteBehind
from proxies.clock import LoopClock
from proxies.xmpp.im.archive_values import ArchiveEntry
from proxies.xmpp.jid import Jid
from proxies.xmpp.stanza import Stanza

ALICE, BOB = Jid.parse("alice@lab.example"), Jid.parse("bob@lab.example")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
MESSAGE = Stanza("message", {"to": str(BOB), "from": str(ALICE)}, b"<body>hi</body>", (("", "body"),))


class SlowDatabase(Database):
    """Each transaction waits, before its commit or behind it, or fails."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.may_commit = asyncio.Event()
        self.may_end = asyncio.Event()
        self.at_commit = asyncio.Event()
        self.failures = 0
        for event in (self.may_commit, self.may_end):
            event.set()

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncSession]:
        if self.failures:
            self.failures -= 1
            raise ConfigError("the database is locked")
        async with super().write() as session:
            yield session
            self.at_commit.set()
            await self.may_commit.wait()
        await self.may_end.wait()


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[SlowDatabase]:
    database = SlowDatabase(sqlite_url(tmp_path / "cluster.sqlite"))
    await database.prepare()
    yield database
    await database.aclose()


def entry(number: int) -> ArchiveEntry:
    return ArchiveEntry(ALICE, number, NOW, BOB, MESSAGE)


def contact(name: str, version: int = 1) -> RosterItemRow:
    return RosterItemRow(
        user=str(ALICE),
        contact=name,
        name="",
        groups=[],
        subscription="none",
        ask=False,
        approved=False,
        version=version,
    )


async def count(database: Database, table: type[ArchiveRow] | type[RosterItemRow]) -> int:
    async with database.read() as session:
        return await session.scalar(select(func.count()).select_from(table)) or 0


async def test_the_newest_state_of_a_row_is_what_stays(database: SlowDatabase) -> None:
    writes = WriteBehind(database, LoopClock(), node="imp1")
    writes.put(contact("x", 1))
    writes.put(contact("y"))
    await writes.flush()
    writes.put(contact("x", 2))
    writes.remove(RosterItemRow, str(ALICE), "y")
    writes.remove(RosterItemRow, str(ALICE), "never there")
    await writes.aclose()
    async with database.read() as session:
        rows = list(await session.scalars(select(RosterItemRow)))
    assert [(row.contact, row.version) for row in rows] == [("x", 2)]


async def test_a_stop_with_very_many_pending_writes_loses_none(database: SlowDatabase) -> None:
    writes = WriteBehind(database, LoopClock(), node="imp1")
    for number in range(20 * CHUNK + 7):
        writes.append(entry(number))
    for number in range(5 * CHUNK + 7):
        writes.put(contact(str(number)))
    await writes.aclose()
    assert await count(database, ArchiveRow) == 20 * CHUNK + 7
    assert await count(database, RosterItemRow) == 5 * CHUNK + 7


@pytest.mark.parametrize("where", ["may_commit", "may_end"])
async def test_a_stop_in_the_middle_of_a_commit_writes_each_entry_once(
    database: SlowDatabase, where: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    writes = WriteBehind(database, LoopClock(), node="imp1")
    for number in range(CHUNK + 1):
        writes.append(entry(number))
    gate: asyncio.Event = getattr(database, where)
    gate.clear()
    asking = asyncio.create_task(writes.flush())  # as a query of the archive does
    await database.at_commit.wait()
    asking.cancel()
    stopping = asyncio.create_task(writes.aclose())
    await asyncio.sleep(0)
    gate.set()
    await stopping
    assert await count(database, ArchiveRow) == CHUNK + 1
    assert not caplog.messages


async def test_a_stop_that_takes_too_long_is_left_behind_and_goes_on(database: SlowDatabase) -> None:
    writes = WriteBehind(database, LoopClock(), node="imp1")
    writes.append(entry(1))
    writes.put(contact("x"))
    database.may_commit.clear()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):  # Control Center's limit
            await writes.aclose()
    database.may_commit.set()
    await writes.finished()
    assert await count(database, ArchiveRow) == 1
    assert await count(database, RosterItemRow) == 1


async def test_a_database_that_is_locked_for_a_moment_costs_nothing(
    database: SlowDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    writes = WriteBehind(database, LoopClock(), node="imp1")
    writes.append(entry(1))
    database.failures = 2
    await writes.aclose()
    assert await count(database, ArchiveRow) == 1
    assert "lost" not in caplog.text


async def test_a_database_that_fails_for_good_is_named_with_what_was_lost(
    database: SlowDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    writes = WriteBehind(database, LoopClock(), node="imp1")
    writes.append(entry(1))
    writes.put(contact("x"))
    database.failures = 99
    await writes.aclose()
    assert "imp1: 2 changes of users' data are lost: the database is locked" in caplog.text


async def test_the_next_router_reads_what_the_last_one_wrote_late(database: SlowDatabase) -> None:
    clock = LoopClock()

    async def open_store() -> DatabaseImStore:
        return await DatabaseImStore.open(database, clock, node="imp1", conference_domain="rooms.lab.example")

    store = await open_store()
    store.set_vcard(ALICE, b"<vCard xmlns='vcard-temp'/>")
    database.may_commit.clear()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await store.aclose()
    database.may_commit.set()
    await store.finished()
    store = await open_store()
    assert store.vcard(ALICE) == b"<vCard xmlns='vcard-temp'/>"
    await store.aclose()
