"""Which way the SIP proxy sends a request, and whom it listens to."""

from dataclasses import replace

import pytest

from certs.credential import Credential
from certs.errors import RemoteProtocolError
from certs.verdict import PresentedCertificate, Reason, Side, Verdict
from proxies.sip.messages.message import Request
from proxies.sip.messages.routing_uri import parse_routing_uri
from proxies.sip.proxy.access_list import IncomingAccessList
from proxies.sip.proxy.location import Binding, LocationService
from proxies.sip.proxy.proxy_core import Target
from proxies.sip.proxy.proxy_routing import AnswerHere, ForwardTo, ProxyRouter, RegisterHere
from proxies.sip.proxy.sip_proxy_settings import ClusterNode, RouteType, SipProxySettings, StaticRoute
from proxies.sip.transport.flow import Destination, Flow, Transport
from proxies.tls.settings import TrustPolicy
from tests.proxies.sip.wire import make_flow, make_request


class Names:
    """One host, and one domain whose SRV record names it."""

    def address_of(self, name: str) -> str | None:
        return {"sip.partner.com": "127.0.0.8"}.get(name)

    def services_of(self, domain: str, transport: Transport) -> tuple[tuple[str, int], ...]:
        return (("sip.partner.com", 5061),) if (domain, transport) == ("partner.com", Transport.TLS) else ()


CUCM = Destination(transport=Transport.TCP, host="127.0.0.5", port=5060)
ENGINE = Destination(transport=Transport.TCP, host="127.0.0.1", port=5070)
PHONE = Destination(transport=Transport.UDP, host="127.0.0.2", port=5070)
IMP2_TLS = Destination(transport=Transport.TLS, host="127.0.0.6", port=5062, server_name="imp2.example.com")
IMP2_TCP = Destination(transport=Transport.TCP, host="127.0.0.6", port=5060)

SETTINGS = SipProxySettings(
    node="imp1",
    fqdn="imp1.example.com",
    address="127.0.0.1",
    domains=frozenset({"example.com"}),
    credential=Credential(chain_pem=b"", key_pem=b""),
    server_auth_credential=Credential(chain_pem=b"", key_pem=b""),
    trust=TrustPolicy(),
    users={"alice": "imp1", "bob": "imp2"},
    cluster_nodes=(ClusterNode(name="imp2", fqdn="imp2.example.com", address="127.0.0.6"),),
    static_routes=(
        StaticRoute(destination_pattern="1...", next_hop=CUCM),
        StaticRoute(destination_pattern=".com.partner.*", next_hop=CUCM, route_type=RouteType.DOMAIN),
    ),
)


def router(settings: SipProxySettings = SETTINGS) -> ProxyRouter:
    location = LocationService(maximum_bindings=10)
    binding = Binding(
        contact="sip:alice@127.0.0.2:5070",
        parameters="",
        call_id="c",
        cseq=1,
        expires_at=100.0,
        flow=None,
        destination=PHONE,
    )
    location.replace("alice", [binding])
    return ProxyRouter(settings, location=location, resolver=Names())


def route(request: Request, settings: SipProxySettings = SETTINGS) -> object:
    return router(settings).route(request, request.uri, now=0.0)


def test_a_user_of_this_node_is_reached_at_the_registered_contact() -> None:
    assert route(make_request(uri="sip:alice@example.com")) == ForwardTo(
        (Target(uri="sip:alice@127.0.0.2:5070", destination=PHONE),)
    )


@pytest.mark.parametrize(("transport", "hop"), [(Transport.TLS, IMP2_TLS), (Transport.TCP, IMP2_TCP)])
def test_a_user_of_another_node_is_reached_over_the_chosen_transport(
    transport: Transport, hop: Destination
) -> None:
    settings = replace(SETTINGS, proxy_to_proxy_transport=transport)
    uri = "sip:bob@example.com"
    assert route(make_request(uri=uri), settings) == ForwardTo((Target(uri=uri, destination=hop),))


@pytest.mark.parametrize(
    ("uri", "hop"),
    [("sip:1001@example.com", CUCM), ("sip:x@partner.com", CUCM), ("sip:x@eu.partner.com", CUCM)],
)
def test_static_routes_lead_to_lines_and_domains(uri: str, hop: Destination) -> None:
    assert route(make_request(uri=uri)) == ForwardTo((Target(uri=uri, destination=hop),))


@pytest.mark.parametrize(
    "uri",
    ["sip:100@example.com", "sip:10011@example.com", "sip:x@notpartner.com", "sip:x@partner.com.evil.org"],
)
def test_what_no_pattern_matches_whole_is_not_found(uri: str) -> None:
    with pytest.raises(RemoteProtocolError) as refused:
        route(make_request(uri=uri))
    assert refused.value.reply == "404"


def test_the_lowest_priority_wins() -> None:
    other = StaticRoute(destination_pattern="*", next_hop=ENGINE, priority=0)
    settings = replace(SETTINGS, static_routes=(*SETTINGS.static_routes, other))
    found = route(make_request(uri="sip:1001@example.com"), settings)
    assert found == ForwardTo((Target(uri="sip:1001@example.com", destination=ENGINE),))


