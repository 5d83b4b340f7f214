"""The faults of a lab that is up, at all its nodes: those of this process, and those in processes of their own."""

from pathlib import Path
from typing import Any

from certs.purposes import ServiceName
from harness.endpoint.ready import write_trust
from harness.faults.board import FaultBoard
from harness.faults.kinds import Fault
from harness.lab import Lab
from harness.processes.supervisor import ProcessState


class LabFaults:
    """Turns faults on and off, and restarts the services that read them when they start. Made by `of`."""

    def __init__(self, lab: Lab, board: FaultBoard, trust: Path | None) -> None:
        self._lab = lab
        self._board = board
        self._trust = trust

    @classmethod
    async def of(cls, lab: Lab, board: FaultBoard, trust: Path | None) -> "LabFaults":
        """Make the board, which stands at the sockets of the lab's services, know the lab's nodes.

        `trust` is the file of what clients trust, None where there is none: what it takes for a wrong certificate to
        be wrong in its one thing only is added to it.
        """
        board.know_nodes(
            {node.name: node.address for node in lab.plan.nodes},
            frozenset(node.plan.name for node in lab.imp),
        )
        for node in lab.process_nodes:
            board.know_elsewhere(node.plan.name, [line.service for line in (await node.status()).services])
        faults = cls(lab, board, trust)
        for node in lab.process_nodes:
            node.after_reboot = faults._after_reboot
        return faults

    @property
    def on(self) -> tuple[Fault, ...]:
        """The faults that are on, in the order in which they were turned on."""
        return self._board.on

    def encode(self) -> list[dict[str, Any]]:
        """Return the faults that are on as JSON values."""
        return self._board.encode()

    async def turn_on(self, fault: Fault) -> None:
        """Turn a fault on, in place of one of the same kind, and restart the services that have to for it.

        Raises ConfigError where there is no such node or service, ServiceFailed where one does not start with it.
        """
        await self._take_effect(self._board.turn_on(fault))

    async def turn_off(self, name: str) -> None:
        """Turn a fault off, as `turn_on` does. Raises ConfigError where it is not on."""
        await self._take_effect(self._board.turn_off(name))

    async def _take_effect(self, services: tuple[tuple[str, ServiceName], ...]) -> None:
        apart = self._lab.process_nodes
        for node in apart:
            await node.follow_faults(self._board)
        # A node that is down begins with the faults that are on then.
        down = {node.plan.name for node in apart if node.process.state is not ProcessState.UP}
        for name, service in services:
            if name not in down:
                await self._lab.node(name).administration.restart(service)
        if services:
            self._write_trust(await self._anchors())

    async def _after_reboot(self) -> None:
        # Its process issued anew what it shows.
        if anchors := await self._anchors():
            self._write_trust(anchors)

    def _write_trust(self, anchors: tuple[bytes, ...]) -> None:
        if self._trust is not None:
            write_trust(self._lab, self._trust, more=anchors)

    async def _anchors(self) -> tuple[bytes, ...]:
        apart = [each for node in self._lab.process_nodes for each in await node.fault_anchors()]
        return (*self._board.anchors, *apart)
