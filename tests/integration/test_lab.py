"""A lab comes up on addresses of its own, answers for its nodes, and leaves nothing behind."""

import asyncio
import logging
import signal
import stat
import sys
from pathlib import Path

import pytest

from certs.errors import ConfigError, ConnectionFailed
from certs.purposes import CertificatePurpose, TrustStoreName
from harness.access.accounts import LoginRefused
from harness.configuration.database import Database, sqlite_url
from harness.lab import PASSWORD_FILE, Lab
from harness.nodes.node import CucmNode, ImpNode
from harness.nodes.service_runs import ServiceRuns
from harness.nodes.service_state import ServiceFailed
from harness.plan.lab_file import LabFile, load_topology, parse_lab_file
from tests.harness.plan.lab_texts import SMALL


@pytest.fixture
def lab_file() -> LabFile:
    return load_topology()


async def test_the_default_topology_has_its_nodes_in_order(lab_file: LabFile, tmp_path: Path) -> None:
    async with Lab.start(lab_file, work_directory=tmp_path) as lab:
        assert [node.plan.name for node in lab.imp] == ["imp1", "imp2"]
        assert [node.plan.name for node in lab.cucm] == ["cucm1"]


async def test_nodes_are_found_by_short_and_full_name(lab_file: LabFile, tmp_path: Path) -> None:
    async with Lab.start(lab_file, work_directory=tmp_path) as lab:
        assert lab.node("imp2") is lab.node("imp2.lab.example") is lab.imp[1]
        assert isinstance(lab.node("imp1"), ImpNode)
        assert isinstance(lab.node("cucm1"), CucmNode)
        assert lab.resolve("imp2") == lab.imp[1].plan.address
        with pytest.raises(ConfigError, match="no node is called 'imp3'; did you mean 'imp2'"):
            lab.node("imp3")
        with pytest.raises(ConnectionFailed, match="no host of the lab is called 'imp3'"):
            lab.resolve("imp3")


async def test_every_node_makes_certificates_of_its_own(lab_file: LabFile, tmp_path: Path) -> None:
    async with Lab.start(lab_file, work_directory=tmp_path) as lab:
        first, second = (node.key_store.own(CertificatePurpose.CUP) for node in lab.imp)
        assert first.chain_pem != second.chain_pem
        assert b"BEGIN CERTIFICATE" in lab.cucm[0].key_store.own(CertificatePurpose.CALLMANAGER).chain_pem
        assert lab.imp[0].key_store.trust(TrustStoreName.CUP_TRUST) == ()


async def test_with_a_ca_every_node_trusts_its_root(tmp_path: Path) -> None:
    lab_file = parse_lab_file('certificates = "ca-signed"\n' + SMALL, source="lab.toml")
    async with Lab.start(lab_file, work_directory=tmp_path) as lab:
        (at_imp,) = lab.imp[0].key_store.trust(TrustStoreName.CUP_TRUST)
        (at_cucm,) = lab.cucm[0].key_store.trust(TrustStoreName.CALLMANAGER_TRUST)
        assert at_imp == at_cucm
        assert lab.imp[0].key_store.own(CertificatePurpose.CUP).chain_pem.count(b"BEGIN CERTIFICATE") == 2


async def test_a_root_that_was_deleted_stays_deleted(tmp_path: Path) -> None:
    lab_file = parse_lab_file('certificates = "ca-signed"\n' + SMALL, source="lab.toml")
    async with Lab.start(lab_file, work_directory=tmp_path) as lab:
        (root,) = lab.imp[0].key_store.trust(TrustStoreName.CUP_TRUST)
        management = lab.imp[0].administration.certificate_management
        await management.delete(TrustStoreName.CUP_TRUST, root.certificate.sha256)
    async with Lab.start(lab_file, work_directory=tmp_path) as lab:
        assert lab.imp[0].key_store.trust(TrustStoreName.CUP_TRUST) == ()
        assert lab.imp[1].key_store.trust(TrustStoreName.CUP_TRUST) == (root,)


async def test_a_lab_s_folder_brings_back_certificates_and_users(lab_file: LabFile, tmp_path: Path) -> None:
    async with Lab.start(lab_file, work_directory=tmp_path) as lab:
        certificate = lab.imp[0].key_store.own(CertificatePurpose.CUP).chain_pem
        alice = await lab.user("alice")
        assert len(alice.digest_password) >= 12
    async with Lab.start(lab_file, work_directory=tmp_path) as lab:
        assert lab.imp[0].key_store.own(CertificatePurpose.CUP).chain_pem == certificate
        assert await lab.user("alice") == alice
        with pytest.raises(ConfigError, match="no user is called 'alic'; did you mean 'alice'"):
            await lab.user("alic")


async def test_a_given_digest_password_is_taken(tmp_path: Path) -> None:
    lab_file = parse_lab_file(SMALL + 'digest_password = "geheim"\n', source="lab.toml")
    async with Lab.start(lab_file, work_directory=tmp_path) as lab:
        assert (await lab.user("alice")).digest_password == "geheim"


