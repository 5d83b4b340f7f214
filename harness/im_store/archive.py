"""Looking a page up in an archive (XEP-0313 section 4, RSM of XEP-0059)."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from certs.errors import RemoteProtocolError
from harness.im_store.codec import decode_moment, encode_moment
from harness.im_store.models import ArchiveRow
from proxies.xmpp.im.archive_values import ArchivedMessage, ArchivePage, ArchiveQuery
from proxies.xmpp.jid import Jid


async def find_page(session: AsyncSession, owner: Jid, query: ArchiveQuery) -> ArchivePage:
    """Return the page that a query asks for.

    Raises RemoteProtocolError (`item-not-found`) where `after` or `before` is not in the archive.
    """
    for given in (query.after, query.before):
        if given is not None and await session.get(ArchiveRow, (str(owner), given)) is None:
            raise RemoteProtocolError(f"{given} is not in the archive", reply="item-not-found")
    wanted = _conditions(owner, query)
    count = await session.scalar(select(func.count()).select_from(ArchiveRow).where(*wanted)) or 0
    if query.after is not None:
        wanted.append(ArchiveRow.id > query.after)
    if query.before is not None:
        wanted.append(ArchiveRow.id < query.before)
    order = ArchiveRow.id.desc() if query.backwards else ArchiveRow.id.asc()
    # One more than fits tells whether there are more.
    statement = select(ArchiveRow).where(*wanted).order_by(order).limit(query.maximum + 1)
    rows: Sequence[ArchiveRow] = (await session.scalars(statement)).all()
    page = rows[: query.maximum]
    if query.backwards:
        page = page[::-1]
    messages = tuple(ArchivedMessage(row.id, decode_moment(row.stamp), row.message) for row in page)
    return ArchivePage(messages=messages, complete=len(rows) <= query.maximum, count=count)


def _conditions(owner: Jid, query: ArchiveQuery) -> list[ColumnElement[bool]]:
    conditions = [ArchiveRow.owner == str(owner)]
    if query.peer is not None:
        conditions.append(ArchiveRow.peer == str(query.peer.bare))
        if query.peer.resourcepart:
            conditions.append(ArchiveRow.peer_resource == query.peer.resourcepart)
    if query.start is not None:
        conditions.append(ArchiveRow.stamp >= encode_moment(query.start))
    if query.end is not None:
        conditions.append(ArchiveRow.stamp <= encode_moment(query.end))
    return conditions
