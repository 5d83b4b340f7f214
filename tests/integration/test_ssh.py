"""Who gets to the platform command line: the banner, logins, lock-out, limits, and nothing but the command line."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import asyncssh
import pytest

from certs.purposes import ServiceName
from certs.verdict import Reason
from harness.evidence.ledger import Closed, Judged, Ledger
from harness.lab import Lab
from harness.nodes.node import ImpNode
from harness.nodes.service_state import ServiceFailed, ServiceState
from harness.plan.lab_file import load_topology
from harness.platform.ssh import service
from harness.platform.ssh.host_key import HOST_KEY_FILE, fingerprint, read_public_key
from harness.platform.ssh.settings import ShellLimits
from tests.integration.ssh_clients import at_the_prompt, connect, logged_in

SSH = ServiceName.SSH


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
async def lab(tmp_path: Path, ledger: Ledger) -> AsyncIterator[Lab]:
    async with Lab.start(load_topology(), work_directory=tmp_path, observer=ledger) as lab:
        yield lab


@pytest.fixture
def node(lab: Lab) -> ImpNode:
    return lab.imp[0]


def verdicts(ledger: Ledger) -> list[tuple[bool, Reason]]:
    return [
        (each.verdict.accepted, each.verdict.reason)
        for each in ledger.entries()
        if isinstance(each, Judged) and each.connection.service == SSH
    ]


async def test_the_banner_is_shown_before_the_login_on_its_node_only(lab: Lab, node: ImpNode) -> None:
    node.login_banner.upload("banner.txt", b"Authorised access only.\n")
    connection, banners = await connect(lab, node)
    connection.close()
    assert banners.shown == ["Authorised access only.\n"]
    connection, banners = await connect(lab, lab.imp[1])
    connection.close()
    assert banners.shown == []


async def test_a_damaged_banner_keeps_nobody_out(lab: Lab, node: ImpNode) -> None:
    node.login_banner.upload("banner.txt", b"text")
    (node.surroundings.directory / "login-banner.txt").write_bytes(b"\xff\x00")
    async with at_the_prompt(lab, node) as person:
        assert "9.0.1" in await person.run("show version active")


async def test_a_wrong_password_is_refused_with_a_verdict_and_the_right_one_let_in(
    lab: Lab, node: ImpNode, ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for user, password in (
        ("administrator", "wrong-one-1"),
        ("nobody", "wrong-one-2"),
        ("alice", "wrong-one-3"),
    ):
        with pytest.raises(asyncssh.PermissionDenied):
            await connect(lab, node, user=user, password=password)
    assert verdicts(ledger) == [(False, Reason.BAD_CREDENTIALS)] * 3
    async with logged_in(lab, node):
        pass
    assert verdicts(ledger)[-1] == (True, Reason.ACCEPTED)
    assert "wrong-one" not in caplog.text
    assert lab.administrator_password not in caplog.text


async def test_the_evidence_holds_no_password(
    lab: Lab, node: ImpNode, ledger: Ledger, tmp_path: Path
) -> None:
    with pytest.raises(asyncssh.PermissionDenied):
        await connect(lab, node, password="wrong-one")
    async with logged_in(lab, node):
        pass
    ledger.write(tmp_path / "events.jsonl")
    text = (tmp_path / "events.jsonl").read_text()
    assert "wrong-one" not in text
    assert lab.administrator_password not in text
    (refused,) = (
        json.loads(line)["verdict"]
        for line in text.splitlines()
        if json.loads(line).get("verdict", {}).get("accepted") is False
    )
    assert refused["remedy"]
    assert "administrator" in refused["detail"]


async def test_a_user_of_the_cluster_is_no_administrator(lab: Lab, node: ImpNode, ledger: Ledger) -> None:
    user = await lab.user(lab.user_ids[0])
    with pytest.raises(asyncssh.PermissionDenied):
        await connect(lab, node, user=user.user_id, password=user.digest_password)
    assert verdicts(ledger) == [(False, Reason.BAD_CREDENTIALS)]


async def test_three_wrong_passwords_lock_the_account(lab: Lab, node: ImpNode, ledger: Ledger) -> None:
    for _ in range(3):
        with pytest.raises(asyncssh.PermissionDenied):
            await connect(lab, node, password="wrong-one")
    with pytest.raises(asyncssh.PermissionDenied):
        await connect(lab, node)
    assert verdicts(ledger) == [(False, Reason.BAD_CREDENTIALS)] * 3 + [(False, Reason.LOCKED_OUT)]
    async with logged_in(lab, lab.imp[1]):  # another node has a lock of its own
        pass
    lab.clock.advance(3600)
    async with logged_in(lab, node):
        pass


async def test_passwords_are_not_tried_for_ever_on_one_connection(
    lab: Lab, node: ImpNode, ledger: Ledger
) -> None:
    class Guesser(asyncssh.SSHClient):
        guesses = 0

        def password_auth_requested(self) -> str:
            self.guesses += 1
            return "wrong-one"

    guesser = Guesser()
    with pytest.raises((asyncssh.DisconnectError, asyncssh.ConnectionLost)):
        await asyncssh.create_connection(
            lambda: guesser, node.plan.address, node.plan.ports.ssh, config=None, known_hosts=None,
            username="administrator", client_keys=None, agent_path=None, preferred_auth="password",
        )  # fmt: skip
    assert guesser.guesses == 3
    closed = await ledger.wait_for(lambda entry: isinstance(entry, Closed) and "ssh" in entry.connection.id)
    assert isinstance(closed, Closed)
    assert closed.why == "too many wrong passwords"


async def test_nothing_but_the_command_line_is_served(lab: Lab, node: ImpNode) -> None:
    async with logged_in(lab, node) as connection:
        with pytest.raises(asyncssh.ChannelOpenError):
            await connection.open_connection(node.plan.address, node.plan.ports.sip)
        with pytest.raises(asyncssh.ChannelListenError):
            await connection.forward_remote_port("127.0.0.1", 0, "127.0.0.1", 1)
        with pytest.raises((asyncssh.ChannelOpenError, asyncssh.SFTPError)):
            await connection.start_sftp_client()
        copied = await connection.run("scp -f /etc/passwd")
        assert copied.exit_status == 2
        assert (await connection.run("show version active", env={"SECRET": "x"})).exit_status == 0


async def test_only_the_password_method_is_offered(node: ImpNode) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519")
    with pytest.raises(asyncssh.PermissionDenied):
        await asyncssh.connect(
            node.plan.address, node.plan.ports.ssh, config=None, known_hosts=None,
            username="administrator", client_keys=[key], agent_path=None, preferred_auth="publickey",
        )  # fmt: skip


async def test_sessions_of_one_connection_are_bounded(lab: Lab, node: ImpNode) -> None:
    async with logged_in(lab, node) as connection:
        held = [await connection.create_process(term_type="xterm") for _ in range(ShellLimits().sessions)]
        with pytest.raises(asyncssh.ChannelOpenError, match="At most 4 sessions"):
            await connection.create_process()
        held[0].stdin.write("quit\n")
        await held[0].wait()
        assert (await connection.run("show version active")).exit_status == 0


async def limited(node: ImpNode, monkeypatch: pytest.MonkeyPatch, limits: ShellLimits) -> None:
    """Restart the node's service with other limits."""
    settings = service.ShellSettings

    def make(*args: object, **values: object) -> object:
        return settings(*args, limits=limits, **values)  # type: ignore[arg-type]

    monkeypatch.setattr("harness.nodes.platform_services.ShellSettings", make)
    await node.services.restart(SSH)