async def test_the_administrator_s_password_is_the_lab_file_s_or_one_that_only_the_owner_reads(
    lab_file: LabFile, tmp_path: Path
) -> None:
    kept = tmp_path / "a" / PASSWORD_FILE
    for _ in range(2):  # the second time it is read
        async with Lab.start(lab_file, work_directory=tmp_path / "a") as lab:
            assert kept.read_text() == f"{lab.administrator_password}\n"
            assert len(lab.administrator_password) >= 12
            await lab.cucm[0].accounts.log_in("administrator", lab.administrator_password)
            await lab.imp[1].accounts.log_in("alice", (await lab.user("alice")).digest_password)
            with pytest.raises(LoginRefused):
                await lab.cucm[0].accounts.log_in("alice", (await lab.user("alice")).digest_password)
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    given = parse_lab_file('administrator_password = "geheimnis"\n' + SMALL, source="lab.toml")
    async with Lab.start(given, work_directory=tmp_path / "b") as lab:
        assert lab.administrator_password == "geheimnis"
    with pytest.raises(ConfigError, match="administrator_password") as refused:
        parse_lab_file('administrator_password = "kurz"\n' + SMALL, source="lab.toml")
    assert "kurz" not in str(refused.value)


async def test_two_labs_run_beside_each_other(lab_file: LabFile, tmp_path: Path) -> None:
    async with (
        Lab.start(lab_file, work_directory=tmp_path / "a") as first,
        Lab.start(lab_file, work_directory=tmp_path / "b") as second,
    ):
        addresses = {node.plan.address for lab in (first, second) for node in lab.imp + lab.cucm}
        assert len(addresses) == 6


async def test_one_folder_serves_one_lab_at_a_time(lab_file: LabFile, tmp_path: Path) -> None:
    async with Lab.start(lab_file, work_directory=tmp_path):
        with pytest.raises(ConfigError, match="belongs to a lab that runs"):
            async with Lab.start(lab_file, work_directory=tmp_path):
                pass
    async with Lab.start(lab_file, work_directory=tmp_path):
        pass


async def test_only_the_owner_may_enter_the_lab_s_folder(lab_file: LabFile, tmp_path: Path) -> None:
    folder = tmp_path / "lab"
    async with Lab.start(lab_file, work_directory=folder):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


async def test_a_damaged_database_is_named_and_the_lab_can_start_again(
    lab_file: LabFile, tmp_path: Path
) -> None:
    database = tmp_path / "imp" / "cluster.sqlite"
    database.parent.mkdir()
    database.write_bytes(b"no database at all, but long enough to look like one" * 100)
    with pytest.raises(ConfigError, match=r"imp/cluster\.sqlite: .*; delete it"):
        async with Lab.start(lab_file, work_directory=tmp_path):
            pass
    database.unlink()
    async with Lab.start(lab_file, work_directory=tmp_path):
        pass


async def test_an_address_that_others_may_reach_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lab_file = parse_lab_file(SMALL.replace("127.20.0.20", "192.0.2.1"), source="lab.toml")
    with (
        caplog.at_level(logging.WARNING),
        pytest.raises(ServiceFailed, match=r"Cisco SIP Proxy on imp2: .*cannot listen on 192\.0\.2\.1"),
    ):
        async with Lab.start(lab_file, work_directory=tmp_path):
            pass
    assert caplog.messages == ["imp2 listens on 192.0.2.1: other machines may reach it"]


async def test_a_cancelled_lab_is_taken_down(lab_file: LabFile, tmp_path: Path) -> None:
    up = asyncio.Event()

    async def run() -> None:
        async with Lab.start(lab_file, work_directory=tmp_path):
            up.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(run())
    await asyncio.wait_for(up.wait(), 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with Lab.start(lab_file, work_directory=tmp_path):
        pass


LAB_IN_A_PROCESS = """
import asyncio, pathlib, sys
from harness.access.accounts import LoginRefused
from harness.lab import PASSWORD_FILE, Lab
from harness.plan.lab_file import load_topology

async def run():
    async with Lab.start(load_topology(), work_directory=pathlib.Path(sys.argv[1])):
        print("up", flush=True)
        await asyncio.Event().wait()

asyncio.run(run())
"""


@pytest.mark.parametrize(("number", "left_behind"), [(signal.SIGINT, False), (signal.SIGKILL, True)])
async def test_after_ctrl_c_nothing_is_left_and_after_a_kill_the_lab_starts_again(
    lab_file: LabFile, tmp_path: Path, number: signal.Signals, left_behind: bool
) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        LAB_IN_A_PROCESS,
        str(tmp_path),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    assert await asyncio.wait_for(process.stdout.readline(), 40) == b"up\n"
    process.send_signal(number)
    await asyncio.wait_for(process.wait(), 20)
    assert bool(await runs_written_down(tmp_path)) is left_behind
    async with Lab.start(lab_file, work_directory=tmp_path) as lab:
        assert await lab.imp[0].restart_needed() == ()


async def runs_written_down(work_directory: Path) -> int:
    found = 0
    for cluster in ("imp", "cucm"):
        database = Database(sqlite_url(work_directory / cluster / "cluster.sqlite"))
        found += len(await ServiceRuns(database).started())
        await database.aclose()
    return found
