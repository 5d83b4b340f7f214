"""From a command to a lab that answers: three nodes of the lab against three Kamailio processes.

Both from a cold process, started at once, until every SIP port takes a connection. The lab also opens its XMPP and
https ports, makes its certificates and its database in that time; Kamailio gets certificates that are there already.
`python -m bench.boot`
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from bench.kamailio import kamailio_command
from bench.peers import PATIENCE, running
from bench.servers import NAMES, make_certificates

KAMAILIO = ("127.62.0.11", "127.62.0.12", "127.62.0.13")
LAB = """
import asyncio, sys, time
from pathlib import Path
import uvloop
from harness.lab import Lab
from harness.plan.lab_file import load_topology

async def run():
    async with Lab.start(load_topology(), work_directory=Path(sys.argv[1])) as lab:
        print(lab.boot_seconds, flush=True)
        sys.stdin.read()

with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
    runner.run(run())
"""


def boot_lab(folder: Path) -> tuple[float, float]:
    """Return the seconds from the command to the open ports, and what is left of them without Python's imports."""
    started = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-c", LAB, str(folder)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1],
    ) as process:  # fmt: skip
        assert process.stdout is not None
        own = process.stdout.readline()
        whole = time.perf_counter() - started
        process.communicate(timeout=PATIENCE)
    return whole, float(own)


def boot_kamailio(folder: Path) -> float:
    """Return the seconds until three of them listen."""
    server, client = NAMES
    started = time.perf_counter()
    with ExitStack() as stack:
        for address in KAMAILIO:
            own = folder / address
            own.mkdir()
            for name in (server, client):
                for kind in ("crt", "key"):
                    (own / f"{name}.{kind}").write_bytes((folder / f"{name}.{kind}").read_bytes())
            command = kamailio_command(
                own, address=address, port=5060, tls_port=5062,
                next_hop=(KAMAILIO[0], 5060), server=server, client=client,
            )  # fmt: skip
            stack.enter_context(running(command, listens_on=(address, 5060), folder=own))
        return time.perf_counter() - started


def main() -> None:
    """Measure both in turn and print the medians and their ratio."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5, help="how often each is started")
    rounds = parser.parse_args().rounds
    lab, own, kamailio = [], [], []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            make_certificates(folder)
            whole, without_imports = boot_lab(folder / "lab")
            lab.append(whole)
            own.append(without_imports)
            kamailio.append(boot_kamailio(folder))
    ours, theirs = statistics.median(lab), statistics.median(kamailio)
    print(
        f"lab, 3 nodes:      {ours:6.2f} s from the command, {statistics.median(own):.2f} s of it after imports"
    )
    print(f"Kamailio, 3 times: {theirs:6.2f} s")
    print(f"ratio (lab / Kamailio): {ours / theirs:.2f}")


if __name__ == "__main__":
    main()
