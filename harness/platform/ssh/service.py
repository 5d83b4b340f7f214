"""System SSH: the node's port for the platform command line.

The port is bound with Python's own sockets, so that a node boots without loading an SSH library; the first client
waits for that.
"""

import asyncio
import errno
import socket
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, Final

from certs.errors import ConnectionFailed
from certs.purposes import ServiceName
from harness.access.accounts import Accounts
from harness.platform.session import PlatformNode
from harness.platform.ssh.host_key import load_or_create_host_key
from harness.platform.ssh.settings import ShellSettings
from proxies.observer import ConnectionInfo, Observer

if TYPE_CHECKING:
    from harness.platform.ssh.connection import ShellConnection

LISTENER: Final = "SSH Listener"

_BACKLOG: Final = 64
_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_RETRY: Final = 1.0
"Seconds after which a connection is accepted again when the machine had no room for one; asyncio does the same."


class PlatformShell:
    """Listens on the node's SSH port and gives administrators its platform command line."""

    def __init__(
        self,
        settings: ShellSettings,
        node: PlatformNode,
        *,
        accounts: Accounts,
        login_banner: Callable[[], str],
        observer: Observer,
    ) -> None:
        self._settings = settings
        self._node = node
        self._accounts = accounts
        self._login_banner = login_banner
        self._observer = observer
        self._numbers = count(1)
        self._listening: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._connections: dict[asyncio.Task[None], ShellConnection | None] = {}
        self._host_key = b""

    async def start(self) -> None:
        """Listen.

        Raises ConnectionFailed where the address cannot be bound, CertificateError for a damaged host key.
        """
        self._host_key = await asyncio.to_thread(load_or_create_host_key, self._settings.host_key)
        host, port = self._settings.address, self._settings.port
        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind((host, port))
            listening.listen(_BACKLOG)
            listening.setblocking(False)
        except OSError as error:
            listening.close()
            raise ConnectionFailed(f"cannot listen on {host}:{port}: {error.strerror or error}") from error
        self._listening = listening
        self._accepting = asyncio.get_running_loop().create_task(
            self._accept(listening), name=f"{self._settings.node} ssh"
        )

    async def stop(self) -> None:
        """Listen no more and end all sessions; a command that stops this very service is let finish."""
        if self._accepting is not None:
            self._accepting.cancel()
            await asyncio.gather(self._accepting, return_exceptions=True)
        if self._listening is not None:
            self._listening.close()
        ending = []
        for task, connection in self._connections.items():
            if connection is None:
                task.cancel()
            else:
                connection.close("the service stops")
                if connection.runs(asyncio.current_task()):
                    continue  # `utils service restart System SSH`: it cannot wait for itself
            ending.append(task)
        await asyncio.gather(*ending, return_exceptions=True)

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connected, peer = await loop.sock_accept(listening)
            except OSError as error:
                if error.errno in _EXHAUSTED:
                    await asyncio.sleep(_RETRY)
                continue  # else the peer has gone again
            task = loop.create_task(
                self._serve(connected, peer), name=f"{self._settings.node} ssh {peer[0]}:{peer[1]}"
            )
            self._connections[task] = None
            task.add_done_callback(self._forget)

    async def _serve(self, connected: socket.socket, peer: tuple[str, int]) -> None:
        info = self._describe((self._settings.address, self._settings.port), peer)
        self._observer.opened(info)
        why = "by the service"
        try:
            if len(self._connections) > self._settings.limits.connections:
                why = f"more than {self._settings.limits.connections} connections"
                return
            # Loading it takes a quarter of a second; meanwhile the node's other services go on.
            make = await asyncio.to_thread(_load)
            connection = make(
                self._settings,
                self._node,
                host_key=self._host_key,
                accounts=self._accounts,
                login_banner=self._login_banner,
                observer=self._observer,
                info=info,
            )
            task = asyncio.current_task()
            assert task is not None
            self._connections[task] = connection
            why = await connection.serve(connected)
        finally:
            with suppress(OSError):
                connected.close()
            self._observer.closed(info, why)

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._connections.pop(task, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            task.get_loop().call_exception_handler(
                {"message": f"task {task.get_name()} failed", "exception": error, "task": task}
            )

    def _describe(self, local: tuple[str, int], peer: tuple[str, int]) -> ConnectionInfo:
        return ConnectionInfo(
            id=f"{self._settings.node} ssh {next(self._numbers)}",
            node=self._settings.node,
            service=ServiceName.SSH,
            listener=LISTENER,
            transport="TCP",
            local=local,
            peer=peer,
        )


def _load() -> "type[ShellConnection]":
    from harness.platform.ssh.connection import ShellConnection

    return ShellConnection
