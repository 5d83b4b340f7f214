"""An XMPP stream without its socket: what both sides of it have in common (RFC 6120 4)."""

from abc import ABC, abstractmethod
from collections import deque
from typing import ClassVar, Final
from xml.etree import ElementTree as ET

from certs.errors import LocalProtocolError, RemoteProtocolError
from proxies.xmpp import namespaces as ns
from proxies.xmpp.conditions import StreamErrorCondition as Condition
from proxies.xmpp.stanza import Nonza, Stanza
from proxies.xmpp.streams.errors import encode_stream_error, parse_stream_error
from proxies.xmpp.streams.events import ManagementEnabled, StreamClosed, StreamEvent, StreamFailed
from proxies.xmpp.streams.framed_reader import BoshBody
from proxies.xmpp.streams.framing import StreamFraming, TcpFraming
from proxies.xmpp.streams.management import HandledCountTooHighError, ManagedStanzas, parse_count
from proxies.xmpp.streams.reader_events import UNAUTHENTICATED, ReaderEvent, StreamEnd, StreamHeader
from proxies.xmpp.streams.settings import Role, StreamKind, StreamSettings
from proxies.xmpp.streams.state import CARRIES_NOTHING_YET, TRANSITIONS, StreamSignal, StreamState

_CONDITIONS: Final = frozenset(Condition)