async def test_connections_are_bounded(
    lab: Lab, node: ImpNode, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    await limited(node, monkeypatch, ShellLimits(connections=2))
    where = node.plan.address, node.plan.ports.ssh
    async with logged_in(lab, node):
        reader, writer = await asyncio.open_connection(*where)
        assert (await asyncio.wait_for(reader.readline(), 5)).startswith(b"SSH-2.0-")
        refused, third = await asyncio.open_connection(*where)
        assert await asyncio.wait_for(refused.read(), 5) == b""
        third.close()
        writer.close()
    assert await ledger.wait_for(
        lambda entry: isinstance(entry, Closed) and entry.why == "more than 2 connections", within=5
    )


async def test_who_does_not_log_in_is_put_off(
    node: ImpNode, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    await limited(node, monkeypatch, ShellLimits(login_seconds=0.3))
    reader, writer = await asyncio.open_connection(node.plan.address, node.plan.ports.ssh)
    async with asyncio.timeout(10):
        await reader.read()
    writer.close()


async def test_an_idle_session_ends(lab: Lab, node: ImpNode, monkeypatch: pytest.MonkeyPatch) -> None:
    await limited(node, monkeypatch, ShellLimits(idle_seconds=0.5))
    async with at_the_prompt(lab, node) as person:
        assert "Session timed out after 0.5 s without a command\n" in await person.rest()


async def test_a_connection_without_a_session_ends(
    lab: Lab, node: ImpNode, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    await limited(node, monkeypatch, ShellLimits(idle_seconds=0.5))
    async with logged_in(lab, node) as connection:
        assert (await connection.run("show version active")).exit_status == 0
        async with asyncio.timeout(10):
            await connection.wait_closed()
    assert await ledger.wait_for(
        lambda entry: isinstance(entry, Closed) and entry.why == "no session for 0.5 s", within=5
    )


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00" * 50,
        b"\0" * 5000,
        b"SSH-2.0-x\r\n" + b"\xff" * 4000,
    ],
)
async def test_what_is_no_ssh_costs_its_own_connection_only(lab: Lab, node: ImpNode, garbage: bytes) -> None:
    reader, writer = await asyncio.open_connection(node.plan.address, node.plan.ports.ssh)
    writer.write(garbage)
    writer.write_eof()
    async with asyncio.timeout(10):
        with suppress(ConnectionResetError):
            await reader.read()
    writer.close()
    async with logged_in(lab, node) as connection:
        assert (await connection.run("show version active")).exit_status == 0


async def test_the_host_key_is_made_once_and_readable_by_its_owner_only(lab: Lab, node: ImpNode) -> None:
    path = node.surroundings.directory / HOST_KEY_FILE
    assert path.stat().st_mode & 0o777 == 0o600
    before = read_public_key(path)
    await node.services.restart(SSH)
    assert read_public_key(path) == before
    assert read_public_key(lab.imp[1].surroundings.directory / HOST_KEY_FILE) != before
    assert fingerprint(before) == asyncssh.import_public_key(before).get_fingerprint()


async def test_a_damaged_host_key_is_named_and_the_other_services_run(lab: Lab, node: ImpNode) -> None:
    path = node.surroundings.directory / HOST_KEY_FILE
    path.write_text("damaged")
    with pytest.raises(
        ServiceFailed, match=r"System SSH on imp1: .*ssh_host_ed25519_key is damaged: .*delete it"
    ):
        await node.services.restart(SSH)
    states = {status.service: status.state for status in node.services.services()}
    assert states.pop(SSH) is ServiceState.STOPPED
    assert set(states.values()) == {ServiceState.STARTED}
    path.unlink()
    await node.services.start(SSH)
    async with logged_in(lab, node):
        pass


async def test_a_damaged_account_file_lets_nobody_in_and_says_so(lab: Lab, node: ImpNode) -> None:
    async with logged_in(lab, node):
        pass
    (node.surroundings.directory / "accounts.json").write_text("{")
    with pytest.raises(asyncssh.PermissionDenied):
        await connect(lab, node)
    assert node.services.status(SSH).state is ServiceState.STARTED
