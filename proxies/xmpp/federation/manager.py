"""Cisco XCP XMPP Federation Connection Manager: streams with the servers of other domains (G11)."""

from collections.abc import Callable
from typing import Final

from certs.purposes import ServiceName
from certs.verdict import Reason, Side
from proxies.clock import SchedulingClock
from proxies.observer import ConnectionInfo, Observer, next_connection_number
from proxies.tasks import TaskKeeper
from proxies.xmpp.conditions import StanzaErrorCondition, StreamErrorCondition
from proxies.xmpp.connections.connection import Reading, XmppConnection
from proxies.xmpp.connections.listening import XmppListener
from proxies.xmpp.federation.dialback import DomainPair
from proxies.xmpp.federation.dialback_streams import KeyConfirmed, KeyRefused
from proxies.xmpp.federation.identity import FederationVerdicts
from proxies.xmpp.federation.inbound import Accepting, InboundStream
from proxies.xmpp.federation.locating import ServerNames
from proxies.xmpp.federation.outbound import KeyAnswer, VerificationStream
from proxies.xmpp.federation.peer_stream import Dialling
from proxies.xmpp.federation.settings import FederationSettings
from proxies.xmpp.federation.trust import FederationTls
from proxies.xmpp.federation.waiting import FederatedPair
from proxies.xmpp.router.attachment import RouterAttachment, RouterPort
from proxies.xmpp.router.directory import XmppDirectory
from proxies.xmpp.stanza import Stanza
from proxies.xmpp.streams.receiving import ReceivingStream
from proxies.xmpp.streams.settings import ReceivingSettings, StreamKind

LISTENER: Final = "XMPP Federation Listener"
OUTGOING: Final = "outgoing"

_STOPS: Final = f"{ServiceName.XCP_XMPP_FEDERATION} stops"


