"""TLS between routers: what is shown, and what is trusted at the moment of each handshake (G22)."""

from collections.abc import Callable

from certs.credential import Credential
from certs.purposes import TrustStoreName
from proxies.clock import SchedulingClock
from proxies.observer import Observer
from proxies.tls import TlsClientSettings, TlsServerSettings, TlsUpgrade, TrustPolicy

LiveTrust = Callable[[], tuple[bytes, ...]]
"Gives the certificates of `cup-xmpp-trust` as they are now, in PEM: replication takes effect by itself."


class RouterTrust:
    """Makes the TLS of links, anew where replication has changed what is trusted."""

    def __init__(
        self,
        credential: Credential,
        trusted: LiveTrust,
        *,
        node: str,
        clock: SchedulingClock,
        observer: Observer,
    ) -> None:
        self._credential = credential
        self._trusted = trusted
        self._node = node
        self._clock = clock
        self._observer = observer
        self._made: dict[str, tuple[tuple[bytes, ...], TlsUpgrade]] = {}

    def accepting(self) -> TlsUpgrade:
        """Return the TLS of links that others open to us: both sides show `cup-xmpp`."""
        return self._upgrade("")

    def dialling(self, fqdn: str) -> TlsUpgrade:
        """Return the TLS of our link to a node, whose certificate must carry its name."""
        return self._upgrade(fqdn)

    def _upgrade(self, fqdn: str) -> TlsUpgrade:
        certificates = self._trusted()
        made = self._made.get(fqdn)
        if made is not None and made[0] == certificates:
            return made[1]
        store = TrustStoreName.CUP_XMPP_TRUST
        trust = TrustPolicy(
            certificates=certificates,
            trust_store=store,
            node=self._node,
            clause="G22",
            is_live=True,
        )
        settings = (
            TlsClientSettings(
                trust=trust, credential=self._credential, server_name=fqdn, check_host_name=True
            )
            if fqdn
            else TlsServerSettings(credential=self._credential, require_client_certificate=True, trust=trust)
        )
        upgrade = TlsUpgrade(settings, clock=self._clock, observer=self._observer)
        self._made[fqdn] = certificates, upgrade
        return upgrade
