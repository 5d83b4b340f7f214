"""The guide's clauses by their ids, with a line each: what a scenario's `covers` may name."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from certs.errors import ConfigError

CLAUSES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "G01": "Login banner",
        "G02": "Client certificates (table 1)",
        "G03": "SIP Proxy: own cup, trusts cup-trust",
        "G04": "Presence Engine: own cup, trusts cup-trust",
        "G05": "SOAP: own tomcat, trusts directory-trust",
        "G06": "AXL: own tomcat, trusts directory-trust",
        "G07": "LDAP: own tomcat, trusts directory-trust",
        "G08": "Microsoft Exchange: trusts cup-trust",
        "G09": "Microsoft OCS/LCS call control: own cup, trusts cup-trust",
        "G10": "SIP federation: own cup, trusts cup-trust",
        "G11": "XMPP federation: own cup-xmpp-s2s, trusts cup-xmpp-trust",
        "G12": "Certificate exchange: trunk profile and trunk first",
        "G13": "Certificate Import Tool",
        "G14": "Import adds the TLS peer subject",
        "G15": "Restart Cisco SIP Proxy after an import",
        "G16": "Download cup.pem",
        "G17": "Upload to Callmanager-trust, restart Cisco CallManager",
        "G18": "TLS peer subjects",
        "G19": "TLS context",
        "G20": "SIP intra-cluster proxy-to-proxy transport",
        "G21": "XMPP client secure mode",
        "G22": "XMPP router-to-router secure mode",
        "G23": "Web client secure mode",
        "G24": "XMPP certificate settings",
        "G25": "FIPS 140-2: enable",
        "G26": "FIPS 140-2: disable, status",
        "G27": "FIPS 140-2: failed self-test",
    }
)
"Id and title, in the guide's order."


def check_clauses(ids: Iterable[str]) -> tuple[str, ...]:
    """Return the ids as they are.

    Raises ConfigError where one is not known.
    """
    checked = tuple(ids)
    unknown = [clause for clause in checked if clause not in CLAUSES]
    if unknown:
        raise ConfigError(f"no clause has the id {', '.join(unknown)}; known are G01 to G27")
    return checked
