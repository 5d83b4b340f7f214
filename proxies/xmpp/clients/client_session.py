"""A client's stream and the session on it: login, home node, binding, resumption (RFC 6120 6, 7; XEP-0198)."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from certs.catalogue import explain
from certs.errors import RemoteProtocolError
from certs.purposes import ServiceName
from certs.verdict import Reason, Side, Verdict
from proxies.clock import SchedulingClock, TimerHandle
from proxies.observer import Observer
from proxies.xmpp.conditions import StanzaErrorCondition, StreamErrorCondition
from proxies.xmpp.connections.carrier import StreamCarrier
from proxies.xmpp.jid import Jid
from proxies.xmpp.router.attachment import RouterAttachment
from proxies.xmpp.sasl.common import NO_CHANNEL_BINDING, ChannelBindings
from proxies.xmpp.sasl.server import FindCredentials, SaslServer, SaslServerSettings
from proxies.xmpp.stanza import Stanza
from proxies.xmpp.streams.events import (
    Authenticated,
    AuthenticationFailed,
    BindRequested,
    ManagementEnabled,
    ResumeRequested,
    StreamClosed,
    StreamErrorReceived,
    StreamEvent,
    StreamFailed,
    StreamOpened,
    TlsProceeding,
)
from proxies.xmpp.streams.management import ManagedStanzas
from proxies.xmpp.streams.receiving import ReceivingStream

_NO_ROUTER: Final = "Cisco XCP Router does not run on this node"
_IN_THE_CLEAR: Final = "XMPP client secure mode is off: passwords and messages travel in the clear."
_SECURE_MODE_ON: Final = (
    "Check Enable XMPP Client To IM/P Service Secure Mode in System > Security > Settings, restart "
    "Cisco XCP Connection Manager."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientAccess:
    """Who may log in, and how."""

    node: str
    "This node's full name."

    name: str
    "This node's short name, for remedies."

    service: ServiceName
    "The connection manager, for remedies."

    home_node: Callable[[str], str | None]
    "Gives the full name of the node that a user is assigned to."

    find_credentials: FindCredentials = field(repr=False)
    "Gives what a user's password is compared with."

    sasl: SaslServerSettings
    "The mechanisms."

    channel_bindings: ChannelBindings = field(default_factory=dict)
    "What stands for a TLS connection to this node."

    clause: str = "G21"
    "The guide's clause of the secure mode."

    in_the_clear: str = _IN_THE_CLEAR
    "What the verdict on a login in the clear warns of."

    secure_mode_on: str = _SECURE_MODE_ON
    "What mends it."


class DetachedSessions:
    """Sessions of one connection manager whose connections broke, until they are resumed or their time is up."""

    def __init__(self) -> None:
        self._sessions: dict[str, ClientSession] = {}

    def add(self, session: "ClientSession", resumption_id: str) -> None:
        """Keep a session for its client."""
        self._sessions[resumption_id] = session

    def find(self, resumption_id: str) -> "ClientSession | None":
        """Return a session that can be resumed, attached or not, or None."""
        return self._sessions.get(resumption_id)

    def remove(self, resumption_id: str) -> None:
        """Forget a session."""
        self._sessions.pop(resumption_id, None)

    def close_all(self, text: str) -> None:
        """End all, those whose connection is broken too."""
        for session in tuple(self._sessions.values()):
            session.close(StreamErrorCondition.SYSTEM_SHUTDOWN, text)


class ClientSession:
    """Owns a client's stream; once a resource is bound it is the router's way to the client."""

    __slots__ = (
        "_access", "_attachment", "_carrier", "_clock", "_ended", "_observer", "_resumable", "_timer", "jid",
        "managed",
    )  # fmt: skip

    jid: Jid
    "The full address; there once a resource is bound."

    def __init__(
        self,
        carrier: StreamCarrier,
        *,
        access: ClientAccess,
        attachment: RouterAttachment,
        resumable: DetachedSessions,
        observer: Observer,
    ) -> None:
        self._carrier: StreamCarrier | None = carrier
        self._access = access
        self._attachment = attachment
        self._resumable = resumable
        self._clock: SchedulingClock = carrier.clock
        self._observer = observer
        self._ended = False
        self._timer: TimerHandle | None = None
        self.managed: ManagedStanzas | None = None
        "What survives a broken connection, where the client enabled stream management."

    # im_interfaces.Session

    def deliver(self, stanza: Stanza) -> None:
        """Write a stanza to the client, or keep it for when the client resumes."""
        if self._carrier is not None:
            self._carrier.send_stanza(stanza)
        elif self.managed is not None and not self._ended:
            self.managed.send_stanza(stanza)
            if self.managed.overflowed:
                self.end()

    def close(self, condition: StreamErrorCondition, text: str) -> None:
        """End the stream with a stream error."""
        if self._carrier is not None:
            self._carrier.fail(condition, text)
        self.end()

    # carrier.StreamOwner

    def make_sasl(self, opened: StreamOpened) -> SaslServer:
        """Return what judges the client's credentials."""
        return SaslServer(
            self._access.sasl,
            domain=opened.to,
            find_credentials=self._access.find_credentials,
            encrypted=opened.secure,
            channel_bindings=self._access.channel_bindings if opened.secure else NO_CHANNEL_BINDING,
        )

    def handle(self, event: StreamEvent) -> None:
        """Take what happened on the stream."""
        if type(event) is Stanza:  # most of what happens
            router = self._attachment.router
            if router is not None:
                router.receive_from_session(self, event)
            return
        match event:
            case TlsProceeding():
                assert self._carrier is not None
                self._carrier.begin_tls()
            case AuthenticationFailed():
                self._report_failure(event)
            case Authenticated():
                self._let_in(event)
            case StreamOpened():
                self._check_home()
            case BindRequested():
                self._bind(event.resource)
            case ManagementEnabled():
                self.managed = event.managed
                if event.managed.resumption_id:
                    self._resumable.add(self, event.managed.resumption_id)
            case ResumeRequested():
                self._resume(event)
            case StreamClosed(clean=True) | StreamErrorReceived() | StreamFailed():
                self.end()
            case _:
                pass  # an unclean end is for `lost` to judge; nothing else needs an answer

    def secured(self, verdict: Verdict) -> None:
        """Take how the handshake was judged; the TLS layer has told the ledger."""

    def broken(self, error: RemoteProtocolError) -> None:
        """Take which rule the client broke: its session ends."""
        self.end()

    def lost(self, why: str) -> None:
        """Keep a session that can be resumed, end any other."""
        self._carrier = None
        managed = self.managed
        if self._ended or managed is None or not managed.resumption_id:
            self.end()
            return
        due = self._clock.monotonic() + managed.maximum_time
        self._timer = self._clock.call_at(due, self.end)

    def end(self) -> None:
        """End the session; what the client has not acknowledged finds its way anew (XEP-0198 5)."""
        if self._ended:
            return
        self._ended = True
        if self._timer is not None:
            self._timer.cancel()
        managed, router = self.managed, self._attachment.router
        if managed is not None and managed.resumption_id:
            self._resumable.remove(managed.resumption_id)
        if router is None or not hasattr(self, "jid"):
            return
        router.session_closed(self)
        if managed is not None:
            for stanza in managed.unacknowledged:
                if stanza.kind == "message" and stanza.type != "error":
                    router.route(stanza)

    # Login.

    def _report_failure(self, event: AuthenticationFailed) -> None:
        failure = event.failure
        detail = f"{event.mechanism}: {failure.detail or failure.condition}"
        self._refuse(failure.reason, detail)

    def _check_home(self) -> None:
        """Send a user of another node there, once the stream is opened again (RFC 6120 4.9.3.19)."""
        stream = self._stream()
        if stream.peer is None:
            return
        home = self._access.home_node(stream.peer.localpart)
        if home != self._access.node:
            text = f"the home node of {stream.peer} is {home or 'nowhere'}"
            self._refuse(Reason.NOT_HOME_NODE, text)
            stream.fail(StreamErrorCondition.SEE_OTHER_HOST, text, other_host=home or "")

    def _let_in(self, event: Authenticated) -> None:
        stream = self._stream()
        assert self._carrier is not None
        detail = f"{event.identity} logged in by {event.mechanism}"
        verdict = Verdict(
            accepted=True,
            reason=Reason.ACCEPTED,
            side=Side.SERVER,
            rule="A client logs in over TLS." if stream.secure else self._access.in_the_clear,
            clause=self._access.clause,
            remedy="" if stream.secure else self._access.secure_mode_on,
            detail=detail if stream.secure else f"{detail} in the clear",
        )
        self._observer.judged(self._carrier.connection, verdict)

    def _refuse(self, reason: Reason, detail: str) -> None:
        assert self._carrier is not None
        explanation = explain(reason, node=self._access.name, services=(self._access.service,))
        verdict = Verdict(
            accepted=False,
            reason=reason,
            side=Side.SERVER,
            rule=explanation.rule,
            clause=explanation.clause,
            remedy=explanation.remedy,
            detail=detail,
        )
        self._observer.judged(self._carrier.connection, verdict)

    # Binding and resumption.

    def _bind(self, resource: str) -> None:
        stream, router = self._stream(), self._attachment.router
        assert stream.peer is not None
        if router is None:
            stream.fail(StreamErrorCondition.REMOTE_CONNECTION_FAILED, _NO_ROUTER)
            return
        try:
            jid = stream.peer.with_resource(resource or secrets.token_hex(8))
        except RemoteProtocolError as error:
            stream.refuse_bind(StanzaErrorCondition.BAD_REQUEST, str(error))
            return
        self.jid = jid
        stream.bind(jid)
        router.session_opened(self)

    def _resume(self, event: ResumeRequested) -> None:
        stream = self._stream()
        old = self._resumable.find(event.previous_id)
        if (
            old is None
            or old.managed is None
            or old.jid.bare != stream.peer
            or self._attachment.router is None
        ):
            stream.refuse_resume()
            return
        carrier, self._carrier = self._carrier, None
        self._ended = True
        assert carrier is not None
        old.take_over(carrier, stream)

    def take_over(self, carrier: StreamCarrier, stream: ReceivingStream) -> None:
        """Go on over another connection. Raises RemoteProtocolError where the client miscounts."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        assert self.managed is not None
        before, self._carrier = self._carrier, carrier
        if before is not None:  # the client noticed first that the connection is broken
            before.owner = _Nobody()
            before.fail(StreamErrorCondition.CONFLICT, "the stream was resumed over another connection")
        carrier.owner = self
        stream.resume(self.managed, self.jid)

    def _stream(self) -> ReceivingStream:
        assert self._carrier is not None
        stream = self._carrier.stream
        assert isinstance(stream, ReceivingStream)
        return stream


class _Nobody:
    """Owns a stream whose session went on elsewhere."""

    def handle(self, event: StreamEvent) -> None:
        """Take nothing."""

    def secured(self, verdict: Verdict) -> None:
        """Take nothing."""

    def broken(self, error: RemoteProtocolError) -> None:
        """Take nothing."""

    def lost(self, why: str) -> None:
        """Take nothing."""
