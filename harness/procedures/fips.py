"""FIPS 140-2 mode of a node, as an administrator changes it and as peers see it (G25 to G27)."""

import asyncio
from dataclasses import replace
from typing import Final

from certs.errors import ScenarioFailed
from certs.fips.provider import find_provider
from certs.purposes import CertificatePurpose
from certs.storage import write_atomically
from certs.verdict import Reason
from harness.actors.sip import TlsAttempt, client_address, trust_in, try_tls
from harness.actors.ssh import type_command
from harness.expectations import expect, expect_verdict
from harness.lab import Lab
from harness.processes.process_node import ProcessNode, as_process_node
from harness.processes.supervisor import NodeHalted
from harness.scenario import ScenarioRun
from proxies.tls import TlsClientSettings, TlsVersion

CHACHA20: Final = "ECDHE-RSA-CHACHA20-POLY1305"
"A suite of TLS 1.2 that is not approved, and that a node outside FIPS mode takes."

STATIC_RSA: Final = "AES256-GCM-SHA384"
"TLS_RSA_WITH_AES_256_GCM_SHA384: static RSA, which FIPS mode refuses."

APPROVED: Final = "ECDHE-RSA-AES256-GCM-SHA384"
"A suite that FIPS mode takes."


def fips_node(lab: Lab) -> ProcessNode:
    """Return imp1 of the topology `fips`, which runs in a process of its own.

    Raises NoFipsProvider, which says what to do, where this machine has no FIPS provider.
    """
    find_provider()
    return as_process_node(lab.imp[0])


async def enable_fips(lab: Lab, run: ScenarioRun) -> ProcessNode:
    """Enable FIPS mode on imp1 (G25), as steps: the command, the reboot, what is different afterwards."""
    node = fips_node(lab)
    before = own_certificates(node)
    async with run.step("utils fips enable on imp1: confirm, and the node reboots"):
        await change_mode(lab, run, node, "utils fips enable")
    async with run.step("utils fips status: enabled, and which self-tests passed"):
        await expect_status(lab, run, enabled=True)
    async with run.step("All keys and certificates were made anew by the approved module"):
        expect_new_certificates(node, run, before)
    return node


async def change_mode(lab: Lab, run: ScenarioRun, node: ProcessNode, command: str) -> None:
    """Type a command that reboots the node, answer yes, and wait until the node is up again in another process.

    Raises NodeHalted where a self-test keeps it from starting.
    """
    pid, boots = node.process.pid, node.process.boots
    shown = await type_command(lab, lab.imp[0], command, "yes")
    for line in shown.splitlines():
        if line.strip(" *"):
            run.saw(line.strip())
    await node.process.wait_until_up(boots=boots + 1)
    if node.process.pid == pid:
        raise ScenarioFailed("the node's process did not end")
    run.saw(f"process {pid} ended, process {node.process.pid} runs")


async def expect_status(lab: Lab, run: ScenarioRun, *, enabled: bool) -> None:
    """Expect what `utils fips status` says on imp1 (G26)."""
    shown = await type_command(lab, lab.imp[0], "utils fips status")
    passed = [line for line in shown.splitlines() if line.endswith(" passed")]
    first = next((line for line in shown.splitlines() if line), "nothing")
    run.saw(f"{first} {len(passed)} tests passed" if passed else first)
    said = "The system is operating in FIPS mode." if enabled else "FIPS mode is disabled."
    expect("what utils fips status says", said, first[: len(said)])
    expect("the integrity test among those that passed", enabled, "Module_Integrity" in shown)


def own_certificates(node: ProcessNode) -> dict[CertificatePurpose, bytes]:
    """Return what the node shows, by purpose."""
    return {purpose: node.certificate_management.download(purpose) for purpose in node.purposes}


def expect_new_certificates(
    node: ProcessNode, run: ScenarioRun, before: dict[CertificatePurpose, bytes]
) -> None:
    """Expect that every certificate of the node is another one than before."""
    after = own_certificates(node)
    kept = [purpose for purpose in before if after[purpose] == before[purpose]]
    expect("the certificates that are still the old ones", [], kept)
    run.saw(", ".join(f"{purpose}.pem" for purpose in after))


async def try_suites(lab: Lab, node: ProcessNode, ciphers: str) -> TlsAttempt:
    """Shake hands under TLS 1.2 with the node's server-authenticated listener, offering these suites."""
    settings = TlsClientSettings(
        trust=trust_in(lab.imp[0]), server_name=node.plan.fqdn, check_host_name=True, ciphers=ciphers
    )
    settings = replace(settings, maximum_version=TlsVersion.TLS_1_2)
    return await try_tls(lab, settings, node.plan.address, lab.imp[0].plan.ports.sip_tls_server_auth)


async def expect_suite(
    lab: Lab, run: ScenarioRun, node: ProcessNode, ciphers: str, *, accepted: bool
) -> None:
    """Expect that a suite is taken, or that it is refused at both ends as not FIPS-approved."""
    since = run.ledger.position
    attempt = await try_suites(lab, node, ciphers)
    name = node.plan.name
    if accepted:
        expect_verdict(f"the client with {ciphers}", attempt.verdict, Reason.ACCEPTED)
        expect("an answer to a SIP keep-alive", True, attempt.answered)
        run.saw(f"accepted over {attempt.verdict.cipher}")
        return
    expect_verdict(
        f"the client with {ciphers}", attempt.verdict, Reason.PEER_ALERT, alert="handshake_failure"
    )
    seen = await run.expect_verdict("the client", node=name, reason=Reason.NOT_FIPS_APPROVED, since=since)
    run.saw(f"refused: {seen.detail}")


async def expect_halted(
    lab: Lab, run: ScenarioRun, node: ProcessNode, halted: NodeHalted, test: str, *, since: int
) -> None:
    """Expect that a halted node opens no listener, and that status and ledger name the test (G27)."""
    run.saw(str(halted))
    expect("the test that failed", test, halted.test)
    expect("the test in the node's status", test, node.process.fips.read().failed_test)
    seen = await run.expect_verdict(
        "the self-test", node=node.plan.name, reason=Reason.SELF_TEST_FAILED, since=since
    )
    expect("the test in the ledger", True, test in seen.detail)
    ports = lab.imp[0].plan.ports
    for port in (ports.sip, ports.sip_tls_server_auth, ports.xmpp_client, ports.tomcat, ports.ssh):
        await expect_no_listener(lab, node, port)
    run.saw("no listener: SIP, XMPP, pages and command line refuse connections")


async def expect_no_listener(lab: Lab, node: ProcessNode, port: int) -> None:
    """Expect that nobody listens on a port of the node. Raises ScenarioFailed where somebody does."""
    try:
        _, writer = await asyncio.wait_for(
            asyncio.open_connection(node.plan.address, port, local_addr=(client_address(lab), 0)), 2.0
        )
    except OSError:
        return
    writer.close()
    raise ScenarioFailed(f"a halted node listens on port {port}")


def damage_module(node: ProcessNode) -> None:
    """Change one byte of the module on the node's disk, in the middle.

    The file is replaced, not written into: the running process has the old one mapped.
    """
    path = node.process.fips.module.path
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    write_atomically(path, bytes(content))
