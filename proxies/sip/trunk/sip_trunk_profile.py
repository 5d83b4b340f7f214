"""SIP trunk security profiles and SIP trunks, as on CUCM's administration pages (Security Guide; G12)."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from certs.errors import ConfigError
from proxies.sip.transport.flow import Destination, Transport

MAXIMUM_SUBJECT_NAMES: Final = 4096
"Characters that the page's field X.509 Subject Name holds."

_SEPARATORS: Final = re.compile(r"[\s,;:]+")


class DeviceSecurityMode(StrEnum):
    """How a trunk protects its signalling; the value is the page's word."""

    NON_SECURE = "Non Secure"
    AUTHENTICATED = "Authenticated"
    ENCRYPTED = "Encrypted"

    @property
    def secure(self) -> bool:
        """Whether both ends show certificates."""
        return self is not DeviceSecurityMode.NON_SECURE


class IncomingTransportType(StrEnum):
    """What a trunk takes; the value is the page's word."""

    TCP_UDP = "TCP+UDP"
    TLS = "TLS"

    @property
    def transports(self) -> frozenset[Transport]:
        """The transports that it stands for."""
        if self is IncomingTransportType.TLS:
            return frozenset({Transport.TLS})
        return frozenset({Transport.TCP, Transport.UDP})


class GatedFeature(StrEnum):
    """What a profile's check boxes let in; the value is the check box's label."""

    PRESENCE_SUBSCRIPTION = "Accept Presence Subscription"
    OUT_OF_DIALOG_REFER = "Accept Out-of-Dialog REFER"
    UNSOLICITED_NOTIFICATION = "Accept Unsolicited Notification"
    REPLACES_HEADER = "Accept Replaces Header"


@dataclass(frozen=True, slots=True, kw_only=True)
class SipTrunkSecurityProfile:
    """One SIP trunk security profile. Defaults are those of the page's "Non Secure SIP Trunk Profile"."""

    name: str
    "Its name, which trunks refer to."

    description: str = ""
    "Free text for people."

    device_security_mode: DeviceSecurityMode = DeviceSecurityMode.NON_SECURE
    "Plain, integrity only (TLS with a NULL cipher), or encrypted."

    incoming_transport_type: IncomingTransportType = IncomingTransportType.TCP_UDP
    "What the trunk takes."

    outgoing_transport_type: Transport = Transport.TCP
    "What the trunk sends over."

    x509_subject_names: frozenset[str] = frozenset()
    "The CNs an incoming certificate may carry, from `parse_subject_names`; without one nobody gets in."

    incoming_port: int = 5060
    "Where the trunk is listened for: 5060 for TCP and UDP, 5061 for TLS, unless changed."

    accept_presence_subscription: bool = False
    "Whether SUBSCRIBE for presence is taken."

    accept_out_of_dialog_refer: bool = False
    "Whether REFER outside a dialog is taken."

    accept_unsolicited_notification: bool = False
    "Whether NOTIFY outside a subscription is taken."

    accept_replaces_header: bool = False
    "Whether an INVITE may replace a dialog (RFC 3891)."

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise ConfigError("name: a SIP trunk security profile needs a name")
        if not 0 <= self.incoming_port < 65536:
            raise ConfigError(f"incoming_port: {self.incoming_port} is not a port")
        secure = self.device_security_mode.secure
        if secure != (self.incoming_transport_type is IncomingTransportType.TLS):
            wanted = IncomingTransportType.TLS if secure else IncomingTransportType.TCP_UDP
            raise ConfigError(
                f"incoming_transport_type: {self.device_security_mode} takes {wanted}, "
                f"not {self.incoming_transport_type}"
            )
        if secure != (self.outgoing_transport_type is Transport.TLS):
            raise ConfigError(
                f"outgoing_transport_type: {self.device_security_mode} sends over "
                f"{'TLS' if secure else 'TCP or UDP'}, not {self.outgoing_transport_type}"
            )
        if not secure and self.x509_subject_names:
            raise ConfigError("x509_subject_names: Non Secure shows no certificate to compare them with")

    def accepts(self, feature: GatedFeature) -> bool:
        """Return whether the feature's check box is ticked."""
        return {
            GatedFeature.PRESENCE_SUBSCRIPTION: self.accept_presence_subscription,
            GatedFeature.OUT_OF_DIALOG_REFER: self.accept_out_of_dialog_refer,
            GatedFeature.UNSOLICITED_NOTIFICATION: self.accept_unsolicited_notification,
            GatedFeature.REPLACES_HEADER: self.accept_replaces_header,
        }[feature]


