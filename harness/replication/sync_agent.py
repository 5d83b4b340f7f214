"""Cisco Intercluster Sync Agent of one node: keeps what the node knows of others up to date (G22)."""

import logging
from typing import Final

from certs.errors import HarnessError
from harness.replication.intercluster_sync import InterclusterSync
from harness.replication.replica import Replica
from proxies.clock import SchedulingClock, wait
from proxies.tasks import TaskKeeper

INTERVAL: Final = 0.25
"Seconds between two looks for news in the cluster's database."

_log: Final = logging.getLogger(__name__)


class InterclusterSyncAgent:
    """Replicates within the cluster through its database and, on the publisher, across clusters by AXL."""

    def __init__(
        self,
        replica: Replica,
        intercluster: InterclusterSync | None,
        *,
        node: str,
        clock: SchedulingClock,
    ) -> None:
        """Take what asks peer clusters; None on subscribers."""
        self._replica = replica
        self._intercluster = intercluster
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
        if self._intercluster is not None:
            await self._intercluster.close()

    async def _follow(self) -> None:
        may_differ = True
        while True:
            try:
                await self._replica.publish()
                may_differ |= await self._replica.refresh()
                if self._intercluster is not None:
                    await self._intercluster.review(peers_may_differ=may_differ)
                may_differ = False
            except HarnessError as error:
                # A database that is busy or a damaged certificate today may be well again at the next look.
                _log.warning("%s: replication failed: %s", self._node, error)
            await wait(self._clock, INTERVAL)
