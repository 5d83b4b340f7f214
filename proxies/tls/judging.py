"""From what was seen in a handshake to its reason. Judged by side, phase, alert and verify code only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Final

from cryptography import x509
from cryptography.exceptions import InternalError, InvalidSignature, UnsupportedAlgorithm

from certs.fips.approved import what_of_hello_is_not_approved
from certs.verdict import PresentedCertificate, Reason, Side

_TLS_FIRST_BYTES: Final = (0x16, 0x15)  # handshake and alert records, RFC 8446 5.1

VERIFY_CODES: Final[Mapping[int, Reason]] = MappingProxyType(
    {
        9: Reason.NOT_YET_VALID,
        10: Reason.EXPIRED,
        18: Reason.UNTRUSTED_ISSUER,
        19: Reason.UNTRUSTED_ISSUER,
        2: Reason.INCOMPLETE_CHAIN,
        20: Reason.INCOMPLETE_CHAIN,
        21: Reason.INCOMPLETE_CHAIN,
        26: Reason.WRONG_KEY_USAGE,
        32: Reason.WRONG_KEY_USAGE,
        62: Reason.HOST_NAME_MISMATCH,
        64: Reason.HOST_NAME_MISMATCH,
        66: Reason.WEAK_KEY,
        67: Reason.WEAK_KEY,
        68: Reason.WEAK_SIGNATURE,
    }
)
"OpenSSL's X509_V_ERR numbers (x509_vfy.h) and what they mean here; any other is a bad certificate."


@dataclass(slots=True, kw_only=True)
class Handshake:
    """What one handshake has shown so far. The core fills it in; `reason_of` reads it."""

    side: Side
    "Our side."

    asks_for_certificate: bool
    "Whether we required the peer's certificate."

    first_bytes: bytes = b""
    "The first bytes the peer sent, a few; empty while it is silent."

    hello_received: bool = False
    "Whether the peer's ClientHello could be read (listener only)."

    offered: tuple[tuple[int, ...], tuple[int, ...]] | None = None
    "In FIPS mode the cipher suites and groups of the peer's ClientHello, by their numbers."

    not_approved: str = ""
    "In FIPS mode what in the peer's chain is not approved."

    presented: tuple[bytes, ...] | None = None
    "The peer's chain in DER; () when it said it has none; None before its Certificate message."

    subject_refused: bool = False
    "Whether the subject was not among the selected TLS peer subjects."

    alert_sent: str = ""
    "Our alert."

    alert_received: str = ""
    "The peer's alert."

    verify_code: int = 0
    "OpenSSL's verify result, where verification failed."

    ended_by: Reason | None = None
    "CLOSED_EARLY, HANDSHAKE_TIMEOUT, TOO_MANY_HANDSHAKES: ends that are no TLS failure."


def reason_of(
    handshake: Handshake, chain: Sequence[PresentedCertificate], trusted: Sequence[bytes], moment: datetime
) -> Reason:
    """Return why this handshake failed; `trusted` in PEM and `moment` tell refused subjects apart."""
    if handshake.alert_received:
        return Reason.PEER_ALERT
    if handshake.ended_by in (Reason.HANDSHAKE_TIMEOUT, Reason.TOO_MANY_HANDSHAKES):
        return handshake.ended_by
    if handshake.first_bytes and handshake.first_bytes[0] not in _TLS_FIRST_BYTES:
        return Reason.PLAIN_TEXT if handshake.side is Side.SERVER else Reason.NOT_TLS
    if handshake.not_approved or _offers_nothing_approved(handshake):
        return Reason.NOT_FIPS_APPROVED
    if handshake.subject_refused:
        return _reason_of_refused_subject(chain, trusted, moment)
    if handshake.verify_code:
        return VERIFY_CODES.get(handshake.verify_code, Reason.BAD_CERTIFICATE)
    if handshake.asks_for_certificate and handshake.presented == ():
        return Reason.NO_CERTIFICATE
    if handshake.alert_sent == "protocol_version":
        return Reason.PROTOCOL_VERSION
    if handshake.alert_sent == "handshake_failure" and handshake.presented is None:
        return Reason.NO_SHARED_CIPHER
    return handshake.ended_by or Reason.PROTOCOL_ERROR


def _reason_of_refused_subject(
    chain: Sequence[PresentedCertificate], trusted: Sequence[bytes], moment: datetime
) -> Reason:
    """Say what else is wrong with a chain whose subject already refused it, for the better remedy.

    The refusal itself never depends on this: OpenSSL has refused the chain by a context that trusts nobody.
    """
    anchors = [x509.load_pem_x509_certificate(pem) for pem in trusted]
    try:
        certificates = [x509.load_der_x509_certificate(presented.der) for presented in chain]
    except ValueError:
        return Reason.BAD_CERTIFICATE
    if not _is_anchored(certificates, anchors):
        last = certificates[-1]
        return Reason.UNTRUSTED_ISSUER if last.issuer == last.subject else Reason.INCOMPLETE_CHAIN
    if moment < chain[0].not_before:
        return Reason.NOT_YET_VALID
    if moment > chain[0].not_after:
        return Reason.EXPIRED
    return Reason.SUBJECT_NOT_IN_CONTEXT


def why_disbelieved(
    chain: Sequence[PresentedCertificate], trusted: Sequence[bytes], moment: datetime
) -> Reason | None:
    """Return why a chain proves nothing, or None for OpenSSL to verify it.

    For ends that let peers in whose certificate is not trusted. OpenSSL verifies all but the dates once more, so
    that an error in here costs a peer its belief, or its connection, and never lets one be believed.
    """
    anchors = [x509.load_pem_x509_certificate(pem) for pem in trusted]
    try:
        certificates = [x509.load_der_x509_certificate(presented.der) for presented in chain]
    except ValueError:
        return Reason.BAD_CERTIFICATE
    path = _path(certificates, anchors)
    if path is None:
        last = certificates[-1]
        return Reason.UNTRUSTED_ISSUER if last.issuer == last.subject else Reason.INCOMPLETE_CHAIN
    # OpenSSL may find another way than ours to an anchor: no certificate that it could use may be out of date.
    for certificate in (*certificates, *path):
        if moment < certificate.not_valid_before_utc:
            return Reason.NOT_YET_VALID
        if moment > certificate.not_valid_after_utc:
            return Reason.EXPIRED
    return None


def _is_anchored(chain: Sequence[x509.Certificate], anchors: Sequence[x509.Certificate]) -> bool:
    """Whether signatures lead from the end-entity certificate to a trusted one."""
    return _path(chain, anchors) is not None


def _path(
    chain: Sequence[x509.Certificate], anchors: Sequence[x509.Certificate]
) -> list[x509.Certificate] | None:
    """Return the certificates from the end entity's to a trusted one, by their signatures; None without one."""
    current, *others = chain
    path = [current]
    while current not in anchors:
        for anchor in anchors:
            if _issued(current, anchor):
                return [*path, anchor]
        issuers = [other for other in others if _issued(current, other)]
        if not issuers:
            return None
        current = issuers[0]
        others.remove(current)
        path.append(current)
    return path


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, InternalError, UnsupportedAlgorithm):
        return False
    return True


