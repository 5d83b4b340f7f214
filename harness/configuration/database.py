"""A cluster's database: SQLite in the lab's folder, or another one by its URL.

Every node of the cluster has a connection of its own to it; nothing else is shared between nodes.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final
from weakref import WeakSet

import aiosqlite
from sqlalchemy import Connection, event, insert, inspect, select
from sqlalchemy.dialects.sqlite.aiosqlite import AsyncAdapt_aiosqlite_connection
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from certs.errors import ConfigError
from harness.configuration.database_models import Row, SchemaRow
from harness.im_store import models as im_models

SCHEMA_VERSION: Final = 4
"Goes up when a table changes."

_LOCK_SECONDS: Final = 30.0
_DELETE_IT: Final = "delete it, and the next start makes a new one"
_IMMEDIATE: Final = "harness_immediate"


def sqlite_url(path: Path) -> str:
    """Return the URL of a SQLite database in a file."""
    return URL.create("sqlite+aiosqlite", database=str(path)).render_as_string()


class Database:
    """One node's way to its cluster's database."""

    def __init__(self, url: str) -> None:
        """Take the URL; nothing is opened before the first use.

        Raises ConfigError where it is no URL, or where its driver is not installed.
        """
        try:
            engine = _make_engine(make_url(url))
        except (ArgumentError, ImportError) as error:
            raise ConfigError(
                f"database: {error}; expected a URL as sqlite+aiosqlite:///lab.sqlite"
            ) from error
        self._engine = engine
        self._writing = engine.execution_options(**{_IMMEDIATE: True})
        if engine.dialect.name == "sqlite":
            self._name = engine.url.database or "in memory"
            self._reading = engine  # its transactions see one moment anyhow
            event.listen(engine.sync_engine, "connect", _prepare_sqlite)
            event.listen(engine.sync_engine, "begin", _begin_sqlite)
        else:
            self._name = engine.url.render_as_string(hide_password=True)
            self._reading = engine.execution_options(isolation_level="REPEATABLE READ")

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        """Read in one transaction: all that is read is of one moment."""
        async with self._translated(), AsyncSession(self._reading) as session:
            yield session

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncSession]:
        """Write in one transaction, which is undone where the block raises."""
        async with self._translated(), AsyncSession(self._writing) as session, session.begin():
            yield session

    async def prepare(self) -> None:
        """Make the tables where there are none yet.

        Raises ConfigError where the database is damaged, another program's or of another version.
        """
        async with self._translated(), self._writing.begin() as connection:
            tables = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
            if not tables:
                await connection.run_sync(_create_tables)
                return
            if SchemaRow.__tablename__ not in tables:
                raise ConfigError(
                    f"database {self._name}: its tables ({', '.join(sorted(tables)[:5])}) are another program's; "
                    "name another file or database"
                )
            version = await connection.scalar(select(SchemaRow.version))
        if version != SCHEMA_VERSION:
            raise ConfigError(
                f"database {self._name}: expected schema version {SCHEMA_VERSION}, seen {version}; {_DELETE_IT}"
            )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._engine.dispose()

    @asynccontextmanager
    async def _translated(self) -> AsyncIterator[None]:
        try:
            yield
        except OSError as error:
            raise ConfigError(f"database {self._name} cannot be reached: {error}") from error
        except SQLAlchemyError as error:
            # What is neither a broken rule nor passing trouble is a file that SQLite cannot read.
            remedy = f"; {_DELETE_IT}, or name another" if type(error) is DatabaseError else ""
            raise ConfigError(f"database {self._name}: {error.__cause__ or error}{remedy}") from error


def _make_engine(url: URL) -> AsyncEngine:
    if url.get_backend_name() != "sqlite":
        return create_async_engine(url)
    # How long one node waits for another one's write.
    waiting = url.update_query_dict({"timeout": str(_LOCK_SECONDS)})
    arguments, named = waiting.get_dialect()().create_connect_args(waiting)
    return create_async_engine(url, async_creator=lambda: _connect_sqlite(*arguments, **named))


async def _connect_sqlite(*arguments: Any, **named: Any) -> aiosqlite.Connection:
    """Connect; where that is cancelled, as at the end of a lab that does not come up, close what was opened."""
    # COMPAT: aiosqlite 0.22 forgets the connection that its thread opens meanwhile.
    connecting = asyncio.ensure_future(_open_sqlite(*arguments, **named))
    try:
        return await asyncio.shield(connecting)
    except asyncio.CancelledError:
        with suppress(sqlite3.Error):
            await (await connecting).close()
        raise


async def _open_sqlite(*arguments: Any, **named: Any) -> aiosqlite.Connection:
    connecting = aiosqlite.connect(*arguments, factory=SqliteConnection, **named)
    # As SQLAlchemy does: a thread that hangs must not keep the process. Before 0.22 the connection is the thread.
    thread: Any = getattr(connecting, "_thread", connecting)
    thread.daemon = True
    return await connecting


def _create_tables(connection: Connection) -> None:
    assert im_models.ArchiveRow.metadata is Row.metadata, "users' data are among the tables"
    Row.metadata.create_all(connection, checkfirst=False)
    connection.execute(insert(SchemaRow).values(version=SCHEMA_VERSION))


class SqliteConnection(sqlite3.Connection):
    """Is closed when it is closed, with its transaction and its locks.

    SQLite itself waits for the last statement (sqlite3_close_v2), and the cursor of one that was cancelled lives on
    in a traceback, until Python collects its garbage.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._cursors: WeakSet[sqlite3.Cursor] = WeakSet()

    def cursor(self, *arguments: Any, **named: Any) -> Any:
        """Return a new cursor; `execute` takes its own from here too."""
        cursor: sqlite3.Cursor = super().cursor(*arguments, **named)
        self._cursors.add(cursor)
        return cursor

    def close(self) -> None:
        """Close, and what is open of it before."""
        for cursor in self._cursors:
            with suppress(sqlite3.Error):
                cursor.close()
        super().close()


def _prepare_sqlite(dbapi_connection: AsyncAdapt_aiosqlite_connection, _: object) -> None:
    # We write BEGIN ourselves (below): the driver's own comes too late for a read to be of one moment.
    dbapi_connection.isolation_level = None
    try:
        cursor = dbapi_connection.cursor()
        # Readers never wait for a writer, and a commit does not wait for the disk: a kill loses nothing, and
        # against a power cut a lab needs no insurance.
        # The mode stays in the file. Where it is busy, another connection is setting it at this moment, and
        # SQLite waits for nobody here.
        with suppress(sqlite3.OperationalError):
            cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = NORMAL")
        cursor.close()
    except BaseException:
        dbapi_connection.close()  # the pool forgets a connection whose preparation failed
        raise


def _begin_sqlite(connection: Connection) -> None:
    # A write takes its lock at once, so that it waits for another node's instead of failing half-way.
    immediate = connection.get_execution_options().get(_IMMEDIATE)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")
