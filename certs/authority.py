"""A certificate authority of the lab: a root and an intermediate, by trustme.

The product's nodes show self-signed certificates unless a CA signed them; a lab file can ask for either.
"""

from dataclasses import dataclass
from pathlib import Path

import trustme
from cryptography import x509

from certs.credential import Credential
from certs.errors import CertificateError
from certs.issuing import (
    CertificateSpec,
    KeyAlgorithm,
    PrivateKey,
    PublicKey,
    encode_certificate,
    encode_key,
    issue,
    make_key,
    parse_key,
)
from certs.presented import parse_certificates
from certs.storage import read_file, write_atomically


@dataclass(frozen=True, slots=True)
class CertificateAuthority:
    """A root, which peers trust, and an intermediate, which signs the nodes' certificates."""

    root_pem: bytes
    "The root's certificate: what goes into a trust store."

    intermediate: Credential
    "The intermediate's certificate with its key."

    @classmethod
    def create(cls) -> "CertificateAuthority":
        """Make a new root and intermediate."""
        root = trustme.CA(organization_name="imp-harness lab", organization_unit_name="Root CA")
        intermediate = root.create_child_ca()
        return cls(
            root_pem=root.cert_pem.bytes(),
            intermediate=Credential(
                chain_pem=intermediate.cert_pem.bytes(),
                key_pem=encode_key(parse_key(intermediate.private_key_pem.bytes())),
            ),
        )

    @classmethod
    def load_or_create(cls, directory: Path) -> "CertificateAuthority":
        """Load the authority of a lab's folder, or make one there.

        Raises CertificateError where its files cannot be read.
        """
        root, intermediate = directory / "root.pem", directory / "intermediate.pem"
        if not intermediate.exists():
            made = cls.create()
            write_atomically(root, made.root_pem)
            write_atomically(intermediate, made.intermediate.chain_pem + made.intermediate.key_pem)
            return made
        content = read_file(intermediate)
        chain = b"".join(encode_certificate(certificate) for certificate in parse_certificates(content))
        key = encode_key(parse_key(content))
        return cls(root_pem=read_file(root), intermediate=Credential(chain_pem=chain, key_pem=key))

    def issue(self, spec: CertificateSpec, algorithm: KeyAlgorithm) -> Credential:
        """Issue a certificate with a new key; the chain goes up to the intermediate."""
        key = make_key(algorithm)
        certificate = issue(spec, key.public_key(), self._key, self._certificate)
        return Credential(chain_pem=self._chain(certificate), key_pem=encode_key(key))

    def sign_csr(self, csr_pem: bytes, spec: CertificateSpec) -> bytes:
        """Return the chain for a signing request: its key, the names of `spec`.

        Raises CertificateError where the request cannot be read or its own signature is wrong.
        """
        try:
            request = x509.load_pem_x509_csr(csr_pem)
        except ValueError as error:
            raise CertificateError(f"no signing request in PEM form could be read: {error}") from error
        if not request.is_signature_valid:
            raise CertificateError("the signing request is not signed by the key it asks to certify")
        key = request.public_key()
        if not isinstance(key, PublicKey):
            raise CertificateError(f"{type(key).__name__} is no key of the lab; RSA and EC keys are")
        return self._chain(issue(spec, key, self._key, self._certificate))

    @property
    def _certificate(self) -> x509.Certificate:
        return parse_certificates(self.intermediate.chain_pem)[0]

    @property
    def _key(self) -> PrivateKey:
        return parse_key(self.intermediate.key_pem)

    def _chain(self, certificate: x509.Certificate) -> bytes:
        return encode_certificate(certificate) + self.intermediate.chain_pem
