"""Cisco Intercluster Sync Agent of one node: keeps the node's copy of what is replicated up to date (G22)."""

import logging
from typing import Final

from certs.errors import HarnessError
from harness.replication.replica import Replica
from proxies.clock import SchedulingClock, wait
from proxies.tasks import TaskKeeper

INTERVAL: Final = 0.25
"Seconds between two looks for news."

_log: Final = logging.getLogger(__name__)


class InterclusterSyncAgent:
    """Replicates within the cluster through its database."""

    def __init__(self, replica: Replica, *, node: str, clock: SchedulingClock) -> None:
        self._replica = replica
        self._node = node
        self._clock = clock
        self._tasks = TaskKeeper()

    async def start(self) -> None:
        """Synchronise once, then go on doing so."""
        await self._replica.publish()
        await self._replica.refresh()
        self._tasks.start(self._follow(), name=f"{self._node} intercluster sync")

    async def stop(self) -> None:
        """Synchronise no more; what was replicated stays."""
        await self._tasks.close()

    async def _follow(self) -> None:
        while True:
            await wait(self._clock, INTERVAL)
            try:
                await self._replica.publish()
                await self._replica.refresh()
            except HarnessError as error:
                # A database that is busy or a damaged certificate today may be well again at the next look.
                _log.warning("%s: replication failed: %s", self._node, error)
