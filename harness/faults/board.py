"""The faults of a running lab: which are on, and what stands between its services and their sockets."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, Final

from certs.credential import Credential
from certs.errors import ConfigError
from certs.presented import common_name, parse_certificates
from certs.purposes import ServiceName
from certs.wrong import Role, WrongCertificate, WrongCertificates
from harness.faults.kinds import CERTIFICATE, KINDS, Fault, Seam, find_kind
from harness.faults.links import Doorkeeper, FaultyLink, LinkFault
from harness.faults.sip import Deaf, Unavailable
from harness.faults.stanzas import delaying, reordering
from harness.near_matches import did_you_mean
from proxies.clock import SchedulingClock
from proxies.sip.transport.transport import SipTransport
from proxies.tls.settings import TlsServerSettings, TlsVersion
from proxies.xmpp.connections.connection import XmppConnection
from proxies.xmpp.connections.listening import XmppListener

_PRUNE: Final = 256
"Closed connections are forgotten whenever so many have been taken in."


@dataclass(eq=False)
class _Seam:
    """Implements `proxies.interposing.Interposer` for one service of one node."""

    board: "FaultBoard"
    node: str
    service: ServiceName
    transports: list[SipTransport] = field(default_factory=list)
    listeners: list[XmppListener] = field(default_factory=list)

    def tls_server(self, settings: TlsServerSettings) -> TlsServerSettings:
        """Return the settings with what faults of TLS change in them."""
        return self.board.change_tls(self.node, self.service, settings)

    def accepting(self, factory: Callable[[], asyncio.Protocol]) -> Callable[[], asyncio.Protocol]:
        """Return a factory whose connections lie on faulty links where a fault wants it."""

        def make() -> asyncio.Protocol:
            fault = self.board.link_fault(self.node, self.service)
            inner = factory()
            if fault is None:
                return Doorkeeper(inner, self._opened)
            return FaultyLink(inner, fault, clock=self.board.clock, opened=self._opened)

        return make

    def sip_transport(self, transport: SipTransport) -> None:
        """Remember the transport of the service that starts, and do to it what is on."""
        self.transports = [transport]
        self.refresh()

    def xmpp_listener(self, listener: XmppListener) -> None:
        """Remember the listener of the service that starts, and do to it what is on."""
        self.listeners.append(listener)
        self.refresh()

    def begin(self) -> None:
        """Forget what the service had before it is started again."""
        self.transports, self.listeners = [], []

    def refresh(self) -> None:
        """Do to transports and listeners what is on now."""
        for transport in self.transports:
            transport.interpose(self.board.sip_handler(self.node, self.service, transport))
        for listener in self.listeners:
            listener.connection_type = self.board.connection_type(self.node, self.service)

    def _opened(self, transport: asyncio.Transport) -> None:
        self.board.opened(self.node, self.service, transport)


@dataclass(frozen=True, slots=True)
class _Open:
    node: str
    service: ServiceName
    peer: str
    transport: asyncio.Transport


class FaultBoard:
    """Turns faults on and off. Made before the lab, which asks it for what stands at each service's sockets."""

    def __init__(self, *, seed: int, clock: SchedulingClock, note: Callable[[str], None]) -> None:
        self.clock = clock
        "The lab's time."
        self.seed = seed
        "What the faults' chance is drawn from."
        self._note = note
        self._on: dict[str, Fault] = {}
        self._seams: dict[tuple[str, ServiceName], _Seam] = {}
        self._elsewhere: dict[tuple[str, ServiceName], None] = {}
        self._addresses: dict[str, str] = {}
        self._imp: frozenset[str] = frozenset()
        self._open: list[_Open] = []
        self._randoms: dict[str, Random] = {}
        self._wrong: dict[str, WrongCertificates] = {}

    def interposer(self, node: str, service: ServiceName) -> _Seam:
        """Return what stands at the sockets of a service that starts."""
        seam = self._seams.setdefault((node, service), _Seam(self, node, service))
        seam.begin()
        return seam

    def know_elsewhere(self, node: str, services: Iterable[ServiceName]) -> None:
        """Take the services of a node that runs in a process of its own, with a board of its own."""
        self._elsewhere |= {(node, service): None for service in services}

    def know_nodes(self, addresses: dict[str, str], imp: frozenset[str]) -> None:
        """Take the nodes' names and addresses, and which of them are IM and Presence nodes."""
        self._addresses, self._imp = addresses, imp

    @property
    def on(self) -> tuple[Fault, ...]:
        """The faults that are on, in the order in which they were turned on."""
        return tuple(self._on.values())

    @property
    def anchors(self) -> tuple[bytes, ...]:
        """What clients have to trust so that a wrong certificate is wrong in its one thing only, in PEM."""
        return tuple(wrong.anchor_pem for wrong in self._wrong.values())

    def turn_on(self, fault: Fault) -> tuple[tuple[str, ServiceName], ...]:
        """Turn a fault on, in place of one of the same kind; return the services that have to restart for it.

        Raises ConfigError where there is no such node or service.
        """
        self._check(fault)
        self._note(f"fault on: {fault}")
        self._begin(fault)
        return tuple(self._hit(fault)) if fault.kind.restarts else ()

    def turn_off(self, name: str) -> tuple[tuple[str, ServiceName], ...]:
        """Turn a fault off; return the services that have to restart for it. Raises ConfigError where it is off."""
        find_kind(name)
        fault = self._on.pop(name, None)
        if fault is None:
            raise ConfigError(f"fault {name} is not on; on: {', '.join(self._on) or 'none'}")
        self._note(f"fault off: {fault.name}")
        self._refresh()
        return tuple(self._hit(fault)) if fault.kind.restarts else ()

    def follow(self, faults: tuple[Fault, ...]) -> None:
        """Have those on that another board, which has checked them, has on."""
        before, self._on = self._on, {}
        for fault in faults:
            if before.get(fault.name) == fault:
                self._on[fault.name] = fault
            else:
                self._begin(fault)
        self._refresh()

    def encode(self) -> list[dict[str, Any]]:
        """Return the faults that are on as JSON values."""
        return [
            {"name": each.name, "node": each.node, "service": each.service, "text": str(each)}
            | {name: getattr(each.settings, name) for name in each.kind.settings}
            for each in self._on.values()
        ]

    # For the seams.

    def change_tls(self, node: str, service: ServiceName, settings: TlsServerSettings) -> TlsServerSettings:
        """Return what a listener shows and offers with the faults that are on."""
        for fault in self._at(Seam.TLS, node, service):
            if fault.name == "old-tls":
                settings = replace(
                    settings,
                    minimum_version=TlsVersion.TLS_1_0,
                    maximum_version=TlsVersion.TLS_1_1,
                    security_level=0,  # at 1 and above OpenSSL 3 takes neither
                )
            else:
                kind = WrongCertificate(fault.name.removeprefix(CERTIFICATE))
                settings = replace(settings, credential=self._issue(kind, node, settings.credential))
        return settings

    def link_fault(self, node: str, service: ServiceName) -> LinkFault | None:
        """Return what a new connection suffers; None where it suffers nothing that is known before its peer is."""
        seconds, left = 0.0, None
        for fault in self._at(Seam.LINK, node, service):
            if fault.name == "link-loss" or not self._draws(fault, node, service):
                continue
            if fault.name == "slow-handshake":
                seconds = fault.settings.seconds
            else:
                left = fault.settings.bytes
        if seconds or left is not None:
            return LinkFault(handshake_seconds=seconds, bytes_left=left)
        return None

    def opened(self, node: str, service: ServiceName, transport: asyncio.Transport) -> None:
        """Take a connection in, and lose it where its link is lost."""
        if len(self._open) >= _PRUNE and len(self._open) % _PRUNE == 0:
            self._open = [each for each in self._open if not each.transport.is_closing()]
        peer = transport.get_extra_info("peername")[0]
        self._open.append(_Open(node, service, peer, transport))
        fault = self._on.get("link-loss")
        if fault is not None and self._loses(fault, node, service, peer):
            transport.abort()

    def sip_handler(
        self, node: str, service: ServiceName, transport: SipTransport
    ) -> Unavailable | Deaf | None:
        """Return what stands before the service's own handler; None where nothing does."""
        loss = self._on.get("link-loss")
        if loss is not None and self._loses(loss, node, service, ""):
            return Deaf(transport)
        for fault in self._at(Seam.SIP, node, service):
            return Unavailable(
                transport,
                retry_after=fault.settings.retry_after,
                share=fault.settings.share,
                random=self._random(fault, node, service),
                is_node=lambda address: address in self._addresses.values(),
            )
        return None

    def connection_type(self, node: str, service: ServiceName) -> type[XmppConnection]:
        """Return what new connections of XMPP clients are made of."""
        for fault in self._at(Seam.STANZAS, node, service):
            if fault.name == "stanza-delay":
                return delaying(fault.settings.seconds)
            random = self._random(fault, node, service)
            return reordering(fault.settings.seconds, fault.settings.share, random)
        return XmppConnection

    # Inside.

    def _begin(self, fault: Fault) -> None:
        self._on[fault.name] = fault
        self._refresh()
        if fault.name == "link-loss":
            for each in tuple(self._open):
                if self._loses(fault, each.node, each.service, each.peer):
                    each.transport.abort()

    def _check(self, fault: Fault) -> None:
        if fault.node and fault.node not in self._addresses:
            near = did_you_mean(fault.node, self._addresses)
            raise ConfigError(f"fault {fault.name}: no node is called {fault.node!r}{near}")
        if not any(True for _ in self._hit(fault)):
            known = ", ".join(dict.fromkeys(service for _, service in (*self._seams, *self._elsewhere)))
            raise ConfigError(f"fault {fault.name}: no such service {fault.service!r} there; known: {known}")

    def _hit(self, fault: Fault) -> Iterator[tuple[str, ServiceName]]:
        """Yield the services that a fault is done to."""
        everywhere = (*self._seams, *self._elsewhere)
        return ((node, service) for node, service in everywhere if self._hits(fault, node, service))

    def _hits(self, fault: Fault, node: str, service: ServiceName) -> bool:
        if (fault.node and fault.node != node) or (not fault.node and node not in self._imp):
            return False
        if fault.service:
            return fault.service == service
        return not fault.kind.services or service in fault.kind.services

    def _at(self, seam: Seam, node: str, service: ServiceName) -> list[Fault]:
        return [
            each for each in self._on.values() if each.kind.seam is seam and self._hits(each, node, service)
        ]

    def _loses(self, fault: Fault, node: str, service: ServiceName, peer: str) -> bool:
        """Whether a connection is lost: it came to the node that lost its links, or from there."""
        if self._hits(fault, node, service):
            return True
        return bool(fault.node) and not fault.service and self._addresses.get(fault.node) == peer

    def _refresh(self) -> None:
        for seam in self._seams.values():
            seam.refresh()

    def _draws(self, fault: Fault, node: str, service: ServiceName) -> bool:
        return self._random(fault, node, service).random() < fault.settings.share

    def _random(self, fault: Fault, node: str, service: ServiceName) -> Random:
        name = f"{self.seed}/{fault.name}/{node}/{service}"
        return self._randoms.setdefault(name, Random(name))  # noqa: S311 - repeatable, not secret

    def _issue(self, kind: WrongCertificate, node: str, right: Credential) -> Credential:
        """Issue the wrong twin of what the service shows."""
        subject = common_name(parse_certificates(right.chain_pem)[0])
        wrong = self._wrong.get(subject)
        if wrong is None:
            wrong = WrongCertificates(subject, self._addresses[node], now=self.clock.now())
            self._wrong[subject] = wrong
        return wrong.issue(kind, Role.SERVER)


def describe_kinds() -> list[dict[str, Any]]:
    """Return the kinds as JSON values."""
    return [
        {
            "name": name,
            "description": kind.description,
            "where": kind.seam,
            "services": list(kind.services),
            "settings": list(kind.settings),
            "restarts": kind.restarts,
        }
        for name, kind in KINDS.items()
    ]
