"""How a SIP trunk's device security mode shakes hands (Security Guide, "Device security mode")."""

import ssl
from types import MappingProxyType
from typing import Final

from certs.credential import Credential
from certs.purposes import ServiceName, TrustStoreName
from proxies.sip.transport.flow import Transport
from proxies.sip.transport.settings import SipListenerSettings, TransportSettings
from proxies.sip.trunk.call_manager_settings import CallManagerSettings
from proxies.sip.trunk.sip_trunk_profile import DeviceSecurityMode
from proxies.tls import TlsClientSettings, TlsServerSettings, TlsVersion, TrustPolicy

NULL_CIPHERS: Final = "NULL-SHA256:ECDHE-ECDSA-NULL-SHA:ECDHE-RSA-NULL-SHA"
"Integrity without encryption, for RSA and ECDSA certificates. TLS 1.3 has no such suite."

_NULL_SECURITY_LEVEL: Final = 0
"OpenSSL offers NULL ciphers at this level only."


def null_cipher_available() -> bool:
    """Return whether this OpenSSL can do device security mode Authenticated."""
    ssl_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        ssl_context.set_ciphers(f"{NULL_CIPHERS}:@SECLEVEL={_NULL_SECURITY_LEVEL}")
    except ssl.SSLError:
        return False
    return any("NULL" in cipher["name"] for cipher in ssl_context.get_ciphers())


def trunk_trust(certificates: tuple[bytes, ...], *, node: str) -> TrustPolicy:
    """Return whom a CUCM node trusts: subjects are compared per trunk, after the handshake."""
    return TrustPolicy(
        certificates=certificates,
        trust_store=TrustStoreName.CALLMANAGER_TRUST,
        services=(ServiceName.CALLMANAGER,),
        node=node,
    )


def trunk_server_settings(
    mode: DeviceSecurityMode, credential: Credential, trust: TrustPolicy
) -> TlsServerSettings:
    """Return how a secure incoming port shakes hands; both ends show certificates."""
    if mode is DeviceSecurityMode.AUTHENTICATED:
        return TlsServerSettings(
            credential=credential,
            require_client_certificate=True,
            trust=trust,
            maximum_version=TlsVersion.TLS_1_2,
            ciphers=NULL_CIPHERS,
            security_level=_NULL_SECURITY_LEVEL,
        )
    return TlsServerSettings(credential=credential, require_client_certificate=True, trust=trust)


def trunk_client_settings(
    mode: DeviceSecurityMode, credential: Credential, trust: TrustPolicy
) -> TlsClientSettings:
    """Return how a secure trunk dials its destination."""
    if mode is DeviceSecurityMode.AUTHENTICATED:
        return TlsClientSettings(
            credential=credential,
            trust=trust,
            maximum_version=TlsVersion.TLS_1_2,
            ciphers=NULL_CIPHERS,
            security_level=_NULL_SECURITY_LEVEL,
        )
    return TlsClientSettings(credential=credential, trust=trust)


def call_manager_transports(settings: CallManagerSettings, *, null_cipher: bool) -> TransportSettings:
    """Return a CUCM node's listeners and how each secure trunk dials.

    The default ports are always open, so that a peer without a profile hears why it is refused. Without a NULL
    cipher the ports and trunks of mode Authenticated stay closed: nothing is encrypted silently instead.
    """
    trust = trunk_trust(settings.trusted_certificates, node=settings.node)
    modes = {
        settings.sip_port: DeviceSecurityMode.NON_SECURE,
        settings.sip_tls_port: DeviceSecurityMode.ENCRYPTED,
    }
    profiles = {profile.name: profile for profile in settings.security_profiles}
    modes |= {profile.incoming_port: profile.device_security_mode for profile in profiles.values()}
    usable = {
        port: mode
        for port, mode in modes.items()
        if null_cipher or mode is not DeviceSecurityMode.AUTHENTICATED
    }
    listeners: list[SipListenerSettings] = []
    for port, mode in sorted(usable.items()):
        if mode.secure:
            tls = trunk_server_settings(mode, settings.credential, trust)
            listeners.append(
                SipListenerSettings(name=f"SIP trunk TLS {port}", transport=Transport.TLS, port=port, tls=tls)
            )
        else:
            listeners += (
                SipListenerSettings(name=f"SIP trunk {transport} {port}", transport=transport, port=port)
                for transport in (Transport.UDP, Transport.TCP)
            )
    dialled = {
        (trunk.destination_address, trunk.destination_port): trunk_client_settings(
            profile.device_security_mode, settings.credential, trust
        )
        for trunk in settings.trunks
        if (profile := profiles.get(trunk.security_profile)) is not None
        and profile.device_security_mode.secure
        and (null_cipher or profile.device_security_mode is not DeviceSecurityMode.AUTHENTICATED)
    }
    return TransportSettings(
        node=settings.node,
        service=ServiceName.CALLMANAGER,
        address=settings.address,
        listeners=tuple(listeners),
        tls_client_by_peer=MappingProxyType(dialled),
        limits=settings.limits,
    )
