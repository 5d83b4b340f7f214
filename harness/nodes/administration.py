"""The guide's procedures on one node, by the names of the product's pages.

Every action writes settings or certificates and nothing else, and returns which services have to restart
before all that is written takes effect.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from certs.import_tool import CertificateImportTool, ImportReport
from certs.purposes import ServiceName, TrustStoreName
from harness.configuration.cluster_settings import (
    DEFAULT_TLS_CONTEXT,
    IncomingAcl,
    SecureModes,
    TlsContext,
    TlsPeerSubject,
    XmppCertificateSettings,
)
from harness.nodes.certificate_management import CertificateManagement, RestartsNeeded
from proxies.sip.proxy.sip_proxy_settings import StaticRoute
from proxies.sip.transport.flow import Transport
from proxies.sip.trunk.sip_trunk_profile import SipTrunk, SipTrunkSecurityProfile
from proxies.xmpp.federation.settings import FederationPolicy

if TYPE_CHECKING:
    from harness.nodes.node import CucmNode, ImpNode


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOutcome:
    """What the Certificate Import Tool leaves."""

    report: ImportReport
    "Whether it connected and whether it downloaded, told apart (G13)."

    restart_needed: RestartsNeeded
    "The services that have to restart before the import takes effect (G15)."


class ImpAdministration:
    """The administration pages of one IM and Presence node."""

    def __init__(self, node: "ImpNode", certificate_management: CertificateManagement) -> None:
        self.certificate_management = certificate_management
        "OS Administration > Security > Certificate Management."
        self._node = node
        self._import_tool = CertificateImportTool(
            node.key_store,
            resolve=node.surroundings.names.resolve,
            imported=self._add_imported_subject,
            local_address=node.plan.address,
        )

    # System > Security > Certificate Import Tool (G13, G14).

    async def import_certificate(self, store: TrustStoreName, address: str, port: int) -> ImportOutcome:
        """Submit: fetch a peer's certificate into a trust store; for `cup-trust` its subject is selected too."""
        self.certificate_management.check_store(store)
        report = await self._import_tool.submit(store, address, port)
        return ImportOutcome(report=report, restart_needed=await self._node.restart_needed())

    async def _add_imported_subject(self, store: TrustStoreName, subject: str, address: str) -> None:
        # A certificate without a CN is trusted all the same; there is nothing to add then.
        if store is TrustStoreName.CUP_TRUST and subject:
            await self._node.configuration.add_imported_subject(
                TlsPeerSubject(peer_subject_name=subject, description=address)
            )

    # System > Security > TLS Peer Subjects (G18).

    async def tls_peer_subjects(self) -> tuple[TlsPeerSubject, ...]:
        """Find: list the TLS peer subjects."""
        return (await self._node.read_settings()).tls_peer_subjects

    async def add_tls_peer_subject(self, peer_subject_name: str, description: str = "") -> RestartsNeeded:
        """Add New. Raises ConfigError where the peer subject name is empty or there already."""
        await self._node.configuration.add_tls_peer_subject(
            TlsPeerSubject(peer_subject_name=peer_subject_name, description=description)
        )
        return await self._node.restart_needed()

    async def delete_tls_peer_subject(self, peer_subject_name: str) -> RestartsNeeded:
        """Delete Selected. Raises ConfigError where there is none, or a TLS context has selected it."""
        await self._node.configuration.delete_tls_peer_subject(peer_subject_name)
        return await self._node.restart_needed()

    # System > Security > TLS Context Configuration (G19).

    async def tls_context(self) -> TlsContext:
        """Return what is saved in the TLS context; the SIP proxy may still run on something older."""
        return (await self._node.read_settings()).tls_context

    async def select_peer_subjects(
        self, peer_subject_names: Iterable[str], *, context: str = DEFAULT_TLS_CONTEXT
    ) -> RestartsNeeded:
        """Save with these, and no others, in Selected TLS Peer Subjects.

        Raises ConfigError where the context or a subject is unknown; then nothing was saved.
        """
        await self._node.configuration.select_peer_subjects(context, peer_subject_names)
        return await self._node.restart_needed()

    async def select_ciphers(
        self, ciphers: Iterable[str], *, context: str = DEFAULT_TLS_CONTEXT
    ) -> RestartsNeeded:
        """Save with these in Selected TLS Ciphers; none means the library's.

        Raises ConfigError where the context or a cipher is unknown.
        """
        await self._node.configuration.select_ciphers(context, ciphers)
        return await self._node.restart_needed()

    # System > Security > General Settings (G20) and Incoming ACL; Presence > Routing > Static Routes.

    async def set_proxy_to_proxy_transport(self, transport: Transport) -> RestartsNeeded:
        """Save SIP Intra-cluster Proxy-to-Proxy Transport Protocol. Raises ConfigError for UDP."""
        await self._node.configuration.set_proxy_to_proxy_transport(transport)
        return await self._node.restart_needed()

    async def set_digest_authentication(self, *, enabled: bool) -> RestartsNeeded:
        """Save whether Cisco SIP Proxy asks clients without a certificate for their digest password (RFC 3261 22)."""
        await self._node.configuration.set_digest_authentication(enabled=enabled)
        return await self._node.restart_needed()

    async def add_incoming_acl(self, address_pattern: str, description: str = "") -> RestartsNeeded:
        """Add New to the incoming ACL. Raises ConfigError where the pattern is empty or there already."""
        await self._node.configuration.add_incoming_acl(
            IncomingAcl(address_pattern=address_pattern, description=description)
        )
        return await self._node.restart_needed()

    async def delete_incoming_acl(self, address_pattern: str) -> RestartsNeeded:
        """Delete from the incoming ACL. Raises ConfigError where there is none of this pattern."""
        await self._node.configuration.delete_incoming_acl(address_pattern)
        return await self._node.restart_needed()

    async def save_static_route(self, route: StaticRoute) -> RestartsNeeded:
        """Save a new static route, or a changed one under its old destination pattern."""
        await self._node.configuration.save_static_route(route)
        return await self._node.restart_needed()

    async def delete_static_route(self, destination_pattern: str) -> RestartsNeeded:
        """Delete a static route. Raises ConfigError where there is none of this pattern."""
        await self._node.configuration.delete_static_route(destination_pattern)
        return await self._node.restart_needed()

    # System > Security > Settings (G21 to G24), and Presence > Inter-Domain Federation > XMPP Federation.

    async def secure_modes(self) -> SecureModes:
        """Return the XMPP secure modes as saved; services may still run on older ones."""
        return (await self._node.read_settings()).secure_modes

    async def set_secure_modes(self, modes: SecureModes) -> RestartsNeeded:
        """Save the XMPP secure modes."""
        await self._node.configuration.set_secure_modes(modes)
        return await self._node.restart_needed()

    async def set_xmpp_certificate_settings(self, settings: XmppCertificateSettings) -> RestartsNeeded:
        """Save the XMPP certificate settings; regenerate the certificates before Cisco XCP Router restarts (G24)."""
        await self._node.configuration.set_xmpp_certificate_settings(settings)
        return await self._node.restart_needed()

    async def set_federation(self, policy: FederationPolicy) -> RestartsNeeded:
        """Save settings and policy of XMPP federation."""
        await self._node.configuration.set_federation(policy)
        return await self._node.restart_needed()

    # Serviceability > Tools > Control Center - Feature Services (G15).

    async def restart(self, service: ServiceName) -> RestartsNeeded:
        """Restart a service of this node. Raises ServiceFailed where it cannot."""
        await self._node.services.restart(service)
        return await self._node.restart_needed()


