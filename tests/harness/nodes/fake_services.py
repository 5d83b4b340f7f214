"""Services for the tests of Control Center: they do what a test tells them, without sockets."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.nodes.service_control import ServiceEnvironment


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeSnapshot:
    """Settings that a test can change between two starts."""

    value: str
    digests: Mapping[str, str]


@dataclass(slots=True)
class FakeService:
    """Keeps a diary, and hangs or fails where told."""

    snapshot: FakeSnapshot
    diary: list[str]
    name: str
    start_error: Exception | None = None
    stop_error: Exception | None = None
    hang_at: tuple[str, ...] = ()

    async def start(self) -> None:
        self.diary.append(f"start {self.name} {self.snapshot.value}")
        await self._do("start", self.start_error)

    async def stop(self) -> None:
        self.diary.append(f"stop {self.name} {self.snapshot.value}")
        await self._do("stop", self.stop_error)

    async def _do(self, what: str, error: Exception | None) -> None:
        if what in self.hang_at:
            await asyncio.Event().wait()
        if error is not None:
            raise error


@dataclass(slots=True)
class FakeBuilder:
    """Builds fake services; what is set here is true of the next one."""

    name: str
    diary: list[str]
    start_error: Exception | None = None
    stop_error: Exception | None = None
    hang_at: tuple[str, ...] = ()
    built: list[FakeService] = field(default_factory=list)

    def __call__(self, snapshot: FakeSnapshot, environment: ServiceEnvironment) -> FakeService:
        service = FakeService(
            snapshot, self.diary, self.name, self.start_error, self.stop_error, self.hang_at
        )
        self.built.append(service)
        return service
