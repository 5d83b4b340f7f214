"""Makes keys, self-signed certificates and signing requests, as a node does at first boot."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, Protocol

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from certs.credential import Credential
from certs.errors import CertificateError

LIFETIME: Final = timedelta(days=5 * 365)
"How long the product's self-signed certificates are valid."

_BACKDATED: Final = timedelta(minutes=5)  # two machines' clocks never agree to the second

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
"The private keys of the lab."

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey
"The public keys of the lab."


class KeyAlgorithm(StrEnum):
    """The keys a lab file can ask for."""

    EC_P256 = "ec-p256"
    RSA_2048 = "rsa-2048"


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateSpec:
    """What a certificate is to say."""

    common_name: str
    "The subject's CN: the node's FQDN."

    names: tuple[str, ...]
    "DNS names of the subject alternative name; with no addresses either the extension is left out."

    addresses: tuple[str, ...] = ()
    "Addresses of the subject alternative name."

    not_before: datetime
    "Start of validity."

    not_after: datetime
    "End of validity."

    extended_key_usages: tuple[x509.ObjectIdentifier, ...] = (
        ExtendedKeyUsageOID.SERVER_AUTH,
        ExtendedKeyUsageOID.CLIENT_AUTH,
    )
    "What the key may be used for; a SIP node is server and client."

    is_authority: bool = False
    "Whether it may sign others; a self-signed one says so of itself, as the product's do."

    @classmethod
    def for_node(cls, fqdn: str, address: str, *, now: datetime, domain: str = "") -> "CertificateSpec":
        """Return what a node's own certificate says: CN is the FQDN, SAN is FQDN and address.

        With a domain name that is the CN, and stands before the FQDN among the names (G24).
        """
        return cls(
            common_name=domain or fqdn,
            names=(domain, fqdn) if domain else (fqdn,),
            addresses=(address,),
            not_before=now - _BACKDATED,
            not_after=now + LIFETIME,
        )


class Issuer(Protocol):
    """Makes a node's keys, certificates and requests: with this library, or by another cryptographic module."""

    def make_key(self, algorithm: KeyAlgorithm) -> bytes:
        """Return a new private key in PEM (PKCS #8, unencrypted)."""
        ...

    def issue_self_signed(self, spec: CertificateSpec, algorithm: KeyAlgorithm) -> Credential:
        """Issue a certificate with a new key that is its own issuer."""
        ...

    def issue_csr(self, spec: CertificateSpec, key_pem: bytes) -> bytes:
        """Issue a certificate signing request in PEM."""
        ...


class LibraryIssuer:
    """Implements `Issuer` with the library `cryptography`."""

    def make_key(self, algorithm: KeyAlgorithm) -> bytes:
        """Return a new private key in PEM (PKCS #8, unencrypted)."""
        return encode_key(make_key(algorithm))

    def issue_self_signed(self, spec: CertificateSpec, algorithm: KeyAlgorithm) -> Credential:
        """Issue a certificate with a new key that is its own issuer."""
        return issue_self_signed(spec, make_key(algorithm))

    def issue_csr(self, spec: CertificateSpec, key_pem: bytes) -> bytes:
        """Issue a certificate signing request in PEM."""
        return issue_csr(spec, parse_key(key_pem))


def make_key(algorithm: KeyAlgorithm) -> PrivateKey:
    """Return a new private key."""
    match algorithm:
        case KeyAlgorithm.EC_P256:
            return ec.generate_private_key(ec.SECP256R1())
        case KeyAlgorithm.RSA_2048:
            return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def issue_self_signed(spec: CertificateSpec, key: PrivateKey) -> Credential:
    """Issue a certificate that is its own issuer, as a node's are at first boot."""
    certificate = issue(replace(spec, is_authority=True), key.public_key(), key)
    return Credential(chain_pem=encode_certificate(certificate), key_pem=encode_key(key))


def issue(
    spec: CertificateSpec,
    public_key: PublicKey,
    issuer_key: PrivateKey,
    issuer: x509.Certificate | None = None,
) -> x509.Certificate:
    """Issue a certificate; without an issuer it is self-signed."""
    subject = _name(spec.common_name)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer is not None else subject)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(spec.not_before)
        .not_valid_after(spec.not_after)
        .add_extension(
            x509.BasicConstraints(ca=spec.is_authority, path_length=None),
            critical=True,
        )
        .add_extension(_key_usage(spec, public_key), critical=True)
        .add_extension(x509.ExtendedKeyUsage(spec.extended_key_usages), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .add_extension(_authority_key_identifier(issuer_key, issuer), critical=False)
    )
    alternative_names = _alternative_names(spec.names, spec.addresses)
    if alternative_names is not None:
        builder = builder.add_extension(alternative_names, critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def issue_csr(spec: CertificateSpec, key: PrivateKey) -> bytes:
    """Issue a certificate signing request (`cup.csr`) in PEM, with the names that the certificate is to carry."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(_name(spec.common_name))
    alternative_names = _alternative_names(spec.names, spec.addresses)
    if alternative_names is not None:
        builder = builder.add_extension(alternative_names, critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def encode_key(key: PrivateKey) -> bytes:
    """Return a private key in PEM (PKCS #8, unencrypted)."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def encode_certificate(certificate: x509.Certificate) -> bytes:
    """Return a certificate in PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def parse_key(pem: bytes) -> PrivateKey:
    """Return the private key of a PEM text.

    Raises CertificateError where it cannot be read or is of another kind.
    """
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError) as error:
        raise CertificateError(f"no private key in PEM form could be read: {error}") from error
    if not isinstance(key, PrivateKey):
        raise CertificateError(f"{type(key).__name__} is no key of the lab; RSA and EC keys are")
    return key


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _alternative_names(names: Sequence[str], addresses: Sequence[str]) -> x509.SubjectAlternativeName | None:
    general = [
        *(x509.DNSName(name) for name in names),
        *(x509.IPAddress(ipaddress.ip_address(address)) for address in addresses),
    ]
    return x509.SubjectAlternativeName(general) if general else None


def _key_usage(spec: CertificateSpec, public_key: PublicKey) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=isinstance(public_key, rsa.RSAPublicKey),
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=spec.is_authority,
        crl_sign=spec.is_authority,
        encipher_only=False,
        decipher_only=False,
    )


def _authority_key_identifier(
    issuer_key: PrivateKey, issuer: x509.Certificate | None
) -> x509.AuthorityKeyIdentifier:
    # Python 3.13's strict verification refuses a certificate without this extension.
    if issuer is None:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
    identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier.value)
