"""What carries one stream, whatever the connection: pulls its events, writes what it has to say, keeps its time."""

import asyncio
import logging
from abc import ABC, abstractmethod
from typing import Final, Protocol

from certs.errors import LocalProtocolError, RemoteProtocolError
from certs.verdict import Verdict
from proxies.clock import SchedulingClock, TimerHandle
from proxies.observer import ConnectionInfo, Direction, Observer
from proxies.tls import TlsUpgrade
from proxies.xmpp.conditions import StreamErrorCondition
from proxies.xmpp.stanza import Stanza
from proxies.xmpp.streams.events import StreamEvent
from proxies.xmpp.streams.masking import mask_credentials
from proxies.xmpp.streams.state import StreamState
from proxies.xmpp.streams.stream import XmppStream

_log: Final = logging.getLogger(__name__)


class StreamOwner(Protocol):
    """The service's side of one stream."""

    def handle(self, event: StreamEvent) -> None:
        """Take what happened on the stream."""
        ...

    def secured(self, verdict: Verdict) -> None:
        """Take how the TLS handshake was judged; the stream goes on where it was accepted."""
        ...

    def broken(self, error: RemoteProtocolError) -> None:
        """Take which rule the peer broke; it was told, and `lost` follows."""
        ...

    def lost(self, why: str) -> None:
        """The connection is gone; nothing more comes."""
        ...


class StreamCarrier(ABC):
    """A stream with a way to its peer. Made by a listener or a dialler, used by the stream's owner."""

    __slots__ = (
        "_closes",
        "_flushing",
        "_observer",
        "_secret",
        "_timer",
        "clock",
        "connection",
        "owner",
        "stream",
    )

    stream: XmppStream
    "The stream; there from the moment that the connection is."

    connection: ConnectionInfo
    "The connection's name in the evidence."

    owner: StreamOwner
    "Who is told what happens."

    def __init__(self, *, clock: SchedulingClock, observer: Observer) -> None:
        self.clock = clock
        self._observer = observer
        self._timer: TimerHandle | None = None
        self._flushing = False
        self._closes = False
        self._secret = True

    # For the owner.

    def send_stanza(self, stanza: Stanza) -> None:
        """Send a stanza; what one turn of the loop sends goes out in one write.

        A stanza for a stream that is not or no longer established is dropped: its owner is told of the end.
        """
        if self.stream.state is StreamState.ESTABLISHED:
            self.stream.send_stanza(stanza)
            self.flush_soon()

    def close(self) -> None:
        """Close the stream as RFC 6120 4.4 says."""
        self.stream.close(now=self.clock.monotonic())
        self.flush_soon()

    def fail(self, condition: StreamErrorCondition, text: str = "", *, other_host: str = "") -> None:
        """End the stream with an error."""
        self.stream.fail(condition, text, other_host=other_host)
        self.flush_soon()

    def flush_soon(self) -> None:
        """Write what the stream has to say at the end of this turn of the loop, and take its events."""
        if not self._flushing:
            self._flushing = True
            asyncio.get_running_loop().call_soon(self._flush_now)

    def begin_tls(self, tls: TlsUpgrade | None = None) -> None:
        """Go over to TLS, which is what `TlsProceeding` asks for; by default to what the listener was given."""
        raise LocalProtocolError("STARTTLS is not offered over this kind of connection")

    # For the connection.

    @abstractmethod
    def _write(self) -> None:
        """Write what the stream has to say."""

    @abstractmethod
    def _close_connection(self) -> None:
        """Close the connection after what was written."""

    def _pump(self) -> None:
        """Take the stream's events, write, and close once the stream is over."""
        stream, owner = self.stream, self.owner
        try:
            while (event := stream.next_event()) is not None:
                owner.handle(event)
        except RemoteProtocolError as error:
            owner.broken(error)
        except Exception:
            # A fault of ours ends this stream and no other, and the peer is told (RFC 6120 4.9.3.8).
            _log.exception("%s: a fault ends the stream", self.connection.id)
            stream.fail(StreamErrorCondition.INTERNAL_SERVER_ERROR)
        self._write()
        if stream.state is StreamState.CLOSED:
            if not self._closes:
                self._closes = True
                self._close_connection()
        elif stream.next_timer() is not None or self._timer is not None:
            self._set_timer()

    def _observe(self, direction: Direction, wire: bytes) -> None:
        """Show the wire to the evidence, without what proves an identity."""
        if self._secret:
            wire = mask_credentials(wire)
            self._secret = self.stream.state is not StreamState.ESTABLISHED
        self._observer.message(self.connection, direction, wire)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _flush_now(self) -> None:
        self._flushing = False
        if not self._closes:
            self._pump()

    def _set_timer(self) -> None:
        due = self.stream.next_timer()
        if self._timer is not None:
            if self._timer.when == due:
                return
            self._stop_timer()
        if due is not None:
            self._timer = self.clock.call_at(due, self._timer_is_due)

    def _timer_is_due(self) -> None:
        self._timer = None
        self.stream.handle_timer(now=self.clock.monotonic())
        self._pump()
