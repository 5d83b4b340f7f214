"""Control Center of one node: starts and stops its services, each on a snapshot of its own."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Generic, Protocol, TypeVar

from certs.errors import ConfigError, HarnessError, LocalProtocolError
from certs.purposes import ServiceName
from harness.nodes.service_runs import ServiceRun, ServiceRuns
from harness.nodes.service_state import TRANSITIONS, ServiceEvent, ServiceFailed, ServiceState, ServiceStatus
from proxies.clock import SchedulingClock
from proxies.interposing import Interposer, Nobody, interposing
from proxies.observer import Observer
from proxies.sip.transport.locating import Resolver
from proxies.xmpp.federation.locating import ServerNames

_log: Final = logging.getLogger(__name__)


class Service(Protocol):
    """A service that was built from a snapshot; started once and stopped once."""

    async def start(self) -> None:
        """Open its sockets. Raises HarnessError or OSError where it cannot, with all of them closed again."""
        ...

    async def stop(self) -> None:
        """Close its sockets and connections."""
        ...


class Names(Resolver, ServerNames, Protocol):
    """The names of the lab, as SIP and XMPP ask for them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceEnvironment:
    """What a service gets besides its snapshot."""

    clock: SchedulingClock
    "The time."

    observer: Observer
    "What takes down what happens on its sockets."

    names: Names
    "The names of the lab."

    interpose: Callable[[str, ServiceName], Interposer] = lambda node, service: Nobody()
    "Who stands between a service of a node and its sockets: faults, where a lab has them."


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceLimits:
    """How long Control Center waits."""

    start: float = 10.0
    "Seconds for a service to start."

    stop: float = 5.0
    "Seconds for a service to stop; then it is left behind."


class Digested(Protocol):
    """What Control Center needs to know of a snapshot."""

    @property
    def digests(self) -> Mapping[str, str]:
        """A digest of each topic that was read."""
        ...


SnapshotT = TypeVar("SnapshotT", bound=Digested)


@dataclass(slots=True)
class _Entry:
    """One service with its state; `move` alone changes the state."""

    name: ServiceName
    state: ServiceState = ServiceState.STOPPED
    activated: bool = True
    running: Service | None = None
    started_at: datetime | None = None
    reason: str = ""
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def move(self, event: ServiceEvent) -> None:
        """Follow the arrow of an event."""
        state = TRANSITIONS.get((self.state, event))
        if state is None:
            raise LocalProtocolError(f"{self.name} is {self.state}: {event} is not allowed")
        self.state = state


