"""What a TLS listener and a dialler are told. Frozen: a service keeps what it started with."""

from dataclasses import dataclass, field
from enum import StrEnum

from certs.credential import Credential
from certs.purposes import ServiceName, TrustStoreName


class TlsVersion(StrEnum):
    """The versions of TLS that the lab speaks."""

    TLS_1_0 = "TLSv1"
    TLS_1_1 = "TLSv1.1"
    TLS_1_2 = "TLSv1.2"
    TLS_1_3 = "TLSv1.3"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustPolicy:
    """Which peers are trusted, and the product's words for it, which the verdict's remedy names."""

    certificates: tuple[bytes, ...] = ()
    "The trust store's certificates in PEM."

    peer_subjects: frozenset[str] | None = None
    "The CNs of the TLS context's selected TLS peer subjects; None lets every trusted subject in."

    trust_store: TrustStoreName | None = None
    "The store's name, for remedies."

    tls_context: str = ""
    "The TLS context's name, for remedies."

    services: tuple[ServiceName, ...] = ()
    "The services that must restart before a change of trust takes effect, for remedies."

    node: str = ""
    "The node's name, for remedies."

    clause: str = ""
    "The guide clause that asks for this trust; empty means the TLS context's (G13, G19)."

    is_live: bool = False
    "Whether a change of the store takes effect at the next handshake, without a restart."


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsServerSettings:
    """How a listener shakes hands."""

    credential: Credential = field(repr=False)
    "What it shows."

    require_client_certificate: bool
    "Peer authentication (mutual TLS) or server authentication only."

    trust: TrustPolicy = field(default_factory=TrustPolicy)
    "Whom it lets in, where it asks for a certificate."

    request_client_certificate: bool = False
    "Asks, and lets in who shows none or one that is not trusted: `Verdict.disbelieved` says which it is."

    minimum_version: TlsVersion = TlsVersion.TLS_1_2
    "The lowest version it accepts."

    maximum_version: TlsVersion = TlsVersion.TLS_1_3
    "The highest version it accepts."

    ciphers: str = ""
    "OpenSSL cipher list for TLS 1.2 and lower; empty for the library's default."

    security_level: int = 2
    "OpenSSL's security level, for what the peer shows: below 2 weak keys and SHA-1 are believed."

    handshake_timeout: float = 10.0
    "Seconds a handshake may take, the peer's silence included."

    maximum_handshakes: int = 4096
    "How many unfinished handshakes one listener holds; the oldest is ended for a new one."


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsClientSettings:
    """How a dialler shakes hands."""

    trust: TrustPolicy
    "Which servers it believes."

    credential: Credential | None = field(default=None, repr=False)
    "What it shows when asked; None shows nothing."

    server_name: str = ""
    "The name for SNI and, with `check_host_name`, the name the certificate must carry."

    check_host_name: bool = False
    "Whether the name is checked inside the handshake (RFC 6125, RFC 9525)."

    verify: bool = True
    "False accepts any certificate; only probes do that."

    believe_anyway: bool = False
    "Goes on where the certificate is not trusted: `Verdict.disbelieved` says why."

    minimum_version: TlsVersion = TlsVersion.TLS_1_2
    "The lowest version it offers."

    maximum_version: TlsVersion = TlsVersion.TLS_1_3
    "The highest version it offers."

    ciphers: str = ""
    "OpenSSL cipher list for TLS 1.2 and lower; empty for the library's default."

    security_level: int = 2
    "OpenSSL's security level, for what the peer shows: below 2 weak keys and SHA-1 are believed."

    handshake_timeout: float = 10.0
    "Seconds for connecting and shaking hands together."
