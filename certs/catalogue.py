"""The verdict catalogue: for every reason its rule, its clause and what mends it, as data.

Where the guide is silent the clause is the section of the RFC. `{…}` in a remedy is filled by `explain`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from certs.purposes import ServiceName, TrustStoreName
from certs.verdict import Reason


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a person reads of a verdict."""

    rule: str
    "The rule, in one sentence."

    clause: str
    "The guide clause, or the section of an RFC."

    remedy: str
    "What to do; empty for an accepted peer."


_CERTIFICATE_MANAGEMENT: Final = (
    "Cisco Unified OS Administration > Security > Certificate Management{on_node}"
)

CATALOGUE: Final[Mapping[Reason, Explanation]] = MappingProxyType(
    {
        Reason.ACCEPTED: Explanation(
            "The chain leads to a trusted certificate and the subject is one that is let in.", "G19", ""
        ),
        Reason.NO_CERTIFICATE: Explanation(
            "A peer-authenticated listener lets in only peers that show a certificate.",
            "G19",
            "Give the peer a certificate and key to show, import it into {trust_store}{on_node}, {restart}.",
        ),
        Reason.UNTRUSTED_ISSUER: Explanation(
            "A peer's chain must end in a certificate of the trust store.",
            "G13",
            "Import the peer's certificate, or its issuer's, into {trust_store}: System > Security > "
            f"Certificate Import Tool, or by hand in {_CERTIFICATE_MANAGEMENT}; {{restart}}.",
        ),
        Reason.INCOMPLETE_CHAIN: Explanation(
            "Every certificate between the peer's own and a trusted one must be presented or trusted.",
            "RFC 8446 4.4.2",
            "Let the peer send its intermediate certificates, or import the missing issuer into "
            f"{{trust_store}} in {_CERTIFICATE_MANAGEMENT}; {{restart}}.",
        ),
        Reason.EXPIRED: Explanation(
            "A certificate is not valid after its last day.",
            "RFC 5280 4.1.2.5",
            "Regenerate the certificate of {subject} on the peer, exchange it again, {restart}.",
        ),
        Reason.NOT_YET_VALID: Explanation(
            "A certificate is not valid before its first day.",
            "RFC 5280 4.1.2.5",
            "Compare the clocks of both machines; if they agree, regenerate the certificate of {subject}.",
        ),
        Reason.WRONG_KEY_USAGE: Explanation(
            "The extended key usage must allow what the key is used for: client or server authentication.",
            "RFC 5280 4.2.1.12",
            "Reissue the certificate of {subject} with serverAuth and clientAuth: a SIP node is both.",
        ),
        Reason.WEAK_KEY: Explanation(
            "A key must have 112 bits of security: RSA 2048, EC 224 or more.",
            "RFC 8446 D.5",
            "Regenerate the certificate of {subject} with RSA 2048 or EC P-256.",
        ),
        Reason.WEAK_SIGNATURE: Explanation(
            "A certificate must not be signed with MD5 or SHA-1.",
            "RFC 9155 3",
            "Have the certificate of {subject} signed again with SHA-256.",
        ),
        Reason.SUBJECT_NOT_IN_CONTEXT: Explanation(
            "A trusted peer is let in only if its subject CN is a selected TLS peer subject of the TLS context.",
            "G19",
            "Add {subject} in System > Security > TLS Peer Subjects, move it to Selected TLS Peer Subjects of "
            "{tls_context} in System > Security > TLS Context Configuration, {restart}.",
        ),
        Reason.HOST_NAME_MISMATCH: Explanation(
            "A server's certificate must carry the name that was asked for as a subject alternative name.",
            "RFC 9525 6",
            "Reissue the certificate of {subject} with that name as DNS name, or call the server by a name that "
            "its certificate carries.",
        ),
        Reason.BAD_CERTIFICATE: Explanation(
            "A certificate must be readable, and its signature right.",
            "RFC 5280 6.1",
            "Look at the presented chain in the ledger and have the broken certificate issued again.",
        ),
        Reason.PROTOCOL_VERSION: Explanation(
            "Both sides must offer one version of TLS in common; the lab takes 1.2 and 1.3.",
            "RFC 8446 4.1.3",
            "Let the peer offer TLS 1.2 or 1.3.",
        ),
        Reason.NO_SHARED_CIPHER: Explanation(
            "Both sides must offer one cipher suite in common.",
            "G19",
            "Compare the peer's cipher suites with the selected TLS ciphers of {tls_context}.",
        ),
        Reason.PLAIN_TEXT: Explanation(
            "A TLS port takes a TLS handshake and nothing else.",
            "RFC 8446 5",
            "Let the peer use TLS on this port, or the port for plain TCP.",
        ),
        Reason.NOT_TLS: Explanation(
            "The other end must answer a TLS handshake with TLS.",
            "RFC 8446 5",
            "Check the port: this one speaks no TLS.",
        ),
        Reason.PEER_ALERT: Explanation(
            "The peer refused the connection by an alert.",
            "RFC 8446 6.2",
            "Look into the peer's ledger or log for its reason; its alert is the hint.",
        ),
        Reason.CLOSED_EARLY: Explanation(
            "A handshake must be carried through.",
            "RFC 8446 6.1",
            "Look into the peer's log: it ended the connection without an alert. A port probe does the same.",
        ),
        Reason.HANDSHAKE_TIMEOUT: Explanation(
            "A handshake must be done within the listener's limit.",
            "RFC 8446 C.3",
            "Check that the peer speaks TLS on this port, and the network between the two.",
        ),
        Reason.TOO_MANY_HANDSHAKES: Explanation(
            "A listener holds a bounded number of unfinished handshakes; the oldest makes room.",
            "RFC 8446 C.3",
            "Find the peer that opens connections and says nothing.",
        ),
        Reason.PROTOCOL_ERROR: Explanation(
            "A handshake must follow the protocol.",
            "RFC 8446 6.2",
            "Look at the peer's TLS library; the alert that was sent names the fault.",
        ),
        Reason.NOT_FIPS_APPROVED: Explanation(
            "In FIPS mode only approved algorithms are used.",
            "G25",
            "Let the peer use an approved algorithm, or take this node out of FIPS mode: utils fips disable.",
        ),
        Reason.SELF_TEST_FAILED: Explanation(
            "A node in FIPS mode starts only when its cryptographic module is unchanged and passes its self-tests.",
            "G27",
            "Restart the node: a transient failure is gone then. If the test fails again, recover the node: "
            "imp-harness recover.",
        ),
        Reason.UNREACHABLE: Explanation(
            "A peer must be listening on the address and port.",
            "G13",
            "Check address and port, and that the peer's service is started.",
        ),
        Reason.NOT_IN_ACCESS_LIST: Explanation(
            "A peer that TLS has not authenticated must be in the incoming access list.",
            "RFC 3261 26.3.2.4",
            "Add the peer's address in System > Security > Incoming ACL, {restart}.",
        ),
        Reason.NO_TRUNK: Explanation(
            "CUCM takes requests only from peers that a SIP trunk names.",
            "G12",
            "Configure a SIP trunk to this peer on CUCM: Device > Trunk, {restart}.",
        ),
        Reason.NO_SECURITY_PROFILE: Explanation(
            "A secure SIP trunk needs a SIP trunk security profile for TLS.",
            "G12",
            "Configure one on CUCM in System > Security > SIP Trunk Security Profile and select it in the trunk, "
            "{restart}.",
        ),
        Reason.SUBJECT_NOT_IN_PROFILE: Explanation(
            "The subject CN of an incoming connection must be an X.509 subject name of the trunk's profile.",
            "G12",
            "Add {subject} to X.509 Subject Name in System > Security > SIP Trunk Security Profile, {restart}.",
        ),
        Reason.TRANSPORT_NOT_ALLOWED: Explanation(
            "A trunk takes only the incoming transports of its security profile.",
            "G12",
            "Use the profile's transport, or change Incoming Transport Type in the profile, {restart}.",
        ),
        Reason.FEATURE_NOT_ALLOWED: Explanation(
            "A trunk's security profile says which requests it accepts.",
            "G12",
            "Check the matching Accept box in System > Security > SIP Trunk Security Profile, {restart}.",
        ),
        Reason.NULL_CIPHER_UNAVAILABLE: Explanation(
            "Device security mode Authenticated is TLS with a NULL cipher: integrity without encryption.",
            "G12",
            "Choose Encrypted in the trunk's security profile; this OpenSSL offers no NULL cipher.",
        ),
        Reason.IDENTITY_MISMATCH: Explanation(
            "A SIP domain's certificate must carry the domain as a SIP identity.",
            "RFC 5922 7.2",
            "Reissue the certificate of {subject} with the domain as DNS name or sip: URI.",
        ),
        Reason.BAD_CREDENTIALS: Explanation(
            "A user is let in with the credentials of an account that is enabled here.",
            "RFC 6120 6.5.10",
            "Check user name and password, and that the account exists and is enabled{on_node}.",
        ),
        Reason.LOCKED_OUT: Explanation(
            "Repeated failures lock an account for a while, and only so many logins are looked at at a time.",
            "RFC 6749 10.10",
            "Wait until the lock ends, as the credential policy says, then log in with the right password{on_node}.",
        ),
        Reason.LOGIN_IN_THE_CLEAR: Explanation(
            "A password may travel only under TLS while client secure mode is on.",
            "G21",
            "Let the client use STARTTLS; in a lab without TLS clear the XMPP client secure mode in System > "
            "Security > Settings, {restart}.",
        ),
        Reason.LOGIN_NOT_CARRIED_THROUGH: Explanation(
            "A login must use an offered mechanism, and follow it to its end.",
            "RFC 6120 6.5",
            "Look at the detail: it names the step that went wrong; compare the client's mechanisms with ours.",
        ),
        Reason.UNKNOWN_ROUTER: Explanation(
            "A link is opened by the router of a node of this cluster or of a peer cluster, from its own address.",
            "G22",
            "Check that Cisco Intercluster Sync Agent runs on both nodes and that the clusters are peers; after a "
            "new intercluster peer restart Cisco XCP Router on all nodes of both clusters.",
        ),
        Reason.UNKNOWN_COMPONENT: Explanation(
            "A component may attach whose domain is among the cluster's components.",
            "RFC 6120 4.9.3.6",
            "Add the domain with a secret as [[clusters.components]] of this cluster to the lab file, or correct the "
            "domain that the component is set up with.",
        ),
        Reason.WRONG_COMPONENT_HANDSHAKE: Explanation(
            "A component proves with the digest of stream id and secret that it knows its secret.",
            "XEP-0114 3",
            "Give the component the secret that [[clusters.components]] in the lab file has for its domain; the "
            "digest is SHA-1 in small hexadecimal letters, of the stream's id followed by the secret.",
        ),
        Reason.FORGED_COMPONENT_SENDER: Explanation(
            "A component sends from addresses in its own domain.",
            "RFC 6120 4.9.3.9",
            "Let the component set `from` to its domain or to an address in it.",
        ),
        Reason.NOT_HOME_NODE: Explanation(
            "A user logs in at the node that the user is assigned to.",
            "RFC 6120 4.9.3.19",
            "Connect to the node in the detail, or assign the user to this one in System > Topology.",
        ),
        Reason.XMPP_DOMAIN_MISMATCH: Explanation(
            "A server's certificate must carry the XMPP domain that it speaks for.",
            "RFC 6120 13.7.2",
            "Set the server-to-server domain name in System > Security > Settings on the peer and regenerate its "
            "cup-xmpp-s2s certificate, so that it carries the domain as DNS name or XMPP address.",
        ),
        Reason.DIALBACK_FAILED: Explanation(
            "A domain's authoritative server must confirm the dialback key that came in its name.",
            "G11",
            "Give all nodes of the peer's domain the same dialback secret, and check that DNS leads from "
            "the domain to them.",
        ),
        Reason.DOMAIN_NOT_ALLOWED: Explanation(
            "With the policy Deny only the domains that are named may federate.",
            "G11",
            "Add the domain in Presence > Inter-Domain Federation > XMPP Federation > Policy, {restart}.",
        ),
        Reason.SECURITY_MODES_DIFFER: Explanation(
            "Where one server's security mode is TLS Required, the other's must not be No TLS.",
            "G11",
            "Choose TLS Optional or TLS Required for both in Presence > Inter-Domain Federation > XMPP Federation "
            "> Settings, {restart}.",
        ),
        Reason.FORGED_SENDER: Explanation(
            "A server sends for the domains that it has proven to be, and to the domains that are here.",
            "RFC 6120 4.9.3.9",
            "Look at the other server's log: what it sent is not from the domain that it opened the stream for.",
        ),
    }
)
"One entry a reason."

