"""What a cluster tells by AXL, read from its database (G06)."""

import json
from typing import Final

from sqlalchemy import select

from harness.configuration.database import Database
from harness.configuration.database_models import SettingRow, UserRow, XmppNodeRow
from harness.plan.topology import ClusterPlan
from harness.replication.replica import read_stamp
from proxies.http.axl.values import AxlAccount, ClusterStamp, InterclusterNode, InterclusterUser

_ACCOUNT: Final = "axl_application_account"


class ClusterAxlSource:
    """Answers for the cluster of one node, from the node's own connection to its database."""

    def __init__(self, cluster: ClusterPlan, database: Database) -> None:
        self._cluster = cluster
        self._database = database
        self._users: tuple[str, tuple[InterclusterUser, ...]] = "", ()

    async def account(self) -> AxlAccount:
        """Return who may use AXL; without a password nobody may."""
        async with self._database.read() as session:
            row = await session.get(SettingRow, _ACCOUNT)
        return AxlAccount(**json.loads(row.value)) if row else AxlAccount(user_id="", password="")

    async def set_account(self, account: AxlAccount) -> None:
        """Save who may use AXL from now on."""
        async with self._database.write() as session:
            value = json.dumps({"user_id": account.user_id, "password": account.password})
            await session.merge(SettingRow(key=_ACCOUNT, value=value))

    async def add_missing_account(self, account: AxlAccount) -> None:
        """Save who may use AXL, where nobody may yet."""
        if not (await self.account()).password:
            await self.set_account(account)

    async def stamp(self) -> ClusterStamp:
        """Return the cluster's name and the mark of its present state."""
        async with self._database.read() as session:
            stamp = await read_stamp(session)
        return ClusterStamp(cluster=self._cluster.name, domain=self._cluster.domain, stamp=stamp)

    async def nodes(self) -> tuple[InterclusterNode, ...]:
        """Return the cluster's nodes, the publisher first."""
        async with self._database.read() as session:
            rows = await session.scalars(select(XmppNodeRow).order_by(XmppNodeRow.number))
            return tuple(
                InterclusterNode(
                    fqdn=row.fqdn,
                    number=row.number,
                    router_port=row.router_port,
                    certificate=row.certificate,
                )
                for row in rows
            )

    async def users(self) -> tuple[InterclusterUser, ...]:
        """Return the cluster's users by name; who asks page by page reads them from the database once."""
        names = {plan.name: plan.fqdn for plan in self._cluster.imp}
        async with self._database.read() as session:
            stamp = await read_stamp(session)
            if not stamp or stamp != self._users[0]:
                rows = await session.execute(
                    select(UserRow.user_id, UserRow.home_node).order_by(UserRow.user_id)
                )
                users = tuple(
                    InterclusterUser(user_id=user_id, home_node=names[home])
                    for user_id, home in rows
                    if home in names
                )
                self._users = stamp, users
        return self._users[1]
