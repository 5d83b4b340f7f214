"""One external component of the router: who it is, what it sends, what it gets (XEP-0114)."""

from collections.abc import Callable
from typing import Protocol

from certs.catalogue import explain
from certs.errors import RemoteProtocolError
from certs.verdict import Reason, Side, Verdict
from proxies.observer import Observer
from proxies.xmpp.conditions import StanzaErrorCondition, StreamErrorCondition
from proxies.xmpp.connections.connection import XmppConnection
from proxies.xmpp.stanza import Stanza
from proxies.xmpp.streams.events import Authenticated, AuthenticationFailed, StreamEvent
from proxies.xmpp.streams.receiving import ReceivingStream
from proxies.xmpp.streams.state import StreamState


class Components(Protocol):
    """Those who want to know of a component."""

    def session_attached(self, session: "ComponentSession") -> None:
        """A component has proved who it is."""
        ...

    def session_gone(self, session: "ComponentSession") -> None:
        """A component's stream is over."""
        ...


class ComponentSession:
    """Owns the stream of a component."""

    def __init__(
        self,
        connection: XmppConnection,
        *,
        node: str,
        components: Components,
        route: Callable[[Stanza], None],
        bounce: Callable[[Stanza, StanzaErrorCondition, str], None],
        observer: Observer,
    ) -> None:
        """Take this node's name for remedies, and whom to tell."""
        self.domain = ""
        "The component's domain; empty until it has proved it."
        self._connection = connection
        self._node = node
        self._components = components
        self._route = route
        self._bounce = bounce
        self._observer = observer

    def deliver(self, stanza: Stanza) -> None:
        """Write a stanza to the component, or give it back where its stream is over."""
        if self._connection.stream.state is StreamState.ESTABLISHED:
            self._connection.send_stanza(stanza)
        else:
            text = f"the component {self.domain} is going"
            self._bounce(stanza, StanzaErrorCondition.SERVICE_UNAVAILABLE, text)

    def end(self, condition: StreamErrorCondition, text: str) -> None:
        """End the stream with an error; `Components` hears of it when the connection is gone."""
        self._connection.fail(condition, text)

    # carrier.StreamOwner

    def handle(self, event: StreamEvent) -> None:
        """Take what happened on the stream."""
        match event:
            case Stanza():
                self._take(event)
            case Authenticated():
                self.domain = str(event.identity)
                self._judge(Reason.ACCEPTED, f"component {self.domain} by its handshake")
                self._components.session_attached(self)
            case AuthenticationFailed():
                domain = self._stream().domain
                self._judge(Reason.WRONG_COMPONENT_HANDSHAKE, f"{domain}: {event.failure.detail}")
            case _:
                pass  # an end is followed by `lost`

    def secured(self, verdict: Verdict) -> None:
        """Take nothing: components have no TLS (XEP-0114 6)."""

    def broken(self, error: RemoteProtocolError) -> None:
        """Take which rule the component broke; the stream ends."""
        if error.reply == StreamErrorCondition.HOST_UNKNOWN:
            self._judge(Reason.UNKNOWN_COMPONENT, str(error))

    def lost(self, why: str) -> None:
        """The component is gone."""
        self._components.session_gone(self)

    # Inside.

    def _take(self, stanza: Stanza) -> None:
        """Hand a stanza on; a component speaks for its whole domain, and for nobody else (XEP-0114 3)."""
        try:
            sender = stanza.sender
        except RemoteProtocolError:
            sender = None
        if sender is None or "to" not in stanza.attributes:
            text = "a component's stanza says from whom and to whom it is"
            self.end(StreamErrorCondition.IMPROPER_ADDRESSING, text)
        elif sender.domainpart != self.domain:
            text = f"{self.domain} sends as {str(sender)[:200]!r}"
            self._judge(Reason.FORGED_COMPONENT_SENDER, text)
            self.end(StreamErrorCondition.INVALID_FROM, text)
        else:
            self._route(stanza)

    def _judge(self, reason: Reason, detail: str) -> None:
        explanation = explain(reason, node=self._node)
        accepted = reason is Reason.ACCEPTED
        verdict = Verdict(
            accepted=accepted,
            reason=reason,
            side=Side.SERVER,
            rule="A component that knows its domain's secret may attach." if accepted else explanation.rule,
            clause="XEP-0114 3" if accepted else explanation.clause,
            remedy=explanation.remedy,
            detail=detail,
        )
        self._observer.judged(self._connection.connection, verdict)

    def _stream(self) -> ReceivingStream:
        stream = self._connection.stream
        assert isinstance(stream, ReceivingStream)
        return stream
