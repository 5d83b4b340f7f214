"""openssl s_client against a node in FIPS mode, and against the same node before: each refusal has its twin."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from certs.purposes import CertificatePurpose
from certs.verdict import Reason
from harness.evidence.ledger import Entry, Judged, Ledger
from harness.lab import Lab
from harness.plan.lab_file import load_topology
from harness.processes.process_node import ProcessNode, as_process_node
from tests.certs.fips.providers import require_provider
from tests.interop.peers import require_program

pytestmark = [pytest.mark.interop, pytest.mark.timeout(300)]

NOT_APPROVED = {
    "ChaCha20 under TLS 1.3": ("-tls1_3", "-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"),
    "ChaCha20 under TLS 1.2": ("-tls1_2", "-cipher", "ECDHE-RSA-CHACHA20-POLY1305"),
    "TLS_RSA": ("-tls1_2", "-cipher", "AES256-GCM-SHA384:AES128-GCM-SHA256"),
    "X25519 alone": ("-tls1_3", "-groups", "X25519"),
}
APPROVED = {
    "AES-GCM under TLS 1.3": ("-tls1_3", "-ciphersuites", "TLS_AES_128_GCM_SHA256", "-groups", "P-256"),
    "AES-GCM under TLS 1.2": ("-tls1_2", "-cipher", "ECDHE-RSA-AES256-GCM-SHA384", "-groups", "P-384"),
    "what s_client offers by itself": (),
}


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[tuple[ProcessNode, Ledger, Path]]:
    require_provider()
    ledger, trust = Ledger(), tmp_path / "trust.pem"
    async with Lab.start(load_topology("fips"), work_directory=tmp_path / "lab", observer=ledger) as lab:
        yield as_process_node(lab.imp[0]), ledger, trust


async def s_client(node: ProcessNode, trust: Path, *options: str) -> tuple[bool, str]:
    """Shake hands with the listener that shows `tomcat`; return whether that went well, and what was said."""
    trust.write_bytes(node.certificate_management.download(CertificatePurpose.TOMCAT))
    process = await asyncio.create_subprocess_exec(
        require_program("openssl"), "s_client", "-connect", f"{node.plan.address}:5061",
        "-CAfile", str(trust), "-verify_return_error", "-brief", *options,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await asyncio.wait_for(process.communicate(), 20)
    return process.returncode == 0, output.decode()


async def test_only_what_is_approved_is_let_in(running: tuple[ProcessNode, Ledger, Path]) -> None:
    node, ledger, trust = running
    for name, options in {**NOT_APPROVED, **APPROVED}.items():
        accepted, said = await s_client(node, trust, *options)
        assert accepted, f"{name} outside FIPS mode: {said}"

    node.machine.request_fips(enabled=True)
    await node.reboot()
    for name, options in APPROVED.items():
        accepted, said = await s_client(node, trust, *options)
        assert accepted, f"{name}: {said}"
        assert "Verification: OK" in said
    for name, options in NOT_APPROVED.items():
        since = ledger.position
        accepted, said = await s_client(node, trust, *options)
        assert not accepted, name
        assert "alert handshake failure" in said, name

        def is_this_refusal(entry: Entry) -> bool:
            return isinstance(entry, Judged) and entry.verdict.reason is Reason.NOT_FIPS_APPROVED

        judged = await ledger.wait_for(is_this_refusal, since=since)
        assert isinstance(judged, Judged), name
        assert judged.connection.node == "imp1"
        assert "no approved" in judged.verdict.detail