class CucmAdministration:
    """The administration pages of one CUCM node."""

    def __init__(self, node: "CucmNode", certificate_management: CertificateManagement) -> None:
        self.certificate_management = certificate_management
        "OS Administration > Security > Certificate Management."
        self._node = node

    # System > Security > SIP Trunk Security Profile, and Device > Trunk (G12).

    async def sip_trunk_security_profiles(self) -> tuple[SipTrunkSecurityProfile, ...]:
        """Find: list the SIP trunk security profiles."""
        return (await self._node.read_settings()).sip_trunk_security_profiles

    async def save_sip_trunk_security_profile(self, profile: SipTrunkSecurityProfile) -> RestartsNeeded:
        """Save a new profile, or a changed one under its old name.

        Raises ConfigError where it does not go with the other profiles and trunks; then nothing was saved.
        """
        await self._node.configuration.save_sip_trunk_security_profile(profile)
        return await self._node.restart_needed()

    async def delete_sip_trunk_security_profile(self, name: str) -> RestartsNeeded:
        """Delete a profile. Raises ConfigError where there is none, or a SIP trunk uses it."""
        await self._node.configuration.delete_sip_trunk_security_profile(name)
        return await self._node.restart_needed()

    async def sip_trunks(self) -> tuple[SipTrunk, ...]:
        """Find: list the SIP trunks."""
        return (await self._node.read_settings()).sip_trunks

    async def save_sip_trunk(self, trunk: SipTrunk) -> RestartsNeeded:
        """Save a new SIP trunk, or a changed one under its old name.

        Raises ConfigError where its profile is unknown or it does not go with the other trunks.
        """
        await self._node.configuration.save_sip_trunk(trunk)
        return await self._node.restart_needed()

    async def delete_sip_trunk(self, name: str) -> RestartsNeeded:
        """Delete a SIP trunk. Raises ConfigError where there is none of this name."""
        await self._node.configuration.delete_sip_trunk(name)
        return await self._node.restart_needed()

    # Serviceability > Tools > Control Center - Feature Services (G17).

    async def restart(self, service: ServiceName) -> RestartsNeeded:
        """Restart a service of this node. Raises ServiceFailed where it cannot."""
        await self._node.services.restart(service)
        return await self._node.restart_needed()
