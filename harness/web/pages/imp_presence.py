"""The menu Presence: Routing > Static Routes, and Inter-Domain Federation > XMPP Federation (G11)."""

from typing import TYPE_CHECKING

from certs.errors import ConfigError
from harness.web.page import Done, Form, Page, Shown, Visit
from proxies.sip.proxy.sip_proxy_settings import RouteType, StaticRoute
from proxies.sip.transport.flow import Destination, Transport
from proxies.xmpp.federation.settings import FederationPolicy, FederationSecurityMode

if TYPE_CHECKING:
    from harness.nodes.node import ImpNode


class PresencePages:
    """The pages of one node."""

    def __init__(self, node: "ImpNode") -> None:
        self._node = node
        self._administration = node.administration

    def pages(self) -> tuple[Page, ...]:
        """Return the pages."""
        return (
            Page(
                path="static-routes",
                title="Static Routes",
                menu=("Presence", "Routing"),
                template="static_routes.html",
                show=self._show_routes,
                actions={"save": self._save_route, "delete": self._delete_route},
            ),
            Page(
                path="xmpp-federation",
                title="XMPP Federation",
                menu=("Presence", "Inter-Domain Federation"),
                template="xmpp_federation.html",
                show=self._show_federation,
                actions={"save": self._save_federation},
            ),
        )

    async def _show_routes(self, visit: Visit) -> Shown:
        return {
            "routes": (await self._node.read_settings()).static_routes,
            "types": [(one.value, one.value) for one in RouteType],
            "transports": [(one.value, one.value) for one in Transport],
        }

    async def _save_route(self, visit: Visit, form: Form) -> Done:
        pattern, next_hop = form.text("destination_pattern"), form.text("next_hop")
        if not pattern or not next_hop:
            raise ConfigError("Destination Pattern and Next Hop: expected both, seen one or none")
        route = StaticRoute(
            destination_pattern=pattern,
            next_hop=Destination(
                transport=form.choice("protocol_type", "Protocol Type", Transport),
                host=next_hop,
                port=form.port("next_hop_port", "Next Hop Port"),
                server_name=form.text("server_name"),
            ),
            route_type=form.choice("route_type", "Route Type", RouteType),
            priority=_priority(form.text("priority")),
        )
        await self._administration.save_static_route(route)
        return Done(message=f"Save successful: {pattern}")

    async def _delete_route(self, visit: Visit, form: Form) -> Done:
        pattern = form.text("destination_pattern")
        await self._administration.delete_static_route(pattern)
        return Done(message=f"Delete successful: {pattern}")

    async def _show_federation(self, visit: Visit) -> Shown:
        return {
            "policy": (await self._node.read_settings()).federation,
            "modes": [(one.value, one.value) for one in FederationSecurityMode],
        }

    async def _save_federation(self, visit: Visit, form: Form) -> Done:
        present = (await self._node.read_settings()).federation
        secret = form.raw("dialback_secret") or present.dialback_secret
        allowed = None
        if form.text("policy") == "deny":
            allowed = frozenset(form.text("allowed_domains").lower().replace(",", " ").split())
        policy = FederationPolicy(
            security_mode=form.choice("security_mode", "Security Mode", FederationSecurityMode),
            require_client_side_certificates=form.is_checked("require_client_side_certificates"),
            enable_sasl_external=form.is_checked("enable_sasl_external"),
            dialback_secret="" if form.is_checked("forget_dialback_secret") else secret,
            allowed_domains=allowed,
        )
        await self._administration.set_federation(policy)
        return Done(message="Update successful.")


def _priority(text: str) -> int:
    if not text.isdecimal() or not text.isascii() or len(text) > 4:
        raise ConfigError(f"Priority/Weight: expected a number up to 9999, seen {text[:50]!r}")
    return int(text)
