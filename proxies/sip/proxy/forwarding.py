"""What a proxy checks in a request and changes in it; everything else keeps its bytes (RFC 3261 16.3 to 16.6)."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from typing import Final

from certs.errors import RemoteProtocolError
from proxies.sip.messages.message import HeaderField, Request, Response, split_first, split_values
from proxies.sip.messages.routing_uri import RoutingUri, address_of, parse_routing_uri
from proxies.sip.transactions.matching import MAGIC_COOKIE, cseq_of, respond, tag_of
from proxies.sip.transport.flow import Destination, Flow, Transport

RECORD_ROUTED: Final = frozenset({"INVITE", "SUBSCRIBE", "NOTIFY", "REFER", "UPDATE"})
"The methods that make a dialog or refresh its target, so the proxy stays on the way (16.6 step 4, RFC 6665 4.3)."

_MAXIMUM_FORWARDS: Final = 70
"What a request without Max-Forwards gets (16.6 step 3)."

_OWN_ROUTES: Final = 2
"How many Route values of ours may stand on top: one for each transport (RFC 5658 5)."

_MASK: Final = 2**64 - 1
"Makes a hash value one of 16 hexadecimal digits."


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyCoreSettings:
    """Who the proxy is and how long it waits."""

    hosts: frozenset[str]
    "The names and addresses, in lower case, that mean this proxy in a Route or Request-URI."

    sent_by: Mapping[Transport, tuple[str, int]]
    "Address and port that it gives as its own for each transport: in Via, and in Record-Route."

    ports: frozenset[int]
    "The ports it listens on."

    name: str
    "How it signs its Warning header fields: its host name."

    timer_c: float = 181.0
    "Seconds that an INVITE may ring; more than three minutes (16.6 step 11)."

    cancel_timeout: float = 32.0
    "Seconds that a cancelled INVITE may stay unanswered: 64*T1 (9.1)."

    maximum_targets: int = 16
    "How many targets one request is forked to; the others are left out."

    retry_after: int = 30
    "Seconds that a peer is told to wait where a next hop was out of reach (20.33)."


class RequestForwarder:
    """Checks requests and prepares their copies for the next hop."""

    def __init__(self, settings: ProxyCoreSettings) -> None:
        self._settings = settings
        self._salt = secrets.token_hex(4)
        self._numbers = count(1)

    def check(self, request: Request) -> Response | None:
        """Return the refusal of a request that must not be forwarded (16.3), or None.

        The access list and the search for a user come later; they are the service's rules.
        """
        if request.version.upper() != "SIP/2.0":
            return self.refuse(request, 505)
        try:
            parse_routing_uri(request.uri)
            forwards = _max_forwards(request)
        except RemoteProtocolError as error:
            return self.refuse(request, int(error.reply))
        if forwards == 0:
            return self.refuse(request, 483)
        if self._has_looped(request):
            return self.refuse(request, 482)
        extensions = request.header("proxy-require")
        if extensions is not None:
            refusal = self.refuse(request, 420)
            refusal.add_header("Unsupported", extensions)
            return refusal
        return None

    def refuse(self, request: Request, status: int) -> Response:
        """Return a final response of our own, with a tag of its own."""
        return respond(request, status, to_tag=f"{self._salt}-{next(self._numbers):x}")

    def is_own(self, uri: RoutingUri) -> bool:
        """Return whether a URI leads to this proxy."""
        default = (uri.transport or Transport.UDP).default_port
        return uri.host in self._settings.hosts and (uri.port or default) in self._settings.ports

    def take_own_routes(self, request: Request) -> Response | None:
        """Take away what the peer's routing put there to reach us (16.4, RFC 5658 5); return a refusal or None.

        A strict router before us has put our Record-Route value into the Request-URI; a switch of transports
        has left two Route values of ours.
        """
        try:
            self._undo_strict_routing(request)
            for _ in range(_OWN_ROUTES):
                route = request.header("route")
                if route is None or not self.is_own(parse_routing_uri(address_of(split_first(route)[0]))):
                    break
                request.remove_first_value("route")
            parse_routing_uri(request.uri)
        except RemoteProtocolError as error:
            return self.refuse(request, int(error.reply))
        return None

    def _undo_strict_routing(self, request: Request) -> None:
        uri = parse_routing_uri(request.uri)
        last = next((field for field in reversed(request.fields) if field.name == "route"), None)
        if last is None or uri.user or "lr" not in uri.parameters or not self.is_own(uri):
            return
        *others, target = split_values(last.value)
        index = request.fields.index(last)
        request.fields[index : index + 1] = [HeaderField.make("Route", ", ".join(others))] if others else []
        request.uri = address_of(target)

    def prepare(
        self, request: Request, uri: str, target: Destination | Flow, *, came_by: Flow, branch: str
    ) -> Request:
        """Return the copy of a request that goes to a target (16.6)."""
        copy = request.copy()
        copy.uri = uri
        copy.set_header("Max-Forwards", str(_max_forwards(request) - 1))
        sent_by = self._sent_by(target)
        if request.method in RECORD_ROUTED:
            self._record_route(copy, came_by, target)
        route = copy.header("route")
        if route is not None:
            first = address_of(split_first(route)[0])
            if "lr" not in parse_routing_uri(first).parameters:
                # A strict router wants itself in the Request-URI, and the target at the end (step 6).
                copy.remove_first_value("route")
                copy.add_header("Route", f"<{copy.uri}>")
                copy.uri = first
        alias = ";alias" if target.transport is Transport.TLS else ""  # RFC 5923 8.1
        copy.insert_header(
            "Via", f"SIP/2.0/{target.transport} {sent_by[0]}:{sent_by[1]};branch={branch};rport{alias}"
        )
        if target.transport.reliable and request.header("content-length") is None:
            copy.add_header("Content-Length", str(len(request.body)))
        return copy

    def new_branch(self, request: Request) -> str:
        """Return a branch in two parts: which one it is, and what the routing rested on (16.6 step 8)."""
        return f"{MAGIC_COOKIE}{self._salt}{next(self._numbers):x}.{_loop_hash(request)}"

    def stateless_branch(self, request: Request) -> str:
        """Return the branch for an ACK: the same for each retransmission of it (16.11)."""
        via, _ = split_first(request.required("via"))
        return f"{MAGIC_COOKIE}{self._salt}s{hash((via, request.uri)) & _MASK:x}.{_loop_hash(request)}"

    def _has_looped(self, request: Request) -> bool:
        """Return whether it came by here before with nothing changed that we route by (RFC 5393 4.2)."""
        ours = f"branch={MAGIC_COOKIE}{self._salt}"
        passed = [via for via in request.headers("via") if ours in via]
        if not passed:
            return False
        mark = f".{_loop_hash(request)}"
        return any(mark in via for via in passed)

    def _sent_by(self, target: Destination | Flow) -> tuple[str, int]:
        if isinstance(target, Flow) and target.local[1] in self._settings.ports:
            return target.local
        return self._settings.sent_by[target.transport]

    def _record_route(self, copy: Request, came_by: Flow, target: Destination | Flow) -> None:
        """Add one Record-Route, or one for each side where the transport or the port changes.

        RFC 5658 5 recommends two over rewriting one in the response, which would break what is signed end to end.
        `transport=tls` with `sip:` instead of `sips:`, because that would promise TLS on every hop (RFC 5630 3.1.3).
        """
        inner, outer = self._sent_by(came_by), self._sent_by(target)
        if (inner, came_by.transport) != (outer, target.transport):
            copy.insert_header("Record-Route", _own_route(inner, came_by.transport))
        copy.insert_header("Record-Route", _own_route(outer, target.transport))


def _own_route(sent_by: tuple[str, int], transport: Transport) -> str:
    name = "" if transport is Transport.UDP else f";transport={transport.lower()}"
    return f"<sip:{sent_by[0]}:{sent_by[1]}{name};lr>"


def _max_forwards(request: Request) -> int:
    value = request.header("max-forwards")
    if value is None:
        return _MAXIMUM_FORWARDS + 1
    if not (value.isascii() and value.isdecimal()) or len(value) > 3:
        raise RemoteProtocolError(f"Max-Forwards is not a number of three digits at most: {value[:20]!r}")
    return int(value)


def _loop_hash(request: Request) -> str:
    """Return what the routing of a request rests on as a short text; this process alone reads it.

    The topmost Via is no part of it: with it no loop through other elements would be seen (RFC 5393 4.2.1).
    """
    mark = hash(
        (
            request.uri,
            tag_of(request.header("from") or ""),
            tag_of(request.header("to") or ""),
            request.header("call-id"),
            cseq_of(request)[0],
            request.header("proxy-require"),
            request.header("proxy-authorization"),
            tuple(request.headers("route")),
        )
    )
    return f"{mark & _MASK:016x}"
