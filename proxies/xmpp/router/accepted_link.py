"""A link that another router opened to us: who it is, and its stanzas (G22)."""

from collections.abc import Callable
from typing import Final, Protocol

from certs.catalogue import explain
from certs.errors import RemoteProtocolError
from certs.verdict import Reason, Side, Verdict
from proxies.clock import SchedulingClock, TimerHandle
from proxies.observer import Observer
from proxies.xmpp.conditions import StreamErrorCondition
from proxies.xmpp.connections.connection import XmppConnection
from proxies.xmpp.jid import Jid
from proxies.xmpp.router.directory import RouterAddress
from proxies.xmpp.router.trust import RouterTrust
from proxies.xmpp.sasl.common import SaslMechanism
from proxies.xmpp.sasl.server import SaslServer, SaslServerSettings
from proxies.xmpp.stanza import Stanza
from proxies.xmpp.streams.certificate_identity import DomainRefused, match_domain
from proxies.xmpp.streams.events import (
    Authenticated,
    AuthenticationFailed,
    ManagementEnabled,
    ResumeRequested,
    StreamEvent,
    StreamOpened,
    TlsProceeding,
)
from proxies.xmpp.streams.management import ManagedStanzas
from proxies.xmpp.streams.receiving import ReceivingStream

_EXTERNAL: Final = SaslServerSettings(mechanisms=(SaslMechanism.EXTERNAL,))


class ResumableLinks:
    """What broken links leave, until they are resumed or their time is up."""

    def __init__(self, clock: SchedulingClock) -> None:
        self._clock = clock
        self._kept: dict[str, tuple[str, ManagedStanzas, TimerHandle | None]] = {}

    def add(self, fqdn: str, managed: ManagedStanzas) -> None:
        """Keep what a link leaves should it break."""
        self._kept[managed.resumption_id] = fqdn, managed, None

    def broke(self, managed: ManagedStanzas) -> None:
        """A link broke: from now on its time runs."""
        kept = self._kept.get(managed.resumption_id)
        if kept is not None:
            due = self._clock.monotonic() + managed.maximum_time
            timer = self._clock.call_at(due, lambda: self._forget(managed.resumption_id))
            self._kept[managed.resumption_id] = kept[0], managed, timer

    def take(self, resumption_id: str, fqdn: str) -> ManagedStanzas | None:
        """Return what the link of a router left, or None where there is none or it was another router's."""
        kept = self._kept.get(resumption_id)
        if kept is None or kept[0] != fqdn:
            return None
        if kept[2] is not None:
            kept[2].cancel()
            self._kept[resumption_id] = fqdn, kept[1], None
        return kept[1]

    def _forget(self, resumption_id: str) -> None:
        self._kept.pop(resumption_id, None)


class KnownLinks(Protocol):
    """Which routers there are, and who keeps the links of theirs."""

    def find(self, fqdn: str) -> RouterAddress | None:
        """Return another router that this one may be linked to, or None."""
        ...

    def accepted(self, link: "AcceptedLink") -> None:
        """Take a link of a router that has proven who it is."""
        ...

    def lost(self, link: "AcceptedLink") -> None:
        """Forget a link that another router had opened."""
        ...


class AcceptedLink:
    """Owns the stream of a link that came in."""

    def __init__(
        self,
        connection: XmppConnection,
        *,
        node: str,
        links: KnownLinks,
        trust: RouterTrust | None,
        resumable: ResumableLinks,
        route: Callable[[Stanza], None],
        observer: Observer,
    ) -> None:
        """Take this node's name for remedies; `trust` is None where router-to-router secure mode is off."""
        self._connection = connection
        self._node = node
        self._links = links
        self._trust = trust
        self._resumable = resumable
        self._route = route
        self._observer = observer
        self._certificate = b""
        self._managed: ManagedStanzas | None = None
        self.peer = ""
        "The full name of the router that has proven to be it; empty before that."

    def end(self, text: str) -> None:
        """End the link: its router is no longer one that there may be."""
        self._connection.fail(StreamErrorCondition.NOT_AUTHORIZED, text)

    def make_sasl(self, opened: StreamOpened) -> SaslServer:
        """Return what judges the router by its certificate, or in the clear by its address."""
        identities = (Jid("", opened.sender),) if self._is(opened.sender) else ()
        return SaslServer(
            _EXTERNAL, domain=opened.to, encrypted=opened.secure, certificate_identities=identities
        )

    # carrier.StreamOwner

    def handle(self, event: StreamEvent) -> None:
        """Take what happened on the stream."""
        match event:
            case Stanza():
                self._route(event)
            case TlsProceeding():
                assert self._trust is not None
                self._connection.begin_tls(self._trust.accepting())
            case Authenticated():
                over = "over TLS" if self._connection.stream.secure else "in the clear, by its address"
                self._judge(Reason.ACCEPTED, f"router {event.identity} {over}")
                assert event.identity is not None, "a receiving entity knows whom it let in"
                self.peer = event.identity.domainpart
                self._links.accepted(self)
            case AuthenticationFailed():
                self._judge(event.failure.reason, event.failure.detail)
            case ManagementEnabled():
                self._managed = event.managed
                self._resumable.add(str(self._stream().peer), event.managed)
            case ResumeRequested():
                self._resume(event)
            case _:
                pass  # an end is followed by `lost`

    def secured(self, verdict: Verdict) -> None:
        """Keep the certificate that the router showed."""
        if verdict.accepted and verdict.presented_chain:
            self._certificate = verdict.presented_chain[0].der

    def broken(self, error: RemoteProtocolError) -> None:
        """Take which rule the router broke; the link ends."""

    def lost(self, why: str) -> None:
        """Keep the counters for when the router comes back."""
        self._links.lost(self)
        if self._managed is not None:
            self._resumable.broke(self._managed)

    # Inside.

    def _is(self, fqdn: str) -> bool:
        """Whether the peer is the router that it says it is."""
        known = self._links.find(fqdn)
        if known is None:
            self._judge(Reason.UNKNOWN_ROUTER, f"{fqdn or 'a router without a name'} is not a node we know")
            return False
        if not self._connection.stream.secure:
            seen = self._connection.connection.peer[0]
            if seen != known.address:
                self._judge(Reason.UNKNOWN_ROUTER, f"{fqdn} is at {known.address}, not at {seen}")
            return seen == known.address
        matched = match_domain(self._certificate, fqdn, accept_common_name=True)
        if isinstance(matched, DomainRefused):
            self._judge(matched.reason, matched.detail)
            return False
        return True

    def _resume(self, event: ResumeRequested) -> None:
        stream = self._stream()
        managed = self._resumable.take(event.previous_id, str(stream.peer))
        if managed is None:
            stream.refuse_resume()
            return
        self._managed = managed
        stream.resume(managed)

    def _judge(self, reason: Reason, detail: str) -> None:
        explanation = explain(reason, node=self._node)
        accepted = reason is Reason.ACCEPTED
        verdict = Verdict(
            accepted=accepted,
            reason=reason,
            side=Side.SERVER,
            rule="A router of this cluster or of a peer cluster may open a link."
            if accepted
            else explanation.rule,
            clause="G22" if accepted else explanation.clause,
            remedy=explanation.remedy,
            detail=detail,
        )
        self._observer.judged(self._connection.connection, verdict)

    def _stream(self) -> ReceivingStream:
        stream = self._connection.stream
        assert isinstance(stream, ReceivingStream)
        return stream