class XmppStream(ABC):
    """One stream over one connection, through all its restarts.

    Feed it what the socket gives, pull events, write `data_to_send`, call `handle_timer` when `next_timer` is due.
    """

    role: ClassVar[Role]
    "Which side this is."

    waits_for_owner: ClassVar[frozenset[StreamState]]
    "States in which nothing is read until the owner has answered an event."

    def __init__(
        self, settings: StreamSettings, *, now: float, secure: bool, framing: StreamFraming | None
    ) -> None:
        self.kind: StreamKind = settings.kind
        "Who talks to whom."
        self.state = StreamState.OPENING
        "How far negotiation has come."
        self.secure = secure
        "Whether TLS protects the stream."
        self.id = ""
        "The stream's id; empty until it is known."
        self.managed: ManagedStanzas | None = None
        "The counters and queue of stream management while it holds (XEP-0198)."
        self._common = settings
        self._framing = framing or TcpFraming()
        self._reader = self._framing.make_reader(UNAUTHENTICATED)
        self._from_bodies: deque[ReaderEvent] = deque()
        self._events: deque[StreamEvent] = deque()
        self._outgoing: list[bytes] = []
        self._header_sent = False
        self._authenticated = False
        self._ended = False
        self._deadline: float | None = now + settings.negotiation_timeout
        self._asked_for_count = False
        # What the state means, spelled out for the path that every stanza takes.
        self._waiting = False
        self._carrying = False

    # what comes in

    def receive_data(self, data: bytes) -> None:
        """Take bytes as they come; for a WebSocket, one message."""
        if self.state is StreamState.SECURING:
            raise LocalProtocolError("what comes in now belongs to the TLS handshake")
        self._reader.receive_data(data)

    def receive_body(self, body: BoshBody) -> None:
        """Take the next body of a BOSH session."""
        self._from_bodies.extend(body.events())

    def receive_eof(self) -> None:
        """The peer will send no more."""
        self._reader.receive_eof()
        self._ended = True

    def next_event(self) -> StreamEvent | None:
        """Return what happened next, or None until more comes in.

        Raises RemoteProtocolError where the peer broke a rule; its stream error is among `data_to_send` then, and
        the stream is closed.
        """
        while True:
            if self._events:
                return self._events.popleft()
            if self._waiting:
                return None
            try:
                event = self._reader.next_event()
                if event is None:
                    if self._from_bodies:
                        event = self._from_bodies.popleft()
                    elif self._ended:
                        self._take_end(clean=False)
                        continue
                    else:
                        return None
                if self._carrying and type(event) is Stanza:
                    if self.managed is not None:
                        self.managed.handle_stanza()
                    if self._admit(event):
                        return event
                else:
                    self._take(event)
            except RemoteProtocolError as error:
                self._fail_by(error)
                raise

    def _take(self, event: ReaderEvent) -> None:
        match event:
            case StreamHeader():
                self._take_header(event)
            case StreamEnd():
                self._take_end(clean=True)
            case Stanza():
                self._take_early_stanza(event)
            case Nonza(namespace=ns.STREAM, name="error"):
                self._events.append(parse_stream_error(event))
                self._finish()
            case Nonza(namespace=ns.STREAM_MANAGEMENT):
                self._take_management(event)
            case Nonza():
                self._take_nonza(event)

    @abstractmethod
    def _take_header(self, header: StreamHeader) -> None: ...

    @abstractmethod
    def _take_nonza(self, nonza: Nonza) -> None: ...

    @abstractmethod
    def _take_early_stanza(self, stanza: Stanza) -> None: ...

    def _admit(self, stanza: Stanza) -> bool:
        """Look at a stanza of an established stream; False where the stream answered it itself."""
        if self.kind is StreamKind.SERVER and not (
            stanza.attributes.get("to") and stanza.attributes.get("from")
        ):
            raise RemoteProtocolError(
                "a stanza between servers has no to or from", reply=Condition.IMPROPER_ADDRESSING
            )
        return True

    def _take_dialback(self, nonza: Nonza) -> None:
        """Hand it to the owner where its answer can change something (XEP-0220 2.1)."""
        if self.state not in (StreamState.NEGOTIATING, StreamState.ESTABLISHED):
            raise self._unknown(nonza)
        if not (nonza.attributes.get("to") and nonza.attributes.get("from")):
            raise RemoteProtocolError("dialback without to or from", reply=Condition.IMPROPER_ADDRESSING)
        self._events.append(nonza)

    def _take_end(self, *, clean: bool) -> None:
        self._events.append(StreamClosed(clean))
        self._finish()

    def _unknown(self, nonza: Nonza) -> RemoteProtocolError:
        return RemoteProtocolError(
            f"<{nonza.name[:100]} xmlns='{nonza.namespace[:100]}'/> is not known in {self.state.name}",
            reply=Condition.UNSUPPORTED_STANZA_TYPE,
        )

    # what goes out

    def data_to_send(self) -> bytes:
        """Return what to write now."""
        return b"".join(self.elements_to_send())

    def elements_to_send(self) -> list[bytes]:
        """Return the same element by element, for carriers that frame them."""
        managed = self.managed
        if (
            managed is not None
            and managed.waiting
            and not self._asked_for_count
            and self.state is StreamState.ESTABLISHED
        ):
            self._asked_for_count = True
            self._outgoing.append(Nonza(ns.STREAM_MANAGEMENT, "r").encode())
        elements, self._outgoing = self._outgoing, []
        return elements

    def send_stanza(self, stanza: Stanza) -> None:
        """Send a stanza; it is kept until the peer acknowledges it where the stream is managed."""
        if self.state is not StreamState.ESTABLISHED:
            raise LocalProtocolError(f"no stanza can be sent in {self.state.name}")
        self._outgoing.append(stanza.encode(self._framing.stanza_namespace))
        if self.managed is not None:
            self.managed.send_stanza(stanza)
            if self.managed.overflowed:
                text = f"{self._common.maximum_unacknowledged} stanzas wait for acknowledgement"
                self.fail(Condition.POLICY_VIOLATION, text)

    def send_nonza(self, nonza: Nonza) -> None:
        """Send an element of a protocol that the stream does not run itself: dialback (XEP-0220)."""
        if self.state in (StreamState.SECURING, StreamState.CLOSING, StreamState.CLOSED):
            raise LocalProtocolError(f"nothing can be sent in {self.state.name}")
        self._outgoing.append(nonza.encode())

    def close(self, *, now: float) -> None:
        """Close the stream; it ends with the peer's closing tag, or by a timer (RFC 6120 4.4)."""
        if self.state in (StreamState.CLOSING, StreamState.CLOSED):
            return
        if self.state is StreamState.SECURING:  # nothing but the TLS handshake can be sent now
            self._move(StreamSignal.ENDED)
            return
        self._ensure_header()
        if self.managed is not None:
            self._acknowledge(self.managed)
        self._outgoing.append(self._framing.footer)
        self._move(StreamSignal.CLOSE_SENT)
        self._deadline = now + self._common.close_timeout

    def fail(
        self,
        condition: Condition,
        text: str = "",
        *,
        other_host: str = "",
        application: ET.Element | None = None,
    ) -> None:
        """End the stream with an error (RFC 6120 4.9); `StreamFailed` follows.

        `other_host` goes with `see-other-host`, `application` is a condition of the application's own.
        """
        if self.state is StreamState.CLOSED:
            return
        self._send_error(encode_stream_error(condition, text, other_host=other_host, application=application))
        self._events.append(StreamFailed(condition, text))

    def _fail_by(self, error: RemoteProtocolError) -> None:
        condition = Condition(error.reply) if error.reply in _CONDITIONS else Condition.UNDEFINED_CONDITION
        application: ET.Element | None = None
        if isinstance(error, HandledCountTooHighError):
            application = ET.Element(
                f"{{{ns.STREAM_MANAGEMENT}}}handled-count-too-high",
                {"h": str(error.handled), "send-count": str(error.sent)},
            )
        self._send_error(encode_stream_error(condition, str(error), application=application))

    def _send_error(self, content: bytes) -> None:
        if self.state not in (StreamState.CLOSING, StreamState.SECURING, StreamState.CLOSED):
            self._ensure_header()
            self._send_stream_element("error", content)
        self._finish()

    def _send_stream_element(self, name: str, content: bytes) -> None:
        declaration = self._framing.stream_declaration.encode()
        tag = name.encode()
        self._outgoing.append(b"<stream:%b%b>%b</stream:%b>" % (tag, declaration, content, tag))

    @abstractmethod
    def _ensure_header(self) -> None:
        """Send our stream header where the peer has not had it (RFC 6120 4.9.1.1)."""

    def _send_header(self, to: str, sender: str, *, version: str = "1.0") -> None:
        attributes = {
            "id": self.id,
            "from": sender,
            "to": to,
            "version": version,
            "xml:lang": self._common.language,
        }
        self._outgoing.append(self._framing.encode_header(self.kind, attributes))
        self._header_sent = True

    def _finish(self) -> None:
        if self.state not in (StreamState.CLOSING, StreamState.SECURING, StreamState.CLOSED):
            self._ensure_header()
            self._outgoing.append(self._framing.footer)
        self._move(StreamSignal.ENDED)

    def _restart(self) -> None:
        """Begin anew behind TLS or SASL (RFC 6120 4.3.3)."""
        self._reader = self._framing.make_reader(
            self._common.limits if self._authenticated else UNAUTHENTICATED
        )
        self._header_sent = False
        self.id = ""

    def _refuse_what_is_behind(self) -> None:
        """Raise where the peer did not wait: who knows who sent it (RFC 6120 5.4.3.3, 6.4.6)."""
        if self._reader.is_behind or self._from_bodies:
            raise RemoteProtocolError(
                "more was sent before the stream was restarted", reply=Condition.POLICY_VIOLATION
            )

    # stream management, as far as both sides do the same (XEP-0198 4)

    def _take_management(self, nonza: Nonza) -> None:
        if self.managed is None:
            raise self._unknown(nonza)
        match nonza.name:
            case "r":
                self._acknowledge(self.managed)
            case "a":
                self._asked_for_count = False
                self.managed.acknowledge(parse_count(nonza.attributes.get("h")))
            case _:
                raise self._unknown(nonza)

    def _acknowledge(self, managed: ManagedStanzas) -> None:
        self._outgoing.append(Nonza(ns.STREAM_MANAGEMENT, "a", {"h": str(managed.handled)}).encode())

    def _manage(self, managed: ManagedStanzas) -> None:
        self.managed = managed
        self._asked_for_count = False
        self._events.append(ManagementEnabled(managed))

    def _go_on(self, managed: ManagedStanzas) -> None:
        """Send again what the peer has not handled."""
        self.managed = managed
        self._asked_for_count = False
        self._move(StreamSignal.RESUMED)
        self._outgoing.extend(
            stanza.encode(self._framing.stanza_namespace) for stanza in managed.unacknowledged
        )

    # time and state

    def next_timer(self) -> float | None:
        """Return when `handle_timer` is due, or None."""
        return self._deadline

    def handle_timer(self, *, now: float) -> None:
        """Give up a peer that takes too long to negotiate or to close."""
        if self._deadline is None or now < self._deadline:
            return
        if self.state is StreamState.CLOSING:
            self._take_end(clean=False)
        else:
            self.fail(Condition.CONNECTION_TIMEOUT, "the stream was not negotiated in time")

    def peer_trusted(self) -> None:
        """Let stanzas flow: the owner knows by dialback who the peer is (XEP-0220 2.1)."""
        self._reader.limits = self._common.limits
        self._move(StreamSignal.TRUSTED)

    def _move(self, signal: StreamSignal) -> None:
        state = TRANSITIONS.get((self.state, signal))
        if state is None:
            raise LocalProtocolError(f"{signal.name} is not allowed in {self.state.name}")
        self.state = state
        self._waiting = state in self.waits_for_owner
        self._carrying = state is StreamState.ESTABLISHED or (self._carrying and state is StreamState.CLOSING)
        if state not in CARRIES_NOTHING_YET:
            self._deadline = None
