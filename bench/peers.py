"""Starts and ends the processes that a benchmark compares."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PATIENCE = 10.0


def require(program: str) -> str:
    """Return a program's path.

    Raises SystemExit where it is not installed.
    """
    path = shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")
    if path is None:
        raise SystemExit(f"{program} is not installed; on Debian: apt-get install {program}")
    return path


@contextmanager
def running(command: list[str], *, listens_on: tuple[str, int], folder: Path) -> Iterator[int]:
    """Run a server until the block ends; give its process id once it listens."""
    log = folder / f"{Path(command[0]).name}-{listens_on[0]}-{listens_on[1]}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=folder,
            start_new_session=True,
        )
        try:
            _wait_for(listens_on, process, log)
            yield process.pid
        finally:
            process.terminate()
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(PATIENCE)
            with suppress(ProcessLookupError):  # workers that outlive it would hold its sockets
                os.killpg(process.pid, signal.SIGKILL)


@contextmanager
def running_ours(
    what: str, folder: Path, *arguments: str, listens_on: tuple[str, int], module: str = "bench.servers"
) -> Iterator[int]:
    """Run one of `bench.servers`, or of another module like it, until the block ends."""
    root = str(Path(__file__).parents[1])
    given = [what, str(folder), *arguments]
    bootstrap = f"import sys, runpy; sys.path.insert(0, {root!r}); sys.argv[1:] = {given!r}; "
    command = [sys.executable, "-c", bootstrap + f"runpy.run_module({module!r}, run_name='__main__')"]
    with running(command, listens_on=listens_on, folder=folder) as pid:
        yield pid


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that a process and its living children have used (proc(5))."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    return sum(_own_cpu_seconds(member) for member in (str(pid), *children))


def resident_bytes(pid: int) -> int:
    """Return the memory that a process and its living children hold (proc(5))."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    pages = [
        int(Path(f"/proc/{one}/statm").read_text(encoding="ascii").split()[1]) for one in (pid, *children)
    ]
    return sum(pages) * os.sysconf("SC_PAGE_SIZE")


def _own_cpu_seconds(pid: str) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _wait_for(address: tuple[str, int], process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if process.poll() is not None:
            break
        try:
            socket.create_connection(address, timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise SystemExit(f"{address[0]}:{address[1]} does not listen; see its output:\n{log.read_text()[-2000:]}")
