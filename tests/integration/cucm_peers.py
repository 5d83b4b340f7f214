"""Two CUCM nodes with a SIP trunk to each other, on ports and certificates like the product's."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import trustme

from certs.credential import Credential
from proxies.clock import LoopClock
from proxies.sip.transport.flow import Transport
from proxies.sip.trunk.call_manager_settings import CallManagerSettings
from proxies.sip.trunk.cucm_trunk import CallManager
from proxies.sip.trunk.sip_trunk_profile import (
    DeviceSecurityMode,
    IncomingTransportType,
    SipTrunk,
    SipTrunkSecurityProfile,
)
from tests.integration.recording import LabNames, RecordingObserver

# Parallel test processes need addresses of their own: the ports are fixed.
_NETWORK = 10 + int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
ADDRESSES = {"cucm1": f"127.9.{_NETWORK}.1", "cucm2": f"127.9.{_NETWORK}.2", "nobody": f"127.9.{_NETWORK}.3"}
NAMES = {"cucm1": "cucm1.example", "cucm2": "cucm2.example"}

PLAIN = SipTrunkSecurityProfile(name="plain")
ENCRYPTED = SipTrunkSecurityProfile(
    name="secure",
    device_security_mode=DeviceSecurityMode.ENCRYPTED,
    incoming_transport_type=IncomingTransportType.TLS,
    outgoing_transport_type=Transport.TLS,
    incoming_port=5061,
)
EVERYTHING = {
    "accept_presence_subscription": True,
    "accept_out_of_dialog_refer": True,
    "accept_unsolicited_notification": True,
    "accept_replaces_header": True,
}


@dataclass
class Node:
    """One running CallManager and what it told."""

    call_manager: CallManager
    observer: RecordingObserver


@dataclass
class CucmLab:
    """Makes the settings of both nodes; tests change one thing and run them."""

    authority: trustme.CA = field(default_factory=lambda: trustme.CA(key_type=trustme.KeyType.ECDSA))
    clock: LoopClock = field(default_factory=LoopClock)

    @property
    def anchor(self) -> bytes:
        return self.authority.cert_pem.bytes()

    def credential(
        self, common_name: str, *, key_type: trustme.KeyType = trustme.KeyType.ECDSA
    ) -> Credential:
        leaf = self.authority.issue_cert(common_name, common_name=common_name, key_type=key_type)
        chain = b"".join(pem.bytes() for pem in leaf.cert_chain_pems)
        return Credential(chain_pem=chain, key_pem=leaf.private_key_pem.bytes())

    def settings(
        self, node: str, peer: str, profile: SipTrunkSecurityProfile, **changes: object
    ) -> CallManagerSettings:
        """Return a node that has one trunk to the other and knows its certificate's subject."""
        if profile.device_security_mode.secure and not profile.x509_subject_names:
            profile = replace(profile, x509_subject_names=frozenset({NAMES[peer]}))
        trunk = SipTrunk(
            name=f"to {peer}",
            destination_address=ADDRESSES[peer],
            destination_port=profile.incoming_port,
            security_profile=profile.name,
        )
        made = CallManagerSettings(
            node=node,
            address=ADDRESSES[node],
            credential=self.credential(NAMES[node]),
            trusted_certificates=(self.anchor,),
            security_profiles=(profile,),
            trunks=(trunk,),
            lines=frozenset({"1001"} if node == "cucm1" else {"2001"}),
            options_ping_interval=None,
            time_limit=5.0,
        )
        return replace(made, **changes)  # type: ignore[arg-type]

    @asynccontextmanager
    async def run(self, settings: CallManagerSettings) -> AsyncIterator[Node]:
        observer = RecordingObserver()
        call_manager = CallManager(settings, resolver=LabNames(NAMES), clock=self.clock, observer=observer)
        await call_manager.start()
        try:
            yield Node(call_manager, observer)
        finally:
            await call_manager.stop()

    @asynccontextmanager
    async def pair(
        self, profile: SipTrunkSecurityProfile, **changes: object
    ) -> AsyncIterator[tuple[Node, Node]]:
        """Run both nodes; `changes` are those of the second, which takes the requests."""
        async with (
            self.run(self.settings("cucm1", "cucm2", profile)) as first,
            self.run(self.settings("cucm2", "cucm1", profile, **changes)) as second,
        ):
            yield first, second
