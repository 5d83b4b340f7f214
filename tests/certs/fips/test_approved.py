"""What is approved: certificates, and what a peer offers; and how Debian's lists are read."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding

from certs.errors import RemoteProtocolError
from certs.fips.approved import (
    NotFipsApproved,
    require_approved,
    what_of_hello_is_not_approved,
    why_not_approved,
)
from certs.fips.building import SourcePackage, parse_source_packages, source_entries
from certs.handshake_messages import parse_client_hello
from certs.issuing import CertificateSpec, KeyAlgorithm, issue, make_key
from certs.presented import parse_certificates, parse_presented
from certs.verdict import PresentedCertificate
from certs.wrong import Role, WrongCertificate, WrongCertificates

NOW = datetime.now(UTC)


def presented(pem: bytes) -> PresentedCertificate:
    return parse_presented(parse_certificates(pem)[0].public_bytes(Encoding.DER))


@pytest.mark.parametrize(
    ("kind", "why"), [(WrongCertificate.SHA1, "SHA-1"), (WrongCertificate.WEAK_KEY, "1024 bits")]
)
def test_a_weak_certificate_is_not_and_its_twin_is(kind: WrongCertificate, why: str) -> None:
    issuer = WrongCertificates("client.lab.example", "127.0.0.1", now=NOW)
    weak, good = (
        presented(issuer.issue(kind, Role.CLIENT).chain_pem),
        presented(issuer.issue_good().chain_pem),
    )
    assert why in why_not_approved(weak)
    assert why_not_approved(good) == ""
    with pytest.raises(NotFipsApproved, match=r"not FIPS-approved: the certificate CN=client\.lab\.example"):
        require_approved([good, weak])


def test_other_curves_and_kinds_of_keys_are_not() -> None:
    spec = CertificateSpec.for_node("imp1.lab.example", "127.0.0.1", now=NOW)
    signer = make_key(KeyAlgorithm.EC_P256)
    for key, why in (
        (ec.generate_private_key(ec.SECP256K1()).public_key(), "the curve secp256k1"),
        (ed25519.Ed25519PrivateKey.generate().public_key(), "the kind Ed25519"),
    ):
        certificate = issue(spec, key, signer)  # type: ignore[arg-type]
        assert why in why_not_approved(parse_presented(certificate.public_bytes(Encoding.DER)))


@pytest.mark.parametrize(
    ("suites", "groups", "why"),
    [
        ((0x1301, 0x1303), (0x1D, 0x17), ""),
        ((0x1303, 0x00FF), (0x17,), "no approved cipher suite, only TLS_CHACHA20_POLY1305_SHA256"),
        ((0x2A2A, 0x009D), (0x17,), "no approved cipher suite, only TLS_RSA_WITH_AES_256_GCM_SHA384"),
        ((0x1301,), (0x1D, 0x2A2A), "no approved group, only X25519"),
        ((0xC030,), (), ""),
        ((0x9999,), (), "no approved cipher suite, only 0x9999"),
        ((), (), ""),
    ],
)
def test_an_offer_needs_one_suite_and_one_group(
    suites: tuple[int, ...], groups: tuple[int, ...], why: str
) -> None:
    assert why in what_of_hello_is_not_approved(suites, groups)
    assert bool(why) is bool(what_of_hello_is_not_approved(suites, groups))


HELLO = (
    bytes.fromhex("0303") + bytes(32) + bytes.fromhex("00 0004 1301 1303 01 00 000a 000a 0006 0004 001d 0017")
)


def test_a_client_hello_is_read() -> None:
    message = bytes((1,)) + len(HELLO).to_bytes(3, "big") + HELLO
    assert parse_client_hello(message) == ((0x1301, 0x1303), (0x1D, 0x17))


def test_a_client_hello_that_was_cut_is_refused_or_read_in_part() -> None:
    message = bytes((1,)) + len(HELLO).to_bytes(3, "big") + HELLO
    for end in range(4, len(message)):
        try:
            suites, _ = parse_client_hello(message[:end])
        except RemoteProtocolError:
            continue
        assert suites == (0x1301, 0x1303)


def test_debian_s_list_of_sources_is_read() -> None:
    digest = "67ebca7e50d17383028045486653492195b83db95f8558709701bb47b5c1ef81"
    listing = (
        "Package: openssl\nVersion: 3.0.22-1~deb12u2\nChecksums-Sha256:\n"
        f" {'0' * 64} 2742 openssl_3.0.22-1~deb12u2.dsc\n {digest} 15330396 openssl_3.0.22.orig.tar.gz\n"
        f" {'1' * 64} 931 openssl_3.0.22.orig.tar.gz.asc\nDirectory: pool\n\nPackage: openssl\nVersion: 1\n"
    )
    assert parse_source_packages(listing) == [
        SourcePackage("3.0.22-1~deb12u2", "openssl_3.0.22.orig.tar.gz", digest)
    ]


def test_sources_are_looked_for_where_the_system_looks_for_packages(tmp_path: Path) -> None:
    parts = tmp_path / "sources.list.d"
    parts.mkdir()
    (tmp_path / "sources.list").write_text(
        "# nothing\ndeb [arch=amd64] http://deb.debian.org/debian bookworm main # x\n"
    )
    (parts / "other.list").write_text("deb https://packages.example.org/apt stable main\n")
    (parts / "debian.sources").write_text(
        "Types: deb\nURIs: http://deb.debian.org/debian-security\nSuites: bookworm-security\nComponents: main\n"
        "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n\n"
        "Types: deb\nEnabled: no\nURIs: http://old.example/debian\nSuites: x\nComponents: main\n"
    )
    assert source_entries(tmp_path).splitlines() == [
        "deb-src [arch=amd64] http://deb.debian.org/debian bookworm main",
        "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian-security "
        "bookworm-security main",
    ]
