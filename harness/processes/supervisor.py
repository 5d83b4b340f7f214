"""Starts the worker process of a node, starts it again when it reboots, and ends it."""

import asyncio
import json
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from certs.errors import ConfigError, HarnessError
from certs.fips.module import SelfTestFailed
from harness.processes.control import SOCKET_NAME, ControlClient
from harness.processes.fips_mode import HOW_TO_MEND, FipsMode
from harness.processes.orders import EXIT_REBOOT, NodeOrder
from harness.processes.values import encode

_WORKER: Final = (sys.executable, "-m", "harness.processes")
_MAXIMUM_LINE: Final = 64 * 1024


class ProcessState(StrEnum):
    """What a node's process does."""

    BOOTING = "booting"
    UP = "up"
    DOWN = "down"


@dataclass(frozen=True, slots=True, kw_only=True)
class SupervisorLimits:
    """How long the supervisor waits, in seconds."""

    start: float = 90.0
    "For a worker to be ready; a database that comes up later is waited for."

    stop: float = 20.0
    "For a worker to end by itself; then it is killed."


class NodeHalted(ConfigError):  # noqa: N818 - what happened
    """A failed self-test keeps a node from starting (G27)."""

    def __init__(self, node: str, failure: SelfTestFailed) -> None:
        super().__init__(f"{node} is halted: {failure}; {HOW_TO_MEND}")
        self.test = failure.test
        "The test that failed, in the provider's words."


