"""The platform command line over SSH: every command at a real node, and what its sockets show afterwards."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import asyncssh
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from certs.issuing import CertificateSpec, KeyAlgorithm, issue_self_signed, make_key
from certs.purposes import ServiceName
from harness.evidence.ledger import Ledger
from harness.lab import Lab
from harness.nodes.node import CucmNode, ImpNode
from harness.nodes.service_state import ServiceState
from harness.plan.lab_file import load_topology
from tests.integration.ssh_clients import at_the_prompt, logged_in

PROCEED = "Proceed with regeneration (yes|no)? "
PASTE = "Paste the Certificate and Hit Enter\n"
UNSUCCESSFUL = "Executed command unsuccessfully\n"


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


async def shown_at(address: str, port: int) -> str:
    """Return the certificate that a TLS port shows, in PEM."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    _, writer = await asyncio.open_connection(address, port, ssl=context)
    der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.transport.abort()
    return ssl.DER_cert_to_PEM_cert(der)


def pem_of(shown: str) -> str:
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    return begin + shown.partition(begin)[2].partition(end)[0] + end + "\n"


def other_certificate() -> str:
    spec = CertificateSpec.for_node("peer.lab.example", "127.0.0.9", now=datetime.now(UTC))
    return issue_self_signed(spec, make_key(KeyAlgorithm.EC_P256)).chain_pem.decode()


def sign(csr: x509.CertificateSigningRequest) -> str:
    now = datetime.now(UTC)
    issuer = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a CA")])
    builder = x509.CertificateBuilder(
        issuer, csr.subject, csr.public_key(), 7, now, now.replace(year=now.year + 1)
    )
    signed = builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return signed.public_bytes(Encoding.PEM).decode()


async def test_a_regenerated_certificate_is_on_the_wire_after_the_restart_and_not_before(
    lab: Lab, node: ImpNode
) -> None:
    where = node.plan.address, node.plan.ports.sip_tls_server_auth
    old = await shown_at(*where)
    async with at_the_prompt(lab, node) as person:
        assert pem_of(await person.run("show cert own tomcat")) == old

        shown = await person.run("set cert regen tomcat", (PROCEED, "no"))
        assert "Operation cancelled\n" in shown
        assert pem_of(await person.run("show cert own tomcat")) == old

        shown = await person.run("set cert regen tomcat", (PROCEED, "yes"))
        assert "Successfully Regenerated Certificate for tomcat.\n" in shown
        assert "utils service restart Cisco SIP Proxy\n" in shown
        new = pem_of(await person.run("show cert own tomcat"))
        assert new != old
        assert await shown_at(*where) == old

        shown = await person.run("utils service restart Cisco SIP Proxy")
        assert "Cisco SIP Proxy[STARTED]\n" in shown
    assert await shown_at(*where) == new


async def test_a_trusted_certificate_is_pasted_listed_shown_and_deleted(lab: Lab, node: ImpNode) -> None:
    pem = other_certificate()
    async with at_the_prompt(lab, node) as person:
        person.type("set cert import trust cup\n")
        await person.expect(PASTE)
        person.type(pem + "\n")
        shown = await person.expect("admin:")
        assert "Successfully imported certificate for cup-trust.\n" in shown
        shown = await person.run("show cert list trust")
        (line,) = (each for each in shown.splitlines() if "CN=peer.lab.example" in each)
        name = line.partition(":")[0]
        assert pem_of(await person.run(f"show cert trust {name}")) == pem
        shown = await person.run(f"set cert delete trust {name}", ("Proceed with delete (yes|no)? ", "yes"))
        assert f"Successfully deleted certificate {name}.\n" in shown
        assert "peer.lab.example" not in await person.run("show cert list trust")
        assert UNSUCCESSFUL in await person.run(f"show cert trust {name}")


