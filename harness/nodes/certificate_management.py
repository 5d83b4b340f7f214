"""Cisco Unified OS Administration > Security > Certificate Management, on one node."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from cryptography.hazmat.primitives.serialization import Encoding

from certs.credential import Credential
from certs.errors import CertificateError, ConfigError
from certs.issuing import CertificateSpec, Issuer, KeyAlgorithm, LibraryIssuer
from certs.key_store import KeyStore
from certs.presented import parse_certificates, parse_presented
from certs.purposes import CertificatePurpose, TrustStoreName
from certs.verdict import PresentedCertificate
from harness.nodes.service_runs import RestartNeeded
from harness.plan.topology import NodePlan

RestartsNeeded = tuple[RestartNeeded, ...]
"What every action of an administrator returns: the services that have to restart before all takes effect."


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedCertificate:
    """A line of what Find shows."""

    file_name: str
    "As `cup.pem`, or the fingerprint's beginning in a trust store."

    name: CertificatePurpose | TrustStoreName
    "The page's column Certificate Name."

    certificate: PresentedCertificate
    "What it says."


@dataclass(frozen=True, slots=True, kw_only=True)
class DamagedCertificate:
    """What Find shows of a file that cannot be read."""

    name: CertificatePurpose | TrustStoreName
    "The page's column Certificate Name."

    sha256: str
    "The fingerprint that a trust store's file is named after; empty for the node's own certificates."

    error: str
    "What is wrong with it, and what to do."


class CertificateManagement:
    """The certificates and trust stores of one node, as an administrator handles them."""

    def __init__(
        self,
        plan: NodePlan,
        key_store: KeyStore,
        *,
        purposes: tuple[CertificatePurpose, ...],
        trust_stores: tuple[TrustStoreName, ...],
        key_algorithm: KeyAlgorithm,
        issuer: Issuer | None = None,
        specify: Callable[[CertificatePurpose], Awaitable[CertificateSpec]],
        restart_needed: Callable[[], Awaitable[RestartsNeeded]],
    ) -> None:
        self.purposes = purposes
        "The certificates of the node's own."
        self.trust_stores = trust_stores
        "Its trust stores."
        self._plan = plan
        self._key_store = key_store
        self._key_algorithm = key_algorithm
        self._issuer = issuer or LibraryIssuer()
        self._specify = specify
        self._restart_needed = restart_needed

    def find(self) -> tuple[ListedCertificate, ...]:
        """Find: list the node's own certificates and those it trusts.

        Raises CertificateError where one of them is missing or damaged.
        """
        own = [
            ListedCertificate(
                file_name=f"{purpose}.pem", name=purpose, certificate=_read(self.download(purpose))
            )
            for purpose in self.purposes
        ]
        trusted = [
            ListedCertificate(
                file_name=f"{entry.certificate.sha256[:16]}.pem", name=store, certificate=entry.certificate
            )
            for store in self.trust_stores
            for entry in self._key_store.trust(store)
        ]
        return (*own, *trusted)

    def find_all(self) -> tuple[tuple[ListedCertificate, ...], tuple[DamagedCertificate, ...]]:
        """Find, where some files are damaged: list what can be read, and what is wrong with the others."""
        listed: list[ListedCertificate] = []
        damaged: list[DamagedCertificate] = []
        for purpose in self.purposes:
            try:
                certificate = _read(self.download(purpose))
            except CertificateError as error:
                damaged.append(DamagedCertificate(name=purpose, sha256="", error=str(error)))
            else:
                listed.append(
                    ListedCertificate(file_name=f"{purpose}.pem", name=purpose, certificate=certificate)
                )
        for store in self.trust_stores:
            for sha256 in self._key_store.trusted_fingerprints(store):
                try:
                    certificate = self._key_store.trusted(store, sha256).certificate
                except CertificateError as error:
                    damaged.append(DamagedCertificate(name=store, sha256=sha256, error=str(error)))
                else:
                    listed.append(
                        ListedCertificate(file_name=f"{sha256[:16]}.pem", name=store, certificate=certificate)
                    )
        return tuple(listed), tuple(damaged)

    def download(self, purpose: CertificatePurpose) -> bytes:
        """Download, as `cup.pem`: the certificate in PEM (G16). It needs no CSR, pending or not."""
        self._check_purpose(purpose)
        return self._key_store.certificate_pem(purpose)

    async def upload_certificate(self, store: TrustStoreName, pem: bytes) -> RestartsNeeded:
        """Upload Certificate into a trust store (G17).

        Raises CertificateError where the file holds no certificate, ConfigError where the node has no such store.
        """
        self.check_store(store)
        self._key_store.add_trust(store, pem)
        return await self._restart_needed()

    async def delete(self, store: TrustStoreName, sha256: str) -> RestartsNeeded:
        """Delete a certificate of a trust store. Raises CertificateError where it holds none of this fingerprint."""
        self.check_store(store)
        self._key_store.delete_trust(store, sha256)
        return await self._restart_needed()

    async def regenerate(self, purpose: CertificatePurpose) -> RestartsNeeded:
        """Regenerate: a new self-signed certificate with a new key, with the names that the settings ask for now."""
        self._check_purpose(purpose)
        spec = await self._specify(purpose)
        self._key_store.set_own(purpose, await asyncio.to_thread(self._issue_self_signed, spec))
        return await self._restart_needed()

    async def generate_csr(self, purpose: CertificatePurpose) -> bytes:
        """Generate CSR and download it, as `cup.csr`. The certificate in use stays as it is."""
        self._check_purpose(purpose)
        spec = await self._specify(purpose)
        return await asyncio.to_thread(
            self._key_store.generate_csr, purpose, spec, self._key_algorithm, self._issuer
        )

    def pending_csr(self, purpose: CertificatePurpose) -> bytes | None:
        """Download CSR: the request that waits for its signed certificate in PEM, or None where none does.

        Raises CertificateError where it is damaged.
        """
        self._check_purpose(purpose)
        return self._key_store.pending_csr(purpose)

    async def upload_signed_certificate(
        self, purpose: CertificatePurpose, chain_pem: bytes
    ) -> RestartsNeeded:
        """Upload Certificate: what a CA made of the CSR.

        Raises CertificateError where no CSR is pending or the certificate is for another key.
        """
        self._check_purpose(purpose)
        self._key_store.upload_signed(purpose, chain_pem)
        return await self._restart_needed()

    def _issue_self_signed(self, spec: CertificateSpec) -> Credential:
        return self._issuer.issue_self_signed(spec, self._key_algorithm)

    def _check_purpose(self, purpose: CertificatePurpose) -> None:
        if purpose not in self.purposes:
            known = ", ".join(self.purposes)
            raise ConfigError(f"Certificate Name: {self._plan.name} has no {purpose}; it has {known}")

    def check_store(self, store: TrustStoreName) -> None:
        """Raise ConfigError where the node has no such trust store."""
        if store not in self.trust_stores:
            known = ", ".join(self.trust_stores)
            raise ConfigError(f"Certificate Name: {self._plan.name} has no {store}; it has {known}")


def _read(pem: bytes) -> PresentedCertificate:
    (certificate,) = parse_certificates(pem)
    return parse_presented(certificate.public_bytes(Encoding.DER))
