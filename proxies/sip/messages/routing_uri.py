"""What routing asks of a SIP URI: whose it is, and where it leads (RFC 3261 19.1, 16.4 to 16.6)."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

from certs.errors import RemoteProtocolError
from proxies.sip.transport.flow import Transport


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingUri:
    """A SIP or SIPS URI, cut into what decides about a route."""

    scheme: str
    "`sip` or `sips`."

    user: str
    "The user part without a password; empty where there is none."

    host: str
    "The host in lower case; an IPv6 reference with its brackets."

    port: int | None
    "The port, where it names one."

    parameters: Mapping[str, str]
    "The URI parameters, names in lower case; the headers after `?` are no part of it."

    @property
    def transport(self) -> Transport | None:
        """The transport that it asks for; `sips` means TLS (26.2.2). None leaves the choice open."""
        name = self.parameters.get("transport", "").upper()
        if self.scheme == "sips" or name == "TLS":
            return Transport.TLS
        return Transport(name) if name in Transport.__members__ else None

    @property
    def address_of_record(self) -> str:
        """User and host, which name a user of a domain (10.3)."""
        return f"{self.user}@{self.host}"


@lru_cache(maxsize=4096)
def parse_routing_uri(text: str) -> RoutingUri:
    """Parse a URI.

    Raises RemoteProtocolError: 416 for another scheme, 400 for what is no URI.
    """
    scheme, colon, rest = text.partition(":")
    scheme = scheme.lower()
    if not colon or not scheme:
        raise RemoteProtocolError(f"not a URI: {text[:60]!r}")
    if scheme not in ("sip", "sips"):
        raise RemoteProtocolError(f"{scheme} is no scheme that this proxy routes", reply="416")
    rest = rest.partition("?")[0]
    userinfo, at, hostport = rest.rpartition("@")
    hostport, *parameters = hostport.split(";")
    host, colon, port = hostport.rpartition(":")
    if not colon or hostport.endswith("]"):
        host, port = hostport, ""
    if not host or (at and not userinfo) or not _is_port(port):
        raise RemoteProtocolError(f"not a SIP URI: {text[:60]!r}")
    pairs = (parameter.partition("=") for parameter in parameters)
    return RoutingUri(
        scheme=scheme,
        user=userinfo.partition(":")[0],
        host=host.lower(),
        port=int(port) if port else None,
        parameters=MappingProxyType({name.strip().lower(): value.strip() for name, _, value in pairs}),
    )


def address_of(value: str) -> str:
    """Return the URI of a name-addr or addr-spec (20.10)."""
    if "<" in value:
        return value.rpartition("<")[2].partition(">")[0].strip()
    return value.partition(";")[0].strip()


def _is_port(text: str) -> bool:
    return not text or (text.isascii() and text.isdecimal() and len(text) < 6 and 0 < int(text) < 65536)
