"""The link from this router to another one: opened by us, for our stanzas, again after each loss (G22).

Stanzas are acknowledged (XEP-0198), and a link that broke is resumed, so none is lost and none comes twice.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from certs.errors import ConnectionFailed, HarnessError, RemoteProtocolError
from certs.verdict import Verdict
from proxies.clock import SchedulingClock, TimerHandle
from proxies.observer import Observer
from proxies.tasks import TaskKeeper
from proxies.xmpp.conditions import StanzaErrorCondition, StreamErrorCondition
from proxies.xmpp.connections.connection import Describe, XmppConnection
from proxies.xmpp.connections.dialling import connect
from proxies.xmpp.router.directory import RouterAddress
from proxies.xmpp.router.trust import RouterTrust
from proxies.xmpp.sasl.client import SaslClient, SaslClientSettings
from proxies.xmpp.sasl.common import SaslMechanism
from proxies.xmpp.stanza import Stanza
from proxies.xmpp.streams.events import (
    AuthenticationFailed,
    FeaturesReceived,
    ManagementEnabled,
    ManagementFailed,
    Resumed,
    StreamErrorReceived,
    StreamEvent,
    TlsProceeding,
)
from proxies.xmpp.streams.features import StreamFeatures
from proxies.xmpp.streams.initiating import InitiatingStream
from proxies.xmpp.streams.management import ManagedStanzas
from proxies.xmpp.streams.settings import InitiatingSettings, StreamKind
from proxies.xmpp.streams.state import StreamState

Bounce = Callable[[Stanza, StanzaErrorCondition, str], None]
"Gives a stanza back to its sender."


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkLimits:
    """How long and how much a link waits."""

    connect: float = 5.0
    "Seconds for connecting."

    first_retry: float = 0.1
    "Seconds until the first new attempt; each further one waits twice as long."

    last_retry: float = 5.0
    "The longest wait between two attempts."

    patience: float = 10.0
    "Seconds without a link after which stanzas bounce instead of waiting."

    queue: int = 10_000
    "Stanzas that wait for a link; those that come then bounce."

    unacknowledged: int = 100_000
    "Stanzas that may wait for the other router's acknowledgement."


class LinkState(Enum):
    """Whether stanzas can be sent."""

    DOWN = auto()
    NEGOTIATING = auto()
    UP = auto()
    CLOSED = auto()


_EXTERNAL: Final = SaslClientSettings(mechanisms=(SaslMechanism.EXTERNAL,))


class RouterLink:
    """Our way to one other router."""

    def __init__(
        self,
        peer: RouterAddress,
        *,
        fqdn: str,
        local_address: str,
        trust: RouterTrust | None,
        bounce: Bounce,
        describe: Describe,
        clock: SchedulingClock,
        observer: Observer,
        tasks: TaskKeeper,
        limits: LinkLimits,
    ) -> None:
        """Take this node's full name and address; `trust` is None where router-to-router secure mode is off."""
        self.peer = peer
        "Where it leads."
        self.state = LinkState.DOWN
        "Whether stanzas can be sent."
        self._fqdn = fqdn
        self._local_address = local_address
        self._trust = trust
        self._bounce = bounce
        self._describe = describe
        self._clock = clock
        self._observer = observer
        self._tasks = tasks
        self._limits = limits
        self._connection: XmppConnection | None = None
        self._waiting: deque[Stanza] = deque()
        self._managed: ManagedStanzas | None = None
        self._retry = limits.first_retry
        self._timer: TimerHandle | None = None
        self._out_of_patience: TimerHandle | None = None
        self._bounces = False
        self._why = "not connected yet"

    def send(self, stanza: Stanza) -> None:
        """Send a stanza, keep it until there is a link, or give it back."""
        connection = self._connection
        if (
            self.state is LinkState.UP
            and connection is not None
            and connection.stream.state is StreamState.ESTABLISHED
        ):
            connection.send_stanza(stanza)
        elif self._bounces or self.state is LinkState.CLOSED or len(self._waiting) >= self._limits.queue:
            self._give_back(stanza)
        else:
            self._waiting.append(stanza)

    def open(self) -> None:
        """Begin to connect, and go on until `close`."""
        self._be_patient()
        self._tasks.start(self._dial(), name=f"{self._fqdn} link to {self.peer.fqdn}")

    def close(self) -> None:
        """Close the link; what was not delivered goes back to its senders."""
        self.state = LinkState.CLOSED
        self._cancel_timers()
        if self._connection is not None:
            self._connection.close()
        self._stop_waiting()

    def reset(self) -> None:
        """Reset the connection: the fault `link-loss`. The link comes back by itself."""
        if self._connection is not None:
            self._connection.abort()

    # carrier.StreamOwner

    def handle(self, event: StreamEvent) -> None:
        """Take what happened on the stream."""
        match event:
            case FeaturesReceived():
                self._take_offer(event.features)
            case TlsProceeding():
                assert self._connection is not None
                assert self._trust is not None
                self._connection.begin_tls(self._trust.dialling(self.peer.fqdn))
            case AuthenticationFailed():
                self._why = f"authentication failed: {event.failure.condition}"
            case ManagementEnabled() | Resumed():
                self._come_up()
            case ManagementFailed():
                self._start_over(event)
            case StreamErrorReceived():
                self.state = LinkState.DOWN
                self._why = f"{event.condition} {event.text}".strip()
            case _:
                pass  # an end of the stream is followed by `lost`

    def secured(self, verdict: Verdict) -> None:
        """Take how the handshake was judged."""
        if not verdict.accepted:
            self._why = f"TLS refused: {verdict.reason}"

    def broken(self, error: RemoteProtocolError) -> None:
        """Take which rule the other router broke."""
        self._why = str(error)

    def lost(self, why: str) -> None:
        """Try again after a while."""
        if self.state is LinkState.UP:
            self._why = why
        self._connection = None
        self._try_again()

    # Inside.

    async def _dial(self) -> None:
        if self.state is LinkState.CLOSED:
            return
        self.state = LinkState.NEGOTIATING
        connection = XmppConnection(
            self._make_stream, describe=self._describe, clock=self._clock, observer=self._observer
        )
        self._connection = connection
        try:
            await connect(
                connection,
                self.peer.address,
                self.peer.port,
                local_address=self._local_address,
                within=self._limits.connect,
            )
        except ConnectionFailed as error:
            self._connection = None
            self._why = str(error)
            self._try_again()

    def _make_stream(self, connection: XmppConnection) -> "RouterLink":
        settings = InitiatingSettings(
            kind=StreamKind.SERVER,
            to=self.peer.fqdn,
            sender=self._fqdn,
            maximum_unacknowledged=self._limits.unacknowledged,
        )
        connection.stream = InitiatingStream(settings, now=self._clock.monotonic())
        return self

    def _take_offer(self, features: StreamFeatures) -> None:
        """Take TLS where both sides have it, prove who we are, then have stanzas acknowledged."""
        connection = self._connection
        assert connection is not None
        stream = connection.stream
        assert isinstance(stream, InitiatingStream)
        if stream.state is StreamState.ESTABLISHED:
            if self._managed is not None and self._managed.resumption_id:
                stream.resume(self._managed)
            else:
                stream.enable_management()
        elif self._trust is not None and features.starttls and not stream.secure:
            stream.start_tls()
        else:
            # In the clear it is the address that proves who we are: EXTERNAL all the same (RFC 4422 A).
            sasl = SaslClient(_EXTERNAL, encrypted=stream.secure, has_certificate=True)
            try:
                stream.authenticate(sasl)
            except HarnessError as error:
                self._why = str(error)
                connection.fail(StreamErrorCondition.UNSUPPORTED_FEATURE, str(error))

    def _start_over(self, event: ManagementFailed) -> None:
        """The other router has forgotten the link, as after its restart: what it did not handle goes first."""
        connection = self._connection
        assert connection is not None
        stream = connection.stream
        assert isinstance(stream, InitiatingStream)
        self._waiting.extendleft(reversed(event.unhandled))
        self._managed = None
        stream.enable_management()

    def _come_up(self) -> None:
        connection = self._connection
        assert connection is not None
        self._managed = connection.stream.managed
        self.state = LinkState.UP
        self._retry = self._limits.first_retry
        self._bounces = False
        self._cancel_timers()
        while self._waiting:
            connection.send_stanza(self._waiting.popleft())

    def _try_again(self) -> None:
        if self.state is LinkState.CLOSED:
            return
        self.state = LinkState.DOWN
        self._be_patient()
        due = self._clock.monotonic() + self._retry
        self._retry = min(self._retry * 2, self._limits.last_retry)
        self._timer = self._clock.call_at(due, self.open)

    def _be_patient(self) -> None:
        """Let stanzas wait from now on, for a while."""
        if self._out_of_patience is None and not self._bounces:
            due = self._clock.monotonic() + self._limits.patience
            self._out_of_patience = self._clock.call_at(due, self._stop_waiting)

    def _stop_waiting(self) -> None:
        """The link has been down for too long: give back what waits, and what comes from now on.

        So too what was not acknowledged: whether it was handled nobody can tell, and silence is worse.
        """
        self._bounces = True
        self._out_of_patience = None
        if self._managed is not None:
            for stanza in self._managed.unacknowledged:
                self._give_back(stanza)
            self._managed = None
        waiting, self._waiting = self._waiting, deque()
        for stanza in waiting:
            self._give_back(stanza)

    def _give_back(self, stanza: Stanza) -> None:
        text = f"no link to {self.peer.fqdn}: {self._why}"
        self._bounce(stanza, StanzaErrorCondition.REMOTE_SERVER_TIMEOUT, text)

    def _cancel_timers(self) -> None:
        for timer in (self._timer, self._out_of_patience):
            if timer is not None:
                timer.cancel()
        self._timer = self._out_of_patience = None
