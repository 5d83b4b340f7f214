"""The recovery CD: a node that does not run is installed anew, where wanted from a backup (G27)."""

import asyncio
from contextlib import aclosing
from pathlib import Path

from certs.errors import ConfigError
from certs.key_store import KeyStore
from harness.configuration.database import Database
from harness.nodes.disaster_recovery import MAXIMUM_BACKUP, DisasterRecovery
from harness.nodes.node import KEY_STORE_DIRECTORY
from harness.processes.folder import recover
from harness.processes.orders import NodeOrder
from proxies.clock import LoopClock


def read_backup(path: Path) -> bytes:
    """Return a backup's content. Raises ConfigError where it cannot be read or is far too large."""
    try:
        with path.open("rb") as file:
            content = file.read(MAXIMUM_BACKUP + 1)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    if len(content) > MAXIMUM_BACKUP:
        raise ConfigError(f"{path}: expected a backup of at most {MAXIMUM_BACKUP} bytes")
    return content


async def recover_node(order: NodeOrder, backup: bytes | None = None, password: str = "") -> str:
    """Install a node anew, and restore a backup of it; return what was done.

    Raises ConfigError where the node runs, or where the backup is not one of this node or the password is another
    one: the node is then as newly installed.
    """
    directory = order.directory
    removed = await asyncio.to_thread(recover, directory)
    done = f"{order.node} is installed anew: {removed} files removed"
    if backup is None:
        return done
    async with aclosing(Database(order.database)) as database:
        await database.prepare()
        recovery = DisasterRecovery(
            order.node,
            directory,
            KeyStore(directory / KEY_STORE_DIRECTORY),
            database,
            now=LoopClock().now,
        )
        restored = await recovery.restore(backup, password)
    what = f"{restored.files} files and {restored.rows} lines of configuration"
    return f"{done}; {what} restored, saved {restored.saved_at}"
