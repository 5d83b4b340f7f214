"""How a node's Cisco Tomcat is built."""

from certs.purposes import SERVICE_CERTIFICATES, ServiceFunction
from harness.configuration.snapshots import PlanT, SettingsT, Snapshot
from harness.nodes.service_control import ServiceEnvironment
from harness.plan.topology import ImpNodePlan
from proxies.http.axl.names import PATH
from proxies.http.axl.service import AxlWebService
from proxies.http.axl.values import AxlSource
from proxies.http.tomcat import Tomcat, TomcatSettings, WebApplication
from proxies.observer import Observer


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


def build_axl(node: ImpNodePlan, source: AxlSource, observer: Observer) -> AxlWebService:
    """Return a node's AXL web service (G06)."""
    url = f"https://{node.fqdn}:{node.ports.tomcat}{PATH}"
    return AxlWebService(source, node=node.name, url=url, observer=observer)
