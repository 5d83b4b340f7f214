"""Cisco Unified CM IM and Presence Administration: System > Security, Presence (G13, G14, G18 to G24)."""

from typing import TYPE_CHECKING, Final

from certs.errors import ConfigError
from certs.purposes import TrustStoreName
from harness.access.accounts import Role
from harness.configuration.cluster_settings import (
    DEFAULT_TLS_CONTEXT,
    SecureModes,
    SettingTopic,
    XmppCertificateSettings,
)
from harness.web.page import Done, Form, Interface, Page, Redraw, Shown, Visit
from harness.web.pages.imp_presence import PresencePages
from harness.web.pages.inter_clustering import InterClusteringPages
from proxies.sip.transport.flow import Transport

if TYPE_CHECKING:
    from harness.nodes.node import ImpNode

PATH: Final = "cupadmin"
SECURITY: Final = ("System", "Security")

TRUST_MENU: Final = {
    TrustStoreName.CUP_TRUST: "IM and Presence (IM/P) Service Trust",
    TrustStoreName.CUP_XMPP_TRUST: "IM and Presence (IM/P) Service XMPP Trust",
    TrustStoreName.TOMCAT_TRUST: "Tomcat Trust",
}
"The entries of the Certificate Trust Store menu."

TRANSPORTS: Final = (Transport.TLS, Transport.TCP)


