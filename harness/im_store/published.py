"""What users publish by PEP, in memory and written behind to the cluster's database (XEP-0163)."""

import json
from dataclasses import asdict

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from harness.im_store.codec import decode_moment, encode_moment
from harness.im_store.models import PepNodeRow, PublishedItemRow
from harness.im_store.write_behind import WriteBehind
from proxies.xmpp.jid import Jid
from proxies.xmpp.pep.memory_store import MemoryPepStore
from proxies.xmpp.pep.values import AccessModel, NodeConfiguration, PepNode, PublishedItem, SendLastItem


class DatabasePepStore(MemoryPepStore):
    """Implements `PepStore` for the router of one node."""

    def __init__(self, writes: WriteBehind) -> None:
        """Take where to write; `read` is what reads."""
        super().__init__()
        self._written = writes
        self._last_item = 0

    def set_pep_node(self, user: Jid, node: PepNode) -> None:
        """Make a node, or change how it behaves."""
        super().set_pep_node(user, node)
        self._written.put(
            PepNodeRow(
                user=str(user),
                node=node.name,
                configuration=json.dumps(asdict(node.configuration)),
                members=sorted(map(str, node.members)),
            )
        )

    def remove_pep_node(self, user: Jid, name: str) -> None:
        """Forget a node and its items."""
        for item_id in self.pep_items(user, name):
            self._written.remove(PublishedItemRow, str(user), name, item_id)
        super().remove_pep_node(user, name)
        self._written.remove(PepNodeRow, str(user), name)

    def put_pep_item(self, user: Jid, name: str, item: PublishedItem) -> None:
        """Keep an item as the newest one of a node."""
        super().put_pep_item(user, name, item)
        published = encode_moment(item.published)
        self._last_item = max(self._last_item + 1, published)
        self._written.put(
            PublishedItemRow(
                user=str(user),
                node=name,
                item=item.id,
                number=self._last_item,
                published=published,
                payload=item.payload,
            )
        )

    def remove_pep_item(self, user: Jid, name: str, item_id: str) -> None:
        """Forget an item."""
        super().remove_pep_item(user, name, item_id)
        self._written.remove(PublishedItemRow, str(user), name, item_id)

    async def read(self, session: AsyncSession) -> None:
        """Read all nodes and items.

        Raises ValueError, KeyError, TypeError or RemoteProtocolError where somebody changed a row.
        """
        for row in await session.scalars(select(PepNodeRow)):
            node = PepNode(
                name=row.node,
                configuration=_configuration(row.configuration),
                members=frozenset(map(Jid.parse, row.members)),
            )
            MemoryPepStore.set_pep_node(self, Jid.parse(row.user), node)
        for each in await session.scalars(select(PublishedItemRow).order_by(PublishedItemRow.number)):
            item = PublishedItem(id=each.item, payload=each.payload, published=decode_moment(each.published))
            MemoryPepStore.put_pep_item(self, Jid.parse(each.user), each.node, item)
            self._last_item = each.number


def _configuration(text: str) -> NodeConfiguration:
    values = json.loads(text)
    values["access_model"] = AccessModel(values["access_model"])
    values["send_last_published_item"] = SendLastItem(values["send_last_published_item"])
    return NodeConfiguration(**values)
