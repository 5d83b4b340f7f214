"""Which XMPP addresses a certificate speaks for (RFC 6120 13.7.1.2, RFC 9525, XEP-0178)."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final

from cryptography import x509

from certs.errors import RemoteProtocolError
from certs.presented import common_name
from certs.verdict import Reason
from proxies.xmpp.jid import Jid

_XMPP_ADDRESS: Final = x509.ObjectIdentifier("1.3.6.1.5.5.7.8.5")  # id-on-xmppAddr, RFC 6120 13.7.1.4
_SRV_NAME: Final = x509.ObjectIdentifier("1.3.6.1.5.5.7.8.7")  # id-on-dnsSRV, RFC 4985 2
_UTF8_STRING: Final = 0x0C
_IA5_STRING: Final = 0x16
_MAXIMUM_IDENTIFIERS: Final = 1000


class XmppService(StrEnum):
    """What an SRVName is for (RFC 6120 13.7.1.2.1): the label before the domain."""

    CLIENT = "_xmpp-client"
    SERVER = "_xmpp-server"


class IdentifierKind(StrEnum):
    """Where in a certificate a name stands, in the order in which RFC 6120 13.7.1.2.1 prefers them."""

    SRV_NAME = "SRVName"
    XMPP_ADDRESS = "xmppAddr"
    DNS_NAME = "dNSName"
    COMMON_NAME = "CN"


_ORDER: Final = {kind: place for place, kind in enumerate(IdentifierKind)}


@dataclass(frozen=True, slots=True)
class CertificateIdentifier:
    """One name that a certificate carries."""

    kind: IdentifierKind
    "Where it stands."

    value: str
    "The name as it stands there."

    def __str__(self) -> str:
        return f"{self.kind} {self.value}"


@dataclass(frozen=True, slots=True)
class DomainMatched:
    """The certificate speaks for the domain."""

    identifier: CertificateIdentifier
    "The name that says so."


@dataclass(frozen=True, slots=True)
class DomainRefused:
    """The certificate does not speak for the domain."""

    detail: str
    "For the verdict: what was asked for and what the certificate carries."

    reason: Reason = Reason.XMPP_DOMAIN_MISMATCH
    "The ledger's reason."


def match_domain(
    certificate_der: bytes,
    domain: str,
    *,
    service: XmppService = XmppService.SERVER,
    accept_common_name: bool = False,
) -> DomainMatched | DomainRefused:
    """Judge whether a certificate speaks for an XMPP domain.

    With `accept_common_name` the subject's CN counts where there is no other name at all: self-signed
    certificates of the product's releases may carry nothing else. RFC 9525 2 has done away with that.
    """
    identifiers = parse_identifiers(certificate_der)
    wanted = _domain(domain)
    if wanted:
        for identifier in sorted(identifiers, key=lambda each: _ORDER[each.kind]):
            is_last_resort = identifier.kind is IdentifierKind.COMMON_NAME
            if is_last_resort and (len(identifiers) > 1 or not accept_common_name):
                continue
            if _matches(identifier, wanted, service):
                return DomainMatched(identifier)
    carried = ", ".join(map(str, identifiers[:20])) or "no name"
    return DomainRefused(f"asked for {domain[:300]}; the certificate carries {carried}")


def xmpp_addresses(certificate_der: bytes) -> tuple[Jid, ...]:
    """Return the addresses of accounts that a client's certificate carries (XEP-0178 2), bare."""
    found: dict[Jid, None] = {}
    for identifier in parse_identifiers(certificate_der):
        if identifier.kind is IdentifierKind.XMPP_ADDRESS:
            address = _address(identifier.value)
            if address is not None and address.localpart:
                found[address.bare] = None
    return tuple(found)


@lru_cache(maxsize=256)  # a peer that comes again shows the same certificate
def parse_identifiers(certificate_der: bytes) -> tuple[CertificateIdentifier, ...]:
    """Return the names in a certificate that XMPP looks at; none where it cannot be read."""
    try:
        certificate = x509.load_der_x509_certificate(certificate_der)
        return tuple(_identifiers(certificate))[:_MAXIMUM_IDENTIFIERS]
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return ()


def _identifiers(certificate: x509.Certificate) -> Iterator[CertificateIdentifier]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        names = x509.SubjectAlternativeName([])
    for name in names:
        match name:
            case x509.DNSName():
                yield CertificateIdentifier(IdentifierKind.DNS_NAME, name.value)
            case x509.OtherName(type_id=oid, value=value) if oid == _XMPP_ADDRESS:
                yield CertificateIdentifier(IdentifierKind.XMPP_ADDRESS, _parse_string(value, _UTF8_STRING))
            case x509.OtherName(type_id=oid, value=value) if oid == _SRV_NAME:
                yield CertificateIdentifier(IdentifierKind.SRV_NAME, _parse_string(value, _IA5_STRING))
    if subject := common_name(certificate):
        yield CertificateIdentifier(IdentifierKind.COMMON_NAME, subject)


def _parse_string(der: bytes, tag: int) -> str:
    """Return the text of a DER string; cryptography has checked that it is one whole element.

    Raises ValueError where it has another tag or another encoding.
    """
    if der[0] != tag:
        raise ValueError(f"expected a string with the tag {tag:#x}, seen {der[0]:#x}")
    long_form = der[1] & 0x80  # X.690 8.1.3.5: the other bits count the octets of the length
    start = 2 + (der[1] & 0x7F if long_form else 0)
    return der[start:].decode("utf-8" if tag == _UTF8_STRING else "ascii")


def _matches(identifier: CertificateIdentifier, wanted: str, service: XmppService) -> bool:
    match identifier.kind:
        case IdentifierKind.SRV_NAME:
            label, _, domain = identifier.value.partition(".")
            return label.lower() == service and _domain(domain) == wanted
        case IdentifierKind.XMPP_ADDRESS:
            address = _address(identifier.value)
            return address is not None and address == Jid("", wanted)
        case IdentifierKind.DNS_NAME if identifier.value.startswith("*."):
            # The wildcard is the whole left-most label and stands for one label (RFC 9525 6.3).
            _, _, parent = wanted.partition(".")
            return bool(parent) and _domain(identifier.value[2:]) == parent
        case IdentifierKind.DNS_NAME | IdentifierKind.COMMON_NAME:
            return _domain(identifier.value) == wanted


def _domain(text: str) -> str:
    """Return a domain as addresses are compared, in lower case as U-labels; empty where it is none."""
    address = _address(text)
    if address is None or address.localpart or address.resourcepart:
        return ""
    return address.domainpart


def _address(text: str) -> Jid | None:
    try:
        return Jid.parse(text)
    except RemoteProtocolError:
        return None
