"""The configuration of an IM and Presence cluster: writes go to the database, services see them at a restart."""

import dataclasses
import json
import secrets
import ssl
from collections.abc import Iterable, Mapping
from typing import Final, TypeVar

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from certs.errors import ConfigError
from certs.fips.mode import in_fips_mode
from harness.configuration.cluster_settings import (
    DEFAULT_TLS_CONTEXT,
    ImpSettings,
    IncomingAcl,
    SecureModes,
    TlsContext,
    TlsPeerSubject,
    User,
    XmppCertificateSettings,
)
from harness.configuration.database import Database
from harness.configuration.database_models import (
    IncomingAclRow,
    PeerNodeRow,
    SettingRow,
    StaticRouteRow,
    TlsContextRow,
    TlsPeerSubjectRow,
    UserRow,
)
from harness.near_matches import did_you_mean
from harness.replication.replica import touch
from proxies.sip.proxy.sip_proxy_settings import RouteType, StaticRoute
from proxies.sip.transport.flow import Destination, Transport
from proxies.xmpp.federation.settings import FederationPolicy, FederationSecurityMode

_PROXY_TO_PROXY: Final = "sip_intracluster_proxy_to_proxy_transport"
_DIGEST_AUTHENTICATION: Final = "sip_proxy_digest_authentication"
_SECURE_MODES: Final = "xmpp_secure_modes"
_XMPP_CERTIFICATES: Final = "xmpp_certificate_settings"
_FEDERATION: Final = "xmpp_federation"
_DRAWN_FOR_DIALBACK: Final = "xmpp_drawn_dialback_secret"

ValueT = TypeVar("ValueT", SecureModes, XmppCertificateSettings)


