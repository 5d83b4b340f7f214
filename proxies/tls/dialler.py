"""A TLS dialler: connects, shakes hands, and says how it went as one value."""

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass

from certs.catalogue import explain
from certs.verdict import Reason, Side, Verdict
from proxies.clock import SchedulingClock
from proxies.observer import ConnectionInfo, Observer, tap_of
from proxies.tls.connection import TlsConnection, TlsPump
from proxies.tls.contexts import client_context
from proxies.tls.core import TlsCore
from proxies.tls.settings import TlsClientSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialled:
    """How dialling went. Under TLS 1.3 the server's refusal may still follow as `PeerRefusedError`."""

    verdict: Verdict
    "Accepted or not, and why."

    protocol: asyncio.Protocol | None
    "What `protocol_factory` made; None where there is no connection."

    connection: ConnectionInfo
    "What `describe` made: how the evidence names the attempt."


async def dial_tls(
    settings: TlsClientSettings,
    host: str,
    port: int,
    *,
    protocol_factory: Callable[[TlsConnection], asyncio.Protocol],
    describe: Callable[[tuple[str, int], tuple[str, int]], ConnectionInfo],
    clock: SchedulingClock,
    observer: Observer,
    local_address: str | None = None,
) -> Dialled:
    """Connect to an address and shake hands within the settings' time.

    A refusal, ours or the server's, and a server that cannot be reached are verdicts, not exceptions. Raises
    CertificateError and ConfigError where the settings cannot be used.
    """
    loop = asyncio.get_running_loop()
    judged: asyncio.Future[Verdict] = loop.create_future()

    def handshake_ended(pump: TlsPump, verdict: Verdict) -> None:
        if not judged.done():
            judged.set_result(verdict)

    tap = tap_of(observer)
    context = client_context(settings, secrets_file=tap.secrets_file if tap else None)
    pump = TlsPump(
        TlsCore(context, clock=clock),
        protocol_factory=protocol_factory,
        describe=describe,
        clock=clock,
        observer=observer,
        handshake_timeout=settings.handshake_timeout,
        handshake_ended=handshake_ended,
        closed=lambda pump: None,
    )
    try:
        async with asyncio.timeout(settings.handshake_timeout):
            await loop.create_connection(
                lambda: pump, host, port, local_addr=(local_address, 0) if local_address else None
            )
    except OSError as error:
        verdict = _unreachable(host, port, error)
        connection = describe((local_address or "", 0), (host, port))
        observer.judged(connection, verdict)
        return Dialled(verdict=verdict, protocol=None, connection=connection)
    try:
        verdict = await judged  # the pump's own timer bounds this
    except asyncio.CancelledError:
        pump.transport.abort()
        raise
    return Dialled(verdict=verdict, protocol=pump.protocol, connection=pump.connection)


def _unreachable(host: str, port: int, error: OSError) -> Verdict:
    # TimeoutError is an OSError without a number; the loops word the others differently, so the number counts.
    number = error.errno
    seen = os.strerror(number) if number else "no answer in time"
    explanation = explain(Reason.UNREACHABLE)
    return Verdict(
        accepted=False,
        reason=Reason.UNREACHABLE,
        side=Side.CLIENT,
        rule=explanation.rule,
        clause=explanation.clause,
        remedy=explanation.remedy,
        detail=f"{host}:{port}: {seen}",
    )
