"""What may be federated with other XMPP domains, and how securely (Presence > Inter-Domain Federation > XMPP)."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from certs.errors import ConfigError


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
    "Require client-side security certificates: the other server must show one that `cup-xmpp-trust` trusts."

    enable_sasl_external: bool = True
    "Enable SASL EXTERNAL on all incoming connections (XEP-0178)."

    dialback_secret: str = field(default="", repr=False)
    "Dialback secret (XEP-0185); empty makes the service draw one at its start. All nodes need the same."

    allowed_domains: frozenset[str] | None = None
    "Domains that may federate (policy Deny, with exceptions); None allows all."

    def __post_init__(self) -> None:
        if 0 < len(self.dialback_secret) < MINIMUM_DIALBACK_SECRET:
            raise ConfigError(
                f"Dialback secret: expected at least {MINIMUM_DIALBACK_SECRET} characters, "
                f"seen {len(self.dialback_secret)}"
            )
        if self.require_client_side_certificates and self.security_mode is FederationSecurityMode.NO_TLS:
            raise ConfigError("Require client-side security certificates: expected a security mode with TLS")
