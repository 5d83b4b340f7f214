"""What we send for one domain pair: waits for a stream, goes out on it, or comes back as an error (RFC 6120 10)."""

from collections import deque
from collections.abc import Callable

from proxies.clock import TimerHandle
from proxies.xmpp.conditions import StanzaErrorCondition
from proxies.xmpp.federation.dialback import DomainPair
from proxies.xmpp.federation.outbound import OutboundStream
from proxies.xmpp.federation.peer_stream import Dialling, Failure
from proxies.xmpp.stanza import Stanza

Bounce = Callable[[Stanza, StanzaErrorCondition, str], None]
"Gives a stanza back to its sender."


class FederatedPair:
    """The queue of one domain pair and the stream it is waiting for. Gone when both are."""

    def __init__(
        self,
        pair: DomainPair,
        dialling: Dialling,
        *,
        bounce: Bounce,
        gone: Callable[["FederatedPair"], None],
    ) -> None:
        """`gone` is called once, when nothing waits and no stream is open."""
        self.pair = pair
        "Who sends to whom."
        self._dialling = dialling
        self._limits = dialling.settings.limits
        self._clock = dialling.clock
        self._bounce = bounce
        self._gone = gone
        self._waiting: deque[Stanza] = deque()
        self._stream: OutboundStream | None = None
        self._is_up = False
        self._retry = self._limits.first_retry
        self._attempt = 0
        self._patient_until = 0.0
        self._last_used = 0.0
        self._seen = ""  # why the last attempt failed
        self._timer: TimerHandle | None = None

    def send(self, stanza: Stanza) -> None:
        """Send a stanza, keep it until there is a stream, or give it back."""
        self._last_used = self._clock.monotonic()
        if self._is_up and self._stream is not None and self._stream.is_ready:
            self._stream.send(stanza)
            return
        if len(self._waiting) >= self._limits.queue:
            text = f"{self._limits.queue} stanzas wait for {self.pair.target_domain}"
            self._bounce(stanza, StanzaErrorCondition.RESOURCE_CONSTRAINT, text)
            return
        if not self._waiting:
            self._patient_until = self._last_used + self._limits.patience
        self._waiting.append(stanza)
        if self._stream is None and self._timer is None:
            self._open()

    def close(self, text: str, *, bounces: bool) -> None:
        """Close the stream; what waits goes back to its senders."""
        self._cancel_timer()
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()
        if bounces:
            self._give_back(StanzaErrorCondition.REMOTE_SERVER_TIMEOUT, text)
        self._waiting.clear()

    # Inside.

    def _open(self) -> None:
        self._timer = None
        self._stream = OutboundStream(
            self.pair,
            self._dialling,
            failed=self._stream_failed,
            came_up=self._stream_came_up,
            attempt=self._attempt,
        )
        self._stream.open()
        # The stream bounds its own negotiation, but not how many servers are tried: patience does.
        self._timer = self._clock.call_at(self._patient_until, self._patience_is_up)

    def _stream_came_up(self) -> None:
        assert self._stream is not None
        self._is_up, self._seen = True, ""
        self._retry = self._limits.first_retry
        while self._waiting:
            self._stream.send(self._waiting.popleft())
        self._cancel_timer()
        self._watch_idleness()

    def _stream_failed(self, failure: Failure) -> None:
        stream, self._stream = self._stream, None
        self._seen = failure.text
        was_up, self._is_up = self._is_up, False
        self._cancel_timer()
        if was_up and stream is not None:
            for stanza in stream.unacknowledged:
                text = f"the stream to {self.pair.target_domain} broke before it was acknowledged: {failure.text}"
                self._bounce(stanza, StanzaErrorCondition.REMOTE_SERVER_TIMEOUT, text)
        now = self._clock.monotonic()
        if self._waiting and failure.passing and now + self._retry < self._patient_until:
            self._attempt += 1
            self._timer = self._clock.call_at(now + self._retry, self._open)
            self._retry = min(self._retry * 2, self._limits.last_retry)
            return
        self._give_back(failure.condition, failure.text)
        self._gone(self)

    def _patience_is_up(self) -> None:
        self._timer = None
        stream, self._stream = self._stream, None
        text = f"no stream to {self.pair.target_domain} in {self._limits.patience:g} s"
        if stream is not None:
            stream.close()
            text += f": {self._seen or stream.why}"
        self._give_back(StanzaErrorCondition.REMOTE_SERVER_TIMEOUT, text)
        self._gone(self)

    def _give_back(self, condition: StanzaErrorCondition, text: str) -> None:
        waiting, self._waiting = self._waiting, deque()
        for stanza in waiting:
            self._bounce(stanza, condition, text)

    def _watch_idleness(self) -> None:
        self._timer = self._clock.call_at(self._last_used + self._limits.idle, self._look_at_idleness)

    def _look_at_idleness(self) -> None:
        self._timer = None
        if self._clock.monotonic() < self._last_used + self._limits.idle:
            self._watch_idleness()
            return
        stream, self._stream = self._stream, None
        self._is_up = False
        if stream is not None:
            stream.close()
        self._gone(self)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