@dataclass(frozen=True, slots=True, kw_only=True)
class SipTrunk:
    """One SIP trunk: a peer and the profile that says how to speak to it."""

    name: str
    "Its device name."

    destination_address: str
    "The peer's address or name in the lab."

    destination_port: int
    "The peer's port."

    security_profile: str
    "The name of its SIP trunk security profile; empty where none was chosen."

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise ConfigError("name: a SIP trunk needs a name")
        if not self.destination_address.strip():
            raise ConfigError(f"destination_address: SIP trunk {self.name!r} needs one")
        if not 0 < self.destination_port < 65536:
            raise ConfigError(f"destination_port: {self.destination_port} is not a port")


def parse_subject_names(text: str) -> frozenset[str]:
    """Parse the field X.509 Subject Name: names between spaces, commas, semicolons or colons.

    Raises ConfigError where the text is longer than the field.
    """
    if len(text) > MAXIMUM_SUBJECT_NAMES:
        raise ConfigError(
            f"x509_subject_names: {len(text)} characters, and the field holds {MAXIMUM_SUBJECT_NAMES}"
        )
    return frozenset(name for name in _SEPARATORS.split(text) if name)


def check_trunks(trunks: Iterable[SipTrunk], profiles: Iterable[SipTrunkSecurityProfile]) -> None:
    """Check what only all trunks together show.

    Raises ConfigError where a name is used twice, where two trunks share a subject name and incoming port, so
    that a connection could belong to either, or where one port would have to shake hands in two modes.
    """
    profiles_by_name: dict[str, SipTrunkSecurityProfile] = {}
    for profile in profiles:
        if profiles_by_name.setdefault(profile.name, profile) is not profile:
            raise ConfigError(f"name: two SIP trunk security profiles are called {profile.name!r}")
    _check_ports(profiles_by_name.values())
    names: set[str] = set()
    owners: dict[tuple[str, int], SipTrunk] = {}
    for trunk in trunks:
        if trunk.name in names:
            raise ConfigError(f"name: two SIP trunks are called {trunk.name!r}")
        names.add(trunk.name)
        used = profiles_by_name.get(trunk.security_profile)
        for subject in used.x509_subject_names if used is not None else ():
            assert used is not None
            owner = owners.setdefault((subject, used.incoming_port), trunk)
            if owner is not trunk:
                raise ConfigError(
                    f"x509_subject_names: {subject!r} on port {used.incoming_port} belongs to the trunks "
                    f"{owner.name!r} and {trunk.name!r}; one subject name and port pair per trunk"
                )


def _check_ports(profiles: Iterable[SipTrunkSecurityProfile]) -> None:
    modes: dict[int, SipTrunkSecurityProfile] = {}
    for profile in profiles:
        other = modes.setdefault(profile.incoming_port, profile)
        if other.device_security_mode is not profile.device_security_mode:
            raise ConfigError(
                f"incoming_port: {profile.incoming_port} is {other.device_security_mode} in {other.name!r} "
                f"and {profile.device_security_mode} in {profile.name!r}; give one of them another port"
            )


def trunk_destination(trunk: SipTrunk, profile: SipTrunkSecurityProfile) -> Destination:
    """Return where a trunk's requests go, over the profile's outgoing transport."""
    return Destination(
        transport=profile.outgoing_transport_type,
        host=trunk.destination_address,
        port=trunk.destination_port,
    )