async def test_broken_and_foreign_certificates_are_refused_and_the_right_one_is_taken(
    lab: Lab, node: ImpNode
) -> None:
    async with at_the_prompt(lab, node) as person:

        async def paste(kind: str, pem: str) -> str:
            person.type(f"set cert import {kind} cup\n")
            await person.expect(PASTE)
            person.type(pem + "\n")
            return await person.expect("admin:")

        assert UNSUCCESSFUL in await paste("trust", "-----BEGIN CERTIFICATE-----\nMIIB\n")
        assert "no cup.csr is pending" in await paste("own", other_certificate())
        assert "Successfully Generated CSR for cup.\n" in await person.run("set csr gen cup")
        shown = await person.run("show csr own cup")
        csr = x509.load_pem_x509_csr(shown[shown.index("-----BEGIN") : -len("admin:")].encode())
        assert "does not belong to the pending cup.csr" in await paste("own", other_certificate())
        signed = sign(csr)
        assert "Successfully imported certificate for cup.\n" in await paste("own", signed)
        assert "Cisco SIP Proxy[STARTED]" in await person.run("utils service restart Cisco SIP Proxy")
    assert await shown_at(node.plan.address, node.plan.ports.sip_tls_peer_auth) == signed


async def test_services_stop_and_start_with_their_sockets(lab: Lab, node: ImpNode) -> None:
    where = node.plan.address, node.plan.ports.sip
    async with at_the_prompt(lab, node) as person:
        shown = await person.run("utils service list")
        for status in node.services.services():
            assert f"{status.service}[STARTED]\n" in shown
        assert "Cisco SIP Proxy[STOPPED]\n" in await person.run("utils service stop Cisco SIP Proxy")
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(*where)
        assert "Cisco SIP Proxy[STARTED]\n" in await person.run("utils service start Cisco SIP Proxy")
        _, writer = await asyncio.open_connection(*where)
        writer.close()


async def test_a_service_whose_port_is_taken_says_why(lab: Lab, node: ImpNode) -> None:
    async with at_the_prompt(lab, node) as person:
        await person.run("utils service stop Cisco SIP Proxy")
        with socket.create_server((node.plan.address, node.plan.ports.sip)):
            shown = await person.run("utils service start Cisco SIP Proxy")
        assert "in use" in shown
        assert UNSUCCESSFUL in shown
        assert "Cisco SIP Proxy[STARTED]\n" in await person.run("utils service start Cisco SIP Proxy")


async def test_wrong_input_gets_the_products_errors(lab: Lab, node: ImpNode) -> None:
    async with at_the_prompt(lab, node) as person:
        assert f"{UNSUCCESSFUL}No valid command entered" in await person.run("reboot")
        assert "Incomplete command; it goes on as\n  show cert list own|trust\n" in await person.run(
            "show cert list"
        )
        assert "Service not found: Cisco Nothing" in await person.run("utils service stop Cisco Nothing")
        assert "A line has at most 1024 characters\n" in await person.run("show " + "x" * 3000)
        assert "Active Master Version: 9.0.1.10000-21\n" in await person.run("show version active")


async def test_tab_completes_and_a_question_mark_explains(lab: Lab, node: ImpNode) -> None:
    async with at_the_prompt(lab, node) as person:
        person.type("sh\tver\tact\t\n")
        assert "show version active" in await person.expect("Active Master Version: 9.0.1.10000-21\n")
        await person.expect("admin:")
        person.type("utils service restart Cisco XCP \t")
        shown = await person.expect("admin:utils service restart Cisco XCP ")
        assert "  Router\n" in shown
        person.type("R\t\n")
        await person.expect("Cisco XCP Router[STARTED]\n")
        await person.expect("admin:")
        person.type("set cert ?")
        shown = await person.expect("  regen")
        assert "  delete" in shown
        await person.expect("admin:set cert ")
        person.type("regen cup\n")
        await person.expect(PROCEED)
        person.type("\x03")
        await person.expect("Operation cancelled\nadmin:")


