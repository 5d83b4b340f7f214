"""go-sendxmpp and openssl s_client against the connection manager's port."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from certs.purposes import CertificatePurpose
from certs.verdict import Reason
from harness.actors.xmpp import expect_login, xmpp_client
from harness.evidence.ledger import Judged
from tests.interop.peers import require_program
from tests.interop.xmpp_lab import XmppLab, xmpp_lab

pytestmark = pytest.mark.interop

PATIENCE = 15.0


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[XmppLab]:
    async with xmpp_lab(tmp_path) as lab:
        yield lab


def address(lab: XmppLab) -> str:
    return f"{lab.imp1.plan.address}:{lab.imp1.plan.ports.xmpp_client}"


async def start(lab: XmppLab, *arguments: str, password: str = "") -> asyncio.subprocess.Process:
    """Start go-sendxmpp as alice; it trusts the lab's certificates and nothing else."""
    return await asyncio.create_subprocess_exec(
        require_program("go-sendxmpp"),
        *("-u", f"alice@{lab.domain}", "-p", password or await lab.password("alice"), "-j", address(lab)),
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "SSL_CERT_FILE": str(lab.trust), "SSL_CERT_DIR": str(lab.trust.parent / "none")},
    )


async def finish(process: asyncio.subprocess.Process, text: bytes = b"") -> str:
    try:
        output, _ = await asyncio.wait_for(process.communicate(text), PATIENCE)
    finally:
        if process.returncode is None:
            process.kill()
    return output.decode()


async def test_go_sendxmpp_sends_to_a_client_of_another_node(lab: XmppLab) -> None:
    async with xmpp_client(lab.lab, "bob", lab.imp2) as bob:
        expect_login("bob's login", await bob.outcome)
        process = await start(lab, bob.boundjid.bare)
        output = await finish(process, "grüße from go".encode())
        assert process.returncode == 0, output
        message = await bob.next_message()
        assert (message["body"], message["from"].bare) == ("grüße from go", f"alice@{lab.domain}")


async def test_go_sendxmpp_hears_a_client_of_another_node(lab: XmppLab) -> None:
    async with xmpp_client(lab.lab, "bob", lab.imp2) as bob:
        expect_login("bob's login", await bob.outcome)
        process = await start(lab, "-l", bob.boundjid.bare)
        try:
            await _logged_in(lab)
            assert process.stdout is not None
            heard = asyncio.ensure_future(asyncio.wait_for(_line_with(process.stdout, "for go"), PATIENCE))
            while not heard.done():
                # It says nothing of its resource being bound; what comes earlier is kept for it, or missed.
                bob.chat(f"alice@{lab.domain}", "for go")
                await asyncio.wait([heard], timeout=0.2)
            assert bob.boundjid.bare in await heard
        finally:
            process.kill()
            await process.communicate()


async def _line_with(output: asyncio.StreamReader, text: str) -> str:
    while text not in (line := (await output.readline()).decode()):
        assert line, "it ended"
    return line


async def test_go_sendxmpp_with_a_wrong_password_is_refused(lab: XmppLab) -> None:
    process = await start(lab, f"bob@{lab.domain}", password="not hers")
    output = await finish(process, b"never sent")
    assert process.returncode != 0
    assert "auth" in output.lower()
    found = await lab.ledger.wait_for(
        lambda entry: isinstance(entry, Judged) and entry.verdict.reason is Reason.BAD_CREDENTIALS
    )
    assert isinstance(found, Judged)
    assert found.verdict.remedy


async def test_go_sendxmpp_refuses_a_certificate_that_it_does_not_trust(lab: XmppLab) -> None:
    lab.trust.write_bytes(lab.certificate.read_bytes())
    process = await start(lab, f"bob@{lab.domain}")
    output = await finish(process, b"never sent")
    assert process.returncode != 0
    assert "certificate" in output
    found = await lab.ledger.wait_for(
        lambda entry: isinstance(entry, Judged) and entry.verdict.reason is Reason.PEER_ALERT
    )
    assert found is not None


async def _logged_in(lab: XmppLab) -> None:
    found = await lab.ledger.wait_for(
        lambda entry: isinstance(entry, Judged) and "alice" in entry.verdict.detail and entry.verdict.accepted
    )
    assert found is not None


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
async def test_openssl_is_shown_cup_xmpp_behind_starttls(lab: XmppLab, version: str) -> None:
    openssl = require_program("openssl")
    common = (
        openssl,
        "s_client",
        version,
        "-connect",
        address(lab),
        "-partial_chain",
        "-verify_return_error",
    )
    starttls = ("-starttls", "xmpp", "-xmpphost", lab.domain, "-verify_hostname", lab.domain)
    pipes = {"stdin": asyncio.subprocess.PIPE, "stdout": asyncio.subprocess.PIPE}
    process = await asyncio.create_subprocess_exec(
        *common, *starttls, "-CAfile", str(lab.trust), stderr=asyncio.subprocess.STDOUT, **pipes
    )
    output = await finish(process)
    assert process.returncode == 0, output
    assert "Verify return code: 0 (ok)" in output
    pem = output[output.index("-----BEGIN") : output.index("-----END CERTIFICATE-----") + 25]
    shown = x509.load_pem_x509_certificate(pem.encode())
    listed = {each.name: each.certificate for each in lab.imp1.administration.certificate_management.find()}
    assert shown.fingerprint(SHA256()).hex() == listed[CertificatePurpose.CUP_XMPP].sha256
    twin = await asyncio.create_subprocess_exec(
        *common, *starttls, "-CAfile", str(lab.certificate), stderr=asyncio.subprocess.STDOUT, **pipes
    )
    assert "verify error" in await finish(twin)
    assert twin.returncode != 0
