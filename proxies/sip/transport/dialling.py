"""Making the connection that a message needs, and saying why there is none."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

from certs.catalogue import explain
from certs.verdict import Reason, Side, Verdict
from proxies.clock import SchedulingClock
from proxies.observer import ConnectionInfo, Observer
from proxies.sip.messages.identity import matches_domain, sip_identities
from proxies.sip.transport.flow import Destination, Transport
from proxies.sip.transport.flow_table import peer_certificate
from proxies.sip.transport.settings import TransportSettings
from proxies.sip.transport.streams import SipStream
from proxies.tls import dial_tls


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryFailure:
    """Why a message did not reach its peer (RFC 3261 18.4)."""

    why: str
    "In words."

    verdict: Verdict | None = None
    "Whose refusal it was, where dialling or a handshake was judged."


class Dialler:
    """Connects to peers from the node's own address, so that they see the node."""

    def __init__(
        self,
        settings: TransportSettings,
        *,
        make_stream: Callable[[], SipStream],
        describe: Callable[[Transport, tuple[str, int], tuple[str, int]], ConnectionInfo],
        clock: SchedulingClock,
        observer: Observer,
    ) -> None:
        self._settings = settings
        self._make_stream = make_stream
        self._describe = describe
        self._clock = clock
        self._observer = observer

    async def dial(self, destination: Destination, address: str) -> SipStream | DeliveryFailure:
        """Connect, over TLS with a handshake and the check of the name that is wanted."""
        if destination.transport is Transport.TLS:
            return await self._dial_tls(destination, address)
        return await self._dial_tcp(destination, address)

    async def _dial_tcp(self, destination: Destination, address: str) -> SipStream | DeliveryFailure:
        try:
            async with asyncio.timeout(self._settings.limits.connecting):
                _, stream = await asyncio.get_running_loop().create_connection(
                    self._make_stream, address, destination.port, local_addr=(self._settings.address, 0)
                )
        except (OSError, TimeoutError) as error:
            seen = getattr(error, "strerror", None) or "no answer in time"
            verdict = _judge(Reason.UNREACHABLE, f"{destination}: {seen}")
            peer = (address, destination.port)
            connection = self._describe(Transport.TCP, (self._settings.address, 0), peer)
            self._observer.judged(connection, verdict)
            return DeliveryFailure(why=verdict.detail, verdict=verdict)
        return stream

    async def _dial_tls(self, destination: Destination, address: str) -> SipStream | DeliveryFailure:
        settings = self._settings.tls_client_by_peer.get(
            (destination.host, destination.port), self._settings.tls_client
        )
        if settings is None:
            return DeliveryFailure(why=f"{self._settings.service} dials no TLS")
        if destination.server_name:
            settings = replace(settings, server_name=destination.server_name)
        dialled = await dial_tls(
            settings,
            address,
            destination.port,
            protocol_factory=lambda connection: self._make_stream(),
            describe=lambda local, peer: self._describe(Transport.TLS, local, peer),
            clock=self._clock,
            observer=self._observer,
            local_address=self._settings.address,
        )
        stream = dialled.protocol
        if not isinstance(stream, SipStream):
            verdict = dialled.verdict
            return DeliveryFailure(why=f"{destination}: {verdict.reason}: {verdict.detail}", verdict=verdict)
        return self._check_name(stream, destination.server_name)

    def _check_name(self, stream: SipStream, wanted: str) -> SipStream | DeliveryFailure:
        """Refuse a server whose certificate does not speak for the domain asked for (RFC 5922 7.3)."""
        certificate = peer_certificate(stream.flow)
        if not wanted or (certificate is not None and matches_domain(certificate, wanted)):
            return stream
        presented = ", ".join(sip_identities(certificate)) if certificate is not None else "nothing"
        chain = stream.flow.verdict.presented_chain if stream.flow.verdict is not None else ()
        verdict = replace(
            _judge(Reason.IDENTITY_MISMATCH, f"wanted {wanted}, the certificate is for {presented}"),
            presented_chain=chain,
        )
        self._observer.judged(stream.flow.connection, verdict)
        stream.close(verdict.detail)
        return DeliveryFailure(why=verdict.detail, verdict=verdict)


def _judge(reason: Reason, detail: str) -> Verdict:
    explanation = explain(reason)
    return Verdict(
        accepted=False,
        reason=reason,
        side=Side.CLIENT,
        rule=explanation.rule,
        clause=explanation.clause,
        remedy=explanation.remedy,
        detail=detail,
    )
