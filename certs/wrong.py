"""Certificates that are wrong on purpose, by name, each in one thing only.

`WrongCertificates` issues the good twin too: same subject, same names, same authority. What a peer has to trust
so that nothing else is wrong is `anchor_pem`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from certs.credential import Credential
from certs.issuing import (
    CertificateSpec,
    KeyAlgorithm,
    PrivateKey,
    encode_certificate,
    encode_key,
    issue,
    make_key,
)
from certs.verdict import Reason


class WrongCertificate(StrEnum):
    """The ways in which a certificate can be wrong, by name."""

    EXPIRED = "expired"
    NOT_YET_VALID = "not-yet-valid"
    OTHER_CN = "other-cn"
    CN_ONLY = "cn-only"
    WRONG_KEY_USAGE = "wrong-key-usage"
    UNKNOWN_ISSUER = "unknown-issuer"
    MISSING_INTERMEDIATE = "missing-intermediate"
    WEAK_KEY = "weak-key"
    SHA1 = "sha1"


class Role(StrEnum):
    """Which side will show the certificate; `wrong-key-usage` allows only the other one."""

    SERVER = "server"
    CLIENT = "client"


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a certificate, and how it is judged."""

    description: str
    "The one thing that is wrong."

    reason_as_client: Reason
    "The verdict of a peer-authenticated listener with a TLS context."

    reason_as_server: Reason
    "The verdict of a client that checks the host name."


FAULTS: Final[Mapping[WrongCertificate, Fault]] = MappingProxyType(
    {
        WrongCertificate.EXPIRED: Fault("valid until yesterday", Reason.EXPIRED, Reason.EXPIRED),
        WrongCertificate.NOT_YET_VALID: Fault(
            "valid from tomorrow", Reason.NOT_YET_VALID, Reason.NOT_YET_VALID
        ),
        WrongCertificate.OTHER_CN: Fault(
            "CN and SAN name another host", Reason.SUBJECT_NOT_IN_CONTEXT, Reason.HOST_NAME_MISMATCH
        ),
        # A TLS context compares CNs (G18), so only a client that checks the host name misses the SAN.
        WrongCertificate.CN_ONLY: Fault(
            "no subject alternative name", Reason.ACCEPTED, Reason.HOST_NAME_MISMATCH
        ),
        WrongCertificate.WRONG_KEY_USAGE: Fault(
            "the extended key usage allows only the other side",
            Reason.WRONG_KEY_USAGE,
            Reason.WRONG_KEY_USAGE,
        ),
        WrongCertificate.UNKNOWN_ISSUER: Fault(
            "signed by an authority that nobody trusts", Reason.UNTRUSTED_ISSUER, Reason.UNTRUSTED_ISSUER
        ),
        WrongCertificate.MISSING_INTERMEDIATE: Fault(
            "the chain lacks the intermediate", Reason.INCOMPLETE_CHAIN, Reason.INCOMPLETE_CHAIN
        ),
        WrongCertificate.WEAK_KEY: Fault("an RSA key of 1024 bits", Reason.WEAK_KEY, Reason.WEAK_KEY),
        WrongCertificate.SHA1: Fault("signed with SHA-1", Reason.WEAK_SIGNATURE, Reason.WEAK_SIGNATURE),
    }
)
"One entry a name."

OTHER_HOST: Final = "other-host.example"
"The name that `other-cn` carries."

_DAY: Final = timedelta(days=1)
_SHA256_WITH_RSA: Final = bytes.fromhex("06092a864886f70d01010b")  # RFC 8017 A.2.4, DER
_SHA1_WITH_RSA: Final = bytes.fromhex("06092a864886f70d010105")


@dataclass(frozen=True, slots=True)
class _Issuer:
    certificate: x509.Certificate
    key: PrivateKey


