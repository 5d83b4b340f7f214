"""The operations of a CUCM node: SIP trunk security profiles and SIP trunks (G12)."""

from typing import TYPE_CHECKING, Final, Literal

from pydantic import Field

from harness.web.api import models as m
from harness.web.api.operation import Answer, Body, Call, Operation
from proxies.sip.transport.flow import Transport
from proxies.sip.trunk.sip_trunk_profile import (
    DeviceSecurityMode,
    IncomingTransportType,
    SipTrunk,
    SipTrunkSecurityProfile,
)

if TYPE_CHECKING:
    from harness.nodes.node import CucmNode

PROFILES: Final = "CM Administration > System > Security > SIP Trunk Security Profile"
TRUNKS: Final = "CM Administration > Device > Trunk"


class Profile(Body):
    """A SIP trunk security profile."""

    name: str = Field(min_length=1, max_length=64)
    description: str = Field(default="", max_length=1024)
    device_security_mode: DeviceSecurityMode = DeviceSecurityMode.NON_SECURE
    incoming_transport_type: IncomingTransportType = IncomingTransportType.TCP_UDP
    outgoing_transport_type: Literal["TLS", "TCP", "UDP"] = "TCP"
    x509_subject_names: list[str] = Field(default=[], max_length=200)
    incoming_port: int = Field(default=5060, ge=1, le=65535)
    accept_presence_subscription: bool = False
    accept_out_of_dialog_refer: bool = False
    accept_unsolicited_notification: bool = False
    accept_replaces_header: bool = False


class Profiles(Body):
    """The SIP trunk security profiles."""

    profiles: list[Profile]


class Trunk(Body):
    """A SIP trunk."""

    name: str = Field(min_length=1, max_length=64)
    destination_address: str = Field(min_length=1, max_length=253)
    destination_port: int = Field(ge=1, le=65535)
    security_profile: str = Field(default="", max_length=64)


class Trunks(Body):
    """The SIP trunks."""

    trunks: list[Trunk]


class CucmOperations:
    """The operations of one node."""

    def __init__(self, node: "CucmNode") -> None:
        self._node = node
        self._administration = node.administration

    def operations(self) -> tuple[Operation, ...]:
        """Return the operations."""
        return (
            Operation(
                method="GET", path="/api/sip-trunk-security-profiles", name="list_profiles", tag=PROFILES,
                handle=self._list_profiles, answer=Profiles, summary="List the SIP trunk security profiles.",
            ),
            Operation(
                method="PUT", path="/api/sip-trunk-security-profiles", name="save_profile", tag=PROFILES,
                handle=self._save_profile, body=Profile, answer=m.Changed,
                summary="Save a new profile, or a changed one under its old name.",
            ),
            Operation(
                method="DELETE", path="/api/sip-trunk-security-profiles/{name}", name="delete_profile", tag=PROFILES,
                handle=self._delete_profile, answer=m.Changed, summary="Delete a profile that no trunk uses.",
            ),
            Operation(
                method="GET", path="/api/sip-trunks", name="list_trunks", tag=TRUNKS, handle=self._list_trunks,
                answer=Trunks, summary="List the SIP trunks.",
            ),
            Operation(
                method="PUT", path="/api/sip-trunks", name="save_trunk", tag=TRUNKS, handle=self._save_trunk,
                body=Trunk, answer=m.Changed, summary="Save a new SIP trunk, or a changed one under its old name.",
            ),
            Operation(
                method="DELETE", path="/api/sip-trunks/{name}", name="delete_trunk", tag=TRUNKS,
                handle=self._delete_trunk, answer=m.Changed, summary="Delete a SIP trunk.",
            ),
        )  # fmt: skip

    async def _list_profiles(self, call: Call) -> Answer:
        return Profiles(
            profiles=[
                Profile(
                    name=one.name,
                    description=one.description,
                    device_security_mode=one.device_security_mode,
                    incoming_transport_type=one.incoming_transport_type,
                    outgoing_transport_type=one.outgoing_transport_type.value,
                    x509_subject_names=sorted(one.x509_subject_names),
                    incoming_port=one.incoming_port,
                    accept_presence_subscription=one.accept_presence_subscription,
                    accept_out_of_dialog_refer=one.accept_out_of_dialog_refer,
                    accept_unsolicited_notification=one.accept_unsolicited_notification,
                    accept_replaces_header=one.accept_replaces_header,
                )
                for one in await self._administration.sip_trunk_security_profiles()
            ]
        )

    async def _save_profile(self, call: Call) -> Answer:
        body = call.body(Profile)
        profile = SipTrunkSecurityProfile(
            name=body.name,
            description=body.description,
            device_security_mode=body.device_security_mode,
            incoming_transport_type=body.incoming_transport_type,
            outgoing_transport_type=Transport(body.outgoing_transport_type),
            x509_subject_names=frozenset(body.x509_subject_names),
            incoming_port=body.incoming_port,
            accept_presence_subscription=body.accept_presence_subscription,
            accept_out_of_dialog_refer=body.accept_out_of_dialog_refer,
            accept_unsolicited_notification=body.accept_unsolicited_notification,
            accept_replaces_header=body.accept_replaces_header,
        )
        return m.changed(await self._administration.save_sip_trunk_security_profile(profile))

    async def _delete_profile(self, call: Call) -> Answer:
        return m.changed(await self._administration.delete_sip_trunk_security_profile(call.path["name"]))

    async def _list_trunks(self, call: Call) -> Answer:
        return Trunks(
            trunks=[
                Trunk(
                    name=one.name,
                    destination_address=one.destination_address,
                    destination_port=one.destination_port,
                    security_profile=one.security_profile,
                )
                for one in await self._administration.sip_trunks()
            ]
        )

    async def _save_trunk(self, call: Call) -> Answer:
        body = call.body(Trunk)
        trunk = SipTrunk(
            name=body.name,
            destination_address=body.destination_address,
            destination_port=body.destination_port,
            security_profile=body.security_profile,
        )
        return m.changed(await self._administration.save_sip_trunk(trunk))

    async def _delete_trunk(self, call: Call) -> Answer:
        return m.changed(await self._administration.delete_sip_trunk(call.path["name"]))
