"""The product's certificates, trust stores and services, and the guide's tables about them, as data.

Source: guide, "IM and Presence certificate types" (tables 1 and 2); OS Administration Guide 9.1(1),
"Security", for the restart table. Everything else reads these tables; nothing repeats them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from certs.errors import ConfigError


class CertificatePurpose(StrEnum):
    """What a node's own certificate is for; the value is the product's name of it."""

    TOMCAT = "tomcat"
    CUP = "cup"
    CUP_XMPP = "cup-xmpp"
    CUP_XMPP_S2S = "cup-xmpp-s2s"
    CALLMANAGER = "CallManager"


class TrustStoreName(StrEnum):
    """Where a node keeps the certificates it trusts; the value is the product's name of it."""

    CUP_TRUST = "cup-trust"
    CUP_XMPP_TRUST = "cup-xmpp-trust"
    TOMCAT_TRUST = "tomcat-trust"
    CALLMANAGER_TRUST = "Callmanager-trust"

    @classmethod
    def parse(cls, text: str) -> "TrustStoreName":
        """Return the store that this name means; `directory-trust` is the old name of `tomcat-trust` (G07).

        Raises ConfigError where no store has the name.
        """
        folded = text.strip().lower()
        if folded == "directory-trust":
            return cls.TOMCAT_TRUST
        for store in cls:
            if store.value.lower() == folded:
                return store
        known = ", ".join([*cls, "directory-trust"])
        raise ConfigError(f"{text!r} is not a trust store; known are {known}")


class ServiceName(StrEnum):
    """The product's services that the lab has; the value is the name in Control Center."""

    SIP_PROXY = "Cisco SIP Proxy"
    PRESENCE_ENGINE = "Cisco Presence Engine"
    XCP_ROUTER = "Cisco XCP Router"
    XCP_CONNECTION_MANAGER = "Cisco XCP Connection Manager"
    XCP_WEB_CONNECTION_MANAGER = "Cisco XCP Web Connection Manager"
    XCP_XMPP_FEDERATION = "Cisco XCP XMPP Federation Connection Manager"
    INTERCLUSTER_SYNC_AGENT = "Cisco Intercluster Sync Agent"
    TOMCAT = "Cisco Tomcat"
    CALLMANAGER = "Cisco CallManager"
    SSH = "System SSH"


class ClientApplication(StrEnum):
    """The first column of table 1."""

    SIP_CLIENT = "SIP client (Cisco Unified Communications Manager)"
    XMPP_CLIENT = "XMPP client (Cisco Unified Personal Communicator Release 8.0, third-party client)"


class ServiceFunction(StrEnum):
    """The first column of table 2."""

    SIP_PROXY = "SIP Proxy"
    PRESENCE_ENGINE = "Presence Engine"
    SOAP = "SOAP"
    AXL = "AXL"
    LDAP = "LDAP"
    EXCHANGE = "Microsoft Exchange"
    CALL_CONTROL = "Microsoft OCS/LCS Call Control"
    SIP_FEDERATION = "SIP Federation"
    XMPP_FEDERATION = "XMPP Federation"


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateUse:
    """A row of table 2: which certificate a function shows and which store it trusts."""

    own: CertificatePurpose | None
    "The certificate it shows; None where the table's cell is empty."

    trust: TrustStoreName
    "The store its peers are checked against."

    clause: str
    "The row's id in this project's list of the guide's clauses."


CLIENT_CERTIFICATES: Final[Mapping[ClientApplication, CertificatePurpose]] = MappingProxyType(
    {
        ClientApplication.SIP_CLIENT: CertificatePurpose.TOMCAT,
        ClientApplication.XMPP_CLIENT: CertificatePurpose.CUP_XMPP,
    }
)
"Table 1 (G02)."

_CUP, _TOMCAT = CertificatePurpose.CUP, CertificatePurpose.TOMCAT
_CUP_TRUST, _TOMCAT_TRUST = TrustStoreName.CUP_TRUST, TrustStoreName.TOMCAT_TRUST

SERVICE_CERTIFICATES: Final[Mapping[ServiceFunction, CertificateUse]] = MappingProxyType(
    {
        ServiceFunction.SIP_PROXY: CertificateUse(own=_CUP, trust=_CUP_TRUST, clause="G03"),
        ServiceFunction.PRESENCE_ENGINE: CertificateUse(own=_CUP, trust=_CUP_TRUST, clause="G04"),
        ServiceFunction.SOAP: CertificateUse(own=_TOMCAT, trust=_TOMCAT_TRUST, clause="G05"),
        ServiceFunction.AXL: CertificateUse(own=_TOMCAT, trust=_TOMCAT_TRUST, clause="G06"),
        ServiceFunction.LDAP: CertificateUse(own=_TOMCAT, trust=_TOMCAT_TRUST, clause="G07"),
        ServiceFunction.EXCHANGE: CertificateUse(own=None, trust=_CUP_TRUST, clause="G08"),
        ServiceFunction.CALL_CONTROL: CertificateUse(own=_CUP, trust=_CUP_TRUST, clause="G09"),
        ServiceFunction.SIP_FEDERATION: CertificateUse(own=_CUP, trust=_CUP_TRUST, clause="G10"),
        ServiceFunction.XMPP_FEDERATION: CertificateUse(
            own=CertificatePurpose.CUP_XMPP_S2S, trust=TrustStoreName.CUP_XMPP_TRUST, clause="G11"
        ),
    }
)
"Table 2 (G03 to G11)."

_SIP = (ServiceName.SIP_PROXY, ServiceName.PRESENCE_ENGINE)
_XMPP_CLIENT_SIDE = (ServiceName.XCP_CONNECTION_MANAGER, ServiceName.XCP_WEB_CONNECTION_MANAGER)

RESTARTS: Final[Mapping[CertificatePurpose | TrustStoreName, tuple[ServiceName, ...]]] = MappingProxyType(
    {
        CertificatePurpose.CUP: _SIP,
        TrustStoreName.CUP_TRUST: _SIP,
        CertificatePurpose.CUP_XMPP: _XMPP_CLIENT_SIDE,
        CertificatePurpose.CUP_XMPP_S2S: (ServiceName.XCP_XMPP_FEDERATION,),
        TrustStoreName.CUP_XMPP_TRUST: (*_XMPP_CLIENT_SIDE, ServiceName.XCP_XMPP_FEDERATION),
        CertificatePurpose.TOMCAT: (ServiceName.TOMCAT,),
        TrustStoreName.TOMCAT_TRUST: (ServiceName.TOMCAT,),
        CertificatePurpose.CALLMANAGER: (ServiceName.CALLMANAGER,),
        TrustStoreName.CALLMANAGER_TRUST: (ServiceName.CALLMANAGER,),
    }
)
"The restart table: what changed, and which services read it when they start."