class WrongCertificates:
    """A root, an intermediate and an authority that nobody trusts, and what they issue for one host."""

    def __init__(self, common_name: str, address: str, *, now: datetime) -> None:
        self._spec = CertificateSpec.for_node(common_name, address, now=now)
        self._now = now
        self._root = self._authority("Root CA", None)
        self._intermediate = self._authority("Intermediate CA", self._root)
        self._unknown = self._authority("Unknown CA", None)

    @property
    def anchor_pem(self) -> bytes:
        """The root's certificate in PEM: what the peer has to trust."""
        return encode_certificate(self._root.certificate)

    def issue_good(self, algorithm: KeyAlgorithm = KeyAlgorithm.EC_P256) -> Credential:
        """Issue the twin with which nothing is wrong."""
        return self._issue(self._spec, make_key(algorithm))

    def issue(self, fault: WrongCertificate, role: Role) -> Credential:
        """Issue a certificate that is wrong in one thing, for one side to show."""
        spec, key = self._spec, make_key(KeyAlgorithm.EC_P256)
        match fault:
            case WrongCertificate.EXPIRED:
                return self._issue(
                    replace(spec, not_before=self._now - 30 * _DAY, not_after=self._now - _DAY), key
                )
            case WrongCertificate.NOT_YET_VALID:
                return self._issue(replace(spec, not_before=self._now + _DAY), key)
            case WrongCertificate.OTHER_CN:
                return self._issue(
                    replace(spec, common_name=OTHER_HOST, names=(OTHER_HOST,), addresses=()), key
                )
            case WrongCertificate.CN_ONLY:
                return self._issue(replace(spec, names=(), addresses=()), key)
            case WrongCertificate.WRONG_KEY_USAGE:
                other = (
                    ExtendedKeyUsageOID.CLIENT_AUTH
                    if role is Role.SERVER
                    else ExtendedKeyUsageOID.SERVER_AUTH
                )
                return self._issue(replace(spec, extended_key_usages=(other,)), key)
            case WrongCertificate.UNKNOWN_ISSUER:
                leaf = issue(spec, key.public_key(), self._unknown.key, self._unknown.certificate)
                return _credential(key, leaf, self._unknown.certificate)
            case WrongCertificate.MISSING_INTERMEDIATE:
                leaf = issue(spec, key.public_key(), self._intermediate.key, self._intermediate.certificate)
                return _credential(key, leaf)
            case WrongCertificate.WEAK_KEY:
                # The point of it: 80 bits of security where 112 are asked for.
                weak = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505
                return self._issue(spec, weak)
            case WrongCertificate.SHA1:
                return self._issue_sha1(key)

    def _issue(self, spec: CertificateSpec, key: PrivateKey) -> Credential:
        leaf = issue(spec, key.public_key(), self._intermediate.key, self._intermediate.certificate)
        return _credential(key, leaf, self._intermediate.certificate)

    def _issue_sha1(self, key: PrivateKey) -> Credential:
        # cryptography signs no certificate with SHA-1. The two algorithms' identifiers are equally long, and
        # so are their RSA signatures: exchange the identifiers and sign the same fields again.
        intermediate = self._intermediate
        leaf = issue(self._spec, key.public_key(), intermediate.key, intermediate.certificate)
        assert isinstance(intermediate.key, rsa.RSAPrivateKey)
        fields = leaf.tbs_certificate_bytes.replace(_SHA256_WITH_RSA, _SHA1_WITH_RSA)
        signature = intermediate.key.sign(fields, padding.PKCS1v15(), hashes.SHA1())  # noqa: S303
        whole = leaf.public_bytes(Encoding.DER).replace(_SHA256_WITH_RSA, _SHA1_WITH_RSA)
        sha1_leaf = x509.load_der_x509_certificate(whole.removesuffix(leaf.signature) + signature)
        return _credential(key, sha1_leaf, intermediate.certificate)

    def _authority(self, name: str, issuer: _Issuer | None) -> _Issuer:
        # RSA, because only its SHA-1 signatures can be exchanged as `_issue_sha1` does.
        key = make_key(KeyAlgorithm.RSA_2048)
        spec = CertificateSpec(
            common_name=f"imp-harness {name}",
            names=(),
            not_before=self._now - 60 * _DAY,
            not_after=self._now + 3650 * _DAY,
            is_authority=True,
        )
        if issuer is None:
            return _Issuer(issue(spec, key.public_key(), key), key)
        return _Issuer(issue(spec, key.public_key(), issuer.key, issuer.certificate), key)


def _credential(key: PrivateKey, *chain: x509.Certificate) -> Credential:
    return Credential(chain_pem=b"".join(map(encode_certificate, chain)), key_pem=encode_key(key))
