"""A certificate speaks for the domains and addresses that it carries, and for no other."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtensionOID, NameOID
from hypothesis import given
from hypothesis import strategies as st

from certs.presented import parse_presented
from certs.verdict import Reason
from proxies.xmpp.jid import Jid
from proxies.xmpp.streams.certificate_identity import (
    CertificateIdentifier,
    DomainMatched,
    DomainRefused,
    IdentifierKind,
    XmppService,
    match_domain,
    parse_identifiers,
    xmpp_addresses,
)

KEY = ec.generate_private_key(ec.SECP256R1())
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def make_certificate(
    names: Sequence[x509.GeneralName] = (),
    common_name: str = "",
    extension: x509.ExtensionType | None = None,
) -> bytes:
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)] if common_name else []
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name(attributes))
        .issuer_name(x509.Name(attributes))
        .public_key(KEY.public_key())
        .serial_number(1)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=1))
    )
    extension = extension or (x509.SubjectAlternativeName(names) if names else None)
    if extension is not None:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(KEY, hashes.SHA256()).public_bytes(Encoding.DER)


def other_name(oid: str, tag: int, text: str) -> x509.OtherName:
    octets = text.encode()
    length = bytes([len(octets)]) if len(octets) < 128 else bytes([0x81, len(octets)])
    return x509.OtherName(x509.ObjectIdentifier(oid), bytes([tag]) + length + octets)


def xmpp_address(text: str) -> x509.OtherName:
    return other_name("1.3.6.1.5.5.7.8.5", 0x0C, text)


def srv_name(text: str) -> x509.OtherName:
    return other_name("1.3.6.1.5.5.7.8.7", 0x16, text)


def dns(text: str) -> x509.DNSName:
    return x509.DNSName(text)


@pytest.mark.parametrize(
    ("carried", "domain", "kind"),
    [
        (dns("example.org"), "example.org", IdentifierKind.DNS_NAME),
        (dns("Example.ORG"), "example.org.", IdentifierKind.DNS_NAME),
        (dns("example.org"), "im.example.org", None),
        (dns("im.example.org"), "example.org", None),
        (dns("*.example.org"), "foo.example.org", IdentifierKind.DNS_NAME),
        (dns("*.example.org"), "bar.foo.example.org", None),
        (dns("*.example.org"), "example.org", None),
        (dns("im*.example.net"), "im1.example.net", None),
        (dns("*"), "example", None),
        (dns("xn--mnchen-3ya.example"), "m\u00fcnchen.example", IdentifierKind.DNS_NAME),
        (srv_name("_xmpp-server.example.org"), "example.org", IdentifierKind.SRV_NAME),
        (srv_name("_xmpp-client.example.org"), "example.org", None),
        (srv_name("_xmpp-server.im.example.org"), "example.org", None),
        (srv_name("_xmpp-server.*.example.org"), "im.example.org", None),
        (xmpp_address("example.org"), "example.org", IdentifierKind.XMPP_ADDRESS),
        (xmpp_address("juliet@example.org"), "example.org", None),
        (xmpp_address("*.example.org"), "im.example.org", None),
        (x509.UniformResourceIdentifier("sip:example.org"), "example.org", None),
        (dns("example.org"), "", None),
        (dns("example.org"), "juliet@example.org", None),
        (dns("example.org"), "example.org/x", None),
    ],
)
def test_a_certificate_speaks_for_a_domain(
    carried: x509.GeneralName, domain: str, kind: IdentifierKind | None
) -> None:
    judged = match_domain(make_certificate([carried], "cn.example"), domain)
    if kind is None:
        assert isinstance(judged, DomainRefused)
        assert judged.reason is Reason.XMPP_DOMAIN_MISMATCH
    else:
        assert isinstance(judged, DomainMatched)
        assert judged.identifier.kind is kind


def test_the_service_of_an_srv_name_counts() -> None:
    certificate = make_certificate([srv_name("_xmpp-client.example.org")])
    assert isinstance(match_domain(certificate, "example.org"), DomainRefused)
    assert isinstance(match_domain(certificate, "example.org", service=XmppService.CLIENT), DomainMatched)


def test_the_name_that_says_most_is_reported() -> None:
    certificate = make_certificate(
        [dns("example.org"), xmpp_address("example.org"), srv_name("_xmpp-server.example.org")]
    )
    assert match_domain(certificate, "example.org") == DomainMatched(
        CertificateIdentifier(IdentifierKind.SRV_NAME, "_xmpp-server.example.org")
    )


@pytest.mark.parametrize(
    ("names", "accept", "matches"),
    [((), True, True), ((), False, False), ((dns("other.example"),), True, False)],
)
def test_the_common_name_counts_only_alone_and_where_it_is_let(
    names: Sequence[x509.GeneralName], accept: bool, matches: bool
) -> None:
    certificate = make_certificate(names, "im.example.com")
    judged = match_domain(certificate, "im.example.com", accept_common_name=accept)
    assert isinstance(judged, DomainMatched) is matches


def test_a_refusal_says_what_was_asked_for_and_what_was_carried() -> None:
    certificate = make_certificate([dns("example.org"), xmpp_address("juliet@example.org")], "imp1")
    assert match_domain(certificate, "example.net") == DomainRefused(
        "asked for example.net; the certificate carries dNSName example.org, xmppAddr juliet@example.org, CN imp1"
    )
    assert match_domain(make_certificate(), "example.net") == DomainRefused(
        "asked for example.net; the certificate carries no name"
    )


def test_a_clients_certificate_carries_addresses_of_accounts() -> None:
    certificate = make_certificate(
        [
            xmpp_address("Juliet@example.org"),
            xmpp_address("juliet@example.org"),
            xmpp_address("nurse@example.org/home"),
            xmpp_address("example.org"),
            xmpp_address("@"),
            dns("im.example.org"),
        ]
    )
    assert xmpp_addresses(certificate) == (Jid("juliet", "example.org"), Jid("nurse", "example.org"))


def test_a_long_address_is_read_whole() -> None:
    local = "j" * 180
    assert xmpp_addresses(make_certificate([xmpp_address(f"{local}@example.org")])) == (
        Jid(local, "example.org"),
    )


@pytest.mark.parametrize("value", [b"\x16\x03abc", b"\x0c\x01\xff"])
def test_a_broken_name_makes_a_certificate_speak_for_nobody(value: bytes) -> None:
    broken = x509.OtherName(x509.ObjectIdentifier("1.3.6.1.5.5.7.8.5"), value)
    certificate = make_certificate([dns("example.org"), broken])
    assert isinstance(match_domain(certificate, "example.org"), DomainRefused)
    assert isinstance(match_domain(make_certificate([dns("example.org")]), "example.org"), DomainMatched)


def test_a_name_of_a_kind_that_cannot_be_read_makes_a_certificate_speak_for_nobody() -> None:
    x400_address = x509.UnrecognizedExtension(
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME, b"\x30\x04\xa3\x02\x30\x00"
    )
    certificate = make_certificate(extension=x400_address)
    assert isinstance(match_domain(certificate, "example.org"), DomainRefused)
    assert parse_presented(certificate).subject == ""


@given(st.binary(max_size=80))
def test_random_bytes_are_a_certificate_of_nobody(der: bytes) -> None:
    assert parse_identifiers(der) == ()
