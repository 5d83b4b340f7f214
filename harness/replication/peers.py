"""The intercluster peers of a cluster in its database: which there are, what they told, how it went."""

import dataclasses
from collections.abc import Iterable
from datetime import UTC

from sqlalchemy import delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from certs.errors import ConfigError
from harness.configuration.database import Database
from harness.configuration.database_models import (
    PeerNodeRow,
    PeerRow,
    PeerStatusRow,
    PeerUserRow,
    UserRow,
)
from harness.near_matches import did_you_mean
from harness.replication.replica import node_of, touch
from harness.replication.values import ClusterData, InterclusterPeer, PeerStatus


class InterclusterPeers:
    """Presence > Inter-Clustering, and what the Cisco Intercluster Sync Agent keeps of the peers."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # What an administrator does.

    async def peers(self) -> tuple[InterclusterPeer, ...]:
        """Find: list the peers."""
        async with self._database.read() as session:
            rows = await session.scalars(select(PeerRow).order_by(PeerRow.address))
            return tuple(
                InterclusterPeer(
                    address=row.address,
                    port=row.port,
                    axl_user=row.axl_user,
                    axl_password=row.axl_password,
                )
                for row in rows
            )

    async def save(self, peer: InterclusterPeer) -> None:
        """Save a new peer, or a changed one under its old address."""
        async with self._database.write() as session:
            await session.merge(PeerRow(**dataclasses.asdict(peer)))
            await touch(session)

    async def add_missing(self, peers: Iterable[InterclusterPeer]) -> None:
        """Add those of the peers that are not there yet."""
        async with self._database.write() as session:
            known = set(await session.scalars(select(PeerRow.address)))
            session.add_all(PeerRow(**dataclasses.asdict(p)) for p in peers if p.address not in known)
            await touch(session)

    async def delete(self, address: str) -> None:
        """Delete a peer with all that it told: its users are unknown from now on, its certificates not trusted.

        Raises ConfigError where there is none of this address.
        """
        async with self._database.write() as session:
            row = await session.get(PeerRow, address)
            if row is None:
                known = list(await session.scalars(select(PeerRow.address)))
                raise ConfigError(
                    f"Peer Address: no intercluster peer is {address!r}{did_you_mean(address, known)} "
                    f"(known: {', '.join(known) or 'none'})"
                )
            await session.delete(row)
            await session.execute(delete(PeerStatusRow).where(PeerStatusRow.peer == address))
            await _forget(session, address)
            await touch(session)

    async def statuses(self) -> tuple[PeerStatus, ...]:
        """Return how synchronising goes with each peer."""
        async with self._database.read() as session:
            addresses = list(await session.scalars(select(PeerRow.address).order_by(PeerRow.address)))
            rows = {row.peer: row for row in await session.scalars(select(PeerStatusRow))}
            return tuple([await _status(session, address, rows.get(address)) for address in addresses])

    # What the agent does.

    async def told_by_others(self, address: str) -> dict[str, str]:
        """Return clusters and full names of nodes that peers other than this one told of, with the peer of each."""
        async with self._database.read() as session:
            rows = await session.scalars(select(PeerNodeRow).where(PeerNodeRow.peer != address))
            return {name: row.peer for row in rows for name in (row.fqdn, row.cluster)}

    async def take(self, address: str, data: ClusterData) -> None:
        """Keep what a peer told, in place of what it told before; equal data change nothing."""
        async with self._database.write() as session:
            if await session.get(PeerRow, address) is None:
                return  # it was deleted while it answered
            nodes = await session.scalars(select(PeerNodeRow).where(PeerNodeRow.peer == address))
            users = await session.execute(
                select(PeerUserRow.user_id, PeerUserRow.home_node).where(PeerUserRow.peer == address)
            )
            same_nodes = {node_of(row) for row in nodes} == set(data.nodes)
            if same_nodes and {row.user_id: row.home_node for row in users} == dict(data.users):
                return
            await _forget(session, address)
            session.add_all(PeerNodeRow(peer=address, **dataclasses.asdict(node)) for node in data.nodes)
            if data.users:
                told = [
                    {"peer": address, "user_id": user, "home_node": home} for user, home in data.users.items()
                ]
                await session.execute(insert(PeerUserRow), told)
            await touch(session)

    async def duplicates(self, address: str) -> tuple[str, ...]:
        """Return the users of a peer whom this cluster or another peer has too."""
        async with self._database.read() as session:
            own = select(UserRow.user_id)
            others = select(PeerUserRow.user_id).where(PeerUserRow.peer != address)
            found = await session.scalars(
                select(PeerUserRow.user_id)
                .where(PeerUserRow.peer == address)
                .where(PeerUserRow.user_id.in_(own) | PeerUserRow.user_id.in_(others))
                .order_by(PeerUserRow.user_id)
            )
            return tuple(found)

    async def record(self, status: PeerStatus) -> None:
        """Write down how an attempt went; what a peer told before stays where it failed."""
        async with self._database.write() as session:
            if await session.get(PeerRow, status.address) is None:
                return
            known = await session.get(PeerStatusRow, status.address)
            at = status.synchronised_at or (known.synchronised_at if known else None)
            await session.merge(
                PeerStatusRow(
                    peer=status.address,
                    cluster=status.cluster or (known.cluster if known else ""),
                    synchronised_at=at,
                    reason=status.reason,
                    error=status.error,
                    remedy=status.remedy,
                    duplicate_users=list(status.duplicate_users),
                )
            )


async def _forget(session: AsyncSession, address: str) -> None:
    await session.execute(delete(PeerNodeRow).where(PeerNodeRow.peer == address))
    await session.execute(delete(PeerUserRow).where(PeerUserRow.peer == address))


async def _status(session: AsyncSession, address: str, row: PeerStatusRow | None) -> PeerStatus:
    if row is None:
        return PeerStatus(address=address)
    nodes = select(func.count()).select_from(PeerNodeRow).where(PeerNodeRow.peer == address)
    users = select(func.count()).select_from(PeerUserRow).where(PeerUserRow.peer == address)
    at = row.synchronised_at
    return PeerStatus(
        address=address,
        cluster=row.cluster,
        # SQLite gives times back without their zone.
        synchronised_at=at.replace(tzinfo=UTC) if at is not None and at.tzinfo is None else at,
        reason=row.reason,
        error=row.error,
        remedy=row.remedy,
        duplicate_users=tuple(row.duplicate_users),
        nodes=await session.scalar(nodes) or 0,
        users=await session.scalar(users) or 0,
    )
