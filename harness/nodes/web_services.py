"""How a node's Cisco Tomcat is built, and the page that it starts with."""

from html import escape
from typing import Final

from aiohttp import web

from certs.purposes import SERVICE_CERTIFICATES, ServiceFunction
from harness.configuration.snapshots import PlanT, SettingsT, Snapshot
from harness.nodes.service_control import ServiceEnvironment
from harness.plan.topology import NodePlan
from proxies.http.tomcat import Tomcat, TomcatSettings, WebApplication


def build_tomcat(
    snapshot: Snapshot[PlanT, SettingsT],
    environment: ServiceEnvironment,
    applications: tuple[WebApplication, ...],
) -> Tomcat:
    """Return a node's Cisco Tomcat, which shows `tomcat` (G05 to G07)."""
    node = snapshot.node
    own = SERVICE_CERTIFICATES[ServiceFunction.SOAP].own
    assert own is not None
    return Tomcat(
        TomcatSettings(
            node=node.name, address=node.address, port=node.ports.tomcat, credential=snapshot.own[own]
        ),
        applications,
        clock=environment.clock,
        observer=environment.observer,
    )


_PAGE: Final = (
    "<!doctype html><html lang='en'><meta charset='utf-8'><title>{name}</title>"
    "<h1>{name}</h1><p>{product}</p></html>"
)


class StartPage:
    """What a browser gets that asks for no page by name."""

    def __init__(self, node: NodePlan, product: str) -> None:
        self._page = _PAGE.format(name=escape(node.fqdn), product=escape(product))

    def add_routes(self, app: web.Application) -> None:
        """Add the page `/`."""
        app.router.add_get("/", self._show)

    async def _show(self, request: web.Request) -> web.Response:
        return web.Response(text=self._page, content_type="text/html")
