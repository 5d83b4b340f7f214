"""The lab's own SSH client: `imp-harness cli` logs in to a node and passes a terminal, a script or a command on."""

import asyncio
import os
import signal
import stat
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, TextIO

import asyncssh

from certs.errors import ConnectionFailed

_CONNECT: float = 10.0
"Seconds for connection and login."


@dataclass(frozen=True, slots=True, kw_only=True)
class ShellTarget:
    """A node's command line, and how one gets in."""

    node: str
    "The node's short name."

    address: str
    "Where its System SSH listens."

    port: int
    "On which port."

    host_key: str
    "Its public host key, as `ssh-ed25519 AAAA…`; another one is refused."

    user: str
    "The administrator's name."

    password: str = field(repr=False)
    "The administrator's password."


async def open_shell(target: ShellTarget, command: str | None) -> int:
    """Give this process's terminal, or what it is fed, to a node's command line, or run one command.

    Return the exit status. Raises ConnectionFailed where the node does not answer, does not let the administrator
    in, or goes away.
    """
    try:
        async with asyncio.timeout(_CONNECT):
            connection = await asyncssh.connect(
                target.address,
                target.port,
                config=None,
                known_hosts=([asyncssh.import_public_key(target.host_key)], [], []),
                username=target.user,
                password=target.password,
                client_keys=None,
                agent_path=None,
                gss_host=None,
                preferred_auth="password",
                client_factory=_Client,
            )
    except (OSError, asyncssh.Error) as error:
        raise ConnectionFailed(f"{target.node}: {_why(error, target)}") from error
    async with connection:
        status = await _pass_on(connection, command)
    if status is None:
        raise ConnectionFailed(f"{target.node}: the connection was lost")
    return status


class _Client(asyncssh.SSHClient):
    """Shows the login banner, as every SSH client does (RFC 4252 5.4)."""

    def auth_banner_received(self, msg: str, lang: str) -> None:
        sys.stderr.write(msg)
        sys.stderr.flush()


async def _pass_on(connection: asyncssh.SSHClientConnection, command: str | None) -> int | None:
    if command is not None or not sys.stdin.isatty() or not sys.stdout.isatty():
        process = await connection.create_process(
            command,
            stdin=_passed_on(sys.stdin, "rb"),
            stdout=_passed_on(sys.stdout, "wb"),
            stderr=_passed_on(sys.stderr, "wb"),
            encoding=None,
        )
        return (await process.wait()).exit_status
    size = os.get_terminal_size()
    with _raw_terminal():
        process = await connection.create_process(
            term_type=os.environ.get("TERM", "vt100"),
            term_size=(size.columns, size.lines),
            stdin=sys.stdin,
            stdout=sys.stdout,
            stderr=sys.stderr,
            encoding=None,
        )
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGWINCH, _tell_size, process)
        try:
            return (await process.wait()).exit_status
        finally:
            loop.remove_signal_handler(signal.SIGWINCH)


def _passed_on(stream: TextIO | None, mode: str) -> IO[bytes] | int:
    """Return a stream for SSH to read or write, which closes it, so it is one of its own.

    /dev/null, which no event loop can watch, has a word of its own.
    """
    if stream is None or stream.closed:
        return asyncssh.DEVNULL
    is_device = stat.S_ISCHR(os.fstat(stream.fileno()).st_mode)
    if is_device and not stream.isatty():
        return asyncssh.DEVNULL
    return os.fdopen(os.dup(stream.fileno()), mode)


def _tell_size(process: asyncssh.SSHClientProcess[bytes]) -> None:
    size = os.get_terminal_size()
    process.change_terminal_size(size.columns, size.lines)


@contextmanager
def _raw_terminal() -> Iterator[None]:
    """Let every key through to the node, and leave the terminal as it was."""
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    tty.setraw(descriptor)
    try:
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _why(error: Exception, target: ShellTarget) -> str:
    where = f"{target.address}:{target.port}"
    if isinstance(error, asyncssh.PermissionDenied):
        return f"System SSH at {where} does not let {target.user} in; its ledger has the verdict"
    if isinstance(error, asyncssh.HostKeyNotVerifiable):
        return f"System SSH at {where} shows another host key than the node's"
    if isinstance(error, ConnectionRefusedError):
        return f"nothing listens at {where}; start System SSH in Control Center - Network Services"
    return f"System SSH at {where}: {str(error) or type(error).__name__}"
