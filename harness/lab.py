"""A lab that runs: all nodes of a lab file, up on their own addresses."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from harness.lab_file import LabFile
from harness.node import CucmNode, ImpNode
from harness.topology import LabPlan
from proxies.clock import LoopClock
from proxies.observer import Observer


class Lab:
    """All nodes of a lab file, up on their own addresses."""

    plan: LabPlan
    "Clusters and nodes with names and addresses."

    work_directory: Path
    "Where the nodes keep their folders and the clusters their databases."

    clock: LoopClock
    "The time of all nodes; `advance` moves it forward."

    observer: Observer
    "What takes down what happens on sockets."

    imp: tuple[ImpNode, ...]
    "The IM and Presence nodes, in the lab file's order."

    cucm: tuple[CucmNode, ...]
    "The CUCM nodes, in the lab file's order."

    boot_seconds: float
    "How long it took until all services had started."

    @classmethod
    @asynccontextmanager
    async def start(
        cls,
        lab_file: LabFile,
        *,
        work_directory: Path,
        observer: Observer,
        clock: LoopClock | None = None,
    ) -> AsyncIterator["Lab"]:
        """Bring all nodes up on a range of addresses of their own, and take them down at the end.

        Raises ConfigError where the lab cannot be as the file says, ServiceFailed where a service cannot start.
        """
        yield cls()
        raise NotImplementedError

    def node(self, name: str) -> ImpNode | CucmNode:
        """Return a node by its short or full name. Raises ConfigError where there is none."""
        raise NotImplementedError

    def resolve(self, name: str) -> str:
        """Return the address of a host of the lab. Raises ConnectionFailed where there is none."""
        raise NotImplementedError

    def digest_password(self, user_id: str) -> str:
        """Return a user's password for SIP digest, given or generated. Raises ConfigError where none is."""
        raise NotImplementedError
