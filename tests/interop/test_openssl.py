"""openssl s_client against port 5062 of `imp-harness up`, as the README tells people to try it."""

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.interop.peers import require_program

pytestmark = pytest.mark.interop

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class RunningLab:
    process: subprocess.Popen[str]
    folder: Path
    address: str

    def clients(self, name: str) -> Path:
        return self.folder / "clients" / name

    def stop(self) -> list[str]:
        """End the lab as Ctrl-C does, and return the reasons of the verdicts on its peer-authenticated listener."""
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(20) == 0
        lines = (self.folder / "events.jsonl").read_text(encoding="utf-8").splitlines()
        events = [json.loads(line) for line in lines]
        here = {
            event["connection"]["id"]
            for event in events
            if event["event"] == "opened" and event["connection"]["listener"].endswith("Peer Auth")
        }
        return [e["verdict"]["reason"] for e in events if e["event"] == "judged" and e["connection"] in here]


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[RunningLab]:
    command = [sys.executable, "-m", "harness.cli", "up", "--runs", str(tmp_path)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    with process:
        try:
            assert process.stdout is not None
            address = ""
            for line in process.stdout:
                if "openssl s_client -connect" in line:
                    address = line.split("-connect ")[1].split()[0]
                if line.startswith("ready"):
                    break
            (folder,) = tmp_path.iterdir()
            yield RunningLab(process, folder, address)
        finally:
            process.kill()


def s_client(lab: RunningLab, version: str, *, cert: str = "", port: str = "5062") -> str:
    """Shake hands, send a SIP keep-alive, wait for what comes back."""
    command = [
        require_program("openssl"), "s_client", "-connect", f"{lab.address.partition(':')[0]}:{port}",
        version, "-CAfile", str(lab.clients("trust.pem")), "-partial_chain", "-quiet", "-no_ign_eof",
    ]  # fmt: skip
    if cert:
        command += ["-cert", str(lab.clients(cert))]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write("\r\n\r\n")
            process.stdin.flush()
        time.sleep(0.5)  # s_client leaves at the end of its input, an answer on its way or not
        try:
            return process.communicate(timeout=10)[0]
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("version", "no_certificate"),
    [("-tls1_2", "handshake failure"), ("-tls1_3", "certificate required")],
)
def test_the_ledger_tells_a_good_a_wrong_and_no_certificate_apart(
    lab: RunningLab, version: str, no_certificate: str
) -> None:
    assert "alert" not in s_client(lab, version, cert="client.pem")
    assert "alert unknown ca" in s_client(lab, version, cert="stranger.pem")
    assert f"alert {no_certificate}" in s_client(lab, version)
    assert "alert" not in s_client(lab, version, port="5061"), "this listener asks for none"
    assert lab.stop()[-3:] == ["accepted", "untrusted issuer", "no certificate"]
