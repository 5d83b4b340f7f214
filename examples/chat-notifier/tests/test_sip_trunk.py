"""What `openssl s_client` sees of the SIP proxy's port for peers: the TLS side of a SIP client, in a process."""

import shutil
import subprocess

import pytest

OPENSSL = shutil.which("openssl")
pytestmark = pytest.mark.skipif(OPENSSL is None, reason="openssl is not installed")

OPTIONS = (
    "OPTIONS sip:lab.example SIP/2.0\r\n"
    "Via: SIP/2.0/TLS client.lab.example:5061;branch=z9hG4bK-example;rport\r\n"
    "From: <sip:probe@lab.example>;tag=1\r\nTo: <sip:lab.example>\r\n"
    "Call-ID: example-1\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
)


def ask(node, certs, *, show=None, version: str = "-tls1_3") -> str:
    """Shake hands, send OPTIONS, return all that came back."""
    command = [
        OPENSSL, "s_client", "-connect", f"{node.address}:{node.ports.sip_tls_peer_auth}", version,
        "-CAfile", str(certs.trust), "-verify_return_error", "-quiet", "-no_ign_eof", "-nocommands",
    ]  # fmt: skip
    if show is not None:
        command += ["-cert", str(show.chain), "-cert_chain", str(show.chain), "-key", str(show.key)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        process.stdin.write(OPTIONS)
        process.stdin.flush()
        seen = ""
        for line in process.stdout:  # until the answer's end, or the refusal's
            seen += line
            if line.strip() == "" and "SIP/2.0" in seen:
                break
        process.kill()
    return seen


def test_a_trusted_certificate_gets_an_answer(lab, imp_node, certs) -> None:
    assert "SIP/2.0 200" in ask(imp_node, certs, show=certs.good)
    verdict = lab.expect_accepted("client.lab.example", node="imp1")
    assert verdict.cipher


@pytest.mark.parametrize(
    ("kind", "reason"),
    [("expired", "expired"), ("unknown-issuer", "untrusted issuer"), ("other-cn", "subject not in context")],
)
@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_one_thing_wrong_is_refused_for_that(lab, imp_node, certs, kind, reason, version) -> None:
    assert "SIP/2.0" not in ask(imp_node, certs, show=certs.wrong(kind), version=version)
    verdict = lab.expect_refusal(reason, node="imp1")
    assert verdict.remedy


def test_the_twin_of_the_wrong_ones(lab, imp_node, certs) -> None:
    assert "SIP/2.0 200" in ask(imp_node, certs, show=certs.issued_good())


@pytest.mark.scenario("sip-intracluster-tls")
def test_the_lab_still_does_what_the_guide_says(scenario_result) -> None:
    assert "G19" in scenario_result.covers