class ImpAdministrationPages:
    """The pages of one node."""

    def __init__(self, node: "ImpNode", title: str) -> None:
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
                    path="topology",
                    title="Topology",
                    menu=("System",),
                    template="topology.html",
                    show=self._show_topology,
                ),
                *self._security_pages(),
                *PresencePages(self._node).pages(),
                *InterClusteringPages(self._node).pages(),
            ),
        )

    def _security_pages(self) -> tuple[Page, ...]:
        return (
            Page(
                path="certificate-import-tool",
                title="Certificate Import Tool",
                menu=SECURITY,
                template="import_tool.html",
                show=self._show_import_tool,
                actions={"submit": self._import},
            ),
            Page(
                path="tls-peer-subjects",
                title="TLS Peer Subjects",
                menu=SECURITY,
                template="tls_peer_subjects.html",
                show=self._find_subjects,
                actions={"delete": self._delete_subject},
            ),
            Page(
                path="tls-peer-subject",
                title="TLS Peer Subject Configuration",
                template="tls_peer_subject.html",
                show=self._show_nothing,
                actions={"save": self._save_subject},
            ),
            Page(
                path="tls-context-configuration",
                title="TLS Context Configuration",
                menu=SECURITY,
                template="tls_contexts.html",
                show=self._find_contexts,
            ),
            Page(
                path="tls-context",
                title="TLS Context Configuration",
                template="tls_context.html",
                show=self._show_context,
                actions={
                    "select": self._move_subjects,
                    "deselect": self._move_subjects,
                    "save": self._save_context,
                },
            ),
            Page(
                path="incoming-acl",
                title="Incoming ACL",
                menu=SECURITY,
                template="incoming_acl.html",
                show=self._find_acl,
                actions={"add": self._add_acl, "delete": self._delete_acl},
            ),
            Page(
                path="general-settings",
                title="General Settings",
                menu=SECURITY,
                template="general_settings.html",
                show=self._show_general,
                actions={"save": self._save_general},
            ),
            Page(
                path="security-settings",
                title="Settings",
                menu=SECURITY,
                template="security_settings.html",
                show=self._show_security,
                actions={"save": self._save_security},
            ),
        )

    async def _home(self, visit: Visit) -> Shown:
        settings = await self._node.read_settings()
        return {"facts": [("Users of the cluster", len(settings.users))]}

    async def _show_nothing(self, visit: Visit) -> Shown:
        return {}

    async def _show_topology(self, visit: Visit) -> Shown:
        settings = await self._node.read_settings()
        return {"nodes": self._node.cluster.imp, "users": settings.users}

    # Certificate Import Tool (G13, G14).

    async def _show_import_tool(self, visit: Visit) -> Shown:
        return {"stores": [(store.value, label) for store, label in TRUST_MENU.items()]}

    async def _import(self, visit: Visit, form: Form) -> Done:
        store = TrustStoreName.parse(form.text("store"))
        address = form.text("address")
        if not address:
            raise ConfigError("Peer Server: expected an IP address, host name or FQDN, seen nothing")
        port = form.port("port", "Peer Server Port")
        report = (await self._administration.import_certificate(store, address, port)).report
        lines = [
            f"Connected to {address}:{port}: {'yes' if report.connected else 'no'}",
            f"Certificate downloaded: {'yes' if report.downloaded else 'no'}",
        ]
        if report.downloaded:
            lines.append(f"CN={report.subject} is now in {store}")
        else:
            lines += [f"Reason: {report.reason}: {report.detail}", f"Recommended action: {report.remedy}"]
        return Done(message="\n".join(lines), is_error=not report.downloaded)

    # TLS Peer Subjects (G18).

    async def _find_subjects(self, visit: Visit) -> Shown:
        wanted = visit.query.get("find", "").lower()
        settings = await self._node.read_settings()
        subjects = [
            one
            for one in settings.tls_peer_subjects
            if wanted in f"{one.peer_subject_name} {one.description}".lower()
        ]
        return {
            "subjects": subjects,
            "selected": settings.tls_context.selected_peer_subjects,
            "wanted": wanted,
        }

    async def _save_subject(self, visit: Visit, form: Form) -> Done:
        name = form.text("peer_subject_name")
        await self._administration.add_tls_peer_subject(name, form.text("description"))
        return Done(message=f"Add successful: {name}", go_to="tls-peer-subjects")

    async def _delete_subject(self, visit: Visit, form: Form) -> Done:
        name = form.text("peer_subject_name")
        await self._administration.delete_tls_peer_subject(name)
        return Done(message=f"Delete successful: {name}")

    # TLS Context Configuration (G19).

    async def _find_contexts(self, visit: Visit) -> Shown:
        return {"contexts": [(await self._node.read_settings()).tls_context]}

    async def _show_context(self, visit: Visit) -> Shown:
        name = visit.query.get("name", DEFAULT_TLS_CONTEXT)
        settings = await self._node.read_settings()
        if name != settings.tls_context.name:
            raise ConfigError(f"TLS context: expected {settings.tls_context.name}, seen {name[:80]!r}")
        return {
            "context": settings.tls_context,
            "subjects": [one.peer_subject_name for one in settings.tls_peer_subjects],
        }

    async def _move_subjects(self, visit: Visit, form: Form) -> Redraw:
        selected = set(form.all("selected"))
        selected |= set(form.all("available_marked"))
        selected -= set(form.all("selected_marked")) if form.raw("action") == "deselect" else set()
        return Redraw(form=form.replaced("selected", tuple(sorted(selected))))

    async def _save_context(self, visit: Visit, form: Form) -> Done:
        context = form.text("name") or DEFAULT_TLS_CONTEXT
        ciphers = form.text("ciphers").replace(":", " ").replace(",", " ").split()
        await self._administration.select_peer_subjects(form.all("selected"), context=context)
        await self._administration.select_ciphers(ciphers, context=context)
        return Done(
            message="Update successful. The Cisco SIP Proxy must restart before the change takes effect."
        )

    # Incoming ACL, General Settings (G20).

    async def _find_acl(self, visit: Visit) -> Shown:
        return {"entries": (await self._node.read_settings()).incoming_acl}

    async def _add_acl(self, visit: Visit, form: Form) -> Done:
        pattern = form.text("address_pattern")
        await self._administration.add_incoming_acl(pattern, form.text("description"))
        return Done(message=f"Add successful: {pattern}")

    async def _delete_acl(self, visit: Visit, form: Form) -> Done:
        pattern = form.text("address_pattern")
        await self._administration.delete_incoming_acl(pattern)
        return Done(message=f"Delete successful: {pattern}")

    async def _show_general(self, visit: Visit) -> Shown:
        return {
            "transport": (await self._node.read_settings()).proxy_to_proxy_transport,
            "transports": [(one.value, one.value) for one in TRANSPORTS],
            "label": SettingTopic.PROXY_TO_PROXY_TRANSPORT.value,
        }

    async def _save_general(self, visit: Visit, form: Form) -> Done:
        await self._administration.set_proxy_to_proxy_transport(
            form.choice("transport", SettingTopic.PROXY_TO_PROXY_TRANSPORT, Transport)
        )
        return Done(
            message="Update successful. The Cisco SIP Proxy must restart before the change takes effect."
        )

    # Settings (G21 to G24).

    async def _show_security(self, visit: Visit) -> Shown:
        settings = await self._node.read_settings()
        return {"modes": settings.secure_modes, "certificates": settings.xmpp_certificates}

    async def _save_security(self, visit: Visit, form: Form) -> Done:
        before = (await self._node.read_settings()).xmpp_certificates
        modes = SecureModes(
            xmpp_client=form.is_checked("xmpp_client"),
            router_to_router=form.is_checked("router_to_router"),
            web_client=form.is_checked("web_client"),
        )
        certificates = XmppCertificateSettings(
            domain_name=form.text("domain_name"), use_domain_name=form.is_checked("use_domain_name")
        )
        await self._administration.set_xmpp_certificate_settings(certificates)
        await self._administration.set_secure_modes(modes)
        return Done(message="\n".join(["Update successful.", *what_to_regenerate(before, certificates)]))


def what_to_regenerate(before: XmppCertificateSettings, now: XmppCertificateSettings) -> list[str]:
    """Return which certificates a change of the XMPP certificate settings affects (G24)."""
    affected = []
    if now.domain_name != before.domain_name:
        affected.append("cup-xmpp-s2s")
    if now.use_domain_name != before.use_domain_name or (affected and now.use_domain_name):
        affected.append("cup-xmpp")
    if not affected:
        return []
    return [
        f"Regenerate {' and '.join(affected)} in OS Administration > Security > Certificate Management on each node "
        "before you restart Cisco XCP Router."
    ]