_ABOUT_TRUST: Final = frozenset({Reason.ACCEPTED, Reason.NO_CERTIFICATE, Reason.UNTRUSTED_ISSUER})
"The reasons whose clause depends on which service trusts whom."

_RESTART: Final = re.compile(r"[,;] \{restart\}")


def explain(
    reason: Reason,
    *,
    trust_store: TrustStoreName | None = None,
    tls_context: str = "",
    services: Sequence[ServiceName] = (),
    node: str = "",
    subject: str = "",
    trust_clause: str = "",
    trust_is_live: bool = False,
) -> Explanation:
    """Return the rule, clause and remedy of a reason, in the words of the place where it happened.

    `trust_clause` is the clause that asks for the trust there, where it is not the TLS context's (G13, G19);
    trust that is live takes effect without a restart.
    """
    entry = CATALOGUE[reason]
    clause = trust_clause if trust_clause and reason in _ABOUT_TRUST else entry.clause
    restart = f"restart {' and '.join(services)}" if services else "restart the service"
    remedy = _RESTART.sub("", entry.remedy) if trust_is_live else entry.remedy
    remedy = remedy.format(
        trust_store=trust_store or "the trust store",
        tls_context=tls_context or "the TLS context",
        restart=f"{restart} on {node}" if node else restart,
        on_node=f" on {node}" if node else "",
        subject=subject or "the peer",
    )
    return Explanation(entry.rule, clause, remedy)
