"""What a probe is told, and what its files hold."""

import ssl
from dataclasses import dataclass, field, replace
from pathlib import Path

from certs.credential import Credential
from certs.errors import ConfigError
from certs.presented import parse_certificates
from certs.storage import read_file
from proxies.tls import TlsClientSettings, TrustPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeOptions:
    """How to look at a server."""

    trust: TrustPolicy
    "Whom to believe."

    server_name: str
    "The name to ask for by SNI, which the certificate must carry."

    domain: str
    "The XMPP domain to ask for; for SIP and HTTP the host."

    credential: Credential | None = field(default=None, repr=False)
    "What to show when asked."

    sender: str = ""
    "The domain that a stream to a server says it is from."

    path: str = "/httpbinding"
    "The path of BOSH."

    timeout: float = 10.0
    "Seconds for each step."

    @property
    def tls(self) -> TlsClientSettings:
        """How to shake hands."""
        return TlsClientSettings(
            trust=self.trust,
            credential=self.credential,
            server_name=self.server_name,
            check_host_name=bool(self.server_name),
            handshake_timeout=self.timeout,
        )

    @property
    def tls_without_belief(self) -> TlsClientSettings:
        """The same, but whoever is there: to look at what lies behind a certificate that was refused."""
        return replace(self.tls, verify=False, check_host_name=False)


def load_trust(ca: Path | None) -> TrustPolicy:
    """Return what to believe: the certificates of a PEM file, or those that this machine trusts.

    Raises CertificateError where the file holds none.
    """
    if ca is not None:
        pem = read_file(ca)
        parse_certificates(pem)
        return TrustPolicy(certificates=(pem,))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_default_certs()
    system = context.get_ca_certs(binary_form=True)
    return TrustPolicy(certificates=tuple(ssl.DER_cert_to_PEM_cert(der).encode() for der in system))


def load_credential(certificate: Path | None, key: Path | None) -> Credential | None:
    """Return what to show: a chain and its key, from two files or from one that holds both.

    Raises ConfigError where the key is missing, CertificateError where a file cannot be read.
    """
    if certificate is None:
        if key is not None:
            raise ConfigError("--key needs --cert, the certificate that it belongs to")
        return None
    chain = read_file(certificate)
    parse_certificates(chain)
    if key is None and b"PRIVATE KEY-----" not in chain:
        raise ConfigError(f"--cert: {certificate} holds no private key; give the key's file by --key")
    return Credential(chain_pem=chain, key_pem=chain if key is None else read_file(key))
