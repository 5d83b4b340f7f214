"""What a refused peer gets, and what usually lies behind it: the other half of the verdict catalogue.

The alerts are those of OpenSSL 3; `docs/tls-verdicts.md`, made from real handshakes, shows each with its twin.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from certs.verdict import Reason


@dataclass(frozen=True, slots=True)
class Symptom:
    """How a refusal looks from the outside."""

    cause: str
    "What usually lies behind it."

    at_peer: str
    "What crosses the wire to the peer: alert, status, or stream error."


_NEXT_READ: Final = "A TLS 1.3 client gets the alert at its first read."

SYMPTOMS: Final[Mapping[Reason, Symptom]] = MappingProxyType(
    {
        Reason.ACCEPTED: Symptom("The peer follows the rules.", "The handshake or login completes."),
        Reason.NO_CERTIFICATE: Symptom(
            "The client has no certificate configured, or none that fits the acceptable issuers.",
            f"Alert handshake_failure under TLS 1.2, certificate_required under 1.3. {_NEXT_READ}",
        ),
        Reason.UNTRUSTED_ISSUER: Symptom(
            "The certificates were not exchanged, one was regenerated since, or the service has not restarted.",
            f"Alert unknown_ca. {_NEXT_READ}",
        ),
        Reason.INCOMPLETE_CHAIN: Symptom(
            "The peer sends its own certificate and leaves the intermediate one out.",
            f"Alert unknown_ca. {_NEXT_READ}",
        ),
        Reason.EXPIRED: Symptom(
            "Nobody regenerated the certificate in time.", f"Alert certificate_expired. {_NEXT_READ}"
        ),
        Reason.NOT_YET_VALID: Symptom(
            "The clocks of the machine that made the certificate and of ours differ.",
            f"Alert bad_certificate. {_NEXT_READ}",
        ),
        Reason.WRONG_KEY_USAGE: Symptom(
            "A web server's certificate is used by a client, or the reverse.",
            f"Alert unsupported_certificate. {_NEXT_READ}",
        ),
        Reason.WEAK_KEY: Symptom(
            "An old certificate with an RSA key of 1024 bits.", f"Alert bad_certificate. {_NEXT_READ}"
        ),
        Reason.WEAK_SIGNATURE: Symptom(
            "An old certificate, or an old authority.", f"Alert bad_certificate. {_NEXT_READ}"
        ),
        Reason.SUBJECT_NOT_IN_CONTEXT: Symptom(
            "The subject is not among the TLS peer subjects, or is there and was not selected in the TLS context.",
            f"Alert unknown_ca. {_NEXT_READ}",
        ),
        Reason.HOST_NAME_MISMATCH: Symptom(
            "The server is called by its address or an alias, or its certificate has a CN and no DNS name.",
            "The refusing client sends bad_certificate.",
        ),
        Reason.BAD_CERTIFICATE: Symptom(
            "A certificate that was edited, cut, or signed by another key than its issuer's.",
            f"Alert bad_certificate, or decrypt_error where the signature is wrong. {_NEXT_READ}",
        ),
        Reason.PROTOCOL_VERSION: Symptom("A client that is held to TLS 1.1.", "Alert protocol_version."),
        Reason.NO_SHARED_CIPHER: Symptom(
            "The client's list and the TLS context's selected ciphers have nothing in common.",
            "Alert handshake_failure.",
        ),
        Reason.PLAIN_TEXT: Symptom(
            "The client speaks SIP, XMPP or HTTP in the clear to a TLS port.",
            "Alert unexpected_message in a plain TLS record, then the end of the connection.",
        ),
        Reason.NOT_TLS: Symptom(
            "A TLS client was pointed at a port for plain TCP.", "The client gives up and closes."
        ),
        Reason.PEER_ALERT: Symptom(
            "The other end refused us; its own ledger or log has the reason.",
            "Nothing more: the alert came from the peer.",
        ),
        Reason.CLOSED_EARLY: Symptom(
            "A port probe, a load balancer's check, or a client that died.", "Nothing: the peer has gone."
        ),
        Reason.HANDSHAKE_TIMEOUT: Symptom(
            "A client that waits for the server to speak first, or a network that drops large packets.",
            "The end of the connection after the listener's limit.",
        ),
        Reason.TOO_MANY_HANDSHAKES: Symptom(
            "Something opens connections faster than it completes handshakes.",
            "The oldest unfinished connection ends without an alert.",
        ),
        Reason.PROTOCOL_ERROR: Symptom(
            "A TLS library that breaks a rule, or bytes that were changed on the way.",
            "The alert that names the fault, as decode_error or illegal_parameter.",
        ),
        Reason.NOT_FIPS_APPROVED: Symptom(
            "The node is in FIPS mode; the peer has only ChaCha20, a TLS_RSA suite, X25519, or a weak certificate.",
            "Alert handshake_failure where no approved suite or group is offered; unknown_ca for a certificate. An "
            "upload is refused with the reason.",
        ),
        Reason.SELF_TEST_FAILED: Symptom(
            "The module's file was changed, or a computation went wrong once.",
            "Nothing: the node opens no listener, so connections are refused by the network.",
        ),
        Reason.UNREACHABLE: Symptom(
            "A wrong address or port, or a service that is stopped.",
            "Nothing reaches the peer. A SIP request that needed it gets 503 with Retry-After and a Warning; "
            "an XMPP stanza bounces.",
        ),
        Reason.NOT_IN_ACCESS_LIST: Symptom(
            "The client comes over UDP, TCP or the server-authenticated port from an address that is not listed.",
            "SIP 403 with the reason in a Warning header.",
        ),
        Reason.NO_TRUNK: Symptom(
            "CUCM has no SIP trunk whose destination is this peer, or none that uses the matching profile.",
            "SIP 403 with the reason in a Warning header, then the end of the connection.",
        ),
        Reason.NO_SECURITY_PROFILE: Symptom(
            "The trunk names a profile that does not exist or is not secure.",
            "SIP 403 with the reason in a Warning header; the trunk is out of service.",
        ),
        Reason.SUBJECT_NOT_IN_PROFILE: Symptom(
            "X.509 Subject Name in the profile has another name than the peer's certificate, often the host "
            "name without its domain.",
            "The handshake completes, then SIP 403 with the reason in a Warning header.",
        ),
        Reason.TRANSPORT_NOT_ALLOWED: Symptom(
            "The peer comes over TCP to a trunk whose profile takes TLS, or the reverse.",
            "SIP 403 with the reason in a Warning header.",
        ),
        Reason.FEATURE_NOT_ALLOWED: Symptom(
            "A box of the profile is not ticked, as Accept Presence Subscription.",
            "SIP 403 with the reason in a Warning header; the connection stays.",
        ),
        Reason.NULL_CIPHER_UNAVAILABLE: Symptom(
            "Device security mode Authenticated on a system whose OpenSSL has no NULL cipher.",
            "No connection is made; the trunk is out of service.",
        ),
        Reason.IDENTITY_MISMATCH: Symptom(
            "The certificate of the next hop names its host and not the SIP domain.",
            "The handshake completes, then the client closes; the request gets 503 with a Warning.",
        ),
        Reason.BAD_CREDENTIALS: Symptom(
            "A wrong password or user name, or a disabled account: the peer is not told which.",
            "SASL failure not-authorized, account-disabled or invalid-authzid.",
        ),
        Reason.LOCKED_OUT: Symptom(
            "Too many wrong passwords for one account in a row, by a person or by a program that retries.",
            "On the administration pages and the API HTTP 401 with a text that says for how long.",
        ),
        Reason.LOGIN_IN_THE_CLEAR: Symptom(
            "The client does not use STARTTLS.",
            "SASL failure encryption-required, or stream error policy-violation where TLS is required.",
        ),
        Reason.LOGIN_NOT_CARRIED_THROUGH: Symptom(
            "A mechanism that is not offered, a broken SCRAM message, or a peer that gave up.",
            "SASL failure invalid-mechanism, malformed-request, incorrect-encoding or aborted.",
        ),
        Reason.UNKNOWN_ROUTER: Symptom(
            "A router of no node of this cluster or a peer cluster, or one that speaks from another address.",
            "SASL failure not-authorized on port 7400, then the end of the stream.",
        ),
        Reason.UNKNOWN_COMPONENT: Symptom(
            "The component's domain is missing in the lab file, or written otherwise there.",
            "Stream error host-unknown on port 5347, before the handshake.",
        ),
        Reason.WRONG_COMPONENT_HANDSHAKE: Symptom(
            "The secrets differ, or the digest is not that of stream id and secret.",
            "Stream error not-authorized after the handshake.",
        ),
        Reason.FORGED_COMPONENT_SENDER: Symptom(
            "The component keeps the `from` of a stanza that it passes on.",
            "Stream error invalid-from, and the end of the stream.",
        ),
        Reason.NOT_HOME_NODE: Symptom(
            "The client was pointed at another node than its user's.",
            "The login succeeds, then stream error see-other-host with the home node.",
        ),
        Reason.XMPP_DOMAIN_MISMATCH: Symptom(
            "The certificate carries the host's name and not the XMPP domain.",
            "SASL failure not-authorized, or dialback where the security mode allows it.",
        ),
        Reason.DIALBACK_FAILED: Symptom(
            "The nodes of a domain have different dialback secrets, or DNS leads to another server.",
            "A dialback answer of type invalid, or of type error with its condition.",
        ),
        Reason.DOMAIN_NOT_ALLOWED: Symptom(
            "The policy is Deny and the domain is not among the exceptions.",
            "Stream error policy-violation; a user's stanza to such a domain bounces with not-allowed.",
        ),
        Reason.SECURITY_MODES_DIFFER: Symptom(
            "One side requires TLS and the other does not offer or use it.",
            "Stream error not-authorized or unsupported-feature; waiting stanzas bounce.",
        ),
        Reason.FORGED_SENDER: Symptom(
            "A stanza or stream in the name of a domain that was not proven.",
            "Stream error invalid-from, host-unknown or improper-addressing.",
        ),
    }
)
"One entry a reason."
