"""Reads what a peer presented, broken certificates included."""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from certs.errors import CertificateError
from certs.verdict import PresentedCertificate


@lru_cache(maxsize=256)  # a peer that comes again shows the same certificate
def parse_presented(der: bytes) -> PresentedCertificate:
    """Return what a certificate says; one that cannot be read has its fingerprint and empty texts."""
    try:
        return _read(der)
    except (ValueError, TypeError, OverflowError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        never = datetime.min.replace(tzinfo=UTC)
        return PresentedCertificate(
            subject="",
            common_name="",
            issuer="",
            subject_alternative_names=(),
            serial="",
            not_before=never,
            not_after=never,
            sha256=hashlib.sha256(der).hexdigest(),
            key="",
            signature_algorithm="",
            der=der,
        )


def _read(der: bytes) -> PresentedCertificate:
    certificate = x509.load_der_x509_certificate(der)
    digest = certificate.signature_hash_algorithm
    return PresentedCertificate(
        subject=certificate.subject.rfc4514_string(),
        common_name=common_name(certificate),
        issuer=certificate.issuer.rfc4514_string(),
        subject_alternative_names=tuple(_alternative_names(certificate)),
        serial=f"{certificate.serial_number:x}",
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        sha256=fingerprint(certificate),
        key=_key(certificate.public_key()),
        signature_algorithm=digest.name if digest is not None else "eddsa",
        der=der,
    )


def common_name(certificate: x509.Certificate) -> str:
    """Return the subject's last CN, which is the most specific; empty where it has none."""
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[-1].value) if names else ""


def fingerprint(certificate: x509.Certificate) -> str:
    """Return the SHA-256 of the DER form, in lower-case hexadecimal."""
    return hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest()


def parse_certificates(pem: bytes) -> list[x509.Certificate]:
    """Return the certificates of a PEM text, in order.

    Raises CertificateError where there is none or one cannot be read.
    """
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError as error:
        raise CertificateError(
            f"no certificate in PEM form could be read ({error}); a .pem file begins with "
            "-----BEGIN CERTIFICATE-----"
        ) from error


def leaf_der(chain_pem: bytes) -> bytes:
    """Return the first certificate of a chain in DER.

    Raises CertificateError where there is none.
    """
    return parse_certificates(chain_pem)[0].public_bytes(Encoding.DER)


def _alternative_names(certificate: x509.Certificate) -> Iterator[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return
    for name in names:
        match name:
            case x509.DNSName():
                yield f"DNS:{name.value}"
            case x509.IPAddress():
                yield f"IP:{name.value}"
            case x509.UniformResourceIdentifier():
                yield f"URI:{name.value}"


def _key(key: CertificatePublicKeyTypes) -> str:
    match key:
        case rsa.RSAPublicKey():
            return f"RSA {key.key_size}"
        case ec.EllipticCurvePublicKey():
            return f"EC {key.curve.name}"
        case _:
            return type(key).__name__.removesuffix("PublicKey")
