"""Carries a client's stream in the HTTP requests of a BOSH session (XEP-0206)."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from certs.errors import RemoteProtocolError
from proxies.clock import SchedulingClock, TimerHandle, wait
from proxies.observer import ConnectionInfo, Direction, Observer
from proxies.xmpp.conditions import StreamErrorCondition
from proxies.xmpp.connections.carrier import StreamCarrier
from proxies.xmpp.connections.connection import MAXIMUM_UNSENT
from proxies.xmpp.streams.framed_reader import BoshBody
from proxies.xmpp.streams.masking import mask_credentials
from proxies.xmpp.streams.rate_limit import RateLimit
from proxies.xmpp.streams.receiving import ReceivingStream
from proxies.xmpp.streams.state import StreamState
from proxies.xmpp.web.bosh_session import BoshResponse, BoshSession, BoshSettings
from proxies.xmpp.web.bosh_state import BoshState
from proxies.xmpp.web.bosh_values import BindingCondition

_ERROR: Final = re.compile(rb"<stream:error[^>]*><([a-z-]+)")
_SESSION_ID: Final = re.compile(rb"(<body\b[^>]*?\ssid=[\"'])([^\"']{6})[^\"']*")

OWN_CONDITIONS: Final = {
    StreamErrorCondition.HOST_GONE: BindingCondition.HOST_GONE,
    StreamErrorCondition.HOST_UNKNOWN: BindingCondition.HOST_UNKNOWN,
    StreamErrorCondition.IMPROPER_ADDRESSING: BindingCondition.IMPROPER_ADDRESSING,
    StreamErrorCondition.SYSTEM_SHUTDOWN: BindingCondition.SYSTEM_SHUTDOWN,
}
"Stream errors that BOSH has a name for, as the connection manager itself finds them; others are the stream's."


@dataclass(eq=False, slots=True)
class _Waiting:
    """An HTTP request that waits for its answer."""

    connection: ConnectionInfo
    "Over what it came."

    answer: asyncio.Future[BoshResponse] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class BoshCarrier(StreamCarrier):
    """One session with the stream in it. Whoever makes it sets `stream` and `owner`, then calls `begin`."""

    __slots__ = ("_closed", "_lost", "_pace", "_rate", "_session_timer", "certificate", "session", "sid")

    session: BoshSession
    "When which request is answered, and with what."

    def __init__(
        self,
        sid: str,
        certificate: str,
        *,
        clock: SchedulingClock,
        observer: Observer,
        connection: ConnectionInfo,
        rate: RateLimit,
        pace: Callable[[], float],
        closed: "Callable[[BoshCarrier], None]",
    ) -> None:
        """`pace` says for how many seconds more not to read the client."""
        super().__init__(clock=clock, observer=observer)
        self.sid = sid
        "The session's name."
        self.certificate = certificate
        "The fingerprint of what the client showed when it began; empty in the clear."
        self.connection = connection
        self._rate = rate
        self._pace = pace
        self._closed = closed
        self._session_timer: TimerHandle | None = None
        self._lost = False

    @property
    def is_logged_in(self) -> bool:
        """Whether the client has proved who it is."""
        return isinstance(self.stream, ReceivingStream) and self.stream.peer is not None

    async def begin(self, body: BoshBody, wire: bytes, *, settings: BoshSettings) -> BoshResponse:
        """Take the first request and return its answer.

        Raises RemoteProtocolError whose reply is a binding condition where no session can be made of it.
        """
        waiting = _Waiting(self.connection)
        now = self.clock.monotonic()
        self.session = BoshSession(body, waiting, sid=self.sid, settings=settings, now=now)
        return await self._exchange(waiting, wire)

    async def receive(self, body: BoshBody, wire: bytes, connection: ConnectionInfo) -> BoshResponse:
        """Take a request and return its answer, which may be long in coming."""
        waiting = _Waiting(connection)
        self.connection = connection
        self.session.receive_request(body, waiting, now=self.clock.monotonic())
        return await self._exchange(waiting, wire)

    def end(self, condition: BindingCondition) -> None:
        """End the session because of a body that could not be taken, or because the service ends."""
        self.session.terminate(condition)
        self._answer()

    def abort(self) -> None:
        """End the session now."""
        self.end(BindingCondition.SYSTEM_SHUTDOWN)

    async def _exchange(self, waiting: _Waiting, wire: bytes) -> BoshResponse:
        self._show(waiting.connection, Direction.RECEIVED, wire)
        delay = max(self._rate.take(len(wire), now=self.clock.monotonic()), self._pace())
        while (body := self.session.next_body()) is not None:
            self.stream.receive_body(body)
        self._pump()
        try:
            if delay > 0:
                # A client has few requests at a time, so one whose answer is late sends less.
                await wait(self.clock, delay)
            response = await waiting.answer
        except asyncio.CancelledError:
            self.session.request_lost(waiting, now=self.clock.monotonic())
            self._answer()
            raise
        self._show(waiting.connection, Direction.SENT, response.content)
        return response

    # carrier.StreamCarrier

    def _write(self) -> None:
        session, stream = self.session, self.stream
        error: re.Match[bytes] | None = None
        for element in stream.elements_to_send():
            if element and session.state not in (BoshState.ENDING, BoshState.OVER):
                error = _ERROR.match(element) or error
                session.send(element)
        if session.unsent > MAXIMUM_UNSENT:
            session.terminate(BindingCondition.POLICY_VIOLATION)
        if stream.state is StreamState.CLOSED:
            session.terminate(_condition(error))
        self._answer()

    def _close_connection(self) -> None:
        self._stop_timer()

    def _answer(self) -> None:
        """Hand out the answers that are due, and keep the session's time."""
        now = self.clock.monotonic()
        while (response := self.session.next_response(now=now)) is not None:
            waiting = response.token
            if isinstance(waiting, _Waiting) and not waiting.answer.done():
                waiting.answer.set_result(response)
        if self.session.state is BoshState.OVER:
            self._end()
        else:
            self._set_session_timer()

    def _set_session_timer(self) -> None:
        due = self.session.next_timer()
        if self._session_timer is not None:
            if self._session_timer.when == due:
                return
            self._session_timer.cancel()
            self._session_timer = None
        if due is not None:
            self._session_timer = self.clock.call_at(due, self._session_timer_is_due)

    def _session_timer_is_due(self) -> None:
        self._session_timer = None
        self.session.handle_timer(now=self.clock.monotonic())
        self._answer()

    def _end(self) -> None:
        if self._lost:
            return
        self._lost = self._closes = True
        self._stop_timer()
        if self._session_timer is not None:
            self._session_timer.cancel()
        self._closed(self)
        self.owner.lost("the BOSH session is over")

    def _show(self, connection: ConnectionInfo, direction: Direction, wire: bytes) -> None:
        """Show a body to the evidence, without what proves an identity."""
        self._observer.message(connection, direction, mask_body(wire, secret=self._secret))
        self._secret = self.stream.state is not StreamState.ESTABLISHED


def mask_body(wire: bytes, *, secret: bool) -> bytes:
    """Return a body without its session's id, and without logins where there may be some."""
    return _SESSION_ID.sub(rb"\1\2***", mask_credentials(wire) if secret else wire)


def _condition(error: re.Match[bytes] | None) -> BindingCondition | None:
    if error is None:
        return None
    try:
        stream_error = StreamErrorCondition(error[1].decode())
    except (ValueError, RemoteProtocolError):
        return BindingCondition.REMOTE_STREAM_ERROR
    return OWN_CONDITIONS.get(stream_error, BindingCondition.REMOTE_STREAM_ERROR)
