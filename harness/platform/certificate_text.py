"""A certificate as the platform command line shows it: the product's layout, then PEM."""

from collections.abc import Iterator
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from certs.verdict import PresentedCertificate


def describe_certificate(certificate: PresentedCertificate) -> str:
    """Return what a certificate says, a field a line in square brackets, and its PEM form."""
    return "\n".join(_lines(certificate))


def _lines(certificate: PresentedCertificate) -> Iterator[str]:
    read = x509.load_der_x509_certificate(certificate.der)
    oid = read.signature_algorithm_oid
    yield "["
    yield f"  Version: V{read.version.value + 1}"
    yield f"  Serial Number: {certificate.serial.upper()}"
    yield f"  SignatureAlgorithm: {certificate.signature_algorithm} ({oid.dotted_string})"
    yield f"  Issuer Name: {certificate.issuer}"
    yield f"  Validity From: {_time(certificate.not_before)}"
    yield f"           To:   {_time(certificate.not_after)}"
    yield f"  Subject Name: {certificate.subject}"
    yield f"  Key: {certificate.key}"
    yield f"  Extensions: {len(read.extensions)} present"
    for extension in read.extensions:
        yield "  ["
        yield f"     Extension: {_camel(extension.oid)} (OID.{extension.oid.dotted_string})"
        yield f"     Critical: {str(extension.critical).lower()}"
        yield from (f"     {line}" for line in _value(extension.value))
        yield "  ]"
    yield f"  SHA-256 Fingerprint: {certificate.sha256}"
    yield "]"
    yield read.public_bytes(Encoding.PEM).decode().strip()


def _value(value: x509.ExtensionType) -> Iterator[str]:
    match value:
        case x509.BasicConstraints():
            yield f"Is CA: {str(value.ca).lower()}"
        case x509.KeyUsage():
            usages = ("digital_signature", "key_encipherment", "key_agreement", "key_cert_sign", "crl_sign")
            yield "Usages: " + ", ".join(usage for usage in usages if getattr(value, usage))
        case x509.ExtendedKeyUsage():
            yield "Usages: " + ", ".join(_camel(usage) for usage in value)
        case x509.SubjectAlternativeName():
            yield from (f"{type(name).__name__}: {name.value}" for name in value)
        case x509.SubjectKeyIdentifier():
            yield f"keyID: {value.digest.hex()}"
        case x509.AuthorityKeyIdentifier(key_identifier=bytes(identifier)):
            yield f"keyID: {identifier.hex()}"


def _camel(oid: x509.ObjectIdentifier) -> str:
    # The library keeps the names of RFC 5280 under an attribute that its representation shows too.
    return oid._name


def _time(moment: datetime) -> str:
    return f"{moment:%a %b %d %H:%M:%S} UTC {moment:%Y}"
