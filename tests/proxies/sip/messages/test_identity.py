"""Which SIP domains a certificate speaks for (RFC 5922 7)."""

from datetime import UTC, datetime

import pytest

from certs.verdict import PresentedCertificate
from proxies.sip.messages.identity import matches_domain, sip_identities


def certificate(*names: str, common_name: str = "imp1.example.com") -> PresentedCertificate:
    return PresentedCertificate(
        subject=f"CN={common_name}",
        common_name=common_name,
        issuer="CN=lab CA",
        subject_alternative_names=names,
        serial="01",
        not_before=datetime(2026, 1, 1, tzinfo=UTC),
        not_after=datetime(2027, 1, 1, tzinfo=UTC),
        sha256="00",
        key="EC secp256r1",
        signature_algorithm="sha256",
    )


def test_a_sip_uri_without_a_user_is_an_identity() -> None:
    assert sip_identities(certificate("URI:sip:example.com")) == ("example.com",)


@pytest.mark.parametrize(
    "uri",
    ["URI:sip:alice@example.com", "URI:sips:example.com", "URI:http://example.com", "URI:im:example.com"],
)
def test_other_uris_are_none(uri: str) -> None:
    assert sip_identities(certificate(uri)) == ()


def test_port_and_parameters_of_the_uri_are_not_part_of_the_identity() -> None:
    assert sip_identities(certificate("URI:sip:Example.com:5061;transport=tls")) == ("example.com",)


def test_a_dns_name_is_an_identity_and_an_address_is_not() -> None:
    assert sip_identities(certificate("DNS:imp1.example.com", "IP:127.0.0.1")) == ("imp1.example.com",)


def test_the_same_name_counts_once() -> None:
    assert sip_identities(certificate("URI:sip:example.com", "DNS:EXAMPLE.com")) == ("example.com",)


def test_the_common_name_counts_only_without_alternative_names() -> None:
    assert sip_identities(certificate()) == ("imp1.example.com",)
    assert sip_identities(certificate("IP:127.0.0.1")) == ()
    assert sip_identities(certificate(common_name="")) == ()


@pytest.mark.parametrize(
    ("name", "domain", "matches"),
    [
        ("DNS:example.com", "example.com", True),
        ("DNS:example.com", "EXAMPLE.COM.", True),
        ("DNS:example.com", "sip.example.com", False),
        ("DNS:sip.example.com", "example.com", False),
        ("DNS:*.example.com", "sip.example.com", False),
        ("URI:sip:example.com", "example.com", True),
        ("URI:sip:alice@example.com", "example.com", False),
        ("IP:127.0.0.1", "127.0.0.1", True),
        ("IP:127.0.0.1", "127.0.0.2", False),
    ],
)
def test_a_domain_matches_a_whole_name_or_not_at_all(name: str, domain: str, matches: bool) -> None:
    assert matches_domain(certificate(name), domain) is matches
