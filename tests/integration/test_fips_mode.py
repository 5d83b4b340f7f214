"""A node in FIPS mode, on real sockets: enabled and disabled by a reboot, halted by its module's own self-tests."""

import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from certs.errors import CertificateError, ConfigError
from certs.fips.approved import NotFipsApproved
from certs.fips.module import SelfTestFault
from certs.key_store import KeyStore
from certs.purposes import CertificatePurpose, TrustStoreName
from certs.storage import write_atomically
from certs.verdict import Reason
from certs.wrong import Role, WrongCertificate, WrongCertificates
from harness.actors.sip import trust_in, try_tls
from harness.configuration.database import Database, sqlite_url
from harness.evidence.ledger import Judged, Ledger
from harness.lab import Lab
from harness.nodes.disaster_recovery import DisasterRecovery
from harness.nodes.node import KEY_STORE_DIRECTORY
from harness.processes.process_node import ProcessNode
from harness.processes.supervisor import NodeHalted
from proxies.tls import TlsClientSettings, TlsVersion
from tests.certs.fips.providers import require_provider
from tests.integration.test_process_nodes import lab_file, process_node

# A process takes its time to start where others share the machine.
pytestmark = pytest.mark.timeout(240)

CHACHA20 = "ECDHE-ECDSA-CHACHA20-POLY1305"


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[tuple[Lab, ProcessNode, Ledger]]:
    require_provider()
    ledger = Ledger()
    async with Lab.start(lab_file(), work_directory=tmp_path, observer=ledger) as lab:
        yield lab, process_node(lab), ledger


async def enable(node: ProcessNode) -> None:
    node.machine.request_fips(enabled=True)
    await node.reboot()


def listens(node: ProcessNode, port: int = 5061) -> bool:
    try:
        socket.create_connection((node.plan.address, port), timeout=2).close()
    except OSError:
        return False
    return True


async def shake_hands(
    lab: Lab, node: ProcessNode, ledger: Ledger, ciphers: str = ""
) -> tuple[Reason, Reason]:
    """Return how client and node saw a handshake with some cipher suites."""
    settings = TlsClientSettings(
        trust=trust_in(lab.imp[0]), server_name=node.plan.fqdn, check_host_name=True,
        ciphers=ciphers, maximum_version=TlsVersion.TLS_1_2,
    )  # fmt: skip
    since = ledger.position
    attempt = await try_tls(lab, settings, node.plan.address, node.plan.ports.sip_tls_server_auth)
    # The node's services shake hands with their peers as well after a boot.
    judged = await ledger.wait_for(
        lambda entry: isinstance(entry, Judged) and entry.connection.peer == attempt.local, since=since
    )
    assert isinstance(judged, Judged)
    return attempt.verdict.reason, judged.verdict.reason


async def test_the_mode_changes_with_a_reboot_and_the_keys_with_it(
    running: tuple[Lab, ProcessNode, Ledger],
) -> None:
    lab, node, ledger = running
    assert await shake_hands(lab, node, ledger, CHACHA20) == (Reason.ACCEPTED, Reason.ACCEPTED)
    before = {purpose: node.certificate_management.download(purpose) for purpose in node.purposes}
    pid = node.process.pid

    node.machine.request_fips(enabled=True)
    assert not node.machine.fips_status().enabled, "until the reboot"
    await node.reboot()
    status = node.machine.fips_status()
    assert status.enabled
    assert "AES_GCM (KAT_Cipher)" in status.self_tests
    assert node.process.pid != pid
    after = {purpose: node.certificate_management.download(purpose) for purpose in node.purposes}
    assert all(before[purpose] != after[purpose] for purpose in node.purposes)
    assert {line.state.value for line in (await node.status()).services} == {"Started"}
    assert await shake_hands(lab, node, ledger, CHACHA20) == (Reason.PEER_ALERT, Reason.NOT_FIPS_APPROVED)
    assert await shake_hands(lab, node, ledger) == (Reason.ACCEPTED, Reason.ACCEPTED)
    with pytest.raises(ConfigError, match="FIPS mode is enabled already"):
        node.machine.request_fips(enabled=True)

    await node.reboot()
    assert node.machine.fips_status().enabled, "it stays"
    assert node.certificate_management.download(CertificatePurpose.CUP) == after[CertificatePurpose.CUP]

    node.machine.request_fips(enabled=False)
    await node.reboot()
    assert not node.machine.fips_status().enabled
    assert node.certificate_management.download(CertificatePurpose.CUP) != after[CertificatePurpose.CUP]
    assert await shake_hands(lab, node, ledger, CHACHA20) == (Reason.ACCEPTED, Reason.ACCEPTED)


