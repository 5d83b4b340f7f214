"""The cluster's database: made once, shared by its nodes, and honest about what it cannot use."""

import asyncio
import sqlite3
import threading
import time
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

import harness.configuration.database
from certs.errors import ConfigError
from harness.configuration.database import SCHEMA_VERSION, Database, sqlite_url
from harness.configuration.database_models import SettingRow


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cluster.sqlite"


@pytest.fixture
async def database(path: Path) -> AsyncIterator[Database]:
    database = Database(sqlite_url(path))
    await database.prepare()
    yield database
    await database.aclose()


async def value_of(database: Database, key: str) -> str | None:
    async with database.read() as session:
        row = await session.get(SettingRow, key)
        return row.value if row else None


async def prepare_and_close(path: Path) -> None:
    database = Database(sqlite_url(path))
    try:
        await database.prepare()
    finally:
        await database.aclose()


async def test_a_connection_that_is_cancelled_while_it_is_made_is_closed(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_now: set[int] = set()

    class Counted(harness.configuration.database.SqliteConnection):
        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            open_now.add(id(self))

        def close(self) -> None:
            super().close()
            open_now.discard(id(self))

    monkeypatch.setattr(harness.configuration.database, "SqliteConnection", Counted)
    for turns in range(1, 30):
        database = Database(sqlite_url(path))
        preparing = asyncio.create_task(database.prepare())
        for _ in range(turns):
            await asyncio.sleep(0)
        preparing.cancel()
        await asyncio.wait([preparing])
        await database.aclose()
        async with asyncio.timeout(20):  # SQLAlchemy closes in the background what was cancelled in a query
            while open_now:
                await asyncio.sleep(0.01)


async def test_a_write_that_is_cancelled_gives_its_lock_back(database: Database, path: Path) -> None:
    kept: list[BaseException] = []  # and with them, in their tracebacks, the cursors

    async def write_on_and_on(writes: asyncio.Event) -> None:
        async with database.write() as session:
            session.add(SettingRow(key="a", value="1"))
            await session.flush()
            writes.set()
            while True:
                await session.scalars(select(SettingRow))

    for turns in range(20):
        writes = asyncio.Event()
        writing = asyncio.create_task(write_on_and_on(writes))
        await writes.wait()
        for _ in range(turns):
            await asyncio.sleep(0)
        time.sleep(0.002)  # noqa: ASYNC251 - the driver's thread has a row meanwhile, and nobody fetches it
        writing.cancel()
        try:
            await writing
        except asyncio.CancelledError as error:
            kept.append(error)
        other = Database(sqlite_url(path))
        async with asyncio.timeout(10), other.write() as session:
            assert await session.scalar(select(func.count()).select_from(SettingRow)) == 0
        await other.aclose()


async def test_what_one_node_writes_another_one_reads(database: Database, path: Path) -> None:
    async with database.write() as session:
        session.add(SettingRow(key="a", value="1"))
    other = Database(sqlite_url(path))
    await other.prepare()
    assert await value_of(other, "a") == "1"
    await other.aclose()


async def test_a_write_that_raises_is_undone(database: Database) -> None:
    async def write_and_fail() -> None:
        async with database.write() as session:
            session.add(SettingRow(key="a", value="1"))
            await session.flush()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await write_and_fail()
    assert await value_of(database, "a") is None


async def test_a_read_is_of_one_moment_though_another_node_writes_in_its_middle(
    database: Database, path: Path
) -> None:
    other = Database(sqlite_url(path))
    async with database.read() as session:
        assert await session.scalar(select(func.count()).select_from(SettingRow)) == 0
        async with other.write() as writing:
            writing.add(SettingRow(key="a", value="1"))
        assert await session.scalar(select(func.count()).select_from(SettingRow)) == 0
    assert await value_of(database, "a") == "1"
    await other.aclose()


async def test_writes_of_several_nodes_at_once_wait_for_each_other(path: Path) -> None:
    await prepare_and_close(path)
    databases = [Database(sqlite_url(path)) for _ in range(4)]

    async def add(database: Database) -> None:
        for _ in range(10):
            async with database.write() as session:
                row = await session.get(SettingRow, "count")
                count = int(row.value) if row else 0
                await session.merge(SettingRow(key="count", value=str(count + 1)))

    await asyncio.gather(*(add(database) for database in databases))
    assert await value_of(databases[0], "count") == "40"
    for database in databases:
        await database.aclose()


async def test_nodes_that_boot_at_once_make_the_tables_once(path: Path) -> None:
    await asyncio.gather(*(prepare_and_close(path) for _ in range(4)))
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT version FROM harness_schema").fetchall() == [(SCHEMA_VERSION,)]


async def test_a_damaged_file_is_named_with_what_to_do(path: Path) -> None:
    path.write_bytes(b"not a database, and long enough to be taken for one" * 100)
    with pytest.raises(
        ConfigError, match=r"cluster\.sqlite: file is not a database; delete it, and the next"
    ):
        await prepare_and_close(path)
    path.unlink()
    await prepare_and_close(path)


async def test_a_file_cut_off_in_the_middle_is_named_with_what_to_do(path: Path) -> None:
    await prepare_and_close(path)
    path.write_bytes(path.read_bytes()[:6000])
    with pytest.raises(
        ConfigError, match=r"cluster\.sqlite: .*delete it, and the next start makes a new one"
    ):
        await prepare_and_close(path)


async def test_a_folder_that_is_not_there_is_named_and_nothing_is_to_be_deleted(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"unable to open database file$"):
        await prepare_and_close(tmp_path / "nowhere" / "cluster.sqlite")
    # COMPAT: aiosqlite 0.22 leaves its thread behind after a failed open; it needs the loop until it ends.
    for thread in threading.enumerate():
        if "_connection_worker_thread" in thread.name:
            thread.join(5)


async def test_another_program_s_database_is_left_alone(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE songs (title TEXT)")
        connection.commit()
    with pytest.raises(ConfigError, match=r"\(songs\) are another program's; name another file"):
        await prepare_and_close(path)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("songs",)]


async def test_another_schema_version_is_refused(path: Path) -> None:
    await prepare_and_close(path)
    await prepare_and_close(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE harness_schema SET version = 99")
        connection.commit()
    with pytest.raises(ConfigError, match=rf"expected schema version {SCHEMA_VERSION}, seen 99"):
        await prepare_and_close(path)


@pytest.mark.parametrize("url", ["no url", "nonsense+driver://host/name", "mysql+nodriver:///x"])
def test_a_url_that_leads_nowhere_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match=r"database: .*expected a URL"):
        Database(url)
