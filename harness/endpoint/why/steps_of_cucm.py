"""What mends a refusal by a CUCM node: trunks and their security profiles (G12)."""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Final

from certs.verdict import Reason
from harness.endpoint.why.steps import Step
from harness.endpoint.why.steps_of_imp import trust_peer
from harness.evidence.ledger import Judged
from harness.nodes.node import CucmNode
from proxies.sip.transport.flow import Transport
from proxies.sip.trunk.sip_trunk_profile import (
    DeviceSecurityMode,
    GatedFeature,
    IncomingTransportType,
    SipTrunk,
    SipTrunkSecurityProfile,
)

_FIELDS: Final[Mapping[GatedFeature, str]] = MappingProxyType(
    {
        GatedFeature.PRESENCE_SUBSCRIPTION: "accept_presence_subscription",
        GatedFeature.OUT_OF_DIALOG_REFER: "accept_out_of_dialog_refer",
        GatedFeature.UNSOLICITED_NOTIFICATION: "accept_unsolicited_notification",
        GatedFeature.REPLACES_HEADER: "accept_replaces_header",
    }
)


async def make_trunk(node: CucmNode, judged: Judged) -> AsyncIterator[Step]:
    """Make the profile and the trunk that the peer lacks, or select the profile in its trunk."""
    administration, secure = node.administration, judged.connection.transport == Transport.TLS
    address, port = judged.connection.peer[0], judged.connection.local[1]
    subject = judged.verdict.subject
    profiles = await administration.sip_trunk_security_profiles()
    trunks = await administration.sip_trunks()
    profile = next((each for each in profiles if _fits(each, port, subject, secure)), None)
    if profile is None:
        profile = _profile(subject or address, port, subject, secure)
        yield Step(
            page=f"{node.plan.name}, System > Security > SIP Trunk Security Profile: {profile.name!r}, "
            f"{profile.device_security_mode}, incoming port {port}"
            + (f", X.509 Subject Name {subject}" if secure else ""),
            do=partial(administration.save_sip_trunk_security_profile, profile),
        )
    trunk = next((each for each in trunks if each.destination_address == address), None)
    if trunk is None or trunk.security_profile != profile.name:
        trunk = SipTrunk(
            name=trunk.name if trunk else f"trunk-to-{address}",
            destination_address=address,
            destination_port=trunk.destination_port if trunk else (5061 if secure else 5060),
            security_profile=profile.name,
        )
        yield Step(
            page=f"{node.plan.name}, Device > Trunk: {trunk.name!r} to {address}:{trunk.destination_port} with the "
            f"profile {profile.name!r}",
            do=partial(administration.save_sip_trunk, trunk),
        )


async def add_subject_name(node: CucmNode, judged: Judged) -> AsyncIterator[Step]:
    """Add the peer's subject to the profile that listens on the port it came to."""
    subject, port = judged.verdict.subject, judged.connection.local[1]
    for profile in await node.administration.sip_trunk_security_profiles():
        if profile.device_security_mode.secure and profile.incoming_port == port:
            if subject and subject not in profile.x509_subject_names:
                names = profile.x509_subject_names | {subject}
                yield Step(
                    page=f"{node.plan.name}, System > Security > SIP Trunk Security Profile {profile.name!r}: add "
                    f"{subject} to X.509 Subject Name",
                    do=partial(
                        node.administration.save_sip_trunk_security_profile,
                        replace(profile, x509_subject_names=names),
                    ),
                )
            return


async def check_box(node: CucmNode, judged: Judged) -> AsyncIterator[Step]:
    """Check the box of the profile that the request needs; the verdict's detail names both."""
    detail = judged.verdict.detail
    for profile in await node.administration.sip_trunk_security_profiles():
        for feature, name in _FIELDS.items():
            wanted = f"needs {feature.value!r} in profile {profile.name!r}" in detail
            if wanted and not profile.accepts(feature):
                yield Step(
                    page=f"{node.plan.name}, System > Security > SIP Trunk Security Profile {profile.name!r}: check "
                    f"{feature.value}",
                    do=partial(
                        node.administration.save_sip_trunk_security_profile,
                        replace(profile, **{name: True}),  # type: ignore[arg-type]
                    ),
                )


CUCM_STEPS: Final[Mapping[Reason, Callable[[CucmNode, Judged], AsyncIterator[Step]]]] = MappingProxyType(
    {
        Reason.UNTRUSTED_ISSUER: trust_peer,
        Reason.INCOMPLETE_CHAIN: trust_peer,
        Reason.NO_TRUNK: make_trunk,
        Reason.NO_SECURITY_PROFILE: make_trunk,
        Reason.SUBJECT_NOT_IN_PROFILE: add_subject_name,
        Reason.FEATURE_NOT_ALLOWED: check_box,
    }
)
"The reasons that a CUCM node's administrator can mend."


def _fits(profile: SipTrunkSecurityProfile, port: int, subject: str, secure: bool) -> bool:
    if profile.incoming_port != port or profile.device_security_mode.secure is not secure:
        return False
    return not secure or subject in profile.x509_subject_names


def _profile(name: str, port: int, subject: str, secure: bool) -> SipTrunkSecurityProfile:
    return SipTrunkSecurityProfile(
        name=f"{'Secure' if secure else 'Non Secure'} SIP Trunk Profile for {name}",
        description="made by imp-harness why",
        device_security_mode=DeviceSecurityMode.ENCRYPTED if secure else DeviceSecurityMode.NON_SECURE,
        incoming_transport_type=IncomingTransportType.TLS if secure else IncomingTransportType.TCP_UDP,
        outgoing_transport_type=Transport.TLS if secure else Transport.TCP,
        x509_subject_names=frozenset({subject}) if secure and subject else frozenset(),
        incoming_port=port,
        accept_presence_subscription=True,
        accept_out_of_dialog_refer=True,
        accept_unsolicited_notification=True,
        accept_replaces_header=True,
    )
