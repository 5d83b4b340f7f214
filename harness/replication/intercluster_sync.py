"""The cross-cluster half of Cisco Intercluster Sync Agent: the publisher asks its peers by AXL (G06, G22)."""

import asyncio
import logging
from dataclasses import dataclass
from itertools import count
from typing import Final

from certs.errors import HarnessError
from certs.key_store import KeyStore
from certs.purposes import (
    SERVICE_CERTIFICATES,
    CertificatePurpose,
    ServiceFunction,
    ServiceName,
    TrustStoreName,
)
from certs.verdict import Verdict
from harness.plan.topology import ClusterPlan, ImpNodePlan
from harness.replication.peers import InterclusterPeers
from harness.replication.told import PeerRefused, check_data, check_stamp
from harness.replication.values import InterclusterPeer, PeerStatus
from proxies.clock import SchedulingClock
from proxies.http.axl.client import AxlClient, AxlClientSettings, AxlFailed
from proxies.http.axl.values import AxlAccount, ClusterStamp
from proxies.observer import ConnectionInfo, Observer
from proxies.sip.transport.locating import Resolver
from proxies.tasks import TaskKeeper
from proxies.tls import TlsClientSettings, TrustPolicy

OUTGOING: Final = "outgoing"

_USE: Final = SERVICE_CERTIFICATES[ServiceFunction.AXL]

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncLimits:
    """How often a peer is asked."""

    interval: float = 2.0
    "Seconds between two questions whether there is news."

    first_retry: float = 0.5
    "Seconds until the first new attempt after a failure; each further one waits twice as long."

    last_retry: float = 60.0
    "The longest wait between two attempts."

    maximum_peers: int = 30
    "Peers that are asked; further ones are left alone."


class InterclusterSync:
    """Keeps a task for each peer. Started on the publisher of a cluster, and nowhere else."""

    def __init__(
        self,
        peers: InterclusterPeers,
        *,
        node: ImpNodePlan,
        cluster: ClusterPlan,
        key_store: KeyStore,
        resolver: Resolver,
        clock: SchedulingClock,
        observer: Observer,
        limits: SyncLimits | None = None,
    ) -> None:
        self._peers = peers
        self._node = node
        self._cluster = cluster
        self._key_store = key_store
        self._resolver = resolver
        self._clock = clock
        self._observer = observer
        self._limits = limits or SyncLimits()
        self._tasks = TaskKeeper()
        self._running: dict[InterclusterPeer, tuple[_PeerSync, asyncio.Task[None]]] = {}
        self._numbers = count(1)
        self._trusted = ""

    async def review(self, *, peers_may_differ: bool) -> None:
        """Begin with new peers and end with those that are gone; ask all anew where the trust has changed."""
        trusted = self._digest()
        if trusted != self._trusted:
            self._trusted = trusted
            for sync, _ in self._running.values():
                sync.start_over()
        if not peers_may_differ:
            return
        wanted = (await self._peers.peers())[: self._limits.maximum_peers]
        for peer in [peer for peer in self._running if peer not in wanted]:
            self._running.pop(peer)[1].cancel()
        for peer in wanted:
            if peer not in self._running:
                sync = _PeerSync(self, peer)
                task = self._tasks.start(
                    sync.run(), name=f"{self._node.name} synchronise with {peer.address}"
                )
                self._running[peer] = sync, task
        for status in await self._peers.statuses():
            for peer, (sync, _) in self._running.items():
                if peer.address == status.address and status.synchronised_at is None:
                    sync.forget()  # it was deleted, and entered again at once

    async def close(self) -> None:
        """Ask nobody any more; what was told stays."""
        self._running.clear()
        await self._tasks.close()

    def _digest(self) -> str:
        # Both are read at each connection; one that is open goes on with what it began with.
        return f"{self._key_store.digest(_USE.trust)} {self._key_store.digest(CertificatePurpose.TOMCAT)}"

    def open_client(self, peer: InterclusterPeer) -> AxlClient:
        """Return a client that is not connected yet, and trusts what is trusted now.

        Raises ConfigError where the peer has no address, CertificateError where our certificate is damaged.
        """
        node = self._node
        trust = TrustPolicy(
            certificates=tuple(each.pem for each in self._key_store.trust(_USE.trust)),
            trust_store=TrustStoreName.TOMCAT_TRUST,
            node=node.name,
            clause=_USE.clause,
            is_live=True,
        )
        address = self._resolver.address_of(peer.address)
        if address is None:
            raise PeerRefused(
                f"no host is called {peer.address!r}",
                remedy="Enter the full name of the peer's publisher as Peer Address, as imp3.lab.example.",
            )
        return AxlClient(
            AxlClientSettings(
                node=node.name,
                peer=peer.address,
                address=address,
                port=peer.port,
                local_address=node.address,
                account=AxlAccount(user_id=peer.axl_user, password=peer.axl_password),
                tls=TlsClientSettings(
                    trust=trust,
                    credential=self._key_store.own(CertificatePurpose.TOMCAT),
                    server_name=peer.address,
                    check_host_name=True,
                ),
            ),
            describe=self._describe,
            clock=self._clock,
            observer=self._observer,
        )

    async def take_news(
        self, peer: InterclusterPeer, client: AxlClient, known: ClusterStamp | None
    ) -> ClusterStamp:
        """Ask a peer whether it has news, and take them over; return the mark of what it has told now.

        Raises AxlFailed and PeerRefused; then all is as it was.
        """
        stamp = await client.stamp()
        if stamp == known:
            return stamp
        others = await self._peers.told_by_others(peer.address)
        check_stamp(stamp, self._cluster, others)
        data = check_data(
            stamp,
            await client.nodes(),
            await client.users(),
            own=self._cluster,
            told_by_others=others,
            resolve=self._resolver.address_of,
        )
        await self._peers.take(peer.address, data)
        return stamp

    async def record_success(self, peer: InterclusterPeer, cluster: str) -> None:
        """Write down that a peer's data were taken over."""
        await self._peers.record(
            PeerStatus(
                address=peer.address,
                cluster=cluster,
                synchronised_at=self._clock.now(),
                duplicate_users=await self._peers.duplicates(peer.address),
            )
        )

    async def record_failure(self, peer: InterclusterPeer, error: HarnessError) -> None:
        """Write down why a peer's data could not be taken over."""
        verdict: Verdict | None = error.verdict if isinstance(error, AxlFailed) else None
        remedy = verdict.remedy if verdict is not None else getattr(error, "remedy", "")
        await self._peers.record(
            PeerStatus(
                address=peer.address,
                reason=verdict.reason.value if verdict is not None else "",
                error=str(error),
                remedy=remedy,
            )
        )

    @property
    def clock(self) -> SchedulingClock:
        """The time."""
        return self._clock

    @property
    def limits(self) -> SyncLimits:
        """How often a peer is asked."""
        return self._limits

    def _describe(self, local: tuple[str, int], peer: tuple[str, int]) -> ConnectionInfo:
        return ConnectionInfo(
            id=f"{self._node.name} intercluster-sync-agent {next(self._numbers)}",
            node=self._node.name,
            service=ServiceName.INTERCLUSTER_SYNC_AGENT,
            listener=OUTGOING,
            transport="TLS",
            local=local,
            peer=peer,
        )


