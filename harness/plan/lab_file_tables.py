"""The tables of a lab file, and the ports that the nodes in it have."""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from harness.plan.lab_file_errors import refuse_doubles, refuse_unknown_keys

# Ports below 1024 need root, so the lab has none.
Port = Annotated[int, Field(ge=1024, le=65535)]


class Table(BaseModel):
    """A table of the lab file: frozen, and a key that is not in it is an error with near matches."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    _refuse_unknown_keys = model_validator(mode="before")(refuse_unknown_keys)


class _Ports(Table):
    """The ports of one node, each of its own."""

    @model_validator(mode="after")
    def _refuse_shared_ports(self) -> Self:
        refuse_doubles(((name,), getattr(self, name)) for name in type(self).model_fields)
        return self


class ImpPorts(_Ports):
    """The ports of an IM and Presence node; those below 1024 are mapped, because they need root."""

    sip: Port = 5060
    "SIP proxy over UDP and TCP."

    sip_tls_server_auth: Port = 5061
    "SIP proxy over TLS, server authentication only."

    sip_tls_peer_auth: Port = 5062
    "SIP proxy over TLS, peer (mutual) authentication."

    presence_engine: Port = 5080
    "Presence engine over TCP, for the node's own SIP proxy."

    presence_engine_tls: Port = 5081
    "Presence engine over TLS, peer authentication."

    xcp_router: Port = 7400
    "XCP router to router."

    xcp_component: Port = 5347
    "External components of the XCP router (XEP-0114)."

    xmpp_client: Port = 5222
    "XMPP clients."

    xmpp_federation: Port = 5269
    "XMPP federation (s2s)."

    http_binding: Port = 7335
    "HTTP binding for web clients."

    http_binding_tls: Port = 7336
    "HTTP binding for web clients, over TLS."

    tomcat: Port = 8443
    "Administration, SOAP and AXL (Cisco Tomcat)."

    ssh: Port = 2222
    "Platform command line; 22 on the product."


class CucmPorts(_Ports):
    """The ports of a CUCM node; SIP trunk security profiles add others."""

    sip: Port = 5060
    "SIP trunks over UDP and TCP."

    sip_tls: Port = 5061
    "SIP trunks over TLS."

    tomcat: Port = 8443
    "Administration, SOAP and AXL (Cisco Tomcat)."

    ssh: Port = 2222
    "Platform command line; 22 on the product."
