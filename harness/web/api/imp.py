"""The operations of an IM and Presence node: System > Security and Presence."""

import dataclasses
from typing import TYPE_CHECKING, Final

from certs.purposes import TrustStoreName
from harness.configuration.cluster_settings import SecureModes, XmppCertificateSettings
from harness.web.api import models as m
from harness.web.api.imp_models import (
    AclEntry,
    ContactLine,
    FederationSettings,
    GeneralSettings,
    ImpSettingsList,
    IncomingAcl,
    OwnSettings,
    SecuritySettings,
    StaticRouteEntry,
    StaticRoutes,
    TlsContext,
    TlsPeerSubject,
    TlsPeerSubjects,
    User,
    Users,
)
from harness.web.api.operation import EVERYBODY_LOGGED_IN, Answer, Call, Operation
from proxies.sip.proxy.sip_proxy_settings import StaticRoute
from proxies.sip.transport.flow import Destination, Transport
from proxies.xmpp.federation.settings import FederationPolicy

if TYPE_CHECKING:
    from harness.nodes.node import ImpNode

SECURITY: Final = "Administration > System > Security"


class ImpOperations:
    """The operations of one node."""

    def __init__(self, node: "ImpNode") -> None:
        self._node = node
        self._administration = node.administration

    def operations(self) -> tuple[Operation, ...]:
        """Return the operations."""
        return (*self._settings_operations(), *self._list_operations(), *self._other_operations())

    # Settings with one value.

    def _settings_operations(self) -> tuple[Operation, ...]:
        return (
            Operation(
                method="GET", path="/api/settings", name="get_settings", tag=SECURITY, handle=self._get_settings,
                summary="Return all settings as saved; services may still run on older ones.", answer=ImpSettingsList,
            ),
            Operation(
                method="GET", path="/api/settings/general", name="get_general_settings", handle=self._get_general,
                tag=f"{SECURITY} > General Settings", answer=GeneralSettings, summary="Return General Settings.",
            ),
            Operation(
                method="PUT", path="/api/settings/general", name="save_general_settings", handle=self._save_general,
                tag=f"{SECURITY} > General Settings", summary="Save General Settings.",
                body=GeneralSettings, answer=m.Changed,
            ),
            Operation(
                method="GET", path="/api/settings/security", name="get_security_settings",
                tag=f"{SECURITY} > Settings", handle=self._get_security, answer=SecuritySettings,
                summary="Return the XMPP secure modes and certificate settings.",
            ),
            Operation(
                method="PUT", path="/api/settings/security", name="save_security_settings",
                tag=f"{SECURITY} > Settings", handle=self._save_security, body=SecuritySettings, answer=m.Changed,
                summary="Save the XMPP secure modes and certificate settings. After a change of the domain name "
                "regenerate cup-xmpp-s2s before Cisco XCP Router restarts.",
            ),
            Operation(
                method="GET", path="/api/settings/tls-context", name="get_tls_context", handle=self._get_context,
                tag=f"{SECURITY} > TLS Context Configuration", answer=TlsContext, summary="Return the TLS context.",
            ),
            Operation(
                method="PUT", path="/api/settings/tls-context", name="save_tls_context", handle=self._save_context,
                tag=f"{SECURITY} > TLS Context Configuration", body=TlsContext, answer=m.Changed,
                summary="Save the selected TLS peer subjects and ciphers.",
            ),
            Operation(
                method="GET", path="/api/settings/xmpp-federation", name="get_xmpp_federation",
                tag="Administration > Presence", handle=self._get_federation, answer=FederationSettings,
                summary="Return settings and policy of XMPP federation.",
            ),
            Operation(
                method="PUT", path="/api/settings/xmpp-federation", name="save_xmpp_federation",
                tag="Administration > Presence", handle=self._save_federation, body=FederationSettings,
                answer=m.Changed, summary="Save settings and policy of XMPP federation.",
            ),
        )  # fmt: skip

    async def _get_settings(self, call: Call) -> Answer:
        return ImpSettingsList(
            general=await self._general(),
            security=await self._security(),
            tls_context=await self._context(),
            xmpp_federation=await self._federation(),
        )

    async def _get_general(self, call: Call) -> Answer:
        return await self._general()

    async def _general(self) -> GeneralSettings:
        transport = (await self._node.read_settings()).proxy_to_proxy_transport
        return GeneralSettings(
            sip_intracluster_proxy_to_proxy_transport="TCP" if transport is Transport.TCP else "TLS"
        )

    async def _save_general(self, call: Call) -> Answer:
        transport = Transport(call.body(GeneralSettings).sip_intracluster_proxy_to_proxy_transport)
        return m.changed(await self._administration.set_proxy_to_proxy_transport(transport))

    async def _get_security(self, call: Call) -> Answer:
        return await self._security()

    async def _security(self) -> SecuritySettings:
        settings = await self._node.read_settings()
        modes = settings.secure_modes
        return SecuritySettings(
            xmpp_client_secure_mode=modes.xmpp_client,
            router_to_router_secure_mode=modes.router_to_router,
            web_client_secure_mode=modes.web_client,
            **dataclasses.asdict(settings.xmpp_certificates),
        )

    async def _save_security(self, call: Call) -> Answer:
        body = call.body(SecuritySettings)
        await self._administration.set_xmpp_certificate_settings(
            XmppCertificateSettings(
                domain_name=body.domain_name.strip(), use_domain_name=body.use_domain_name
            )
        )
        modes = SecureModes(
            xmpp_client=body.xmpp_client_secure_mode,
            router_to_router=body.router_to_router_secure_mode,
            web_client=body.web_client_secure_mode,
        )
        return m.changed(await self._administration.set_secure_modes(modes))

    async def _get_context(self, call: Call) -> Answer:
        return await self._context()

    async def _context(self) -> TlsContext:
        context = await self._administration.tls_context()
        return TlsContext(
            selected_peer_subjects=sorted(context.selected_peer_subjects),
            selected_ciphers=list(context.selected_ciphers),
        )

    async def _save_context(self, call: Call) -> Answer:
        body = call.body(TlsContext)
        await self._administration.select_peer_subjects(body.selected_peer_subjects)
        return m.changed(await self._administration.select_ciphers(body.selected_ciphers))

    async def _get_federation(self, call: Call) -> Answer:
        return await self._federation()

    async def _federation(self) -> FederationSettings:
        policy = (await self._node.read_settings()).federation
        allowed = policy.allowed_domains
        return FederationSettings(
            security_mode=policy.security_mode,
            require_client_side_certificates=policy.require_client_side_certificates,
            enable_sasl_external=policy.enable_sasl_external,
            allowed_domains=None if allowed is None else sorted(allowed),
        )

    async def _save_federation(self, call: Call) -> Answer:
        body = call.body(FederationSettings)
        secret = body.dialback_secret
        if secret is None:
            secret = (await self._node.read_settings()).federation.dialback_secret
        allowed = body.allowed_domains
        policy = FederationPolicy(
            security_mode=body.security_mode,
            require_client_side_certificates=body.require_client_side_certificates,
            enable_sasl_external=body.enable_sasl_external,
            dialback_secret=secret,
            allowed_domains=None if allowed is None else frozenset(allowed),
        )
        return m.changed(await self._administration.set_federation(policy))

    # Lists.

    def _list_operations(self) -> tuple[Operation, ...]:
        subjects, acl = f"{SECURITY} > TLS Peer Subjects", f"{SECURITY} > Incoming ACL"
        routes = "Administration > Presence > Routing > Static Routes"
        return (
            Operation(
                method="GET", path="/api/tls-peer-subjects", name="list_tls_peer_subjects", tag=subjects,
                handle=self._list_subjects, answer=TlsPeerSubjects, summary="Find: list the TLS peer subjects.",
            ),
            Operation(
                method="POST", path="/api/tls-peer-subjects", name="add_tls_peer_subject", tag=subjects,
                handle=self._add_subject, body=TlsPeerSubject, answer=m.Changed, summary="Add New.",
            ),
            Operation(
                method="DELETE", path="/api/tls-peer-subjects/{name}", name="delete_tls_peer_subject", tag=subjects,
                handle=self._delete_subject, answer=m.Changed,
                summary="Delete a TLS peer subject that no TLS context has selected.",
            ),
            Operation(
                method="GET", path="/api/incoming-acl", name="list_incoming_acl", tag=acl, handle=self._list_acl,
                answer=IncomingAcl, summary="List who may send SIP requests without a certificate.",
            ),
            Operation(
                method="POST", path="/api/incoming-acl", name="add_incoming_acl", tag=acl, handle=self._add_acl,
                body=AclEntry, answer=m.Changed, summary="Add New.",
            ),
            Operation(
                method="POST", path="/api/incoming-acl/delete", name="delete_incoming_acl", tag=acl, body=AclEntry,
                handle=self._delete_acl, answer=m.Changed,
                summary="Delete an entry; its pattern is in the body, as it may hold a slash.",
            ),
            Operation(
                method="GET", path="/api/static-routes", name="list_static_routes", tag=routes,
                handle=self._list_routes, answer=StaticRoutes, summary="List the static routes.",
            ),
            Operation(
                method="PUT", path="/api/static-routes", name="save_static_route", tag=routes,
                handle=self._save_route, body=StaticRouteEntry, answer=m.Changed,
                summary="Save a new static route, or a changed one under its old destination pattern.",
            ),
            Operation(
                method="DELETE", path="/api/static-routes/{pattern}", name="delete_static_route", tag=routes,
                handle=self._delete_route, answer=m.Changed, summary="Delete a static route.",
            ),
        )  # fmt: skip

    async def _list_subjects(self, call: Call) -> Answer:
        return TlsPeerSubjects(
            tls_peer_subjects=[
                TlsPeerSubject(peer_subject_name=one.peer_subject_name, description=one.description)
                for one in await self._administration.tls_peer_subjects()
            ]
        )

    async def _add_subject(self, call: Call) -> Answer:
        body = call.body(TlsPeerSubject)
        needed = await self._administration.add_tls_peer_subject(body.peer_subject_name, body.description)
        return m.changed(needed)

    async def _delete_subject(self, call: Call) -> Answer:
        return m.changed(await self._administration.delete_tls_peer_subject(call.path["name"]))

    async def _list_acl(self, call: Call) -> Answer:
        return IncomingAcl(
            entries=[
                AclEntry(address_pattern=one.address_pattern, description=one.description)
                for one in (await self._node.read_settings()).incoming_acl
            ]
        )

    async def _add_acl(self, call: Call) -> Answer:
        body = call.body(AclEntry)
        return m.changed(await self._administration.add_incoming_acl(body.address_pattern, body.description))

    async def _delete_acl(self, call: Call) -> Answer:
        return m.changed(await self._administration.delete_incoming_acl(call.body(AclEntry).address_pattern))

    async def _list_routes(self, call: Call) -> Answer:
        return StaticRoutes(
            static_routes=[
                StaticRouteEntry(
                    destination_pattern=one.destination_pattern,
                    next_hop=one.next_hop.host,
                    next_hop_port=one.next_hop.port,
                    protocol_type=one.next_hop.transport.value,
                    server_name=one.next_hop.server_name,
                    route_type=one.route_type,
                    priority=one.priority,
                )
                for one in (await self._node.read_settings()).static_routes
            ]
        )

    async def _save_route(self, call: Call) -> Answer:
        body = call.body(StaticRouteEntry)
        route = StaticRoute(
            destination_pattern=body.destination_pattern,
            next_hop=Destination(
                transport=Transport(body.protocol_type),
                host=body.next_hop,
                port=body.next_hop_port,
                server_name=body.server_name,
            ),
            route_type=body.route_type,
            priority=body.priority,
        )
        return m.changed(await self._administration.save_static_route(route))

    async def _delete_route(self, call: Call) -> Answer:
        return m.changed(await self._administration.delete_static_route(call.path["pattern"]))

    # Certificate Import Tool, topology, User Options.

    def _other_operations(self) -> tuple[Operation, ...]:
        return (
            Operation(
                method="POST", path="/api/certificate-import", name="import_certificate", handle=self._import,
                tag=f"{SECURITY} > Certificate Import Tool", body=m.ImportRequest, answer=m.ImportReport,
                summary="Submit: fetch a peer's certificate into a trust store.",
            ),
            Operation(
                method="GET", path="/api/users", name="list_users", tag="Administration > System > Topology",
                handle=self._list_users, answer=Users, summary="List the users and their home nodes.",
            ),
            Operation(
                method="GET", path="/api/user-options", name="get_user_options", tag="User Options",
                handle=self._get_options, answer=OwnSettings, roles=EVERYBODY_LOGGED_IN,
                summary="Return the settings of the user who is logged in.",
            ),
        )  # fmt: skip

    async def _import(self, call: Call) -> Answer:
        body = call.body(m.ImportRequest)
        store = TrustStoreName.parse(body.store)
        outcome = await self._administration.import_certificate(store, body.address, body.port)
        report = outcome.report
        return m.ImportReport(
            connected=report.connected,
            downloaded=report.downloaded,
            subject=report.subject,
            reason=report.reason,
            detail=report.detail,
            remedy=report.remedy,
            restart_needed=m.to_restart(outcome.restart_needed),
        )

    async def _list_users(self, call: Call) -> Answer:
        users = (await self._node.read_settings()).users
        return Users(users=[User(user_id=one.user_id, home_node=one.home_node) for one in users])

    async def _get_options(self, call: Call) -> Answer:
        options = await self._node.user_options(call.account.name)
        return OwnSettings(
            address=options.address,
            home_node=options.home_node,
            contacts=[
                ContactLine(
                    address=one.address, name=one.name, groups=list(one.groups), subscription=one.subscription
                )
                for one in options.contacts
            ],
            blocked=list(options.blocked),
        )