class ImpConfiguration:
    """Cisco Unified CM IM and Presence Administration, as far as it is about settings."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def settings(self) -> ImpSettings:
        """Return all settings as they are at this moment."""
        async with self._database.read() as session:
            subjects = await session.scalars(
                select(TlsPeerSubjectRow).order_by(TlsPeerSubjectRow.peer_subject_name)
            )
            context = await session.get(TlsContextRow, DEFAULT_TLS_CONTEXT)
            acl = await session.scalars(select(IncomingAclRow).order_by(IncomingAclRow.address_pattern))
            transport = await session.get(SettingRow, _PROXY_TO_PROXY)
            users = await session.execute(
                select(UserRow.user_id, UserRow.home_node, UserRow.digest_password).order_by(UserRow.user_id)
            )
            routes = await session.scalars(
                select(StaticRouteRow).order_by(StaticRouteRow.destination_pattern)
            )
            return ImpSettings(
                tls_peer_subjects=tuple(
                    TlsPeerSubject(peer_subject_name=row.peer_subject_name, description=row.description)
                    for row in subjects
                ),
                tls_context=_read_context(context),
                incoming_acl=tuple(
                    IncomingAcl(address_pattern=row.address_pattern, description=row.description)
                    for row in acl
                ),
                # TLS is the product's default (G20).
                proxy_to_proxy_transport=Transport(transport.value) if transport else Transport.TLS,
                users=tuple(
                    User(user_id=user_id, home_node=home_node, digest_password=digest_password)
                    for user_id, home_node, digest_password in users
                ),
                digest_authentication=await _read_text(session, _DIGEST_AUTHENTICATION) == "on",
                static_routes=tuple(
                    StaticRoute(
                        destination_pattern=row.destination_pattern,
                        next_hop=Destination(
                            transport=Transport(row.protocol_type),
                            host=row.next_hop,
                            port=row.next_hop_port,
                            server_name=row.server_name,
                        ),
                        route_type=RouteType(row.route_type),
                        priority=row.priority,
                    )
                    for row in routes
                ),
                secure_modes=await _read_json(session, _SECURE_MODES, SecureModes),
                xmpp_certificates=await _read_json(session, _XMPP_CERTIFICATES, XmppCertificateSettings),
                federation=await _read_federation(session),
                drawn_dialback_secret=await _read_text(session, _DRAWN_FOR_DIALBACK),
                intercluster_routers=frozenset(await session.scalars(select(PeerNodeRow.fqdn))),
            )

    # System > Security > TLS Peer Subjects (G18).

    async def add_tls_peer_subject(self, subject: TlsPeerSubject) -> None:
        """Add New. Raises ConfigError where the peer subject name is there already."""
        async with self._database.write() as session:
            if await session.get(TlsPeerSubjectRow, subject.peer_subject_name) is not None:
                raise ConfigError(f"Peer Subject Name: {subject.peer_subject_name!r} is there already")
            session.add(_subject_row(subject))

    async def delete_tls_peer_subject(self, peer_subject_name: str) -> None:
        """Delete Selected. Raises ConfigError where there is none, or a TLS context has selected it."""
        async with self._database.write() as session:
            row = await session.get(TlsPeerSubjectRow, peer_subject_name)
            if row is None:
                raise await _unknown_subject(session, peer_subject_name)
            for context in await session.scalars(select(TlsContextRow)):
                if peer_subject_name in context.selected_peer_subjects:
                    raise ConfigError(
                        f"Peer Subject Name: {peer_subject_name!r} is selected in {context.name}; "
                        "move it back to Available TLS Peer Subjects first"
                    )
            await session.delete(row)

    async def add_imported_subject(self, subject: TlsPeerSubject) -> None:
        """Do what an import does by itself: add the subject and select it, where that is not so yet (G14)."""
        async with self._database.write() as session:
            if await session.get(TlsPeerSubjectRow, subject.peer_subject_name) is None:
                session.add(_subject_row(subject))
            context = await _context_row(session, DEFAULT_TLS_CONTEXT)
            context.selected_peer_subjects = sorted(
                {*context.selected_peer_subjects, subject.peer_subject_name}
            )

    # System > Security > TLS Context Configuration (G19).

    async def select_peer_subjects(self, context: str, peer_subject_names: Iterable[str]) -> None:
        """Save with these in Selected TLS Peer Subjects, and no others.

        Raises ConfigError where the context or a subject is unknown; then nothing was saved.
        """
        async with self._database.write() as session:
            row = await _context_row(session, context)
            selected = sorted(set(peer_subject_names))
            for name in selected:
                if await session.get(TlsPeerSubjectRow, name) is None:
                    raise await _unknown_subject(session, name)
            row.selected_peer_subjects = selected

    async def select_ciphers(self, context: str, ciphers: Iterable[str]) -> None:
        """Save with these in Selected TLS Ciphers, the best one first; none means the library's.

        Raises ConfigError where the context is unknown or this machine's OpenSSL has no such cipher.
        """
        selected = list(ciphers)
        for cipher in selected:
            _check_cipher(cipher)
        async with self._database.write() as session:
            row = await _context_row(session, context)
            row.selected_ciphers = selected

    # System > Security > General Settings (G20) and Incoming ACL.

    async def set_proxy_to_proxy_transport(self, transport: Transport) -> None:
        """Save SIP Intra-cluster Proxy-to-Proxy Transport Protocol. Raises ConfigError for UDP."""
        if transport is Transport.UDP:
            raise ConfigError(
                "SIP Intra-cluster Proxy-to-Proxy Transport Protocol: expected TLS or TCP, seen UDP"
            )
        async with self._database.write() as session:
            await session.merge(SettingRow(key=_PROXY_TO_PROXY, value=transport.value))

    async def set_digest_authentication(self, *, enabled: bool) -> None:
        """Save whether the SIP proxy asks clients for a digest password."""
        async with self._database.write() as session:
            await session.merge(SettingRow(key=_DIGEST_AUTHENTICATION, value="on" if enabled else "off"))

    async def add_incoming_acl(self, entry: IncomingAcl) -> None:
        """Add New. Raises ConfigError where the address pattern is there already."""
        async with self._database.write() as session:
            if await session.get(IncomingAclRow, entry.address_pattern) is not None:
                raise ConfigError(f"Address Pattern: {entry.address_pattern!r} is there already")
            session.add(IncomingAclRow(address_pattern=entry.address_pattern, description=entry.description))

    async def delete_incoming_acl(self, address_pattern: str) -> None:
        """Delete Selected. Raises ConfigError where there is none of this pattern."""
        async with self._database.write() as session:
            row = await session.get(IncomingAclRow, address_pattern)
            if row is None:
                raise ConfigError(f"Address Pattern: no entry of the incoming ACL is {address_pattern!r}")
            await session.delete(row)

    # System > Security > Settings (G21 to G24), and Presence > Inter-Domain Federation > XMPP Federation.

    async def set_secure_modes(self, modes: SecureModes) -> None:
        """Save the XMPP secure modes."""
        async with self._database.write() as session:
            await _write_json(session, _SECURE_MODES, dataclasses.asdict(modes))

    async def set_xmpp_certificate_settings(self, settings: XmppCertificateSettings) -> None:
        """Save the server-to-server domain name and whether the general XMPP certificate carries it too."""
        async with self._database.write() as session:
            await _write_json(session, _XMPP_CERTIFICATES, dataclasses.asdict(settings))

    async def set_federation(self, policy: FederationPolicy) -> None:
        """Save settings and policy of XMPP federation."""
        value = dataclasses.asdict(policy)
        if policy.allowed_domains is not None:
            value["allowed_domains"] = sorted(policy.allowed_domains)
        async with self._database.write() as session:
            await _write_json(session, _FEDERATION, value)

    async def draw_dialback_secret(self) -> None:
        """Draw the cluster's dialback secret where it has none yet: all nodes answer for the same keys."""
        async with self._database.write() as session:
            if await session.get(SettingRow, _DRAWN_FOR_DIALBACK) is None:
                session.add(SettingRow(key=_DRAWN_FOR_DIALBACK, value=secrets.token_hex(32)))

    # Presence > Routing > Static Routes.

    async def save_static_route(self, route: StaticRoute) -> None:
        """Save a new static route, or a changed one under its old destination pattern."""
        async with self._database.write() as session:
            await session.merge(
                StaticRouteRow(
                    destination_pattern=route.destination_pattern,
                    next_hop=route.next_hop.host,
                    next_hop_port=route.next_hop.port,
                    protocol_type=route.next_hop.transport.value,
                    server_name=route.next_hop.server_name,
                    route_type=route.route_type.value,
                    priority=route.priority,
                )
            )

    async def delete_static_route(self, destination_pattern: str) -> None:
        """Delete a static route. Raises ConfigError where there is none of this pattern."""
        async with self._database.write() as session:
            row = await session.get(StaticRouteRow, destination_pattern)
            if row is None:
                raise ConfigError(f"Destination Pattern: no static route has {destination_pattern!r}")
            await session.delete(row)

    # System > Topology: users and their nodes.

    async def add_user(self, user: User) -> None:
        """Assign a new user to a node. Raises ConfigError where the user is there already."""
        async with self._database.write() as session:
            if await session.get(UserRow, user.user_id) is not None:
                raise ConfigError(f"user {user.user_id!r} is there already")
            session.add(_user_row(user))
            await touch(session)

    async def add_missing_users(self, users: Iterable[User]) -> None:
        """Assign those of the users that are not there yet."""
        async with self._database.write() as session:
            known = set(await session.scalars(select(UserRow.user_id)))
            session.add_all(_user_row(user) for user in users if user.user_id not in known)
            await touch(session)


