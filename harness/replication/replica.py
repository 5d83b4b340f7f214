"""What the XMPP routers of a cluster know of each other: nodes, users, and the certificates they trust (G22).

Each node writes what it is to the cluster's database and reads what the others wrote, and what the Cisco
Intercluster Sync Agent took over from peer clusters. A stamp changes with each write that matters, so looking
whether there is news costs one row.
"""

import secrets
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from certs.key_store import KeyStore
from certs.purposes import CertificatePurpose, ServiceName
from harness.configuration.database import Database
from harness.configuration.database_models import (
    ComponentPlaceRow,
    PeerNodeRow,
    PeerUserRow,
    ServiceRunRow,
    SettingRow,
    UserRow,
    XmppNodeRow,
)
from harness.plan.topology import ClusterPlan, ImpNodePlan
from harness.replication.trust import ReplicatedTrust
from harness.replication.values import XmppNode
from proxies.xmpp.router.directory import RouterAddress
from proxies.xmpp.sasl.scram_keys import UserCredentials, make_credentials

_STAMP: Final = "replication_stamp"


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
        self._trust = ReplicatedTrust(plan.fqdn, database, key_store)
        self._followers: list[Callable[[], None]] = []
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
        """Return the routers of the other nodes, those of peer clusters too, by full name."""
        return self._routers

    def follow(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Be told each time that there was news; return how to leave."""
        self._followers.append(changed)
        return lambda: self._followers.remove(changed)

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
            stamp = await read_stamp(session)
            if stamp == self._stamp:
                return False
            nodes = [node_of(row) for row in await session.scalars(select(XmppNodeRow))]
            peer_nodes = [node_of(row) for row in await session.scalars(select(PeerNodeRow))]
            # Columns and not rows: a cluster may have very many users.
            users_of_cluster = await session.execute(
                select(UserRow.user_id, UserRow.home_node, UserRow.digest_password)
            )
            users: dict[str, str] = {}
            passwords: dict[str, str] = {}
            for user_id, home_node, digest_password in users_of_cluster:
                users[user_id], passwords[user_id] = home_node, digest_password
            federating = set(
                await session.scalars(
                    select(ServiceRunRow.node).where(
                        ServiceRunRow.service == ServiceName.XCP_XMPP_FEDERATION.value
                    )
                )
            )
            places = {row.domain: row.node for row in await session.scalars(select(ComponentPlaceRow))}
            # Of a user whom two peers have, the first one's is taken; the status of both says so.
            peer_users = await session.execute(
                select(PeerUserRow.user_id, PeerUserRow.home_node).order_by(PeerUserRow.peer.desc())
            )
            peers = {row.user_id: row.home_node for row in peer_users}
        names = {plan.name: plan.fqdn for plan in self._cluster.imp}
        federating.discard(self._plan.name)
        self._federation_node = next((fqdn for name, fqdn in names.items() if name in federating), None)
        self._homes = {**peers, **{user: names[home] for user, home in users.items() if home in names}}
        others = [node for node in nodes if node.fqdn != self._plan.fqdn]
        self._routers = MappingProxyType(
            {
                node.fqdn: RouterAddress(
                    fqdn=node.fqdn,
                    address=node.address,
                    port=node.router_port,
                    intercluster=node.cluster != self._cluster.name,
                )
                for node in (*others, *peer_nodes)
            }
        )
        self._passwords = passwords
        rooms = {node.conference_domain: node.fqdn for node in (*nodes, *peer_nodes)}
        self._components = {**places, **rooms}
        await self._trust.apply((*others, *peer_nodes))
        self._stamp = stamp
        for changed in tuple(self._followers):
            changed()
        return True

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
    """Tell all nodes, in the same transaction, that there is news for them; peers learn of it too."""
    # A number that goes up would come again where a database is made anew; peers would then miss the news.
    await session.merge(SettingRow(key=_STAMP, value=secrets.token_hex(8)))


async def read_stamp(session: AsyncSession) -> str:
    """Return the mark that `touch` left; empty before the first time."""
    row = await session.get(SettingRow, _STAMP)
    return row.value if row else ""


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


def node_of(row: XmppNodeRow | PeerNodeRow) -> XmppNode:
    """Return the node that a row is about."""
    return XmppNode(
        fqdn=row.fqdn,
        cluster=row.cluster,
        number=row.number,
        domain=row.domain,
        address=row.address,
        router_port=row.router_port,
        certificate=row.certificate,
    )
