"""The operations about intercluster peers: Presence > Inter-Clustering (G22)."""

from datetime import datetime
from typing import TYPE_CHECKING, Final

from pydantic import Field

from harness.replication.values import InterclusterPeer
from harness.web.api import models as m
from harness.web.api.operation import Answer, Body, Call, Operation

if TYPE_CHECKING:
    from harness.nodes.node import ImpNode

TAG: Final = "Administration > Presence > Inter-Clustering"


class InterclusterPeerEntry(Body):
    """An intercluster peer as it is entered. The password is taken and never returned."""

    address: str = Field(min_length=1, max_length=253, description="Peer Address: the publisher's full name.")
    port: int = Field(default=8443, ge=1, le=65535)
    axl_user: str = Field(min_length=1, max_length=128)
    axl_password: str = Field(min_length=1, max_length=256)


class InterclusterPeerStatus(Body):
    """An intercluster peer, and how synchronising with it goes."""

    address: str
    cluster: str = Field(description="The peer cluster's name; empty before the first synchronisation.")
    is_synchronised: bool
    synchronised_at: datetime | None
    nodes: int
    users: int
    duplicate_users: list[str]
    reason: str = Field(description="Why the last attempt failed, in the words of verdicts.")
    error: str
    remedy: str


class InterclusterPeers(Body):
    """The intercluster peers."""

    intercluster_peers: list[InterclusterPeerStatus]


class InterclusterOperations:
    """The operations of one node."""

    def __init__(self, node: "ImpNode") -> None:
        self._node = node

    def operations(self) -> tuple[Operation, ...]:
        """Return the operations."""
        return (
            Operation(
                method="GET", path="/api/intercluster-peers", name="list_intercluster_peers", tag=TAG,
                handle=self._list, answer=InterclusterPeers,
                summary="List the intercluster peers with the status of their synchronisation.",
            ),
            Operation(
                method="PUT", path="/api/intercluster-peers", name="save_intercluster_peer", tag=TAG,
                handle=self._save, body=InterclusterPeerEntry, answer=m.Changed,
                summary="Save a new intercluster peer, or a changed one under its old address.",
            ),
            Operation(
                method="DELETE", path="/api/intercluster-peers/{address}", name="delete_intercluster_peer", tag=TAG,
                handle=self._delete, answer=m.Changed, summary="Delete an intercluster peer with all that it told.",
            ),
        )  # fmt: skip

    async def _list(self, call: Call) -> Answer:
        return InterclusterPeers(
            intercluster_peers=[
                InterclusterPeerStatus(
                    address=one.address,
                    cluster=one.cluster,
                    is_synchronised=one.is_synchronised,
                    synchronised_at=one.synchronised_at,
                    nodes=one.nodes,
                    users=one.users,
                    duplicate_users=list(one.duplicate_users),
                    reason=one.reason,
                    error=one.error,
                    remedy=one.remedy,
                )
                for one in await self._node.intercluster.statuses()
            ]
        )

    async def _save(self, call: Call) -> Answer:
        peer = InterclusterPeer(**call.body(InterclusterPeerEntry).model_dump())
        return m.changed(await self._node.intercluster.save_peer(peer))

    async def _delete(self, call: Call) -> Answer:
        return m.changed(await self._node.intercluster.delete_peer(call.path["address"]))
