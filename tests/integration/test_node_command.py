"""`imp-harness node`: a node as a container runs it."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest

from harness.plan.addresses import reserve_range
from harness.processes.control import SOCKET_NAME, ControlClient
from tests.certs.fips.providers import require_provider
from tests.harness.plan.lab_texts import SMALL

# A process takes its time to start where others share the machine.
pytestmark = pytest.mark.timeout(240)

ROOT = Path(__file__).parents[2]
COMMAND = (sys.executable, "-m", "harness.cli", "node")


async def start(*arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *COMMAND, *arguments, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )


async def next_event(process: asyncio.subprocess.Process) -> dict[str, Any]:
    assert process.stdout is not None
    line = await asyncio.wait_for(process.stdout.readline(), 30)
    event: dict[str, Any] = json.loads(line)
    return event


@asynccontextmanager
async def node(name: str, folder: Path, network: IPv4Network) -> AsyncIterator[asyncio.subprocess.Process]:
    lab = folder / f"{name}.toml"
    lab.write_text(f'address_range = "{network}"\n' + SMALL.replace("127.20.0.20", str(network[20])))
    process = await start(name, "--lab", str(lab), "--state", str(folder / "state"), "--json")
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def listens(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), timeout=2).close()
    except OSError:
        return False
    return True


async def test_two_nodes_of_a_cluster_start_at_once_and_end_when_told(tmp_path: Path) -> None:
    with reserve_range(IPv4Network("127.78.1.0/24")) as reserved:
        async with (
            node("imp1", tmp_path, reserved.network) as imp1,
            node("imp2", tmp_path, reserved.network) as imp2,
        ):
            for process, name in ((imp1, "imp1"), (imp2, "imp2")):
                ready = await next_event(process)
                assert (ready["event"], ready["node"]) == ("ready", name)
                assert listens(ready["address"], 5060)
                assert int(ready["pid"]) != process.pid, "the worker is a process of its own"
            imp1.send_signal(signal.SIGHUP)
            await asyncio.sleep(0.2)
            assert imp1.returncode is None
            for process in (imp1, imp2):
                process.send_signal(signal.SIGTERM)
            assert (await next_event(imp1))["event"] == "ended"
            assert await asyncio.wait_for(imp1.wait(), 20) == 0
            assert await asyncio.wait_for(imp2.wait(), 20) == 0
            assert not listens(str(reserved.network[20]), 5060)


async def test_a_worker_does_not_outlive_whoever_started_it(tmp_path: Path) -> None:
    with reserve_range(IPv4Network("127.78.1.0/24")) as reserved:
        async with node("imp2", tmp_path, reserved.network) as process:
            worker = int((await next_event(process))["pid"])
            process.kill()
            await process.wait()
            async with asyncio.timeout(20):
                while _lives(worker):
                    await asyncio.sleep(0.05)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2][:3]


async def test_a_folder_serves_one_process(tmp_path: Path) -> None:
    with reserve_range(IPv4Network("127.78.1.0/24")) as reserved:
        async with node("imp2", tmp_path, reserved.network) as process:
            await next_event(process)
            second = await start(
                "imp2", "--lab", str(tmp_path / "imp2.toml"), "--state", str(tmp_path / "state")
            )
            out, error = await asyncio.wait_for(second.communicate(), 30)
            assert (second.returncode, out) == (2, b"")
            assert b"belongs to a node that runs; name another folder" in error


async def test_wrong_arguments_are_told(tmp_path: Path) -> None:
    for arguments, said in (
        (("imp3",), "no node is called 'imp3'; did you mean 'imp2'"),
        (("imp1", "--address", "no.such.host.invalid"), "expected an IPv4 address or a host name"),
        (("imp1", "--address", "imp9=127.0.0.1"), "the lab file has no node 'imp9'"),
        (("imp1", "--database", "nonsense"), "database: "),
    ):
        process = await start(*arguments, "--state", str(tmp_path))
        _, error = await asyncio.wait_for(process.communicate(), 30)
        assert process.returncode == 2
        assert said in error.decode()


async def test_a_damaged_module_halts_the_command_until_it_is_recovered(tmp_path: Path) -> None:
    require_provider()
    with reserve_range(IPv4Network("127.78.1.0/24")) as reserved:
        folder = tmp_path / "state" / "imp" / "imp2"
        async with node("imp2", tmp_path, reserved.network) as process:
            assert (await next_event(process))["event"] == "ready"
            control = ControlClient(folder / SOCKET_NAME, "imp2")
            await control.call_later("machine.request_fips", enabled=True)
            await control.call_later("process.reboot")
            assert (await next_event(process))["boots"] == "2"
            assert (await control.call_later("machine.fips_status")).enabled
            process.send_signal(signal.SIGTERM)
            assert (await next_event(process))["event"] == "ended"
        module = folder / "fips" / "module" / "fips.so"
        module.write_bytes(module.read_bytes()[:-1])
        for _ in range(2):
            async with node("imp2", tmp_path, reserved.network) as process:
                halted = await next_event(process)
                assert (halted["event"], halted["test"]) == ("halted", "HMAC (Module_Integrity)")
                assert await asyncio.wait_for(process.wait(), 20) == 3
            assert "FIPS self-test failed" in (folder / "events.jsonl").read_text()
        recovery = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "harness.cli", "recover", "imp2", "--yes",
            "--lab", str(tmp_path / "imp2.toml"), "--state", str(tmp_path / "state"),
            cwd=ROOT, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        said, _ = await asyncio.wait_for(recovery.communicate(), 30)
        assert said.startswith(b"imp2 is installed anew")
        async with node("imp2", tmp_path, reserved.network) as process:
            assert (await next_event(process))["event"] == "ready"