async def _read_text(session: AsyncSession, key: str) -> str:
    row = await session.get(SettingRow, key)
    return row.value if row else ""


async def _read_json(session: AsyncSession, key: str, made: type[ValueT]) -> ValueT:
    row = await session.get(SettingRow, key)
    return made(**json.loads(row.value)) if row else made()


async def _write_json(session: AsyncSession, key: str, value: Mapping[str, object]) -> None:
    await session.merge(SettingRow(key=key, value=json.dumps(value, sort_keys=True)))


async def _read_federation(session: AsyncSession) -> FederationPolicy:
    row = await session.get(SettingRow, _FEDERATION)
    if row is None:
        return FederationPolicy()
    value = json.loads(row.value)
    allowed = value.pop("allowed_domains")
    mode = FederationSecurityMode(value.pop("security_mode"))
    return FederationPolicy(
        security_mode=mode, allowed_domains=None if allowed is None else frozenset(allowed), **value
    )


def _user_row(user: User) -> UserRow:
    return UserRow(user_id=user.user_id, home_node=user.home_node, digest_password=user.digest_password)


def _subject_row(subject: TlsPeerSubject) -> TlsPeerSubjectRow:
    return TlsPeerSubjectRow(peer_subject_name=subject.peer_subject_name, description=subject.description)


def _read_context(row: TlsContextRow | None) -> TlsContext:
    if row is None:
        return TlsContext()
    return TlsContext(
        name=row.name,
        selected_peer_subjects=frozenset(row.selected_peer_subjects),
        selected_ciphers=tuple(row.selected_ciphers),
    )


async def _context_row(session: AsyncSession, name: str) -> TlsContextRow:
    if name != DEFAULT_TLS_CONTEXT:
        raise ConfigError(f"TLS context: expected {DEFAULT_TLS_CONTEXT}, seen {name!r}")
    row = await session.get(TlsContextRow, name)
    if row is None:
        row = TlsContextRow(name=name, selected_peer_subjects=[], selected_ciphers=[])
        session.add(row)
    return row


async def _unknown_subject(session: AsyncSession, name: str) -> ConfigError:
    known = list(await session.scalars(select(TlsPeerSubjectRow.peer_subject_name)))
    return ConfigError(
        f"Peer Subject Name: no TLS peer subject is called {name!r}{did_you_mean(name, known)} "
        f"(known: {', '.join(sorted(known)) or 'none'})"
    )


def _check_cipher(cipher: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.set_ciphers(cipher)
    except ssl.SSLError:
        why = ", or it is not FIPS-approved" if in_fips_mode() else ""
        raise ConfigError(
            f"TLS cipher: this machine's OpenSSL has no cipher called {cipher!r}{why}"
        ) from None
