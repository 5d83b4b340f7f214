"""On which node of a cluster each external component is (XEP-0114): its place in the cluster's database."""

from collections.abc import Sequence

from sqlalchemy import delete, select

from harness.configuration.database import Database
from harness.configuration.database_models import ComponentPlaceRow
from harness.replication.replica import touch


class DatabaseComponentPlaces:
    """Implements `ComponentPlaces` for the router of one node."""

    def __init__(self, database: Database, fqdn: str) -> None:
        """Take the cluster's database and the node's full name."""
        self._database = database
        self._fqdn = fqdn

    async def put(self, domain: str) -> None:
        """Say that a component is on this node now, wherever it was before."""
        async with self._database.write() as session:
            await session.merge(ComponentPlaceRow(domain=domain, node=self._fqdn))
            await touch(session)

    async def remove(self, domains: Sequence[str]) -> None:
        """Say that components are not on this node any more; what another node said stays."""
        if not domains:
            return
        async with self._database.write() as session:
            await session.execute(
                delete(ComponentPlaceRow).where(
                    ComponentPlaceRow.node == self._fqdn, ComponentPlaceRow.domain.in_(domains)
                )
            )
            await touch(session)

    async def taken(self, domains: Sequence[str]) -> Sequence[str]:
        """Return those that another node has said it has."""
        async with self._database.read() as session:
            rows = await session.scalars(
                select(ComponentPlaceRow.domain).where(
                    ComponentPlaceRow.node != self._fqdn, ComponentPlaceRow.domain.in_(domains)
                )
            )
            return list(rows)
