"""What the XMPP routers of a cluster know of each other: nodes, users, and the certificates they trust (G22).

Each node writes what it is to the cluster's database and reads what the others wrote. A stamp goes up with
each write that matters, so looking whether there is news costs one row.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from certs.key_store import KeyStore
from certs.purposes import CertificatePurpose, ServiceName, TrustStoreName
from harness.configuration.database import Database
from harness.configuration.database_models import (
    ComponentPlaceRow,
    PeerUserRow,
    ServiceRunRow,
    SettingRow,
    UserRow,
    XmppNodeRow,
)
from harness.plan.topology import ClusterPlan, ImpNodePlan, conference_domain
from proxies.xmpp.router.directory import RouterAddress
from proxies.xmpp.sasl.scram_keys import UserCredentials, make_credentials

_STAMP: Final = "replication_stamp"


@dataclass(frozen=True, slots=True, kw_only=True)
class XmppNode:
    """A node as routers know it."""

    fqdn: str
    "Its full name."

    cluster: str
    "Its cluster's name."

    number: int
    "Its place in the cluster; the publisher is 1."

    domain: str
    "The presence domain of its cluster."

    address: str
    "Where its router listens."

    router_port: int
    "On which port."

    certificate: str
    "Its `cup-xmpp` certificate in PEM."

    @property
    def conference_domain(self) -> str:
        """The domain of its text conferences, made as the product makes it."""
        return conference_domain(self.number, self.cluster, self.domain)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterData:
    """What one cluster tells another one by the Intercluster Sync Agent."""

    cluster: str
    "The cluster's name."

    nodes: tuple[XmppNode, ...]
    "Its nodes with their XMPP certificates."

    users: Mapping[str, str]
    "Its users with the full names of their home nodes."


class Replica:
    """One node's copy of what is replicated; it is what the node's router asks for its way."""

    def __init__(
        self, plan: ImpNodePlan, cluster: ClusterPlan, database: Database, key_store: KeyStore
    ) -> None:
        self._plan = plan
        self._cluster = cluster
        self._database = database
        self._key_store = key_store
        self._stamp = ""
        self._published = ""
        self._homes: Mapping[str, str] = {}
        self._routers: Mapping[str, RouterAddress] = MappingProxyType({})
        self._components: Mapping[str, str] = {}
        self._federation_node: str | None = None
        self._applied: dict[str, str] = {}
        self._passwords: Mapping[str, str] = {}
        self._credentials: dict[str, tuple[str, UserCredentials]] = {}

    # proxies.xmpp.router.directory.XmppDirectory

    def home_node(self, localpart: str) -> str | None:
        """Return the full name of the node that a user is assigned to, or None."""
        return self._homes.get(localpart)

    def component_node(self, domain: str) -> str | None:
        """Return the full name of the node that has a component, or None."""
        return self._components.get(domain)

    def component_domains(self) -> frozenset[str]:
        """Return the domains of all components of the clusters."""
        return frozenset(self._components)

    def federation_node(self) -> str | None:
        """Return the full name of another node whose XMPP Federation Connection Manager runs, or None."""
        return self._federation_node

    def routers(self) -> Mapping[str, RouterAddress]:
        """Return the routers of the other nodes by full name."""
        return self._routers

    def find_credentials(self, localpart: str) -> UserCredentials | None:
        """Return what the password of one of the cluster's users is compared with, or None.

        It is derived at the user's first login: 4,096 rounds of hashing take two milliseconds.
        """
        password = self._passwords.get(localpart)
        if password is None:
            return None
        known = self._credentials.get(localpart)
        if known is None or known[0] != password:
            known = self._credentials[localpart] = password, make_credentials(password)
        return known[1]

    # The replication itself.

    @property
    def conference_domain(self) -> str:
        """The domain of this node's own text conferences."""
        return self._own("").conference_domain

    async def publish(self) -> None:
        """Write down what this node is, where that has changed.

        Raises CertificateError where its certificate is missing or damaged.
        """
        certificate = self._key_store.certificate_pem(CertificatePurpose.CUP_XMPP).decode("ascii")
        if certificate == self._published:
            return
        async with self._database.write() as session:
            await session.merge(_row(self._own(certificate)))
            await touch(session)
        self._published = certificate

    async def refresh(self) -> bool:
        """Take over what the others wrote, certificates into `cup-xmpp-trust`; return whether there was news."""
        async with self._database.read() as session:
            row = await session.get(SettingRow, _STAMP)
            stamp = row.value if row else ""
            if stamp == self._stamp:
                return False
            rows = await session.scalars(select(XmppNodeRow).order_by(XmppNodeRow.fqdn))
            nodes = [_node(row) for row in rows]
            rows_of_users = list(await session.scalars(select(UserRow)))
            users = {user.user_id: user.home_node for user in rows_of_users}
            passwords = {user.user_id: user.digest_password for user in rows_of_users}
            federating = set(
                await session.scalars(
                    select(ServiceRunRow.node).where(
                        ServiceRunRow.service == ServiceName.XCP_XMPP_FEDERATION.value
                    )
                )
            )
            places = {row.domain: row.node for row in await session.scalars(select(ComponentPlaceRow))}
            peers = {user.user_id: user.home_node for user in await session.scalars(select(PeerUserRow))}
        names = {plan.name: plan.fqdn for plan in self._cluster.imp}
        federating.discard(self._plan.name)
        self._federation_node = next((fqdn for name, fqdn in names.items() if name in federating), None)
        self._homes = {**peers, **{user: names[home] for user, home in users.items() if home in names}}
        others = [node for node in nodes if node.fqdn != self._plan.fqdn]
        self._routers = MappingProxyType(
            {
                node.fqdn: RouterAddress(fqdn=node.fqdn, address=node.address, port=node.router_port)
                for node in others
            }
        )
        self._passwords = passwords
        self._components = {**places, **{node.conference_domain: node.fqdn for node in nodes}}
        self._trust(others)
        self._stamp = stamp
        return True

    async def cluster_data(self) -> ClusterData:
        """Return what another cluster is told of this one."""
        async with self._database.read() as session:
            rows = await session.scalars(
                select(XmppNodeRow)
                .where(XmppNodeRow.cluster == self._cluster.name)
                .order_by(XmppNodeRow.number)
            )
            nodes = tuple(_node(row) for row in rows)
            users = {user.user_id: user.home_node for user in await session.scalars(select(UserRow))}
        names = {plan.name: plan.fqdn for plan in self._cluster.imp}
        homes = {user: names[home] for user, home in users.items() if home in names}
        return ClusterData(cluster=self._cluster.name, nodes=nodes, users=homes)

    async def take_cluster_data(self, data: ClusterData) -> None:
        """Keep what another cluster told, in place of what it told before; equal data changes nothing."""
        async with self._database.write() as session:
            known_nodes = {
                _node(row)
                for row in await session.scalars(
                    select(XmppNodeRow).where(XmppNodeRow.cluster == data.cluster)
                )
            }
            known_users = {
                row.user_id: row.home_node
                for row in await session.scalars(
                    select(PeerUserRow).where(PeerUserRow.cluster == data.cluster)
                )
            }
            if known_nodes == set(data.nodes) and known_users == dict(data.users):
                return
            await session.execute(delete(XmppNodeRow).where(XmppNodeRow.cluster == data.cluster))
            await session.execute(delete(PeerUserRow).where(PeerUserRow.cluster == data.cluster))
            session.add_all(map(_row, data.nodes))
            session.add_all(
                PeerUserRow(user_id=user, cluster=data.cluster, home_node=home)
                for user, home in data.users.items()
            )
            await touch(session)

    def _trust(self, nodes: Iterable[XmppNode]) -> None:
        # Once for each certificate: what an administrator deletes from the store stays deleted.
        for node in nodes:
            if self._applied.get(node.fqdn) != node.certificate:
                self._key_store.add_trust(TrustStoreName.CUP_XMPP_TRUST, node.certificate.encode("ascii"))
                self._applied[node.fqdn] = node.certificate

    def _own(self, certificate: str) -> XmppNode:
        plan = self._plan
        return XmppNode(
            fqdn=plan.fqdn,
            cluster=self._cluster.name,
            number=self._cluster.imp.index(plan) + 1,
            domain=plan.domain,
            address=plan.address,
            router_port=plan.ports.xcp_router,
            certificate=certificate,
        )


async def touch(session: AsyncSession) -> None:
    """Tell all nodes, in the same transaction, that there is news for them."""
    row = await session.get(SettingRow, _STAMP)
    number = int(row.value) + 1 if row else 1
    await session.merge(SettingRow(key=_STAMP, value=str(number)))


def _row(node: XmppNode) -> XmppNodeRow:
    return XmppNodeRow(
        fqdn=node.fqdn,
        cluster=node.cluster,
        number=node.number,
        domain=node.domain,
        address=node.address,
        router_port=node.router_port,
        certificate=node.certificate,
    )


def _node(row: XmppNodeRow) -> XmppNode:
    return XmppNode(
        fqdn=row.fqdn,
        cluster=row.cluster,
        number=row.number,
        domain=row.domain,
        address=row.address,
        router_port=row.router_port,
        certificate=row.certificate,
    )