async def test_weak_certificates_are_not_taken(running: tuple[Lab, ProcessNode, Ledger]) -> None:
    lab, node, _ = running
    issuer = WrongCertificates("client.lab.example", "127.0.0.1", now=lab.clock.now())
    weak = [issuer.issue(kind, Role.CLIENT) for kind in (WrongCertificate.SHA1, WrongCertificate.WEAK_KEY)]
    management = node.certificate_management
    for credential in weak:
        await management.upload_certificate(TrustStoreName.CUP_TRUST, credential.chain_pem)
    await enable(node)
    for credential, said in zip(weak, ("SHA-1", "1024 bits"), strict=True):
        with pytest.raises(NotFipsApproved, match=f"not FIPS-approved: .*{said}"):
            await management.upload_certificate(TrustStoreName.CUP_TRUST, credential.chain_pem)
    await management.upload_certificate(TrustStoreName.CUP_TRUST, issuer.issue_good().chain_pem)


async def test_a_transient_failure_halts_the_node_until_it_is_restarted(
    running: tuple[Lab, ProcessNode, Ledger],
) -> None:
    _, node, ledger = running
    await enable(node)
    cup = node.certificate_management.download(CertificatePurpose.CUP)
    node.process.fips.spoil_next_boot(SelfTestFault(description="AES_GCM", kind="KAT_Cipher"))
    with pytest.raises(NodeHalted, match=r"AES_GCM \(KAT_Cipher\).*imp-harness recover"):
        await node.reboot()
    assert not listens(node)
    assert node.process.fips.read().failed_test == "AES_GCM (KAT_Cipher)"
    (judged,) = [e for e in ledger.verdicts(node="imp1") if e.verdict.reason is Reason.SELF_TEST_FAILED]
    assert "AES_GCM (KAT_Cipher)" in judged.verdict.detail
    await node.power_on()
    assert listens(node)
    assert node.machine.fips_status().enabled
    assert node.certificate_management.download(CertificatePurpose.CUP) == cup


async def test_a_damaged_module_halts_the_node_every_time(running: tuple[Lab, ProcessNode, Ledger]) -> None:
    _, node, _ = running
    await enable(node)
    module = node.process.fips.module.path
    content = bytearray(module.read_bytes())
    content[len(content) // 2] ^= 1
    write_atomically(module, content)  # in place it would change under the running process
    with pytest.raises(NodeHalted, match="Module_Integrity"):
        await node.reboot()
    for _ in range(2):
        with pytest.raises(NodeHalted, match="Module_Integrity"):
            await node.power_on()
        assert not listens(node)


async def test_without_a_provider_nothing_changes(
    running: tuple[Lab, ProcessNode, Ledger], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _, node, _ = running
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "empty"))
    monkeypatch.setattr("certs.fips.provider.modules_directory", lambda: None)
    monkeypatch.setattr("certs.fips.provider.SYSTEM_DIRECTORIES", ())
    with pytest.raises(CertificateError, match="no FIPS provider of OpenSSL; make fips-provider"):
        node.process.fips.request(enabled=True)
    assert node.process.fips.read().requested is None


async def test_a_recovered_node_is_as_new_and_takes_its_backup(
    running: tuple[Lab, ProcessNode, Ledger],
) -> None:
    lab, node, _ = running
    cup = node.certificate_management.download(CertificatePurpose.CUP)
    saved = await back_up(lab, node)
    with pytest.raises(ConfigError, match="belongs to a node that runs"):
        await node.recover()
    await enable(node)
    assert node.certificate_management.download(CertificatePurpose.CUP) != cup
    await node.process.stop()
    with pytest.raises(ConfigError, match="the password is another one"):
        await node.recover(saved, "wrong password")
    assert "files and" in await node.recover(saved, "a password")
    await node.power_on()
    assert node.certificate_management.download(CertificatePurpose.CUP) == cup
    assert not node.machine.fips_status().enabled


async def back_up(lab: Lab, node: ProcessNode) -> bytes:
    directory = node.process.directory
    database = Database(sqlite_url(lab.work_directory / "imp" / "cluster.sqlite"))
    keys = KeyStore(directory / KEY_STORE_DIRECTORY)
    try:
        recovery = DisasterRecovery("imp1", directory, keys, database, now=lab.clock.now)
        return await recovery.back_up("a password")
    finally:
        await database.aclose()
