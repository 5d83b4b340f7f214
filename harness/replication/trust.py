"""Keeps the certificates of other nodes in a node's `cup-xmpp-trust`, and takes them out again (G22)."""

from collections.abc import Iterable
from contextlib import suppress

from sqlalchemy import delete, select

from certs.errors import CertificateError
from certs.key_store import KeyStore
from certs.presented import fingerprint, parse_certificates
from certs.purposes import TrustStoreName
from harness.configuration.database import Database
from harness.configuration.database_models import ReplicatedTrustRow
from harness.replication.values import XmppNode

_STORE = TrustStoreName.CUP_XMPP_TRUST


class ReplicatedTrust:
    """One node's part of the replication of XMPP certificates.

    What was put into the store is written down, so that it can be taken out when its node has another certificate or
    is gone. Each certificate is put in once: what an administrator deletes from the store stays deleted.
    """

    def __init__(self, node: str, database: Database, key_store: KeyStore) -> None:
        """Take the node's full name, its way to the cluster's database and its key store."""
        self._node = node
        self._database = database
        self._key_store = key_store

    async def apply(self, others: Iterable[XmppNode]) -> None:
        """Trust the certificates of these nodes, and no longer what was trusted for them or for others before."""
        wanted: dict[str, tuple[str, bytes]] = {}
        for node in others:
            pem = node.certificate.encode("ascii")
            wanted[node.fqdn] = fingerprint(parse_certificates(pem)[0]), pem
        async with self._database.read() as session:
            rows = await session.scalars(
                select(ReplicatedTrustRow).where(ReplicatedTrustRow.node == self._node)
            )
            applied = {row.source: row.sha256 for row in rows}
        present = {source: sha256 for source, (sha256, _) in wanted.items()}
        if applied == present:
            return
        for source, (sha256, pem) in wanted.items():
            if applied.get(source) != sha256:
                self._key_store.add_trust(_STORE, pem)
        for sha256 in {*applied.values()} - {*present.values()}:
            with suppress(CertificateError):  # an administrator has deleted it
                self._key_store.delete_trust(_STORE, sha256)
        async with self._database.write() as session:
            await session.execute(delete(ReplicatedTrustRow).where(ReplicatedTrustRow.node == self._node))
            session.add_all(
                ReplicatedTrustRow(node=self._node, source=source, sha256=sha256)
                for source, sha256 in present.items()
            )