class ServiceControl(Generic[SnapshotT]):
    """Control Center and Service Activation of one node."""

    def __init__(
        self,
        node: str,
        *,
        builders: Mapping[ServiceName, Callable[[SnapshotT, ServiceEnvironment], Service]],
        take_snapshot: Callable[[ServiceName], Awaitable[SnapshotT]],
        environment: ServiceEnvironment,
        runs: ServiceRuns,
        limits: ServiceLimits | None = None,
    ) -> None:
        """Take the node's services; the order of `builders` is the order in which they start."""
        self._node = node
        self._builders = builders
        self._take_snapshot = take_snapshot
        self._environment = environment
        self._runs = runs
        self._limits = limits or ServiceLimits()
        self._entries = {name: _Entry(name) for name in builders}

    def services(self) -> tuple[ServiceStatus, ...]:
        """Return all lines of Control Center, in the order of starting."""
        return tuple(self.status(name) for name in self._entries)

    def status(self, service: ServiceName) -> ServiceStatus:
        """Return a service's line. Raises ConfigError where the node has no such service."""
        entry = self._entry(service)
        return ServiceStatus(
            service=service,
            state=entry.state,
            activated=entry.activated,
            started_at=entry.started_at,
            reason=entry.reason,
        )

    def running(self, service: ServiceName) -> Service:
        """Return a service that is started. Raises ServiceFailed where it is not."""
        entry = self._entry(service)
        if entry.state is not ServiceState.STARTED or entry.running is None:
            raise ServiceFailed(self._node, service, f"it is {entry.state}")
        return entry.running

    async def start(self, service: ServiceName) -> None:
        """Start a service on a new snapshot.

        Raises ServiceFailed where it cannot start; the other services stay as they are.
        """
        entry = self._entry(service)
        async with entry.lock:
            await self._start(entry)

    async def stop(self, service: ServiceName) -> None:
        """Stop a service: its sockets and connections are closed. Raises ServiceFailed where it hangs."""
        entry = self._entry(service)
        async with entry.lock:
            await self._stop(entry)

    async def restart(self, service: ServiceName) -> None:
        """Stop a service, if it runs, and start it on a new snapshot. Raises ServiceFailed as they do."""
        entry = self._entry(service)
        async with entry.lock:
            if entry.state is ServiceState.STARTED:
                await self._stop(entry)
            await self._start(entry)

    async def activate(self, service: ServiceName) -> None:
        """Activate a service and start it (Tools > Service Activation)."""
        entry = self._entry(service)
        async with entry.lock:
            entry.activated = True
            if entry.state is ServiceState.STOPPED:
                await self._start(entry)

    async def deactivate(self, service: ServiceName) -> None:
        """Stop a service and keep it from being started."""
        entry = self._entry(service)
        async with entry.lock:
            entry.activated = False
            if entry.state is ServiceState.STARTED:
                await self._stop(entry)

    async def boot(self) -> tuple[ServiceFailed, ...]:
        """Start all activated services in their order, and return what could not start."""
        await self._runs.record_stopped(self._node, *ServiceName)  # a killed run leaves its lines behind
        failures = []
        for entry in self._entries.values():
            if entry.activated:
                try:
                    await self.start(entry.name)
                except ServiceFailed as failure:
                    failures.append(failure)
        return tuple(failures)

    async def shut_down(self) -> tuple[ServiceFailed, ...]:
        """Stop all services against their order, and return what hung."""
        failures = []
        for entry in reversed(self._entries.values()):
            async with entry.lock:
                if entry.state is ServiceState.STARTED:
                    try:
                        await self._stop(entry)
                    except ServiceFailed as failure:
                        failures.append(failure)
        return tuple(failures)

    def _entry(self, service: ServiceName) -> _Entry:
        entry = self._entries.get(service)
        if entry is None:
            known = ", ".join(self._entries) or "none"
            raise ConfigError(f"{self._node} has no service {service}; it has {known}")
        return entry

    async def _start(self, entry: _Entry) -> None:
        if not entry.activated:
            raise ServiceFailed(self._node, entry.name, "it is not activated (Tools > Service Activation)")
        entry.move(ServiceEvent.START_ASKED)
        try:
            async with asyncio.timeout(self._limits.start):
                snapshot = await self._take_snapshot(entry.name)
                with interposing(self._environment.interpose(self._node, entry.name)):
                    entry.running = self._builders[entry.name](snapshot, self._environment)
                    await entry.running.start()
                entry.started_at = self._environment.clock.now()
                await self._runs.record_started(
                    ServiceRun(
                        node=self._node,
                        service=entry.name,
                        started_at=entry.started_at,
                        digests=snapshot.digests,
                    )
                )
        except BaseException as error:
            entry.reason = _why(error, f"it did not start within {self._limits.start:g} s")
            await self._abandon(entry)
            entry.move(ServiceEvent.START_FAILED)
            if isinstance(error, HarnessError | OSError):
                raise ServiceFailed(self._node, entry.name, entry.reason) from error
            raise
        entry.reason = ""
        entry.move(ServiceEvent.START_DONE)

    async def _stop(self, entry: _Entry) -> None:
        entry.move(ServiceEvent.STOP_ASKED)
        try:
            entry.reason = await self._abandon(entry)
        finally:
            entry.move(ServiceEvent.STOP_DONE)
        try:
            await self._runs.record_stopped(self._node, entry.name)
        except ConfigError as error:
            entry.reason = entry.reason or str(error)
        if entry.reason:
            raise ServiceFailed(self._node, entry.name, entry.reason)

    async def _abandon(self, entry: _Entry) -> str:
        """Close what a service has open, whatever it takes; return what went wrong with that."""
        service, entry.running, entry.started_at = entry.running, None, None
        if service is None:
            return ""
        try:
            async with asyncio.timeout(self._limits.stop):
                await service.stop()
        except Exception as error:  # whatever it is, it must not keep the node's other services from stopping
            if not isinstance(error, HarnessError | OSError):
                _log.exception("%s on %s failed to stop", entry.name, self._node)
            return _why(error, f"it did not stop within {self._limits.stop:g} s and was left behind")
        return ""


def _why(error: BaseException, too_late: str) -> str:
    return too_late if type(error) is TimeoutError and not error.args else str(error) or type(error).__name__
