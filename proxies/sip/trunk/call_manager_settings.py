"""What the service Cisco CallManager of a node starts with."""

from dataclasses import dataclass, field

from certs.credential import Credential
from certs.errors import ConfigError
from proxies.sip.transport.settings import TransportLimits
from proxies.sip.trunk.sip_trunk_profile import SipTrunk, SipTrunkSecurityProfile, check_trunks


@dataclass(frozen=True, slots=True, kw_only=True)
class CallManagerSettings:
    """A frozen copy of a CUCM node's configuration and certificates: a change needs a restart (G17)."""

    node: str
    "The node's name in the lab."

    address: str
    "The node's own address."

    credential: Credential = field(repr=False)
    "Its certificate `CallManager`."

    trusted_certificates: tuple[bytes, ...] = field(default=(), repr=False)
    "The certificates of `Callmanager-trust` in PEM."

    security_profiles: tuple[SipTrunkSecurityProfile, ...] = ()
    "Its SIP trunk security profiles."

    trunks: tuple[SipTrunk, ...] = ()
    "Its SIP trunks."

    lines: frozenset[str] = frozenset()
    "The directory numbers of its phones, which answer calls."

    sip_port: int = 5060
    "Listened on over UDP and TCP, whatever the profiles say."

    sip_tls_port: int = 5061
    "Listened on over TLS, whatever the profiles say."

    options_ping_interval: float | None = 60.0
    "Seconds between OPTIONS pings of each trunk; None sends none."

    time_limit: float = 32.0
    "Seconds after which a request that the node sends is given up."

    limits: TransportLimits = field(default_factory=TransportLimits)
    "Bounds on what peers can take."

    def __post_init__(self) -> None:
        check_trunks(self.trunks, self.security_profiles)
        for profile in self.security_profiles:
            if profile.device_security_mode.secure and profile.incoming_port == self.sip_port:
                raise ConfigError(
                    f"incoming_port: {profile.name!r} wants TLS on {self.sip_port}, the plain port"
                )
            if not profile.device_security_mode.secure and profile.incoming_port == self.sip_tls_port:
                raise ConfigError(f"incoming_port: {profile.name!r} wants {self.sip_tls_port}, the TLS port")
        if self.options_ping_interval is not None and self.options_ping_interval < 1:
            raise ConfigError(f"options_ping_interval: {self.options_ping_interval} is less than a second")