class FederationConnectionManager:
    """Listens for other servers, and opens streams to them for what the router has for their domains."""

    def __init__(
        self,
        settings: FederationSettings,
        *,
        attachment: RouterAttachment,
        directory: XmppDirectory,
        names: ServerNames,
        clock: SchedulingClock,
        observer: Observer,
    ) -> None:
        """Prepare. Raises CertificateError where a certificate cannot be used."""
        self._settings = settings
        self._attachment = attachment
        self._directory = directory
        self._clock = clock
        self._observer = observer
        self._tasks = TaskKeeper()
        self._pairs: dict[DomainPair, FederatedPair] = {}
        self._verifications: dict[VerificationStream, None] = {}
        self._listener: XmppListener | None = None
        self._leave: Callable[[], None] = lambda: None
        tls = FederationTls(settings, clock=clock, observer=observer)
        self._verdicts = FederationVerdicts(observer, settings.node)
        self._dialling = Dialling(
            settings=settings,
            tls=tls,
            names=names,
            verdicts=self._verdicts,
            describe=self._describe_outgoing,
            clock=clock,
            observer=observer,
            tasks=self._tasks,
        )
        self._accepting = Accepting(
            settings=settings,
            tls=tls,
            verdicts=self._verdicts,
            attachment=attachment,
            local_domains=self._local_domains,
            verify=self._verify,
        )

    async def start(self) -> None:
        """Listen, and take from the router what is for other domains.

        Raises ConnectionFailed where the address cannot be bound.
        """
        limits = self._settings.limits
        listener = XmppListener(
            self._accept,
            describe=self._describe,
            clock=self._clock,
            observer=self._observer,
            tls=None,
            maximum_connections=limits.connections,
            reading=Reading(bytes_per_second=limits.bytes_per_second, burst=limits.burst, pace=self._pace),
        )
        await listener.start(self._settings.address, self._settings.port)
        self._listener = listener
        self._leave = self._attachment.follow(came=self._router_came, went=self._router_went)

    async def stop(self) -> None:
        """Give back what waits, end every stream with `system-shutdown`, and listen no more."""
        self._leave()
        router = self._attachment.router
        if router is not None:
            router.attach_federation(None)
        self._close_outgoing(_STOPS, bounces=True)
        if self._listener is not None:
            await self._listener.close(_STOPS)
        await self._tasks.close()

    def deliver(self, stanza: Stanza) -> None:
        """Take a stanza of ours for another domain; what cannot be sent comes back through the router."""
        sender, to = stanza.sender, stanza.to
        assert to is not None, "a routed stanza says whom it is for"
        domain = to.domainpart
        if sender is None or sender.domainpart not in self._local_domains():
            self._bounce(stanza, StanzaErrorCondition.NOT_ALLOWED, "only our own domains send from here")
        elif not self._settings.policy.allows(domain):
            nowhere = self._describe_outgoing((self._settings.address, 0), (domain, 0))
            self._verdicts.refuse(nowhere, Side.CLIENT, Reason.DOMAIN_NOT_ALLOWED, domain)
            self._bounce(stanza, StanzaErrorCondition.NOT_ALLOWED, f"{Reason.DOMAIN_NOT_ALLOWED}: {domain}")
        else:
            self._send(stanza, DomainPair(sender.domainpart, domain))

    # Inside.

    def _send(self, stanza: Stanza, pair: DomainPair) -> None:
        found = self._pairs.get(pair)
        if found is None:
            if len(self._pairs) >= self._settings.limits.pairs:
                text = f"{self._settings.limits.pairs} domain pairs are in use"
                self._bounce(stanza, StanzaErrorCondition.RESOURCE_CONSTRAINT, text)
                return
            found = FederatedPair(pair, self._dialling, bounce=self._bounce, gone=self._forget_pair)
            self._pairs[pair] = found
        found.send(stanza)

    def _forget_pair(self, pair: FederatedPair) -> None:
        if self._pairs.get(pair.pair) is pair:
            del self._pairs[pair.pair]

    def _bounce(self, stanza: Stanza, condition: StanzaErrorCondition, text: str) -> None:
        if self._attachment.router is not None:
            self._attachment.router.bounce(stanza, condition, text)

    def _verify(self, pair: DomainPair, stream_id: str, key: str, answered: KeyAnswer) -> None:
        limit = self._settings.limits.verifications
        if len(self._verifications) >= limit:
            text = f"{limit} dialback keys are being verified"
            answered(KeyRefused(pair, stream_id, StanzaErrorCondition.RESOURCE_CONSTRAINT, text))
            return

        def done(answer: KeyConfirmed | KeyRefused) -> None:
            self._verifications.pop(verification, None)
            answered(answer)

        verification = VerificationStream(pair, stream_id, key, self._dialling, answered=done)
        self._verifications[verification] = None
        verification.open()

    def _close_outgoing(self, text: str, *, bounces: bool) -> None:
        pairs, self._pairs = self._pairs, {}
        for pair in pairs.values():
            pair.close(text, bounces=bounces)
        verifications, self._verifications = self._verifications, {}
        for verification in verifications:
            verification.give_up()

    def _local_domains(self) -> frozenset[str]:
        return self._settings.domains | self._directory.component_domains()

    def _router_came(self, router: RouterPort) -> None:
        router.attach_federation(self.deliver)

    def _router_went(self) -> None:
        text = f"{ServiceName.XCP_ROUTER} stops"
        self._close_outgoing(text, bounces=False)
        if self._listener is not None:
            self._listener.fail_all(StreamErrorCondition.SYSTEM_SHUTDOWN, text)

    def _pace(self) -> float:
        router = self._attachment.router
        return router.pace() if router is not None else 0.0

    def _accept(self, connection: XmppConnection) -> InboundStream:
        owner = InboundStream(connection, self._accepting)
        limits = self._settings.limits
        settings = ReceivingSettings(
            kind=StreamKind.SERVER,
            domains=self._local_domains(),
            tls=self._settings.policy.tls_offer,
            dialback=True,
            resumption_time=0,
            negotiation_timeout=limits.negotiation + limits.verification,
        )
        connection.stream = ReceivingStream(settings, now=self._clock.monotonic(), make_sasl=owner.make_sasl)
        return owner

    def _describe(self, local: tuple[str, int], peer: tuple[str, int]) -> ConnectionInfo:
        return self._info(LISTENER, local, peer)

    def _describe_outgoing(self, local: tuple[str, int], peer: tuple[str, int]) -> ConnectionInfo:
        return self._info(OUTGOING, local, peer)

    def _info(self, listener: str, local: tuple[str, int], peer: tuple[str, int]) -> ConnectionInfo:
        return ConnectionInfo(
            id=f"{self._settings.node} xcp-xmpp-federation {next_connection_number()}",
            node=self._settings.node,
            service=ServiceName.XCP_XMPP_FEDERATION,
            listener=listener,
            transport="TCP",
            local=local,
            peer=peer,
        )