class _PeerSync:
    """Asks one peer, again and again, over a connection that it keeps."""

    def __init__(self, owner: InterclusterSync, peer: InterclusterPeer) -> None:
        self._owner = owner
        self._peer = peer
        self._client: AxlClient | None = None
        self._known: ClusterStamp | None = None
        self._recorded = ""
        self._retry = owner.limits.first_retry
        self._wake = asyncio.Event()
        self._stale = False

    def start_over(self) -> None:
        """Ask at once, over a new connection."""
        self._stale = True
        self._retry = self._owner.limits.first_retry
        self._wake.set()

    def forget(self) -> None:
        """Ask for all of it at once, where it has told anything yet."""
        if self._known is not None:
            self._known = None
            self._wake.set()

    async def run(self) -> None:
        """Ask until cancelled."""
        try:
            while True:
                self._wake.clear()
                try:
                    delay = await self._attempt()
                except HarnessError as error:
                    # The database may be busy; nothing is lost, and the next attempt writes it down.
                    _log.warning("%s: %s", self._peer.address, error)
                    delay = self._next_retry()
                await self._wait(delay)
        finally:
            await self._hang_up()

    async def _attempt(self) -> float:
        """Ask once; return for how long to wait."""
        try:
            stamp = await self._ask()
        except (AxlFailed, PeerRefused) as error:
            await self._hang_up()
            if self._recorded != str(error):
                await self._owner.record_failure(self._peer, error)
                self._recorded = str(error)
            return self._next_retry()
        if self._known != stamp or self._recorded:
            await self._owner.record_success(self._peer, stamp.cluster)
            self._known, self._recorded = stamp, ""
        self._retry = self._owner.limits.first_retry
        return self._owner.limits.interval

    async def _ask(self) -> ClusterStamp:
        if self._stale:
            self._stale = False
            await self._hang_up()
        kept = self._client
        if kept is not None:
            try:
                return await self._owner.take_news(self._peer, kept, self._known)
            except AxlFailed as error:
                if error.verdict is not None:
                    raise
                # The peer has closed the connection meanwhile, as at its restart.
                await self._hang_up()
        self._client = self._owner.open_client(self._peer)
        return await self._owner.take_news(self._peer, self._client, self._known)

    def _next_retry(self) -> float:
        delay = self._retry
        self._retry = min(delay * 2, self._owner.limits.last_retry)
        return delay

    async def _wait(self, seconds: float) -> None:
        clock = self._owner.clock
        timer = clock.call_at(clock.monotonic() + seconds, self._wake.set)
        try:
            await self._wake.wait()
        finally:
            timer.cancel()

    async def _hang_up(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()