def _offers_nothing_approved(handshake: Handshake) -> str:
    """Return why nothing that the peer offers is approved; empty outside FIPS mode, and where something is."""
    if handshake.offered is None or handshake.alert_sent != "handshake_failure":
        return ""
    return what_of_hello_is_not_approved(*handshake.offered)


def describe(
    handshake: Handshake, reason: Reason, chain: Sequence[PresentedCertificate], name_asked_for: str
) -> str:
    """Return what was seen, in words for the verdict's `detail`."""
    subject = f"CN={chain[0].common_name}" if chain else "nothing"
    match reason:
        case Reason.NOT_FIPS_APPROVED:
            seen = f"{subject} has {handshake.not_approved}" if handshake.not_approved else ""
            return seen or _offers_nothing_approved(handshake)
        case Reason.EXPIRED | Reason.NOT_YET_VALID:
            late = reason is Reason.EXPIRED
            dates = [c.not_after if late else c.not_before for c in chain]
            moment = min(dates) if late else max(dates)
            return f"{subject} is valid {'until' if late else 'from'} {moment:%Y-%m-%d %H:%M:%S} UTC"
        case Reason.UNTRUSTED_ISSUER | Reason.INCOMPLETE_CHAIN:
            return f"{subject}; the chain ends with a certificate issued by {chain[-1].issuer}"
        case Reason.HOST_NAME_MISMATCH:
            names = ", ".join(chain[0].subject_alternative_names) or "no name"
            return f"asked for {name_asked_for}; the certificate carries {names}"
        case Reason.WEAK_KEY:
            return f"{subject} has the key {chain[0].key}"
        case Reason.WEAK_SIGNATURE:
            return f"{subject} is signed with {chain[0].signature_algorithm}"
        case Reason.PLAIN_TEXT | Reason.NOT_TLS:
            return f"the peer began with {handshake.first_bytes!r}"
        case Reason.PEER_ALERT:
            return f"the peer sent {handshake.alert_received}"
        case Reason.HANDSHAKE_TIMEOUT | Reason.CLOSED_EARLY | Reason.TOO_MANY_HANDSHAKES:
            if not handshake.first_bytes:
                return "the peer sent nothing"
            return "the peer stopped in the middle of the handshake"
        case Reason.BAD_CERTIFICATE:
            return f"{subject}; OpenSSL's verify code is {handshake.verify_code}"
        case Reason.PROTOCOL_ERROR:
            return f"we sent {handshake.alert_sent or 'no alert'}"
        case _:
            return f"the peer presented {subject}" if chain else ""