async def test_the_arrow_up_brings_the_last_line_back(lab: Lab, node: ImpNode) -> None:
    async with at_the_prompt(lab, node) as person:
        await person.run("show version active")
        person.type("\x1b[A\n")
        await person.expect("Active Master Version: ")


async def test_one_command_has_an_exit_status(lab: Lab, node: ImpNode) -> None:
    async with logged_in(lab, node) as connection:
        done = await connection.run("show version active")
        assert (done.exit_status, done.stdout) == (
            0,
            "Active Master Version: 9.0.1.10000-21\n" + str(done.stdout).partition("\n")[2],
        )
        assert (await connection.run("show cert own nothing")).exit_status == 1
        assert (await connection.run("reboot")).exit_status == 2
        declined = await connection.run("set cert regen cup", input="no\n")
        assert declined.exit_status == 3
        assert "Operation cancelled\n" in str(declined.stdout)
        nobody = await connection.run("set cert regen cup", stdin=asyncssh.DEVNULL)
        assert nobody.exit_status == 3
        accepted = await connection.run("set cert regen cup", input="yes\n")
        assert accepted.exit_status == 0
        script = await connection.run(input="show version active\nreboot\n")
        assert script.exit_status == 2
        assert "Active Master Version" in str(script.stdout)


async def test_quit_ends_the_session_and_ctrl_d_does(lab: Lab, node: ImpNode) -> None:
    for leave in ("quit\n", "exit\n", "\x04"):
        async with at_the_prompt(lab, node) as person:
            person.type(leave)
            await person.rest()
            assert person.process.exit_status == 0


async def test_a_cucm_node_has_its_own_certificates(lab: Lab) -> None:
    cucm = lab.cucm[0]
    assert isinstance(cucm, CucmNode)
    async with at_the_prompt(lab, cucm) as person:
        shown = await person.run("show cert list own")
        assert "CallManager/CallManager.pem: Self-signed certificate generated by system\n" in shown
        assert "cup/cup.pem" not in shown
        assert "cup is no certificate of this node" in await person.run("set csr gen cup")
        assert "Active Master Version: 9.0.1.10000-37\n" in await person.run("show version active")


async def test_a_restart_of_the_node_closes_its_sockets_and_ends_the_sessions(
    lab: Lab, node: ImpNode
) -> None:
    reader, writer = await asyncio.open_connection(node.plan.address, node.plan.ports.sip)
    async with at_the_prompt(lab, node) as beside, at_the_prompt(lab, node) as person:
        person.type("utils system restart\n")
        await person.expect("Enter (yes/no)? ")
        person.type("yes\n")
        assert "Appliance is being Restarted ...\n" in await person.rest()
        assert person.process.exit_status == 0
        await beside.rest()
    assert await asyncio.wait_for(reader.read(), 5) == b""
    writer.close()
    await node.later.join()
    assert {status.state for status in node.services.services()} == {ServiceState.STARTED}
    async with at_the_prompt(lab, node) as person:
        assert "Cisco SIP Proxy[STARTED]" in await person.run("utils service list")


async def test_a_restart_that_is_declined_changes_nothing(lab: Lab, node: ImpNode) -> None:
    before = [status.started_at for status in node.services.services()]
    async with at_the_prompt(lab, node) as person:
        assert "Operation cancelled" in await person.run("utils system restart", ("Enter (yes/no)? ", "no"))
        assert [status.started_at for status in node.services.services()] == before


async def test_the_ssh_service_can_restart_from_one_of_its_own_sessions(lab: Lab, node: ImpNode) -> None:
    async with at_the_prompt(lab, node) as person:
        person.type("utils service restart System SSH\n")
        await person.rest()
    async with asyncio.timeout(5):
        while node.services.status(ServiceName.SSH).state is not ServiceState.STARTED:
            await asyncio.sleep(0.01)
    async with at_the_prompt(lab, node) as person:
        assert "System SSH[STARTED]" in await person.run("utils service list")
