"""A lab in a thread and on an event loop of its own, so that tests with a loop and tests without one can use it.

A thread rather than a process: the ledger's values need no serialising, and a scenario author's procedures can be run
on the lab. What a test does meanwhile, waiting for a subprocess above all, lets the thread run.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import CancelledError
from concurrent.futures import TimeoutError as FutureTimeoutError
from pathlib import Path
from typing import Final, TypeVar

from certs.errors import ConfigError, HarnessError
from harness.endpoint.lab_faults import LabFaults
from harness.endpoint.ready import ClientFiles, make_ready
from harness.event_loop import event_loop_factory
from harness.evidence.ledger import Ledger
from harness.faults.board import FaultBoard
from harness.lab import Lab
from harness.plan.lab_file import LabFile
from proxies.clock import LoopClock

ValueT = TypeVar("ValueT")

_SEED: Final = 0
"What the faults' chance is drawn from: a test that is run again sees the same."

_BOOT_LIMIT: Final = 60.0
"Seconds that a lab may take to come up."

_STOP_LIMIT: Final = 30.0
"Seconds that it may take to go down."

_SLACK: Final = 5.0
"Seconds that a call may take beyond the limit that it keeps itself, on a machine under load."


class BackgroundLab:
    """A running lab. Made by `start`; every access to it happens on its own loop, through `call`."""

    lab: Lab
    "The lab; for coroutines that `call` runs."

    def __init__(self, lab_file: LabFile, folder: Path, *, exchanged: bool) -> None:
        self.folder = folder
        "Where the lab keeps its nodes' folders and the clients' files."
        self.ledger = Ledger()
        "All that crossed its sockets; to be read on its loop."
        self.faults: LabFaults
        "What goes wrong when it is told to; for coroutines that `call` runs."
        self.clients: ClientFiles | None = None
        "What outside clients need; None for a lab as installed."
        self._lab_file = lab_file
        self._exchanged = exchanged
        self._up = threading.Event()
        self._failure: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop
        self._stop: asyncio.Event
        self._thread = threading.Thread(target=self._run, name=f"lab {lab_file.name}", daemon=True)

    @classmethod
    def start(cls, lab_file: LabFile, folder: Path, *, exchanged: bool = True) -> "BackgroundLab":
        """Bring a lab up. `exchanged` makes it ready for clients, else its nodes are as installed.

        Raises ConfigError or ServiceFailed where it cannot come up.
        """
        background = cls(lab_file, folder, exchanged=exchanged)
        background._thread.start()
        if not background._up.wait(_BOOT_LIMIT):
            raise ConfigError(f"the lab {lab_file.name} did not come up in {_BOOT_LIMIT:g} s")
        if background._failure is not None:
            raise background._failure
        return background

    def stop(self) -> None:
        """Take the lab down. Raises HarnessError where that takes too long."""
        if not self._thread.is_alive():
            return
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(_STOP_LIMIT)
        if self._thread.is_alive():
            raise HarnessError(f"the lab {self._lab_file.name} did not stop in {_STOP_LIMIT:g} s")

    def call(self, body: Callable[[], Awaitable[ValueT]], *, within: float = 30.0) -> ValueT:
        """Run a coroutine on the lab's loop and return what it returns; called from any other thread.

        Raises what the coroutine raises, and HarnessError where it takes longer than `within` seconds or the
        lab is down.
        """
        if not self._thread.is_alive():
            raise HarnessError(f"the lab {self._lab_file.name} is down")

        async def run() -> ValueT:
            return await body()

        future = asyncio.run_coroutine_threadsafe(run(), self._loop)
        try:
            return future.result(within + _SLACK)
        except FutureTimeoutError:
            if future.done():
                raise  # the coroutine's own
            future.cancel()
            raise HarnessError(f"the lab did not finish this in {within:g} s") from None
        except CancelledError:
            raise HarnessError("the lab went down meanwhile") from None

    def read(self, reader: Callable[[], ValueT]) -> ValueT:
        """Return what a function reads on the lab's loop, where nothing changes meanwhile."""

        async def body() -> ValueT:
            return reader()

        return self.call(body)

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=event_loop_factory()) as runner:
                runner.run(self._live())
        except BaseException as error:
            self._failure = error
        finally:
            self._up.set()

    async def _live(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        clock = LoopClock()
        self.ledger = Ledger(now=clock.now)
        work = self.folder / "lab"
        board = FaultBoard(seed=_SEED, clock=clock, note=self.ledger.note)
        async with Lab.start(
            self._lab_file,
            work_directory=work,
            observer=self.ledger,
            clock=clock,
            interpose=board.interposer,
        ) as lab:
            self.lab = lab
            self.ledger.lab_is_up(lab.plan)
            if self._exchanged:
                self.clients = await make_ready(lab, self.folder / "clients")
            self.faults = await LabFaults.of(lab, board, self.clients.trust if self.clients else None)
            self._up.set()
            await self._stop.wait()
