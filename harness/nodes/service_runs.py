"""What the services of a cluster run on, kept in its database: so "restart needed" is derived, not remembered."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import delete, select

from certs.purposes import ServiceName
from harness.configuration.database import Database
from harness.configuration.database_models import ServiceRunRow
from harness.replication.replica import touch

_OF_INTEREST: Final = frozenset({ServiceName.XCP_XMPP_FEDERATION})
"Services of which the routers of the other nodes want to know where they run."


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceRun:
    """A service that is started, and what it started with."""

    node: str
    "The node's name."

    service: ServiceName
    "The service."

    started_at: datetime
    "When it started."

    digests: Mapping[str, str]
    "A digest of each topic that it read then."


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartNeeded:
    """A service that runs on settings or certificates which are no longer the present ones (G15, G17, G19)."""

    node: str
    "The node's name."

    service: ServiceName
    "The service to restart in Control Center."

    topics: tuple[str, ...]
    "What changed: the names of pages, certificates and trust stores."

    def __str__(self) -> str:
        return f"restart needed: {self.service} on {self.node} ({', '.join(self.topics)})"


class ServiceRuns:
    """The cluster's table of what runs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record_started(self, run: ServiceRun) -> None:
        """Write down that a service has started, and with what."""
        async with self._database.write() as session:
            await session.merge(
                ServiceRunRow(
                    node=run.node,
                    service=run.service.value,
                    started_at=run.started_at,
                    digests=dict(run.digests),
                )
            )
            if run.service in _OF_INTEREST:
                await touch(session)

    async def record_stopped(self, node: str, *services: ServiceName) -> None:
        """Write down that services of a node do not run."""
        async with self._database.write() as session:
            await session.execute(
                delete(ServiceRunRow).where(ServiceRunRow.node == node, ServiceRunRow.service.in_(services))
            )
            if _OF_INTEREST.intersection(services):
                await touch(session)

    async def started(self) -> tuple[ServiceRun, ...]:
        """Return what runs in the whole cluster, by node and service."""
        async with self._database.read() as session:
            rows = await session.scalars(
                select(ServiceRunRow).order_by(ServiceRunRow.node, ServiceRunRow.service)
            )
            return tuple(
                ServiceRun(
                    node=row.node,
                    service=ServiceName(row.service),
                    started_at=row.started_at,
                    digests=row.digests,
                )
                for row in rows
            )


def changed_since(run: ServiceRun, present: Mapping[str, str]) -> tuple[str, ...]:
    """Return the topics of a run whose digests are others now; a topic without a present digest is unknown."""
    return tuple(
        topic for topic, digest in run.digests.items() if topic in present and present[topic] != digest
    )
