"""Which way the Cisco SIP Proxy sends a request (RFC 3261 16.5; guide, "SIP proxy-to-proxy protocol")."""

import re
from dataclasses import dataclass

from certs.errors import RemoteProtocolError
from proxies.sip.messages.message import Request
from proxies.sip.messages.routing_uri import RoutingUri, address_of, parse_routing_uri
from proxies.sip.proxy.location import LocationService
from proxies.sip.proxy.proxy_core import Target
from proxies.sip.proxy.sip_proxy_settings import ClusterNode, RouteType, SipProxySettings, StaticRoute
from proxies.sip.transactions.matching import tag_of
from proxies.sip.transport.flow import Destination, Flow, Transport
from proxies.sip.transport.locating import Resolver, locate


@dataclass(frozen=True, slots=True)
class ForwardTo:
    """The request goes to these targets; to none means that the user has not registered."""

    targets: tuple[Target, ...]
    "Where to, all at once."


@dataclass(frozen=True, slots=True)
class RegisterHere:
    """The request is a REGISTER for a user of this node."""

    user: str
    "The user."


@dataclass(frozen=True, slots=True)
class AnswerHere:
    """The request is for the proxy itself."""


Route = ForwardTo | RegisterHere | AnswerHere
"What becomes of a request."


class ProxyRouter:
    """Finds the way of a request by the tables the proxy started with, and by who has registered."""

    def __init__(self, settings: SipProxySettings, *, location: LocationService, resolver: Resolver) -> None:
        self._settings = settings
        self._location = location
        self._resolver = resolver
        self._own_hosts = {settings.fqdn.lower(), settings.address}
        self._own_ports = {None, settings.sip_port, settings.server_auth_port, settings.peer_auth_port}
        self._nodes = {node.name: node for node in settings.cluster_nodes}
        self._nodes_by_host = {
            host: n for n in settings.cluster_nodes for host in (n.fqdn.lower(), n.address)
        }
        self._routes = [
            (route.route_type, _pattern(route), route.next_hop)
            for route in sorted(settings.static_routes, key=lambda route: route.priority)
        ]

    def route(self, request: Request, next_hop: str, *, now: float) -> Route:
        """Return what becomes of a request.

        Raises RemoteProtocolError (404) where the cluster has no such user and no static route leads on.
        """
        uri = parse_routing_uri(next_hop)
        if request.header("route") is not None:
            return ForwardTo((Target(uri=request.uri, destination=self._locate(uri)),))
        # Other ports of the node's address are other services, as the presence engine.
        own = uri.host in self._own_hosts and uri.port in self._own_ports
        if own or uri.host in self._settings.domains:
            return self._route_inside(request, uri, now=now)
        if tag_of(request.header("to") or ""):
            return ForwardTo((self._route_to_contact(request, uri, now=now),))
        destination = self._static_route(RouteType.DOMAIN, uri.host)
        if destination is None:
            raise RemoteProtocolError(f"no static route leads to {uri.host}", reply="404")
        return ForwardTo((Target(uri=request.uri, destination=destination),))

    def _route_inside(self, request: Request, uri: RoutingUri, *, now: float) -> Route:
        """Route within the cluster's domains."""
        user = uri.user
        if request.method == "REGISTER":
            user = parse_routing_uri(address_of(request.required("to"))).user
        elif not user:
            return AnswerHere()
        home = self._settings.users.get(user)
        if home is None:
            destination = self._static_route(RouteType.USER, user)
            if destination is None or request.method == "REGISTER":
                raise RemoteProtocolError(f"the cluster has no user {user!r}", reply="404")
            return ForwardTo((Target(uri=request.uri, destination=destination),))
        if home != self._settings.node:
            return ForwardTo((Target(uri=request.uri, destination=self._to_node(self._nodes[home])),))
        if request.method == "REGISTER":
            return RegisterHere(user)
        engine = self._settings.presence_engine
        if engine is not None and _is_presence(request):
            return ForwardTo((Target(uri=request.uri, destination=engine),))
        bindings = self._location.bindings_of(user, now=now)
        return ForwardTo(tuple(Target(uri=b.contact, destination=b.flow or b.destination) for b in bindings))

    def _route_to_contact(self, request: Request, uri: RoutingUri, *, now: float) -> Target:
        """Route a request of a dialog to the contact it names: over its connection where it registered."""
        binding = self._location.find_contact(request.uri, now=now)
        where: Destination | Flow = self._locate(uri)
        if binding is not None:
            where = binding.flow or binding.destination
        return Target(uri=request.uri, destination=where)

    def _locate(self, uri: RoutingUri) -> Destination:
        node = self._nodes_by_host.get(uri.host)
        if node is not None:
            return self._to_node(node)
        server_name = uri.host if uri.transport is Transport.TLS else ""
        return locate(
            uri.host,
            resolver=self._resolver,
            transport=uri.transport,
            port=uri.port,
            server_name=server_name,
        )

    def _to_node(self, node: ClusterNode) -> Destination:
        if self._settings.proxy_to_proxy_transport is Transport.TCP:
            return Destination(transport=Transport.TCP, host=node.address, port=node.sip_port)
        return Destination(
            transport=Transport.TLS, host=node.address, port=node.peer_auth_port, server_name=node.fqdn
        )

    def _static_route(self, route_type: RouteType, text: str) -> Destination | None:
        for kind, pattern, next_hop in self._routes:
            if kind is route_type and pattern.fullmatch(text):
                return next_hop
        return None


def _is_presence(request: Request) -> bool:
    event = (request.header("event") or "").partition(";")[0].strip().lower()
    return request.method in ("PUBLISH", "SUBSCRIBE") and event == "presence"


def _pattern(route: StaticRoute) -> re.Pattern[str]:
    """Return the expression that a destination pattern stands for."""
    if route.route_type is RouteType.USER:
        parts = (".*" if c == "*" else "." if c == "." else re.escape(c) for c in route.destination_pattern)
        return re.compile("".join(parts))
    labels = [label for label in route.destination_pattern.lower().split(".") if label]
    inner = labels[:-1] if labels and labels[-1] == "*" else labels
    domain = re.escape(".".join(reversed(inner)))
    return re.compile(rf"(.+\.)?{domain}" if inner is not labels else domain)
