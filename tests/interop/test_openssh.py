"""OpenSSH's client at a node's platform command line, typed at as `expect` would."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from certs.purposes import CertificatePurpose, ServiceName
from certs.verdict import Reason
from harness.evidence.ledger import Judged, Ledger
from harness.lab import Lab
from harness.nodes.node import ImpNode
from harness.plan.lab_file import load_topology
from harness.platform.ssh.host_key import HOST_KEY_FILE, read_public_key
from tests.interop.peers import require_module, require_program

pytestmark = pytest.mark.interop

PATIENCE = 20
ESCAPES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]| \x08|[\x07\r]")


@dataclass
class Place:
    """A lab with a node, and what OpenSSH is to know of it."""

    lab: Lab
    node: ImpNode
    ledger: Ledger
    known_hosts: Path

    def command(self, *words: str, user: str = "administrator", options: tuple[str, ...] = ()) -> list[str]:
        plan = self.node.plan
        return [
            "-F", "none",
            "-o", f"UserKnownHostsFile={self.known_hosts}",
            "-o", "GlobalKnownHostsFile=none",
            "-o", "StrictHostKeyChecking=yes",
            "-o", "IdentitiesOnly=yes",
            "-o", "NumberOfPasswordPrompts=3",
            *options,
            "-p", str(plan.ports.ssh),
            f"{user}@{plan.address}",
            *words,
        ]  # fmt: skip


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    ledger = Ledger()
    async with Lab.start(load_topology(), work_directory=tmp_path / "lab", observer=ledger) as lab:
        node = lab.imp[0]
        known_hosts = tmp_path / "known_hosts"
        public = read_public_key(node.surroundings.directory / HOST_KEY_FILE)
        known_hosts.write_text(f"[{node.plan.address}]:{node.plan.ports.ssh} {public}\n")
        yield Place(lab, node, ledger, known_hosts)


class Typist:
    """Somebody at `ssh`."""

    def __init__(self, child: Any) -> None:
        self.child = child

    def expect(self, text: str) -> str:
        """Wait for a text, and return what was shown before it."""
        self.child.expect_exact(text, timeout=PATIENCE)
        return ESCAPES.sub("", self.child.before)

    def run(self, line: str, *answers: tuple[str, str]) -> str:
        self.child.sendline(line)
        for prompt, answer in answers:
            self.expect(prompt)
            self.child.sendline(answer)
        self.expect("\r\n")  # the echo of what was typed last
        return self.expect("admin:")


@contextmanager
def ssh(
    place: Place, *words: str, user: str = "administrator", options: tuple[str, ...] = ()
) -> Iterator[Typist]:
    pexpect = require_module("pexpect")
    arguments = place.command(*words, user=user, options=options)
    child = pexpect.spawn(
        require_program("ssh"), arguments, encoding="utf-8", dimensions=(50, 200), timeout=PATIENCE
    )
    child.delaybeforesend = None
    try:
        yield Typist(child)
    finally:
        child.close(force=True)


def log_in(place: Place, typist: Typist) -> None:
    typist.expect("password:")
    typist.child.sendline(place.lab.administrator_password)
    typist.expect("Welcome to the Platform Command Line Interface")
    typist.expect("admin:")


async def test_a_session_from_banner_to_quit(place: Place) -> None:
    def person() -> None:
        with ssh(place) as typist:
            typist.expect("Authorised access only.")
            log_in(place, typist)
            assert "Active Master Version: 9.0.1.10000-21\n" in typist.run("show version active")
            assert "cup/cup.pem: Self-signed certificate" in typist.run("show cert list own")
            assert "Cisco SIP Proxy[STARTED]\n" in typist.run("utils service list")
            regen = "Proceed with regeneration (yes|no)? "
            assert "Operation cancelled\n" in typist.run("set cert regen cup", (regen, "no"))
            shown = typist.run("set cert regen cup", (regen, "yes"))
            assert "Successfully Regenerated Certificate for cup.\n" in shown
            assert "Cisco SIP Proxy[STARTED]\n" in typist.run("utils service restart Cisco SIP Proxy")
            assert "No valid command entered" in typist.run("rm -rf /")
            typist.child.send("show ver\t")
            typist.expect("version")
            typist.child.sendline("active")
            typist.expect("Active Master Version")
            typist.expect("admin:")
            typist.child.sendline("quit")
            typist.child.expect(require_module("pexpect").EOF)
            typist.child.close()
            assert typist.child.exitstatus == 0

    place.node.login_banner.upload("banner.txt", b"Authorised access only.\n")
    before = place.node.administration.certificate_management.download(CertificatePurpose.CUP)
    await asyncio.to_thread(person)
    assert place.node.administration.certificate_management.download(CertificatePurpose.CUP) != before


async def test_a_certificate_of_another_node_is_pasted(place: Place) -> None:
    pem = place.lab.imp[1].administration.certificate_management.download(CertificatePurpose.CUP).decode()

    def person() -> str:
        with ssh(place) as typist:
            log_in(place, typist)
            typist.child.sendline("set cert import trust cup")
            typist.expect("Paste the Certificate and Hit Enter")
            for line in (*pem.strip().splitlines(), ""):
                typist.child.sendline(line)
            assert "Successfully imported certificate for cup-trust.\n" in typist.expect("admin:")
            return typist.run("show cert list trust")

    assert f"Trust Certificate CN={place.lab.imp[1].plan.fqdn}\n" in await asyncio.to_thread(person)


async def test_wrong_passwords_end_the_connection_and_lock_the_account(place: Place) -> None:
    def person() -> None:
        with ssh(place) as typist:
            for _ in range(3):
                typist.expect("password:")
                typist.child.sendline("wrong-one")
            typist.child.expect(require_module("pexpect").EOF)
            typist.child.close()
            assert typist.child.exitstatus == 255
        with ssh(place) as typist:
            typist.expect("password:")
            typist.child.sendline(place.lab.administrator_password)
            typist.expect("This account is locked")

    await asyncio.to_thread(person)
    reasons = [
        each.verdict.reason
        for each in place.ledger.entries()
        if isinstance(each, Judged) and each.connection.service == ServiceName.SSH
    ]
    assert reasons[:3] == [Reason.BAD_CREDENTIALS] * 3
    assert reasons[3] is Reason.LOCKED_OUT


async def test_one_command_gives_its_status_and_its_output(place: Place) -> None:
    def person(*words: str) -> tuple[int, str]:
        with ssh(place, *words) as typist:
            typist.expect("password:")
            typist.child.sendline(place.lab.administrator_password)
            typist.child.expect(require_module("pexpect").EOF)
            shown = ESCAPES.sub("", typist.child.before)
            typist.child.close()
            return typist.child.exitstatus, shown

    status, shown = await asyncio.to_thread(person, "show", "cert", "list", "own")
    assert (status, "cup/cup.pem: Self-signed" in shown) == (0, True)
    assert (await asyncio.to_thread(person, "show", "cert", "own", "cpu"))[0] == 1
    assert (await asyncio.to_thread(person, "ls", "/"))[0] == 2


@pytest.mark.parametrize(
    "options",
    [
        ("-R", "12345:127.0.0.1:22", "-o", "ExitOnForwardFailure=yes"),
        ("-s",),
    ],
)
async def test_no_forwarding_and_no_subsystem(place: Place, options: tuple[str, ...]) -> None:
    def person() -> int:
        words = ("sftp",) if options == ("-s",) else ("show", "version", "active")
        with ssh(place, *words, options=options) as typist:
            typist.expect("password:")
            typist.child.sendline(place.lab.administrator_password)
            typist.child.expect(require_module("pexpect").EOF)
            typist.child.close()
            return typist.child.exitstatus

    assert await asyncio.to_thread(person) != 0


async def test_another_host_key_is_noticed(place: Place) -> None:
    public = read_public_key(place.lab.imp[1].surroundings.directory / HOST_KEY_FILE)
    place.known_hosts.write_text(f"[{place.node.plan.address}]:{place.node.plan.ports.ssh} {public}\n")

    def person() -> None:
        with ssh(place) as typist:
            typist.expect("REMOTE HOST IDENTIFICATION HAS CHANGED")

    await asyncio.to_thread(person)
