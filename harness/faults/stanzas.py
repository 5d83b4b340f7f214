"""Faults of stanzas on their way to a client: late, or one behind the next."""

from random import Random

from proxies.clock import TimerHandle
from proxies.xmpp.connections.connection import XmppConnection
from proxies.xmpp.stanza import Stanza


def delaying(seconds: float) -> type[XmppConnection]:
    """Return connections that send each stanza so many seconds later, in their order."""

    class DelayingConnection(XmppConnection):
        """Sends late."""

        def send_stanza(self, stanza: Stanza) -> None:
            """Send later; what comes behind the connection's end is dropped, as the base class does."""
            send = super().send_stanza
            self.clock.call_at(self.clock.monotonic() + seconds, lambda: send(stanza))

    return DelayingConnection


def reordering(seconds: float, share: float, random: Random) -> type[XmppConnection]:
    """Return connections that send a share of the stanzas behind the one that follows, or after the seconds."""

    class ReorderingConnection(XmppConnection):
        """Sends one behind the next."""

        _kept: tuple[Stanza, TimerHandle] | None = None

        def send_stanza(self, stanza: Stanza) -> None:
            """Send, or keep until the next one went."""
            if self._kept is not None:
                super().send_stanza(stanza)
                self._release()
            elif random.random() < share:
                timer = self.clock.call_at(self.clock.monotonic() + seconds, self._release)
                self._kept = stanza, timer
            else:
                super().send_stanza(stanza)

        def _release(self) -> None:
            if self._kept is not None:
                stanza, timer = self._kept
                self._kept = None
                timer.cancel()
                super().send_stanza(stanza)

    return ReorderingConnection
