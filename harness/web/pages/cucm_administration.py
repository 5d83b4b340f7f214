"""Cisco Unified CM Administration: SIP trunk security profiles and SIP trunks, the guide's prerequisites (G12)."""

from typing import TYPE_CHECKING, Final

from certs.errors import ConfigError
from harness.access.accounts import Role
from harness.web.page import Done, Form, Interface, Page, Shown, Visit
from proxies.sip.transport.flow import Transport
from proxies.sip.trunk.sip_trunk_profile import (
    DeviceSecurityMode,
    IncomingTransportType,
    SipTrunk,
    SipTrunkSecurityProfile,
    parse_subject_names,
)

if TYPE_CHECKING:
    from harness.nodes.node import CucmNode

PATH: Final = "ccmadmin"
PROFILES: Final = "sip-trunk-security-profiles"
TRUNKS: Final = "sip-trunks"


class CucmAdministrationPages:
    """The pages of one node."""

    def __init__(self, node: "CucmNode", title: str) -> None:
        self._node = node
        self._title = title
        self._administration = node.administration

    def interface(self) -> Interface:
        """Return the interface."""
        return Interface(
            path=PATH,
            title=self._title,
            roles=frozenset({Role.ADMINISTRATOR}),
            pages=(
                Page(path="", title=self._title, template="home.html", show=self._home),
                Page(
                    path=PROFILES,
                    title="SIP Trunk Security Profile",
                    menu=("System", "Security"),
                    template="sip_trunk_profiles.html",
                    show=self._find_profiles,
                    actions={"delete": self._delete_profile},
                ),
                Page(
                    path="sip-trunk-security-profile",
                    title="SIP Trunk Security Profile Configuration",
                    template="sip_trunk_profile.html",
                    show=self._show_profile,
                    actions={"save": self._save_profile},
                ),
                Page(
                    path=TRUNKS,
                    title="Trunk",
                    menu=("Device",),
                    template="sip_trunks.html",
                    show=self._find_trunks,
                    actions={"delete": self._delete_trunk},
                ),
                Page(
                    path="sip-trunk",
                    title="Trunk Configuration",
                    template="sip_trunk.html",
                    show=self._show_trunk,
                    actions={"save": self._save_trunk},
                ),
            ),
        )

    async def _home(self, visit: Visit) -> Shown:
        settings = await self._node.read_settings()
        return {"facts": [("Lines", ", ".join(sorted(settings.lines)) or "none")]}

    # System > Security > SIP Trunk Security Profile.

    async def _find_profiles(self, visit: Visit) -> Shown:
        return {"profiles": (await self._node.read_settings()).sip_trunk_security_profiles}

    async def _show_profile(self, visit: Visit) -> Shown:
        name = visit.query.get("name", "")
        profiles = {one.name: one for one in (await self._node.read_settings()).sip_trunk_security_profiles}
        if name and name not in profiles:
            raise ConfigError(f"no SIP trunk security profile is called {name[:80]!r}")
        return {
            "profile": profiles.get(name),
            "modes": [(one.value, one.value) for one in DeviceSecurityMode],
            "incoming": [(one.value, one.value) for one in IncomingTransportType],
            "outgoing": [(one.value, one.value) for one in Transport],
        }

    async def _save_profile(self, visit: Visit, form: Form) -> Done:
        profile = SipTrunkSecurityProfile(
            name=form.text("name"),
            description=form.text("description"),
            device_security_mode=form.choice(
                "device_security_mode", "Device Security Mode", DeviceSecurityMode
            ),
            incoming_transport_type=form.choice(
                "incoming_transport_type", "Incoming Transport Type", IncomingTransportType
            ),
            outgoing_transport_type=form.choice(
                "outgoing_transport_type", "Outgoing Transport Type", Transport
            ),
            x509_subject_names=parse_subject_names(form.text("x509_subject_names")),
            incoming_port=form.port("incoming_port", "Incoming Port"),
            accept_presence_subscription=form.is_checked("accept_presence_subscription"),
            accept_out_of_dialog_refer=form.is_checked("accept_out_of_dialog_refer"),
            accept_unsolicited_notification=form.is_checked("accept_unsolicited_notification"),
            accept_replaces_header=form.is_checked("accept_replaces_header"),
        )
        await self._administration.save_sip_trunk_security_profile(profile)
        return Done(message=f"Save successful: {profile.name}", go_to=PROFILES)

    async def _delete_profile(self, visit: Visit, form: Form) -> Done:
        name = form.text("name")
        await self._administration.delete_sip_trunk_security_profile(name)
        return Done(message=f"Delete successful: {name}")

    # Device > Trunk.

    async def _find_trunks(self, visit: Visit) -> Shown:
        return {"trunks": (await self._node.read_settings()).sip_trunks}

    async def _show_trunk(self, visit: Visit) -> Shown:
        settings = await self._node.read_settings()
        name = visit.query.get("name", "")
        trunks = {one.name: one for one in settings.sip_trunks}
        if name and name not in trunks:
            raise ConfigError(f"no SIP trunk is called {name[:80]!r}")
        profiles = [(one.name, one.name) for one in settings.sip_trunk_security_profiles]
        return {"trunk": trunks.get(name), "profiles": [("", "-- none --"), *profiles]}

    async def _save_trunk(self, visit: Visit, form: Form) -> Done:
        trunk = SipTrunk(
            name=form.text("name"),
            destination_address=form.text("destination_address"),
            destination_port=form.port("destination_port", "Destination Port"),
            security_profile=form.text("security_profile"),
        )
        await self._administration.save_sip_trunk(trunk)
        return Done(message=f"Save successful: {trunk.name}", go_to=TRUNKS)

    async def _delete_trunk(self, visit: Visit, form: Form) -> Done:
        name = form.text("name")
        await self._administration.delete_sip_trunk(name)
        return Done(message=f"Delete successful: {name}")
