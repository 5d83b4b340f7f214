"""Presence > Inter-Clustering and the System Troubleshooter's part about it, on one node."""

from typing import TYPE_CHECKING

from harness.nodes.certificate_management import RestartsNeeded
from harness.replication.axl_source import ClusterAxlSource
from harness.replication.peers import InterclusterPeers
from harness.replication.values import InterclusterPeer, PeerStatus
from proxies.http.axl.values import AxlAccount

if TYPE_CHECKING:
    from harness.nodes.node import ImpNode


class InterclusterAdministration:
    """The intercluster peers of the node's cluster. They take effect by themselves, within a second or two."""

    def __init__(self, node: "ImpNode", peers: InterclusterPeers, axl: ClusterAxlSource) -> None:
        self._node = node
        self._peers = peers
        self._axl = axl

    async def peers(self) -> tuple[InterclusterPeer, ...]:
        """Find: list the intercluster peers."""
        return await self._peers.peers()

    async def save_peer(self, peer: InterclusterPeer) -> RestartsNeeded:
        """Save a new peer, or a changed one under its old address."""
        await self._peers.save(peer)
        return await self._node.restart_needed()

    async def delete_peer(self, address: str) -> RestartsNeeded:
        """Delete a peer; delete this cluster on the peer too. Raises ConfigError where there is none."""
        await self._peers.delete(address)
        return await self._node.restart_needed()

    async def statuses(self) -> tuple[PeerStatus, ...]:
        """Return what the System Troubleshooter says: per peer the last synchronisation, or why it fails."""
        return await self._peers.statuses()

    async def axl_account(self) -> AxlAccount:
        """Return the AXL application account of this cluster, which its peers enter."""
        return await self._axl.account()

    async def set_axl_account(self, account: AxlAccount) -> None:
        """Change the AXL application account; peers that use the old one are refused from now on."""
        await self._axl.set_account(account)
