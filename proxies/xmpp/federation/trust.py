"""TLS of federation: shows `cup-xmpp-s2s`, trusts `cup-xmpp-trust` as it was when the service started (G11)."""

from functools import lru_cache
from typing import Final

import idna

from certs.purposes import SERVICE_CERTIFICATES, ServiceFunction, ServiceName
from proxies.clock import SchedulingClock
from proxies.observer import Observer
from proxies.tls import TlsClientSettings, TlsServerSettings, TlsUpgrade, TrustPolicy
from proxies.xmpp.federation.settings import FederationSettings

_USE: Final = SERVICE_CERTIFICATES[ServiceFunction.XMPP_FEDERATION]

_KEPT: Final = 64
"Domains whose TLS settings are kept made."


class FederationTls:
    """Both ends of TLS, strict or not, as `Require client-side security certificates` says.

    Where it is not required a certificate that nobody trusts proves nothing, and dialback has to.
    """

    def __init__(self, settings: FederationSettings, *, clock: SchedulingClock, observer: Observer) -> None:
        """Prepare. Raises CertificateError where a certificate cannot be used."""
        self._settings = settings
        self._strict = settings.policy.require_client_side_certificates
        self._trust = TrustPolicy(
            certificates=settings.trusted,
            trust_store=_USE.trust,
            services=(ServiceName.XCP_XMPP_FEDERATION,),
            node=settings.node,
            clause=_USE.clause,
        )
        self._clock = clock
        self._observer = observer
        accepting = TlsServerSettings(
            credential=settings.credential,
            require_client_certificate=self._strict,
            request_client_certificate=True,
            trust=self._trust,
        )
        self.accepting = TlsUpgrade(accepting, clock=clock, observer=observer)
        "For streams that others open."
        self.dialling = lru_cache(maxsize=_KEPT)(self._dialling)
        "For streams that we open to a domain: asks for it by SNI."

    def _dialling(self, domain: str) -> TlsUpgrade:
        dialling = TlsClientSettings(
            trust=self._trust,
            credential=self._settings.credential,
            server_name=_sni(domain),
            believe_anyway=not self._strict,
        )
        return TlsUpgrade(dialling, clock=self._clock, observer=self._observer)


def _sni(domain: str) -> str:
    """Return a domain as it goes into the handshake (RFC 6066 3), or nothing where it cannot."""
    try:
        return idna.encode(domain, uts46=True).decode("ascii")
    except idna.IDNAError:
        return ""
