"""Presence > Inter-Clustering: the intercluster peers, and how synchronising with each goes (G22)."""

from typing import TYPE_CHECKING

from harness.replication.values import InterclusterPeer
from harness.web.page import Done, Form, Page, Shown, Visit

if TYPE_CHECKING:
    from harness.nodes.node import ImpNode


class InterClusteringPages:
    """The page of one node."""

    def __init__(self, node: "ImpNode") -> None:
        self._node = node

    def pages(self) -> tuple[Page, ...]:
        """Return the page."""
        return (
            Page(
                path="inter-clustering",
                title="Inter-Clustering",
                menu=("Presence",),
                template="inter_clustering.html",
                show=self._show,
                actions={"save": self._save, "delete": self._delete},
            ),
        )

    async def _show(self, visit: Visit) -> Shown:
        administration = self._node.intercluster
        peers = {peer.address: peer for peer in await administration.peers()}
        return {
            "peers": [(peers.get(status.address), status) for status in await administration.statuses()],
            "account": (await administration.axl_account()).user_id,
            "publisher": self._node.cluster.imp[0],
        }

    async def _save(self, visit: Visit, form: Form) -> Done:
        address = form.text("address").lower()
        peer = InterclusterPeer(
            address=address,
            port=form.port("port", "Port"),
            axl_user=form.text("axl_user"),
            axl_password=form.raw("axl_password"),
        )
        await self._node.intercluster.save_peer(peer)
        return Done(message=f"Save successful: {address}")

    async def _delete(self, visit: Visit, form: Form) -> Done:
        address = form.text("address")
        await self._node.intercluster.delete_peer(address)
        return Done(message=f"Delete successful: {address}; delete this cluster on the peer too")
