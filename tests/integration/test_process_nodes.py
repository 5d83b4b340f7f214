"""A node in a process of its own: a lab administers it and sees its verdicts, and it ends when told to."""

import asyncio
import os
import signal
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from certs.errors import ConfigError, ConnectionFailed
from certs.purposes import CertificatePurpose, ServiceName, TrustStoreName
from certs.verdict import Reason
from harness.actors.sip import self_signed_client, trust_in, try_tls
from harness.endpoint.ready import make_ready
from harness.evidence.ledger import Entry, Judged, Ledger
from harness.lab import Lab
from harness.plan.lab_file import LabFile, parse_lab_file
from harness.processes.process_node import ProcessNode
from harness.processes.supervisor import ProcessState
from proxies.tls import TlsClientSettings
from tests.harness.plan.lab_texts import SMALL
from tests.integration.ssh_clients import at_the_prompt

# A process takes its time to start where others share the machine.
pytestmark = pytest.mark.timeout(240)

PROXY = ServiceName.SIP_PROXY
CLIENT = "client.lab.example"


def lab_file() -> LabFile:
    """Two IM and Presence nodes, the first in a process of its own."""
    return parse_lab_file(
        SMALL.replace('name = "imp1"', 'name = "imp1"\nprocess = true', 1), source="lab.toml"
    )


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[tuple[Lab, Ledger]]:
    ledger = Ledger()
    async with Lab.start(lab_file(), work_directory=tmp_path, observer=ledger) as lab:
        yield lab, ledger


def process_node(lab: Lab) -> ProcessNode:
    node: object = lab.imp[0]
    assert isinstance(node, ProcessNode)
    return node


async def test_it_is_administered_as_the_others_are(running: tuple[Lab, Ledger]) -> None:
    lab, ledger = running
    imp1 = lab.imp[0]
    client = self_signed_client(lab, CLIENT)
    settings = TlsClientSettings(
        trust=trust_in(imp1), credential=client, server_name=imp1.plan.fqdn, check_host_name=True
    )

    async def verdict_of_client() -> tuple[bool, Reason]:
        since = ledger.position
        attempt = await try_tls(lab, settings, imp1.plan.address, imp1.plan.ports.sip_tls_peer_auth)

        def from_the_node(entry: Entry) -> bool:
            return isinstance(entry, Judged) and entry.connection.node == "imp1"

        judged = await ledger.wait_for(from_the_node, since=since)
        assert isinstance(judged, Judged)
        assert judged.verdict.subject == CLIENT
        return attempt.answered, judged.verdict.reason

    assert await verdict_of_client() == (False, Reason.UNTRUSTED_ISSUER)
    management = imp1.administration.certificate_management
    needed = await management.upload_certificate(TrustStoreName.CUP_TRUST, client.chain_pem)
    assert (PROXY, "imp1") in {(each.service, each.node) for each in needed}
    await imp1.administration.add_tls_peer_subject(CLIENT, "a client")
    await imp1.administration.select_peer_subjects(iter([CLIENT]))
    assert await verdict_of_client() == (False, Reason.UNTRUSTED_ISSUER)
    await imp1.administration.restart(PROXY)
    assert await verdict_of_client() == (True, Reason.ACCEPTED)


async def test_a_mistake_is_told_as_the_node_tells_it(running: tuple[Lab, Ledger]) -> None:
    lab, _ = running
    with pytest.raises(ConfigError, match="CallManager"):
        lab.imp[0].administration.certificate_management.download(CertificatePurpose.CALLMANAGER)
    with pytest.raises(AttributeError, match="ServiceControl of a node in another process has no turn_off"):
        lab.imp[0].services.turn_off  # type: ignore[attr-defined]  # noqa: B018


async def test_a_reboot_ends_the_process_and_keeps_its_certificates(running: tuple[Lab, Ledger]) -> None:
    lab, ledger = running
    node = process_node(lab)
    before, cup = node.process.pid, node.certificate_management.download(CertificatePurpose.CUP)
    assert before != os.getpid()
    assert before is not None
    await node.reboot()
    status = await node.status()
    assert status.pid == node.process.pid != before
    with pytest.raises(ProcessLookupError):
        os.kill(before, 0)
    assert node.certificate_management.download(CertificatePurpose.CUP) == cup
    assert {line.state.value for line in status.services} == {"Started"}
    settings = TlsClientSettings(trust=trust_in(lab.imp[0]), server_name=node.plan.fqdn)
    attempt = await try_tls(lab, settings, node.plan.address, node.plan.ports.sip_tls_server_auth)
    assert attempt.verdict.accepted
    assert ledger.verdicts(node="imp1", accepted=True), "the new process is followed as well"


async def test_utils_system_restart_ends_the_process(running: tuple[Lab, Ledger]) -> None:
    lab, _ = running
    node = process_node(lab)
    before = node.process.pid
    assert before is not None
    async with at_the_prompt(lab, lab.imp[0]) as person:
        person.type("utils system restart\n")
        await person.expect("Enter (yes/no)? ")
        person.type("yes\n")
        assert "Appliance is being Restarted ...\n" in await person.rest()
    async with asyncio.timeout(40):
        while node.process.pid in (before, None) or node.process.state is not ProcessState.UP:
            await asyncio.sleep(0.05)
    with pytest.raises(ProcessLookupError):
        os.kill(before, 0)
    async with at_the_prompt(lab, lab.imp[0]) as person:
        assert "Cisco SIP Proxy[STARTED]\n" in await person.run("utils service list")


async def test_only_its_owner_may_call_it(running: tuple[Lab, Ledger], tmp_path: Path) -> None:
    (control,) = tmp_path.rglob("control.sock")
    assert stat.S_IMODE(control.stat().st_mode) == 0o600


async def test_after_its_death_calls_say_so_and_the_lab_goes_on(running: tuple[Lab, Ledger]) -> None:
    lab, _ = running
    node = process_node(lab)
    assert node.process.pid is not None
    os.kill(node.process.pid, signal.SIGKILL)
    async with asyncio.timeout(10):
        await node.process.wait_until_down()
    assert node.process.state is ProcessState.DOWN
    assert "status -9" in node.process.failure
    with pytest.raises(ConnectionFailed, match="imp1 does not run"):
        await node.status()
    assert await lab.imp[1].restart_needed() is not None


async def test_it_is_made_ready_for_outside_clients_as_the_others_are(
    running: tuple[Lab, Ledger], tmp_path: Path
) -> None:
    lab, _ = running
    files = await make_ready(lab, tmp_path / "clients")
    node = process_node(lab)
    assert node.certificate_management.download(CertificatePurpose.CUP_XMPP) in files.trust.read_bytes()
    assert await node.restart_needed() == ()
