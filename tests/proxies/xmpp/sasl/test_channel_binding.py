"""The channel binding of a server's certificate is the hash that its signature uses, and never a weak one."""

import hashlib
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from scramp.core import CBindData  # type: ignore[import-untyped]

from certs.errors import CertificateError
from certs.wrong import Role, WrongCertificate, WrongCertificates
from proxies.xmpp.sasl.channel_binding import tls_server_end_point

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def make_certificate(
    key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey, digest: hashes.SHA256 | hashes.SHA384 | None
) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "im.example.com")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=1))
        .sign(key, digest)
    )
    return certificate.public_bytes(Encoding.DER)


@pytest.mark.parametrize("digest", [hashes.SHA256(), hashes.SHA384()])
def test_the_signatures_hash_is_taken(digest: hashes.SHA256 | hashes.SHA384) -> None:
    der = make_certificate(ec.generate_private_key(ec.SECP256R1()), digest)
    assert tls_server_end_point(der) == hashlib.new(digest.name, der).digest()
    assert tls_server_end_point(der) == bytes(CBindData.from_der(der))


def test_sha_256_stands_in_for_sha_1() -> None:
    wrong = WrongCertificates("im.example.com", "127.0.0.9", now=NOW)
    pem = wrong.issue(WrongCertificate.SHA1, Role.SERVER).chain_pem
    der = x509.load_pem_x509_certificates(pem)[0].public_bytes(Encoding.DER)
    assert tls_server_end_point(der) == hashlib.sha256(der).digest()


def test_a_signature_without_a_hash_has_no_value() -> None:
    with pytest.raises(CertificateError, match="without a hash"):
        tls_server_end_point(make_certificate(ed25519.Ed25519PrivateKey.generate(), None))


def test_what_is_no_certificate_has_no_value() -> None:
    with pytest.raises(CertificateError, match="cannot be read"):
        tls_server_end_point(b"\x30\x00")
