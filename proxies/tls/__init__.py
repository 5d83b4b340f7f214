"""TLS listener and dialler: every handshake ends with a verdict (DESIGN rule 4)."""

from proxies.tls.connection import PeerRefusedError, TlsConnection
from proxies.tls.dialler import Dialled, dial_tls
from proxies.tls.listener import TlsListener, listen_tls
from proxies.tls.settings import TlsClientSettings, TlsServerSettings, TlsVersion, TrustPolicy
from proxies.tls.upgrade import TlsUpgrade

__all__ = [
    "Dialled",
    "PeerRefusedError",
    "TlsClientSettings",
    "TlsConnection",
    "TlsListener",
    "TlsServerSettings",
    "TlsUpgrade",
    "TlsVersion",
    "TrustPolicy",
    "dial_tls",
    "listen_tls",
]
