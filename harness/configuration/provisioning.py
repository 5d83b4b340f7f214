"""The first installation of a cluster: its database, with the users and lines that the lab file names."""

import secrets
from pathlib import Path
from typing import Final

from certs.storage import write_atomically
from harness.configuration.cluster_settings import User
from harness.configuration.cucm_configuration import CucmConfiguration
from harness.configuration.database import Database, sqlite_url
from harness.configuration.imp_configuration import ImpConfiguration
from harness.plan.lab_file import CucmClusterEntry, ImpClusterEntry, LabFile
from harness.plan.topology import ClusterPlan, ImpNodePlan, LabPlan
from harness.replication.axl_source import ClusterAxlSource
from harness.replication.peers import InterclusterPeers
from harness.replication.values import InterclusterPeer
from proxies.http.axl.values import AxlAccount

PASSWORD_FILE: Final = "administrator-password"  # noqa: S105 - its name
"Where a lab keeps the password that its administrators log in with after the installation."


def database_url(entry: ImpClusterEntry | CucmClusterEntry, work_directory: Path) -> str:
    """Return where a cluster's database is: the lab file's URL, or a file in the lab's folder."""
    return entry.database or sqlite_url(work_directory / entry.name / "cluster.sqlite")


async def provision_cluster(
    entry: ImpClusterEntry | CucmClusterEntry, plan: ClusterPlan, lab_file: LabFile, database: Database
) -> None:
    """Add the users and lines that the lab file names and the database has not; what is there stays."""
    match entry:
        case ImpClusterEntry():
            nodes = {node.name for node in entry.nodes}
            configuration = ImpConfiguration(database)
            await configuration.draw_dialback_secret()
            await configuration.add_missing_users(
                User(
                    user_id=user.user_id,
                    home_node=user.home_node,
                    digest_password=user.digest_password.get_secret_value()
                    if user.digest_password
                    else secrets.token_urlsafe(12),
                )
                for user in lab_file.users
                if user.home_node in nodes
            )
            password = entry.axl_password
            await ClusterAxlSource(plan, database).add_missing_account(
                AxlAccount(
                    user_id=entry.axl_user,
                    password=password.get_secret_value() if password else secrets.token_urlsafe(12),
                )
            )
        case CucmClusterEntry():
            await CucmConfiguration(database).add_missing_lines(entry.lines)


def installed_password(lab_file: LabFile, work_directory: Path) -> str:
    """Return what administrators log in with after the installation: the lab file's password, or a drawn one.

    It is kept in the lab's folder, so that a person can read it and the next start finds it.
    """
    given = lab_file.administrator_password
    path = work_directory / PASSWORD_FILE
    if given is None and path.exists():
        return path.read_text("utf-8").strip()
    password = given.get_secret_value() if given is not None else secrets.token_urlsafe(12)
    write_atomically(path, f"{password}\n".encode())
    return password


async def provision_named_peers(
    entry: ImpClusterEntry | CucmClusterEntry, plan: LabPlan, lab_file: LabFile, database: Database
) -> None:
    """Enter those intercluster peers whose AXL password the lab file names; the others are for an administrator."""
    peers = entry.peers if isinstance(entry, ImpClusterEntry) else ()
    publishers = {cluster.name: cluster.imp[0] for cluster in plan.clusters if cluster.imp}
    named = [
        _peer_entry(publishers[other.name], other.axl_user, other.axl_password.get_secret_value())
        for other in lab_file.clusters
        if isinstance(other, ImpClusterEntry) and other.name in peers and other.axl_password is not None
    ]
    if named:
        await InterclusterPeers(database).add_missing(named)


async def provision_peer(database: Database, peer: ClusterPlan, database_of_peer: Database) -> None:
    """Enter a cluster as an intercluster peer where it is not there yet.

    As an administrator does who knows both clusters: the account is looked up on the peer and entered here.
    """
    account = await ClusterAxlSource(peer, database_of_peer).account()
    await InterclusterPeers(database).add_missing(
        [_peer_entry(peer.imp[0], account.user_id, account.password)]
    )


def _peer_entry(publisher: ImpNodePlan, axl_user: str, axl_password: str) -> InterclusterPeer:
    return InterclusterPeer(
        address=publisher.fqdn, port=publisher.ports.tomcat, axl_user=axl_user, axl_password=axl_password
    )
