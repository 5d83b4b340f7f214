"""What integration tests look at: everything that a service told its observer, in order."""

import asyncio
from collections.abc import Callable, Mapping

from certs.verdict import Verdict
from proxies.observer import ConnectionInfo, Direction
from proxies.sip.transport.flow import Transport

PATIENCE = 5.0


class RecordingObserver:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.connections: list[ConnectionInfo] = []
        self.verdicts: list[Verdict] = []
        self.messages: list[tuple[ConnectionInfo, Direction, bytes]] = []
        self.ends: list[tuple[ConnectionInfo, str]] = []

    def opened(self, connection: ConnectionInfo) -> None:
        self.connections.append(connection)

    def judged(self, connection: ConnectionInfo, verdict: Verdict) -> None:
        self.verdicts.append(verdict)

    def message(self, connection: ConnectionInfo, direction: Direction, wire: bytes) -> None:
        self.messages.append((connection, direction, wire))

    def closed(self, connection: ConnectionInfo, why: str) -> None:
        self.ends.append((connection, why))

    def reasons(self) -> list[str]:
        return [verdict.reason for verdict in self.verdicts]


class LabNames:
    """Names and addresses of a test's lab; an address is its own."""

    def __init__(self, addresses: Mapping[str, str]) -> None:
        self._addresses = addresses

    def address_of(self, name: str) -> str | None:
        return name if name.startswith("127.") else self._addresses.get(name)

    def services_of(self, domain: str, transport: Transport) -> tuple[tuple[str, int], ...]:
        return ()


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until something has happened."""
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.002)