class NodeProcess:
    """The process of one node: one worker after another, across reboots."""

    def __init__(self, order: NodeOrder, *, limits: SupervisorLimits | None = None) -> None:
        self._order = order
        self._limits = limits or SupervisorLimits()
        self.directory = order.directory
        "The node's folder."
        self.control = ControlClient(self.directory / SOCKET_NAME, order.node)
        "Calls its methods."
        self.fips = FipsMode(self.directory)
        "Its FIPS mode, which changes between two processes."
        self.halted_by: SelfTestFailed | None = None
        "The self-test that halted the node at its last boot; None where none did (G27)."
        self.state = ProcessState.DOWN
        "What it does now."
        self.failure = ""
        "Why it is down; empty where it was told to end."
        self.boots = 0
        "How many workers there have been."
        self.on_up: Callable[[], None] = lambda: None
        "Called when a worker is ready: at the start and after every reboot."
        self.on_halt: Callable[[SelfTestFailed], None] = lambda failure: None
        "Called when a failed self-test halts the node."
        self.holds = order.holds
        "Whether the next worker waits to be told before it starts its services."
        self._worker: asyncio.subprocess.Process | None = None
        self._supervising: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._stopping = False

    @property
    def pid(self) -> int | None:
        """The number of the worker's process; None while there is none."""
        return self._worker.pid if self._worker is not None else None

    def take_faults(self, faults: tuple[str, ...], seed: int) -> None:
        """Have the next worker, as after a reboot, start its services with these faults on."""
        self._order = replace(self._order, faults=faults, fault_seed=seed)

    async def start(self) -> None:
        """Start the node and wait until it is ready, or prepared where its order says that it holds.

        Raises ConfigError where it does not come up, with what it said.
        """
        self._stopping = False
        self._move(ProcessState.BOOTING)
        self._supervising = asyncio.get_running_loop().create_task(
            self._supervise(), name=f"supervise {self._order.node}"
        )
        await self.wait_until_up()

    async def run(self) -> None:
        """Run the node until it ends or `stop` ends it; `failure` says why, where nobody told it to."""
        self._stopping = False
        self._supervising = asyncio.get_running_loop().create_task(
            self._supervise(), name=f"supervise {self._order.node}"
        )
        await asyncio.shield(self._supervising)

    async def wait_until_up(self, *, boots: int = 1) -> None:
        """Wait until the node is up, for the `boots`th time or a later one.

        Raises ConfigError where it does not come up, with what it said.
        """
        try:
            async with asyncio.timeout(self._limits.start):
                while not (self.state is ProcessState.UP and self.boots >= boots):
                    if self.state is ProcessState.DOWN and self.halted_by is not None:
                        raise NodeHalted(self._order.node, self.halted_by)
                    if self.state is ProcessState.DOWN:
                        raise ConfigError(
                            f"{self._order.node} does not run: {self.failure or 'it has ended'}"
                        )
                    await self._next_change()
        except TimeoutError:
            raise ConfigError(
                f"{self._order.node} is not ready within {self._limits.start:g} s; see what it wrote to the "
                "standard error"
            ) from None

    async def wait_until_down(self) -> None:
        """Wait until there is no worker and none will come."""
        while self.state is not ProcessState.DOWN:
            await self._next_change()

    async def reboot(self) -> None:
        """Have the worker end and start another one; wait until it is up. Raises ConfigError as `start` does."""
        boots = self.boots
        await self.control.call_later("process.reboot")
        await self.wait_until_up(boots=boots + 1)

    async def stop(self) -> None:
        """End the worker, by force where it does not end in time."""
        self._stopping = True
        if self._supervising is None:
            return
        self._end_worker()
        try:
            async with asyncio.timeout(self._limits.stop):
                await asyncio.shield(self._supervising)
        except TimeoutError:
            self._kill_worker()
            await self._supervising
        except BaseException:
            self._kill_worker()
            raise
        finally:
            self._supervising = None

    async def _supervise(self) -> None:
        try:
            while True:
                self._move(ProcessState.BOOTING)
                self.halted_by = None
                booted = await asyncio.to_thread(self.fips.boot)
                order = replace(
                    self._order,
                    holds=self.holds,
                    fips=booted.enabled,
                    keys_to_make=booted.keys_to_make,
                )
                if not await self._run_worker(order, booted.environment) or self._stopping:
                    return
                self.holds = False
        except SelfTestFailed as failure:
            self.halted_by, self.failure = failure, str(failure)
            self.on_halt(failure)
        except HarnessError as error:
            self.failure = str(error)
        except OSError as error:
            self.failure = f"no process can be started: {error.strerror or error}"
        finally:
            self._worker = None
            self._move(ProcessState.DOWN)

    async def _run_worker(self, order: NodeOrder, environment: Mapping[str, str]) -> bool:
        """Run one worker to its end; return whether it asks for another one."""
        worker = await asyncio.create_subprocess_exec(
            *_WORKER,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, **environment},
            limit=_MAXIMUM_LINE,
            start_new_session=True,  # Ctrl-C is for us; the worker is ended in order
        )
        self._worker = worker
        self.failure = ""
        try:
            if self._stopping:
                self._end_worker()
            assert worker.stdin is not None
            assert worker.stdout is not None
            with suppress(OSError):
                worker.stdin.write(encode(order) + b"\n")
                await worker.stdin.drain()
            said = _read(await worker.stdout.readline())
            if "prepared" in said or "ready" in said:
                self.boots += 1
                self._move(ProcessState.UP)
                self.on_up()
            self.failure = said.get("failed", "")
            await worker.stdout.read()
            status = await worker.wait()
        finally:
            if worker.returncode is None:
                worker.kill()
                await worker.wait()
            if worker.stdin is not None:
                worker.stdin.close()
        if status not in (0, EXIT_REBOOT) and not self.failure:
            self.failure = f"its process ended with status {status}"
        return status == EXIT_REBOOT

    def _end_worker(self) -> None:
        if self._worker is not None and self._worker.returncode is None:
            with suppress(ProcessLookupError):
                self._worker.terminate()

    def _kill_worker(self) -> None:
        if self._worker is not None and self._worker.returncode is None:
            with suppress(ProcessLookupError):
                self._worker.kill()

    def _move(self, state: ProcessState) -> None:
        self.state = state
        self._changed.set()
        self._changed = asyncio.Event()

    async def _next_change(self) -> None:
        await self._changed.wait()


def _read(line: bytes) -> dict[str, str]:
    """Return what the worker said; nothing where it ended first."""
    try:
        said = json.loads(line)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}