@pytest.mark.parametrize(
    ("method", "event", "engine"),
    [
        ("SUBSCRIBE", "presence", True),
        ("PUBLISH", "Presence;id=1", True),
        ("SUBSCRIBE", "dialog", False),
        ("MESSAGE", "presence", False),
    ],
)
def test_presence_goes_to_the_nodes_presence_engine(method: str, event: str, engine: bool) -> None:
    settings = replace(SETTINGS, presence_engine=ENGINE)
    found = route(make_request(method, uri="sip:alice@example.com", extra=f"Event: {event}\n"), settings)
    assert isinstance(found, ForwardTo)
    assert (found.targets[0].destination is ENGINE) is engine


@pytest.mark.parametrize(
    ("to", "expected"),
    [
        ("sip:alice@example.com", RegisterHere("alice")),
        ("sip:bob@example.com", ForwardTo((Target(uri="sip:example.com", destination=IMP2_TLS),))),
    ],
)
def test_a_register_goes_to_the_users_home(to: str, expected: object) -> None:
    request = make_request("REGISTER", uri="sip:example.com")
    request.set_header("To", f"<{to}>")
    assert route(request) == expected


@pytest.mark.parametrize("uri", ["sip:example.com", "sip:imp1.example.com", "sip:127.0.0.1:5060"])
def test_a_uri_without_a_user_is_the_proxy_itself(uri: str) -> None:
    assert route(make_request("OPTIONS", uri=uri)) == AnswerHere()


@pytest.mark.parametrize(
    ("next_hop", "hop"),
    [
        ("sip:127.0.0.6:5062;transport=tls;lr", IMP2_TLS),
        ("sip:127.0.0.9:5080;lr", Destination(transport=Transport.UDP, host="127.0.0.9", port=5080)),
        (
            "sips:partner.com;lr",
            Destination(
                transport=Transport.TLS, host="sip.partner.com", port=5061, server_name="partner.com"
            ),
        ),
    ],
)
def test_a_route_value_is_followed(next_hop: str, hop: Destination) -> None:
    request = make_request(uri="sip:alice@example.com", extra=f"Route: <{next_hop}>\n")
    found = router().route(request, next_hop, now=0.0)
    assert found == ForwardTo((Target(uri="sip:alice@example.com", destination=hop),))


def test_another_service_at_the_nodes_address_is_reached_within_its_dialog() -> None:
    uri = "sip:alice@127.0.0.1:5070;transport=tcp"
    found = route(make_request("SUBSCRIBE", uri=uri, to_tag="b1"))
    assert found == ForwardTo((Target(uri=uri, destination=ENGINE),))


def test_a_request_of_a_dialog_is_routed_to_the_contact_it_names() -> None:
    uri = "sip:dave@127.0.0.9:5080;transport=tcp"
    hop = Destination(transport=Transport.TCP, host="127.0.0.9", port=5080)
    assert route(make_request("BYE", uri=uri, to_tag="b1")) == ForwardTo((Target(uri=uri, destination=hop),))
    with pytest.raises(RemoteProtocolError):
        route(make_request("MESSAGE", uri=uri))


# URIs.


def test_a_uri_is_cut_into_what_routing_asks() -> None:
    uri = parse_routing_uri("sips:alice:secret@[::1]:5061;Transport=TCP;lr?subject=x")
    assert (uri.scheme, uri.user, uri.host, uri.port) == ("sips", "alice", "[::1]", 5061)
    assert dict(uri.parameters) == {"transport": "TCP", "lr": ""}
    assert uri.transport is Transport.TLS


# The incoming access list.


def with_certificate(*, shown: bool) -> Flow:
    certificate = object.__new__(PresentedCertificate)
    verdict = Verdict(
        accepted=True,
        reason=Reason.ACCEPTED,
        side=Side.SERVER,
        presented_chain=(certificate,) if shown else (),
    )
    plain = make_flow(Transport.TLS)
    return Flow(
        connection=plain.connection,
        transport=plain.transport,
        local=plain.local,
        peer=plain.peer,
        verdict=verdict,
    )


@pytest.mark.parametrize(
    ("entries", "admitted"),
    [
        ([], False),
        (["127.0.0.8"], True),
        (["127.0.0.9"], False),
        (["127.0.0.8/30"], True),
        (["127.1.0.0/16"], False),
        (["sip.partner.com"], True),
        (["partner.com"], True),
        (["com"], False),
        (["all"], True),
    ],
)
def test_an_entry_lets_in_what_it_names(entries: list[str], admitted: bool) -> None:
    access_list = IncomingAccessList(entries, resolver=Names())
    assert access_list.admits(make_flow(peer=("127.0.0.8", 5060))) is admitted


@pytest.mark.parametrize("shown", [True, False])
def test_a_peer_that_showed_a_trusted_certificate_needs_no_entry(shown: bool) -> None:
    assert IncomingAccessList([], resolver=Names()).admits(with_certificate(shown=shown)) is shown
