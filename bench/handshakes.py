"""Full mutual handshakes a second: the lab's peer-authenticated listener against `openssl s_server`.

Same P-256 certificates, same client (`openssl s_time -new`), same run, in turn. `python -m bench.handshakes`
"""

import argparse
import re
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from bench.peers import require, running, running_ours
from bench.servers import NAMES, OURS, THEIRS, TLS_PORT, make_certificates

VERSIONS = ("-tls1_2", "-tls1_3")


def measure(openssl: str, folder: Path, host: str, version: str, seconds: int) -> float:
    """Return handshakes a second as one `s_time` client sees them."""
    server, client = NAMES
    began = time.perf_counter()
    done = subprocess.run(
        [
            openssl, "s_time", "-new", "-time", str(seconds), "-connect", f"{host}:{TLS_PORT}", version,
            "-cert", f"{client}.crt", "-key", f"{client}.key", "-CAfile", f"{server}.crt",
        ],
        cwd=folder, capture_output=True, text=True, timeout=seconds + 20, check=False,
    )  # fmt: skip
    elapsed = time.perf_counter() - began
    match = re.search(r"^(\d+) connections in \d+ real seconds", done.stdout, re.MULTILINE)
    if match is None:
        raise SystemExit(f"openssl s_time against {host} failed:\n{done.stdout[-500:]}{done.stderr[-1500:]}")
    return int(match[1]) / elapsed


def main() -> None:
    """Measure and print medians and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=2, help="for each measurement (default 2)")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each (default 3)")
    options = parser.parse_args()
    openssl = require("openssl")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_certificates(folder)
        server, client = NAMES
        s_server = [
            openssl, "s_server", "-accept", f"{THEIRS}:{TLS_PORT}", "-cert", f"{server}.crt",
            "-key", f"{server}.key", "-CAfile", f"{client}.crt", "-Verify", "1", "-verify_return_error",
            "-partial_chain", "-no_ticket", "-quiet",
        ]  # fmt: skip
        with (
            running_ours("tls", folder, listens_on=(OURS, TLS_PORT)),
            running(s_server, listens_on=(THEIRS, TLS_PORT), folder=folder),
        ):
            print("full mutual handshakes a second, P-256, one client")
            for version in VERSIONS:
                rates: dict[str, list[float]] = {OURS: [], THEIRS: []}
                for _ in range(options.rounds):
                    for host, measured in rates.items():
                        measured.append(measure(openssl, folder, host, version, options.seconds))
                ours, theirs = (statistics.median(rates[host]) for host in (OURS, THEIRS))
                print(
                    f"  TLS {version[-3:].replace('_', '.')}: lab {ours:.0f}, openssl s_server {theirs:.0f}, "
                    f"ratio {ours / theirs:.2f}"
                )


if __name__ == "__main__":
    main()
