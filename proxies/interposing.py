"""Where a test may put itself between sockets and services: the one seam that faults use.

A service hands what it listens with to the interposer that was set where it was started. By default that is one
that hands everything back, so that without faults nothing lies between.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from proxies.sip.transport.transport import SipTransport
    from proxies.tls.settings import TlsServerSettings
    from proxies.xmpp.connections.listening import XmppListener


class Interposer(Protocol):
    """What stands between one service and its sockets."""

    def tls_server(self, settings: "TlsServerSettings") -> "TlsServerSettings":
        """Return what a TLS listener is to shake hands with, when the service starts."""
        ...

    def accepting(self, factory: Callable[[], asyncio.Protocol]) -> Callable[[], asyncio.Protocol]:
        """Return what makes the protocol of each connection that a listener accepts."""
        ...

    def sip_transport(self, transport: "SipTransport") -> None:
        """Take note of the service's SIP transport; `SipTransport.interpose` takes a handler in between."""
        ...

    def xmpp_listener(self, listener: "XmppListener") -> None:
        """Take note of a listener for XMPP streams; its `connection_type` makes the connections."""
        ...


class Nobody:
    """Stands between nothing."""

    def tls_server(self, settings: "TlsServerSettings") -> "TlsServerSettings":
        """Return them as they are."""
        return settings

    def accepting(self, factory: Callable[[], asyncio.Protocol]) -> Callable[[], asyncio.Protocol]:
        """Return it as it is."""
        return factory

    def sip_transport(self, transport: "SipTransport") -> None:
        """Take no note."""

    def xmpp_listener(self, listener: "XmppListener") -> None:
        """Take no note."""


_current: Final[ContextVar[Interposer]] = ContextVar("interposer", default=Nobody())  # noqa: B039 - has no state


def interposer() -> Interposer:
    """Return who stands between the service that is being started and its sockets."""
    return _current.get()


@contextmanager
def interposing(wanted: Interposer) -> Iterator[None]:
    """Have services that start inside the block hand what they listen with to this interposer."""
    token = _current.set(wanted)
    try:
        yield
    finally:
        _current.reset(token)
