"""What is approved in FIPS mode, as data, and what is wrong with what is not.

Sources: FIPS 186-4 (signatures, curves), SP 800-56A rev. 3 (key agreement), SP 800-131A rev. 2 (key sizes and
digests), SP 800-52 rev. 2 3.3.1 (cipher suites).
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from certs.errors import CertificateError
from certs.verdict import PresentedCertificate

APPROVED_CURVES: Final = ("P-256", "P-384", "P-521")
"The curves of keys and of key agreement."

APPROVED_SUITES: Final = (
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-SHA384",
    "ECDHE-RSA-AES256-SHA384",
    "ECDHE-ECDSA-AES128-SHA256",
    "ECDHE-RSA-AES128-SHA256",
)
"The cipher suites of TLS 1.2, by OpenSSL's names: ephemeral key agreement, no static RSA."

APPROVED_TLS_1_3_SUITES: Final = ("TLS_AES_256_GCM_SHA384", "TLS_AES_128_GCM_SHA256")
"The cipher suites of TLS 1.3."

APPROVED_DIGESTS: Final = ("sha224", "sha256", "sha384", "sha512", "sha512-256", "sha512_256")
"The digests of signatures; SHA-1 is approved for none (SP 800-131A 3)."

MINIMUM_RSA_BITS: Final = 2048
"The shortest RSA key (SP 800-131A 3)."

_CURVE_NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}
)

# IANA, TLS Supported Groups and TLS Cipher Suites; those that peers offer and their words.
_GROUP_NUMBERS: Final[Mapping[int, str]] = MappingProxyType(
    {0x0017: "P-256", 0x0018: "P-384", 0x0019: "P-521"}
)
_OTHER_GROUPS: Final[Mapping[int, str]] = MappingProxyType(
    {
        0x001D: "X25519",
        0x001E: "X448",
        0x0016: "secp256k1",
        0x001A: "brainpoolP256r1",
        0x11EC: "X25519MLKEM768",
    }
)
_SUITE_NUMBERS: Final = frozenset(
    {0x1301, 0x1302, 0xC02B, 0xC02C, 0xC02F, 0xC030, 0xC023, 0xC024, 0xC027, 0xC028}
)
_OTHER_SUITES: Final[Mapping[int, str]] = MappingProxyType(
    {
        0x1303: "TLS_CHACHA20_POLY1305_SHA256",
        0xCCA8: "ECDHE-RSA-CHACHA20-POLY1305",
        0xCCA9: "ECDHE-ECDSA-CHACHA20-POLY1305",
        0xCCAA: "DHE-RSA-CHACHA20-POLY1305",
        0x009C: "TLS_RSA_WITH_AES_128_GCM_SHA256",
        0x009D: "TLS_RSA_WITH_AES_256_GCM_SHA384",
        0x002F: "TLS_RSA_WITH_AES_128_CBC_SHA",
        0x0035: "TLS_RSA_WITH_AES_256_CBC_SHA",
        0x003C: "TLS_RSA_WITH_AES_128_CBC_SHA256",
        0x003D: "TLS_RSA_WITH_AES_256_CBC_SHA256",
        0x000A: "TLS_RSA_WITH_3DES_EDE_CBC_SHA",
        0xC009: "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
        0xC00A: "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
        0xC013: "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
        0xC014: "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
    }
)
_SIGNALLING: Final = frozenset({0x00FF, 0x5600})  # RFC 5746, RFC 7507: no suites


class NotFipsApproved(CertificateError):  # noqa: N818 - the verdict's word for it
    """A key, certificate or algorithm that FIPS mode does not allow."""


def why_not_approved(certificate: PresentedCertificate) -> str:
    """Return what in a certificate is not approved, in words; empty where all is."""
    kind, _, size = certificate.key.partition(" ")
    if kind == "RSA":
        if int(size) < MINIMUM_RSA_BITS:
            return f"an RSA key of {size} bits, where {MINIMUM_RSA_BITS} are the least"
    elif kind == "EC":
        if size not in _CURVE_NAMES:
            return f"a key on the curve {size}, where {', '.join(APPROVED_CURVES)} are approved"
    else:
        return f"a key of the kind {kind or 'unknown'}, where RSA and EC are approved"
    if certificate.signature_algorithm not in APPROVED_DIGESTS:
        digest = certificate.signature_algorithm.upper().replace("SHA1", "SHA-1")
        return f"a signature with {digest or 'an unknown digest'}, where SHA-2 is approved"
    return ""


def require_approved(certificates: Iterable[PresentedCertificate]) -> None:
    """Raise NotFipsApproved where one of the certificates is not."""
    for certificate in certificates:
        why = why_not_approved(certificate)
        if why:
            raise NotFipsApproved(
                f"not FIPS-approved: the certificate {certificate.subject or 'without a subject'} has {why}; have it "
                "issued again, or take this node out of FIPS mode: utils fips disable"
            )


def what_of_hello_is_not_approved(suites: Iterable[int], groups: Iterable[int]) -> str:
    """Return why an offer of TLS numbers has nothing approved in it, in words; empty where it has.

    `suites` and `groups` are the numbers of a ClientHello (RFC 8446 4.1.2, 4.2.7); no groups at all say nothing.
    """
    offered = [number for number in suites if number not in _SIGNALLING and not _is_grease(number)]
    if offered and not _SUITE_NUMBERS.intersection(offered):
        names = ", ".join(_OTHER_SUITES.get(number, f"0x{number:04X}") for number in offered[:6])
        return f"the peer offers no approved cipher suite, only {names}"
    named = [number for number in groups if not _is_grease(number)]
    if named and not _GROUP_NUMBERS.keys() & set(named):
        names = ", ".join(_OTHER_GROUPS.get(number, f"0x{number:04X}") for number in named[:6])
        return f"the peer offers no approved group, only {names}"
    return ""


def _is_grease(number: int) -> bool:
    """Whether a number is one that clients invent, to see it ignored (RFC 8701)."""
    return number & 0x0F0F == 0x0A0A and number >> 8 == number & 0xFF
