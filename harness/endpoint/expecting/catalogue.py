"""The expectations by name."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from certs.errors import ConfigError
from certs.purposes import ServiceName
from certs.verdict import Reason
from harness.endpoint.expecting.watching import (
    Matcher,
    answered,
    body,
    client_refuses,
    first_of,
    login,
    presence,
    refused,
    tls,
    trunk,
    xmpp_stanza,
)
from harness.near_matches import did_you_mean

_CLIENTS: Final = (ServiceName.XCP_CONNECTION_MANAGER, ServiceName.XCP_WEB_CONNECTION_MANAGER)
_SIP: Final = (ServiceName.SIP_PROXY, ServiceName.PRESENCE_ENGINE, ServiceName.CALLMANAGER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """One thing that a client may be expected to do."""

    title: str
    "What it is, for people."

    match: Matcher
    "Knows it when it sees it."

    services: tuple[ServiceName, ...] = ()
    "Where it happens, for the nearest miss; none means anywhere."

    argument: str = ""
    "What its argument is called; empty where it takes none."


EXPECTATIONS: Final[Mapping[str, Expectation]] = MappingProxyType(
    {
        "tls-handshake": Expectation(title="a TLS handshake is carried through, at any service", match=tls()),
        "xmpp-client": Expectation(
            title="an XMPP client connects and goes over to TLS",
            match=tls(ServiceName.XCP_CONNECTION_MANAGER),
            services=(ServiceName.XCP_CONNECTION_MANAGER,),
        ),
        "xmpp-login": Expectation(title="an XMPP client logs in", match=login(*_CLIENTS), services=_CLIENTS),
        "web-login": Expectation(
            title="an XMPP client logs in over BOSH or WebSocket",
            match=login(ServiceName.XCP_WEB_CONNECTION_MANAGER),
            services=(ServiceName.XCP_WEB_CONNECTION_MANAGER,),
        ),
        "xmpp-presence": Expectation(
            title="an XMPP client sends presence",
            match=xmpp_stanza("presence", presence(), *_CLIENTS),
            services=_CLIENTS,
        ),
        "message": Expectation(
            title="a client sends a text message, by XMPP or by SIP MESSAGE that is answered with 2xx",
            match=first_of(xmpp_stanza("a message", body(), *_CLIENTS), answered("MESSAGE", *_SIP)),
        ),
        "sip-register": Expectation(
            title="a SIP client registers", match=answered("REGISTER", *_SIP), services=_SIP
        ),
        "sip-subscribe": Expectation(
            title="a SIP client subscribes", match=answered("SUBSCRIBE", *_SIP), services=_SIP
        ),
        "sip-options": Expectation(
            title="a SIP client's OPTIONS is answered with 2xx",
            match=answered("OPTIONS", *_SIP),
            services=_SIP,
        ),
        "sip-call": Expectation(
            title="a SIP client's INVITE is answered with 2xx", match=answered("INVITE", *_SIP), services=_SIP
        ),
        "sip-trunk": Expectation(
            title="CUCM lets a peer in by a SIP trunk", match=trunk, services=(ServiceName.CALLMANAGER,)
        ),
        "refused": Expectation(
            title="the lab refuses a client, for the reason if one is named", match=refused, argument="REASON"
        ),
        "client-refuses-server": Expectation(
            title="a client refuses the certificate that it was shown, with the alert if one is named",
            match=client_refuses,
            argument="ALERT",
        ),
    }
)
"The expectations; `imp-harness expect list` prints them."


def find_expectation(name: str, argument: str) -> Expectation:
    """Return an expectation. Raises ConfigError where there is none, or its argument is none of its kind."""
    found = EXPECTATIONS.get(name)
    if found is None:
        known = ", ".join(EXPECTATIONS)
        raise ConfigError(
            f"no expectation is called {name!r}{did_you_mean(name, EXPECTATIONS)}; known: {known}"
        )
    if argument and not found.argument:
        raise ConfigError(f"{name} takes no argument, seen {argument!r}")
    if argument and found.argument == "REASON" and argument not in set(Reason):
        reasons = sorted(each.value for each in Reason)
        raise ConfigError(
            f"no reason is called {argument!r}{did_you_mean(argument, reasons)}; known: {', '.join(reasons)}"
        )
    return found
