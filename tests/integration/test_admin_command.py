"""`imp-harness admin` against a lab's nodes: what it prints, what it saves, how it ends where it is refused."""

import asyncio
import json
import os
import stat
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from certs.purposes import CertificatePurpose, ServiceName
from certs.wrong import WrongCertificates
from harness.lab import Lab
from harness.plan.lab_file import load_topology
from proxies.sip.transport.flow import Transport
from tests.integration.page_visitor import address

pytestmark = pytest.mark.timeout(180)  # each command starts a Python

FINGERPRINT = 64


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with Lab.start(load_topology(), work_directory=tmp_path / "lab") as lab:
        yield lab


@dataclass(frozen=True)
class Ended:
    status: int
    out: str
    error: str


class Terminal:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.session = folder / "session" / "admin.json"

    async def admin(self, *arguments: str, said: str = "") -> Ended:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "harness.cli",
            "admin",
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=os.environ | {"IMP_HARNESS_SESSION": str(self.session), "NO_COLOR": "1"},
        )
        async with asyncio.timeout(40):
            out, error = await process.communicate(said.encode())
        assert process.returncode is not None
        return Ended(process.returncode, out.decode(), error.decode())


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    return Terminal(tmp_path)


async def log_in(lab: Lab, terminal: Terminal, *options: str) -> Ended:
    password = lab.work_directory / "administrator-password"
    url = address(lab.imp[0])
    return await terminal.admin("login", url, "--password-file", str(password), *options)


async def test_a_login_wants_to_know_the_certificate_and_keeps_the_session_to_its_owner(
    lab: Lab, terminal: Terminal, tmp_path: Path
) -> None:
    ended = await terminal.admin("node")
    assert (ended.status, "nobody has logged in" in ended.error) == (2, True)
    ended = await log_in(lab, terminal)
    assert ended.status == 2
    shown = ended.error.split("fingerprint ")[1][:FINGERPRINT]
    other = WrongCertificates("imp1", "127.0.0.1", now=lab.clock.now()).anchor_pem
    (tmp_path / "other.pem").write_bytes(other)
    refused = await log_in(lab, terminal, "--ca", str(tmp_path / "other.pem"))
    assert (refused.status, "CERTIFICATE_VERIFY_FAILED" in refused.error) == (2, True)
    refused = await log_in(lab, terminal, "--fingerprint", "0" * FINGERPRINT)
    assert (refused.status, f"the node shows {shown}" in refused.error) == (2, True)
    assert not terminal.session.exists()
    own = tmp_path / "tomcat.pem"
    own.write_bytes(lab.imp[0].key_store.certificate_pem(CertificatePurpose.TOMCAT))
    for options in (("--fingerprint", shown), ("--ca", str(own))):
        ended = await log_in(lab, terminal, *options)
        assert (ended.status, ended.out) == (0, f"logged in at {address(lab.imp[0])} as administrator\n")
    assert stat.S_IMODE(terminal.session.stat().st_mode) == 0o600
    assert lab.administrator_password not in terminal.session.read_text()
    wrong = await terminal.admin("login", address(lab.imp[0]), "--fingerprint", shown, said="wrong\n")
    assert (wrong.status, "User name or password is wrong" in wrong.error) == (2, True)
    assert (await terminal.admin("logout")).status == 0
    assert not terminal.session.exists()


async def test_what_the_pages_do_is_done_from_the_command_line(
    lab: Lab, terminal: Terminal, tmp_path: Path
) -> None:
    own = tmp_path / "tomcat.pem"
    own.write_bytes(lab.imp[0].key_store.certificate_pem(CertificatePurpose.TOMCAT))
    await log_in(lab, terminal, "--ca", str(own))

    key = "sip_intracluster_proxy_to_proxy_transport"
    ended = await terminal.admin("settings", "put", "general", f"{key}=TCP")
    assert "restart needed: Cisco SIP Proxy on imp1" in ended.out
    assert (await lab.imp[0].read_settings()).proxy_to_proxy_transport is Transport.TCP
    ended = await terminal.admin("settings", "get", "general", "--json")
    assert json.loads(ended.out) == {key: "TCP"}
    refused = await terminal.admin("settings", "put", "general", f"{key}=UDP")
    assert (refused.status, "Input should be 'TLS' or 'TCP'" in refused.error) == (2, True)
    ended = await terminal.admin("services", "restart", "Cisco SIP Proxy")
    assert "restart needed: Cisco SIP Proxy on imp1" not in ended.out
    assert "Cisco SIP Proxy" in (await terminal.admin("services", "list")).out

    ended = await terminal.admin("certificates", "import", "cup-trust", "cucm1.lab.example", "5061")
    assert ended.out.startswith("connected: yes, downloaded: yes\nCN=cucm1.lab.example is now in cup-trust")
    failed = await terminal.admin("certificates", "import", "cup-trust", "cucm1.lab.example", "9")
    assert (failed.status, "recommended action" in failed.out) == (1, True)
    pem = tmp_path / "cup.pem"
    ended = await terminal.admin("certificates", "download", "cup", "-o", str(pem))
    assert pem.read_bytes() == lab.imp[0].key_store.certificate_pem(CertificatePurpose.CUP)
    ended = await terminal.admin("certificates", "upload", "cup-trust", str(pem), "--json")
    assert ServiceName.SIP_PROXY in {one["service"] for one in json.loads(ended.out)["restart_needed"]}
    assert "cucm1.lab.example" in (await terminal.admin("certificates", "list")).out


async def test_banner_backup_and_any_other_operation(lab: Lab, terminal: Terminal, tmp_path: Path) -> None:
    own = tmp_path / "tomcat.pem"
    own.write_bytes(lab.imp[0].key_store.certificate_pem(CertificatePurpose.TOMCAT))
    await log_in(lab, terminal, "--ca", str(own))
    notice = tmp_path / "notice.txt"
    notice.write_text("Authorised use only.")
    assert (await terminal.admin("banner", "upload", str(notice))).status == 0
    assert (await terminal.admin("banner", "show")).out == "Authorised use only.\n"
    refused = await terminal.admin("banner", "upload", str(own))
    assert (refused.status, "expected a .txt file, seen 'tomcat.pem'" in refused.error) == (2, True)

    backup = tmp_path / "imp1.drs"
    ended = await terminal.admin("backup", str(backup), "--password-file", "-", said="of the backup\n")
    assert ended.status == 0
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    await terminal.admin("banner", "delete")
    wrong = await terminal.admin("restore", str(backup), "--password-file", "-", said="another one\n")
    assert (wrong.status, "the password is another one" in wrong.error) == (2, True)
    assert (await terminal.admin("banner", "show")).out == "there is none\n"
    ended = await terminal.admin("restore", str(backup), "--password-file", "-", said="of the backup\n")
    assert ended.out.startswith("restored the state of ")
    assert (await terminal.admin("banner", "show")).out == "Authorised use only.\n"

    added = await terminal.admin(
        "call", "POST", "/api/tls-peer-subjects", "--data", '{"peer_subject_name": "phone"}'
    )
    assert added.status == 0
    listed = json.loads((await terminal.admin("call", "GET", "/api/tls-peer-subjects")).out)
    assert listed["tls_peer_subjects"] == [{"peer_subject_name": "phone", "description": ""}]
    assert "Cisco Tomcat" in (await terminal.admin("verdicts", "--outcome", "accepted")).out
    assert "imp1.lab.example" in (await terminal.admin("node")).out
    lab.clock.advance(3600)
    ended = await terminal.admin("node")
    assert (ended.status, "the session has ended; log in with" in ended.error) == (2, True)
