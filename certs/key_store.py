"""A node's certificates on disk: its own, its pending requests, and the trust stores.

    own/cup.pem                     chain and private key in one file, so that the pair changes as one
    csr/cup.pem                     a request that waits for its signed certificate, with its key
    trust/cup-trust/<sha256>.pem    one trusted certificate each

Every file is replaced as a whole; a damaged one is named in the error and leaves the others usable.
"""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from certs.credential import Credential
from certs.errors import CertificateError
from certs.fips.approved import require_approved
from certs.fips.mode import in_fips_mode
from certs.issuing import CertificateSpec, Issuer, KeyAlgorithm, encode_certificate, encode_key, parse_key
from certs.presented import common_name, fingerprint, parse_certificates, parse_presented
from certs.purposes import CertificatePurpose, TrustStoreName
from certs.storage import clean_leftovers, make_directory, read_file, sync_directory, write_atomically
from certs.verdict import PresentedCertificate


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedCertificate:
    """One entry of a trust store."""

    pem: bytes
    "The certificate."

    certificate: PresentedCertificate
    "What it says."


class KeyStore:
    """The certificates of one node, in a folder of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        "The folder; made with mode 0700 where it is not there."
        make_directory(directory)
        clean_leftovers(directory)

    # Own certificates.

    def ensure_own(
        self, purposes: Iterable[CertificatePurpose], issue: Callable[[CertificatePurpose], Credential]
    ) -> None:
        """First boot: issue what is not there yet."""
        for purpose in purposes:
            if not self._own(purpose).exists():
                self.set_own(purpose, issue(purpose))

    def own(self, purpose: CertificatePurpose) -> Credential:
        """Return the node's certificate with its key.

        Raises CertificateError where it is missing or damaged.
        """
        path = self._own(purpose)
        return self._parse(path, read_file(path), remedy=f"regenerate {purpose}")

    def set_own(self, purpose: CertificatePurpose, credential: Credential) -> None:
        """Replace the node's certificate and key as one."""
        write_atomically(self._own(purpose), credential.chain_pem + b"\n" + credential.key_pem)

    def certificate_pem(self, purpose: CertificatePurpose) -> bytes:
        """Return what Download gives (`cup.pem`): the certificate without key or issuers (G16)."""
        return encode_certificate(parse_certificates(self.own(purpose).chain_pem)[0])

    # Signing requests.

    def generate_csr(
        self, purpose: CertificatePurpose, spec: CertificateSpec, algorithm: KeyAlgorithm, issuer: Issuer
    ) -> bytes:
        """Have a key and a request for it made, keep both until the signed certificate comes; return PEM."""
        key = issuer.make_key(algorithm)
        request = issuer.issue_csr(spec, key)
        write_atomically(self._csr(purpose), request + key)
        return request

    def discard_requests(self) -> None:
        """Forget all requests that wait, with their keys."""
        for path in sorted((self.directory / "csr").glob("*.pem")):
            path.unlink()

    def pending_csr(self, purpose: CertificatePurpose) -> bytes | None:
        """Return the request that waits for its signed certificate, in PEM without its key, or None.

        Raises CertificateError where it is damaged.
        """
        path = self._csr(purpose)
        if not path.exists():
            return None
        try:
            request = x509.load_pem_x509_csr(read_file(path))
        except ValueError as error:
            raise CertificateError(f"{path} is damaged: {error}; generate the CSR again") from error
        return request.public_bytes(Encoding.PEM)

    def upload_signed(self, purpose: CertificatePurpose, chain_pem: bytes) -> None:
        """Take the certificate that a CA made of the pending request.

        Raises CertificateError where no request is pending or the certificate is for another key, NotFipsApproved
        where this process is in FIPS mode and a certificate of the chain is not approved.
        """
        path = self._csr(purpose)
        if not path.exists():
            raise CertificateError(
                f"no {purpose}.csr is pending; generate one, have it signed, upload the answer"
            )
        key = parse_key(read_file(path))
        certificates = parse_certificates(chain_pem)
        _check_approved(certificates)
        if certificates[0].public_key() != key.public_key():
            raise CertificateError(
                f"the certificate of {common_name(certificates[0])} does not belong to the pending {purpose}.csr"
            )
        chain = b"".join(encode_certificate(certificate) for certificate in certificates)
        self.set_own(purpose, Credential(chain_pem=chain, key_pem=encode_key(key)))
        path.unlink()
        sync_directory(path.parent)

    # Trust stores.

    def trust(self, store: TrustStoreName) -> tuple[TrustedCertificate, ...]:
        """Return what a trust store holds, in the order of fingerprints.

        Raises CertificateError naming the first damaged file.
        """
        paths = sorted((self.directory / "trust" / store).glob("*.pem"))
        return tuple(self._parse_trusted(path) for path in paths)

    def trusted_fingerprints(self, store: TrustStoreName) -> tuple[str, ...]:
        """Return the fingerprints of what a trust store holds, damaged or not, in their order."""
        return tuple(sorted(path.stem for path in (self.directory / "trust" / store).glob("*.pem")))

    def trusted(self, store: TrustStoreName, sha256: str) -> TrustedCertificate:
        """Return one certificate of a trust store. Raises CertificateError where it is not there or damaged."""
        return self._parse_trusted(self._trusted(store, sha256))

    def add_trust(self, store: TrustStoreName, pem: bytes) -> tuple[TrustedCertificate, ...]:
        """Put every certificate of a PEM text into a trust store; those already there stay as they are.

        Raises CertificateError where the text holds no certificate, NotFipsApproved where this process is in FIPS
        mode and one of them is not approved; then nothing was added.
        """
        added = []
        certificates = parse_certificates(pem)
        _check_approved(certificates)
        for certificate in certificates:
            path = self._trusted(store, fingerprint(certificate))
            write_atomically(path, encode_certificate(certificate))
            added.append(self._parse_trusted(path))
        return tuple(added)

    def delete_trust(self, store: TrustStoreName, sha256: str) -> None:
        """Take a certificate out of a trust store.

        Raises CertificateError where none has this fingerprint.
        """
        path = self._trusted(store, sha256)
        if not path.exists():
            raise CertificateError(f"{store} holds no certificate with the fingerprint {sha256}")
        path.unlink()
        sync_directory(path.parent)

    # What services started with.

    def digest(self, item: CertificatePurpose | TrustStoreName) -> str:
        """Return a digest of what a service would read now; it changes exactly when that changes."""
        if isinstance(item, CertificatePurpose):
            path = self._own(item)
            return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else ""
        names = sorted(path.name for path in (self.directory / "trust" / item).glob("*.pem"))
        return hashlib.sha256("\n".join(names).encode()).hexdigest()

    # Inside.

    def _own(self, purpose: CertificatePurpose) -> Path:
        return self.directory / "own" / f"{purpose}.pem"

    def _csr(self, purpose: CertificatePurpose) -> Path:
        return self.directory / "csr" / f"{purpose}.pem"

    def _trusted(self, store: TrustStoreName, sha256: str) -> Path:
        if len(sha256) != 64 or not set(sha256) <= set("0123456789abcdef"):
            raise CertificateError(f"{sha256!r} is no SHA-256 fingerprint: 64 hexadecimal digits")
        return self.directory / "trust" / store / f"{sha256}.pem"

    def _parse(self, path: Path, content: bytes, *, remedy: str) -> Credential:
        try:
            chain = parse_certificates(content)
            key = parse_key(content)
        except CertificateError as error:
            raise CertificateError(f"{path} is damaged: {error}; {remedy}") from error
        if chain[0].public_key() != key.public_key():
            raise CertificateError(f"{path} is damaged: key and certificate do not belong together; {remedy}")
        pem = b"".join(encode_certificate(certificate) for certificate in chain)
        return Credential(chain_pem=pem, key_pem=encode_key(key))

    def _parse_trusted(self, path: Path) -> TrustedCertificate:
        try:
            certificate = parse_certificates(read_file(path))[0]
        except CertificateError as error:
            raise CertificateError(f"{path} is damaged: {error}; delete the file and import again") from error
        return TrustedCertificate(
            pem=encode_certificate(certificate),
            certificate=parse_presented(certificate.public_bytes(Encoding.DER)),
        )


def _check_approved(certificates: Iterable[x509.Certificate]) -> None:
    if in_fips_mode():
        require_approved(parse_presented(each.public_bytes(Encoding.DER)) for each in certificates)
