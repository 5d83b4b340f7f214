"""What may be federated with other XMPP domains, and how securely (Presence > Inter-Domain Federation > XMPP)."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from certs.credential import Credential
from certs.errors import ConfigError
from proxies.xmpp.streams.settings import TlsOffer


class FederationSecurityMode(StrEnum):
    """The security mode of XMPP federation; the value is its name on the page."""

    NO_TLS = "No TLS"
    TLS_OPTIONAL = "TLS Optional"
    TLS_REQUIRED = "TLS Required"


MINIMUM_DIALBACK_SECRET: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class FederationPolicy:
    """XMPP Federation > Settings and Policy; the defaults are the product's."""

    security_mode: FederationSecurityMode = FederationSecurityMode.TLS_OPTIONAL
    "Security Mode."

    require_client_side_certificates: bool = False
    """Require client-side security certificates: the other server must show one that `cup-xmpp-trust` trusts and that
    carries its domain. So TLS Optional becomes TLS Required: in the clear nothing can be shown."""

    enable_sasl_external: bool = True
    "Enable SASL EXTERNAL on all incoming connections (XEP-0178)."

    dialback_secret: str = field(default="", repr=False)
    "Dialback secret (XEP-0185), the same on all nodes; empty takes the one that the cluster drew when installed."

    allowed_domains: frozenset[str] | None = None
    "Domains that may federate, with their subdomains (policy Deny, with exceptions); None allows all."

    def __post_init__(self) -> None:
        if 0 < len(self.dialback_secret) < MINIMUM_DIALBACK_SECRET:
            raise ConfigError(
                f"Dialback secret: expected at least {MINIMUM_DIALBACK_SECRET} characters, "
                f"seen {len(self.dialback_secret)}"
            )
        if self.require_client_side_certificates and self.security_mode is FederationSecurityMode.NO_TLS:
            raise ConfigError("Require client-side security certificates: expected a security mode with TLS")

    @property
    def tls_offer(self) -> TlsOffer:
        """What streams that begin in the clear are offered, and what is asked of other servers."""
        if self.security_mode is FederationSecurityMode.NO_TLS:
            return TlsOffer.NONE
        if self.security_mode is FederationSecurityMode.TLS_REQUIRED or self.require_client_side_certificates:
            return TlsOffer.REQUIRED
        return TlsOffer.OPTIONAL

    def allows(self, domain: str) -> bool:
        """Whether a domain may federate; a domain's text conferences are in its subdomains."""
        allowed = self.allowed_domains
        return allowed is None or any(domain == one or domain.endswith(f".{one}") for one in allowed)


@dataclass(frozen=True, slots=True, kw_only=True)
class FederationLimits:
    """How long and how much federation waits."""

    connect: float = 5.0
    "Seconds for connecting to one of a domain's servers."

    negotiation: float = 15.0
    "Seconds until a stream that carries no stanzas yet is given up."

    first_retry: float = 0.5
    "Seconds until the first new attempt; each further one waits twice as long."

    last_retry: float = 10.0
    "The longest wait between two attempts."

    patience: float = 20.0
    "Seconds that stanzas wait for a stream; then they bounce, and the next one begins anew."

    queue: int = 1000
    "Stanzas that wait for one domain pair's stream; those that come then bounce."

    pairs: int = 1000
    "Domain pairs that we send for at a time."

    verifications: int = 64
    "Dialback keys that are verified at a time: each costs us a connection."

    verification: float = 15.0
    "Seconds for the authoritative server to answer."

    idle: float = 600.0
    "Seconds without a stanza after which we close a stream that we opened."

    servers: int = 8
    "Servers of one domain that are tried in one attempt."

    connections: int = 1000
    "Streams that others may have open to us."

    bytes_per_second: float = 8 * 1024 * 1024
    "How fast a server is read."

    burst: float = 16 * 1024 * 1024
    "Bytes that a server may send at once."


@dataclass(frozen=True, slots=True, kw_only=True)
class FederationSettings:
    """One node's federation connection manager. Frozen: it keeps them until it restarts (G11)."""

    node: str
    "The node's name in the topology."

    address: str
    "The node's address."

    port: int = 5269
    "Where other servers connect."

    domains: frozenset[str]
    "The presence domains."

    policy: FederationPolicy
    "Settings and policy."

    dialback_secret: str = field(repr=False)
    "The secret of our domains, the same on every node of the cluster."

    credential: Credential = field(repr=False)
    "The `cup-xmpp-s2s` certificate, shown to servers that connect and to those that we connect to."

    trusted: tuple[bytes, ...]
    "The certificates of `cup-xmpp-trust` in PEM."

    limits: FederationLimits = field(default_factory=FederationLimits)
    "How long and how much it waits."
