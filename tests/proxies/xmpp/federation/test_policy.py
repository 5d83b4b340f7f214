"""What the federation policy means, where a domain's servers are, and what a certificate proves."""

import pytest

from certs.errors import ConfigError
from certs.verdict import Reason
from proxies.xmpp.federation.identity import PeerCertificate
from proxies.xmpp.federation.locating import locate_servers
from proxies.xmpp.federation.settings import FederationPolicy, FederationSecurityMode
from proxies.xmpp.streams.certificate_identity import DomainMatched, DomainRefused
from proxies.xmpp.streams.settings import TlsOffer
from tests.proxies.xmpp.federation.ends import Names, certificate, handshake


@pytest.mark.parametrize(
    ("mode", "requires_certificates", "offer"),
    [
        (FederationSecurityMode.NO_TLS, False, TlsOffer.NONE),
        (FederationSecurityMode.TLS_OPTIONAL, False, TlsOffer.OPTIONAL),
        (FederationSecurityMode.TLS_OPTIONAL, True, TlsOffer.REQUIRED),
        (FederationSecurityMode.TLS_REQUIRED, False, TlsOffer.REQUIRED),
    ],
)
def test_a_security_mode_says_what_streams_are_offered(
    mode: FederationSecurityMode, requires_certificates: bool, offer: TlsOffer
) -> None:
    policy = FederationPolicy(security_mode=mode, require_client_side_certificates=requires_certificates)
    assert policy.tls_offer is offer


def test_certificates_cannot_be_required_without_tls() -> None:
    with pytest.raises(ConfigError, match="expected a security mode with TLS"):
        FederationPolicy(security_mode=FederationSecurityMode.NO_TLS, require_client_side_certificates=True)


def test_records_come_first_then_the_domains_own_address() -> None:
    names = Names(
        hosts={"one.example": "127.0.0.2", "two.example": "127.0.0.3", "plain.example": "127.0.0.4"},
        servers={"verona.example": (("two.example", 15269), ("gone.example", 5269), ("one.example", 5269))},
    )
    assert locate_servers("verona.example", names) == (("127.0.0.3", 15269), ("127.0.0.2", 5269))
    assert locate_servers("plain.example", names) == (("127.0.0.4", 5269),)
    assert locate_servers("nowhere.example", names) == ()


def test_a_domain_that_says_it_has_no_server_is_believed() -> None:
    names = Names(hosts={"verona.example": "127.0.0.2"}, servers={"verona.example": ((".", 0),)})
    assert locate_servers("verona.example", names) == ()


@pytest.mark.parametrize("domain", ["10.1.2.3", "[::1]", "127.0.0.1"])
def test_an_address_is_no_domain_to_connect_to(domain: str) -> None:
    assert locate_servers(domain, Names(hosts={domain: domain})) == ()


def test_a_believed_certificate_proves_its_domain_and_no_other() -> None:
    shown = PeerCertificate.of(handshake(certificate("capulet.example")))
    assert isinstance(shown.speaks_for("capulet.example"), DomainMatched)
    refused = shown.speaks_for("verona.example")
    assert isinstance(refused, DomainRefused)
    assert refused.reason is Reason.XMPP_DOMAIN_MISMATCH


def test_none_and_a_disbelieved_one_prove_nothing() -> None:
    refused = PeerCertificate().speaks_for("capulet.example")
    assert isinstance(refused, DomainRefused)
    assert refused.reason is Reason.NO_CERTIFICATE
    shown = handshake(certificate("capulet.example"), disbelieved=Reason.UNTRUSTED_ISSUER)
    refused = PeerCertificate.of(shown).speaks_for("capulet.example")
    assert isinstance(refused, DomainRefused)
    assert refused.reason is Reason.UNTRUSTED_ISSUER
