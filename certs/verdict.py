"""A decision about trust as one value: what was presented, which rule decided, what mends it.

The TLS layer and the SIP services make verdicts; the ledger, the terminal, the reports and the tests read
them. The texts for people come from `certs.catalogue`, so the same reason is explained the same way
everywhere.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Reason(StrEnum):
    """Why a peer was let in or refused. A closed set: the catalogue has a text for each."""

    ACCEPTED = "accepted"

    # The handshake: what the peer presented.
    NO_CERTIFICATE = "no certificate"
    UNTRUSTED_ISSUER = "untrusted issuer"
    INCOMPLETE_CHAIN = "incomplete chain"
    EXPIRED = "expired"
    NOT_YET_VALID = "not yet valid"
    WRONG_KEY_USAGE = "wrong key usage"
    WEAK_KEY = "weak key"
    WEAK_SIGNATURE = "weak signature"
    SUBJECT_NOT_IN_CONTEXT = "subject not in context"
    HOST_NAME_MISMATCH = "host name mismatch"
    BAD_CERTIFICATE = "bad certificate"

    # The handshake: how it went.
    PROTOCOL_VERSION = "protocol version"
    NO_SHARED_CIPHER = "no shared cipher"
    PLAIN_TEXT = "plain text on a TLS port"
    NOT_TLS = "no TLS from the peer"
    PEER_ALERT = "peer's alert"
    CLOSED_EARLY = "closed early"
    HANDSHAKE_TIMEOUT = "handshake timed out"
    TOO_MANY_HANDSHAKES = "too many handshakes"
    PROTOCOL_ERROR = "TLS protocol error"
    NOT_FIPS_APPROVED = "not FIPS-approved"

    # The node itself.
    SELF_TEST_FAILED = "FIPS self-test failed"

    # Before TLS.
    UNREACHABLE = "unreachable"

    # SIP services.
    NOT_IN_ACCESS_LIST = "not in the incoming access list"
    NO_TRUNK = "no SIP trunk for this peer"
    NO_SECURITY_PROFILE = "no SIP trunk security profile"
    SUBJECT_NOT_IN_PROFILE = "subject not in the trunk's profile"
    TRANSPORT_NOT_ALLOWED = "transport not allowed by the profile"
    FEATURE_NOT_ALLOWED = "request not allowed by the profile"
    NULL_CIPHER_UNAVAILABLE = "no NULL cipher for integrity-only TLS"
    IDENTITY_MISMATCH = "SIP domain not in the certificate"

    # Logins, and servers of other domains.
    BAD_CREDENTIALS = "bad credentials"
    LOCKED_OUT = "account locked"
    LOGIN_IN_THE_CLEAR = "login in the clear"
    LOGIN_NOT_CARRIED_THROUGH = "login not carried through"
    UNKNOWN_ROUTER = "unknown router"
    UNKNOWN_COMPONENT = "unknown component"
    WRONG_COMPONENT_HANDSHAKE = "wrong component handshake"
    FORGED_COMPONENT_SENDER = "sender not of the component's domain"
    NOT_HOME_NODE = "not the user's home node"
    XMPP_DOMAIN_MISMATCH = "XMPP domain not in the certificate"
    DIALBACK_FAILED = "dialback failed"
    DOMAIN_NOT_ALLOWED = "domain not allowed by the federation policy"
    SECURITY_MODES_DIFFER = "security modes do not agree"
    FORGED_SENDER = "sender not of the proven domain"


class Side(StrEnum):
    """Which end of the handshake made the verdict."""

    SERVER = "server"
    CLIENT = "client"


@dataclass(frozen=True, slots=True, kw_only=True)
class PresentedCertificate:
    """What a peer showed, as read from the wire; made by `certs.presented.parse_presented`."""

    subject: str
    "The subject in RFC 4514 form; empty where the certificate could not be read."

    common_name: str
    "The subject's last CN; empty where it has none."

    issuer: str
    "The issuer in RFC 4514 form."

    subject_alternative_names: tuple[str, ...]
    "DNS names, addresses and URIs of the extension, each as `DNS:…`, `IP:…`, `URI:…`."

    serial: str
    "The serial number in hexadecimal."

    not_before: datetime
    "Start of validity, UTC."

    not_after: datetime
    "End of validity, UTC."

    sha256: str
    "The fingerprint of the DER form: lower-case hexadecimal without colons."

    key: str
    "Algorithm and size, as `RSA 2048` or `EC secp256r1`."

    signature_algorithm: str
    "The digest and algorithm of the signature, as `sha256` or `ed25519`."

    der: bytes = field(repr=False, default=b"")
    "The certificate itself."


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How a connection or request was judged, and by which rule."""

    accepted: bool
    "Whether the peer was let in."

    reason: Reason
    "Why; ACCEPTED exactly when `accepted`."

    side: Side
    "The end that judged: the listener or the dialler."

    presented_chain: tuple[PresentedCertificate, ...] = ()
    "What the peer showed, leaf first; kept also when it was refused."

    rule: str = ""
    "The rule in one sentence."

    clause: str = ""
    "The guide clause (`G19`) or, where the guide is silent, the RFC section."

    remedy: str = ""
    "What a person can do about it."

    detail: str = ""
    "What was seen, in words: the subject, the name asked for, the date passed."

    alert_sent: str = ""
    "The TLS alert that we sent, by its name in RFC 8446 6 (`unknown_ca`)."

    alert_received: str = ""
    "The TLS alert that the peer sent."

    verify_code: int = 0
    "OpenSSL's X509_V_ERR number; 0 where verification did not fail."

    tls_version: str = ""
    "`TLSv1.2` or `TLSv1.3`, once negotiated."

    cipher: str = ""
    "The cipher suite, once negotiated."

    disbelieved: Reason | None = None
    "Why the presented chain proves nothing, where such peers are let in all the same; None where it does."

    @property
    def subject(self) -> str:
        """The CN that the peer presented; empty where it presented none."""
        return self.presented_chain[0].common_name if self.presented_chain else ""
