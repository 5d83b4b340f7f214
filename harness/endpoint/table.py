"""The table of a lab's endpoints: where outside clients connect, and what each listener expects of them.

A service that listens adds one row here; terminal, description file, DNS and `imp-harness env` follow.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from certs.purposes import ServiceName
from harness.endpoint.description import Endpoint
from harness.plan.topology import CucmNodePlan, ImpNodePlan, LabPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointRow:
    """One listener that every node of a kind has."""

    name: str
    "What commands and variables call it: small letters and hyphens, unique among the rows of a kind of node."

    service: str
    "The service, by its name in Control Center where it has one."

    port: str
    "The field of the node's ports (`ImpPorts`, `CucmPorts`)."

    transport: str
    "What is spoken first: `UDP, TCP`, `TLS`, `TCP, STARTTLS`, `HTTP`, `HTTPS`, `SSH`."

    expects: str
    "What it expects of a client, for a person."


IMP_ROWS: Final = (
    EndpointRow(
        name="sip",
        service=ServiceName.SIP_PROXY,
        port="sip",
        transport="UDP, TCP",
        expects="SIP from addresses of the incoming ACL",
    ),
    EndpointRow(
        name="sip-tls",
        service=ServiceName.SIP_PROXY,
        port="sip_tls_server_auth",
        transport="TLS",
        expects="SIP, server authentication: shows tomcat",
    ),
    EndpointRow(
        name="sip-tls-peer",
        service=ServiceName.SIP_PROXY,
        port="sip_tls_peer_auth",
        transport="TLS",
        expects="SIP, peer authentication: shows cup",
    ),
    EndpointRow(
        name="presence-tls",
        service=ServiceName.PRESENCE_ENGINE,
        port="presence_engine_tls",
        transport="TLS",
        expects="SIP, peer authentication: shows cup",
    ),
    EndpointRow(
        name="xmpp",
        service=ServiceName.XCP_CONNECTION_MANAGER,
        port="xmpp_client",
        transport="TCP, STARTTLS",
        expects="XMPP clients: shows cup-xmpp",
    ),
    EndpointRow(
        name="bosh",
        service=ServiceName.XCP_WEB_CONNECTION_MANAGER,
        port="http_binding",
        transport="HTTP",
        expects="web clients: BOSH, WebSocket (secure mode off)",
    ),
    EndpointRow(
        name="bosh-tls",
        service=ServiceName.XCP_WEB_CONNECTION_MANAGER,
        port="http_binding_tls",
        transport="HTTPS",
        expects="web clients with certificates (secure mode on)",
    ),
    EndpointRow(
        name="xmpp-federation",
        service=ServiceName.XCP_XMPP_FEDERATION,
        port="xmpp_federation",
        transport="TCP, STARTTLS",
        expects="servers of other domains: shows cup-xmpp-s2s",
    ),
    EndpointRow(
        name="xcp-router",
        service=ServiceName.XCP_ROUTER,
        port="xcp_router",
        transport="TCP, STARTTLS",
        expects="routers of the lab's other nodes",
    ),
    EndpointRow(
        name="xmpp-component",
        service=ServiceName.XCP_ROUTER,
        port="xcp_component",
        transport="TCP",
        expects="external components (XEP-0114)",
    ),
    EndpointRow(
        name="tomcat",
        service=ServiceName.TOMCAT,
        port="tomcat",
        transport="HTTPS",
        expects="browsers, SOAP and AXL clients: shows tomcat",
    ),
    EndpointRow(
        name="ssh",
        service=ServiceName.SSH,
        port="ssh",
        transport="SSH",
        expects="administrators: the platform command line",
    ),
)
"The listeners of an IM and Presence node."

CUCM_ROWS: Final = (
    EndpointRow(
        name="sip",
        service=ServiceName.CALLMANAGER,
        port="sip",
        transport="UDP, TCP",
        expects="SIP trunks without TLS",
    ),
    EndpointRow(
        name="sip-tls",
        service=ServiceName.CALLMANAGER,
        port="sip_tls",
        transport="TLS",
        expects="SIP trunks, peer authentication: shows CallManager",
    ),
    EndpointRow(
        name="tomcat",
        service=ServiceName.TOMCAT,
        port="tomcat",
        transport="HTTPS",
        expects="browsers, SOAP and AXL clients: shows tomcat",
    ),
    EndpointRow(
        name="ssh",
        service=ServiceName.SSH,
        port="ssh",
        transport="SSH",
        expects="administrators: the platform command line",
    ),
)
"The listeners of a CUCM node."


def endpoints(plan: LabPlan) -> Iterator[Endpoint]:
    """Yield every listener of a lab, node by node."""
    for node in plan.nodes:
        for row in _rows(node):
            yield Endpoint(
                node=node.name,
                name=row.name,
                service=row.service,
                address=node.address,
                port=getattr(node.ports, row.port),
                transport=row.transport,
                expects=row.expects,
            )


def _rows(node: ImpNodePlan | CucmNodePlan) -> tuple[EndpointRow, ...]:
    return IMP_ROWS if isinstance(node, ImpNodePlan) else CUCM_ROWS
