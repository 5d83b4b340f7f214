"""`imp-harness probe` against servers that nobody here wrote: openssl s_server, Prosody, Kamailio."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from certs.issuing import CertificateSpec, KeyAlgorithm, issue_self_signed, make_key
from certs.storage import write_atomically
from certs.wrong import FAULTS, Role, WrongCertificate, WrongCertificates
from harness.plan.addresses import reserve_range
from harness.probe.kinds import Outcome, Protocol, TlsMode
from harness.probe.probe import probe
from harness.probe.report import ProbeReport
from tests.interop.peers import require_program
from tests.interop.prosody import (
    CLIENT_PORT,
    DIRECT_CLIENT_PORT,
    DIRECT_SERVER_PORT,
    DOMAIN,
    SERVER_PORT,
    prosody_credential,
    running_prosody,
)

pytestmark = pytest.mark.interop

HOST = "server.example"
VISITOR = "visitor.example"


def wrong(report: ProbeReport) -> list[str]:
    return [each.what for each in report.findings if each.outcome is Outcome.WRONG]


def seen(report: ProbeReport) -> dict[str, str]:
    return {each.what: each.seen for each in report.findings}


@pytest.fixture
def address() -> Iterator[str]:
    with reserve_range(IPv4Network("127.77.243.0/24")) as reserved:
        yield str(reserved.network[11])


@asynccontextmanager
async def server(*command: str, ready: tuple[str, int]) -> AsyncIterator[None]:
    """Run a server until the block ends; it is there once its port answers."""
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        async with asyncio.timeout(15):
            while True:
                assert process.returncode is None, f"{command[0]} ended"
                try:
                    _, writer = await asyncio.open_connection(*ready)
                except OSError:
                    await asyncio.sleep(0.05)
                else:
                    writer.close()
                    break
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


@pytest.mark.parametrize("fault", list(WrongCertificate))
async def test_every_wrong_certificate_of_a_server_is_named(
    fault: WrongCertificate, address: str, tmp_path: Path
) -> None:
    issuer = WrongCertificates(HOST, address, now=datetime.now(UTC))
    ca = tmp_path / "ca.pem"
    write_atomically(ca, issuer.anchor_pem)
    made = {fault.value: issuer.issue(fault, Role.SERVER), "good": issuer.issue_good()}
    reports = {}
    for name, credential in made.items():
        pem, port = tmp_path / f"{name}.pem", 4433 + len(reports)
        write_atomically(pem, credential.chain_pem + credential.key_pem)
        async with server(
            require_program("openssl"), "s_server", "-accept", f"{address}:{port}", "-cert", str(pem),
            "-cert_chain", str(pem), "-www", "-quiet", "-cipher", "DEFAULT:@SECLEVEL=0",
            ready=(address, port),
        ):  # fmt: skip
            reports[name] = await probe(f"{address}:{port}", Protocol.HTTPS, ca=ca, server_name=HOST)
    assert reports["good"].is_ok, reports["good"].findings
    report = reports[fault.value]
    assert wrong(report) == ["TLS handshake"]
    handshake = report.findings[0]
    assert handshake.verdict is not None
    assert handshake.verdict.reason is FAULTS[fault].reason_as_server
    assert handshake.remedy
    assert report.chain[0].common_name
    assert "GET / (behind the refused certificate)" in seen(report)


async def test_an_old_version_of_tls_and_a_client_certificate_are_asked_for(
    address: str, tmp_path: Path
) -> None:
    issuer = WrongCertificates(HOST, address, now=datetime.now(UTC))
    good, pem, ca = issuer.issue_good(), tmp_path / "good.pem", tmp_path / "ca.pem"
    write_atomically(pem, good.chain_pem + good.key_pem)
    write_atomically(ca, issuer.anchor_pem)
    common = ("s_server", "-cert", str(pem), "-cert_chain", str(pem), "-www", "-quiet")
    openssl = require_program("openssl")
    old = ("-accept", f"{address}:4440", "-tls1_1", "-cipher", "DEFAULT:@SECLEVEL=0")
    async with server(openssl, *common, *old, ready=(address, 4440)):
        report = await probe(f"{address}:4440", Protocol.HTTPS, ca=ca, server_name=HOST)
        assert "protocol" in seen(report)["TLS handshake"], report.findings
    mutual = ("-accept", f"{address}:4441", "-Verify", "2", "-CAfile", str(ca), "-verify_return_error")
    async with server(openssl, *common, *mutual, ready=(address, 4441)):
        refused = await probe(f"{address}:4441", Protocol.HTTPS, ca=ca, server_name=HOST)
        assert "give --cert FILE" in refused.findings[-1].remedy, refused.findings
        let_in = await probe(f"{address}:4441", Protocol.HTTPS, ca=ca, server_name=HOST, certificate=pem)
        assert let_in.is_ok, let_in.findings


async def test_prosody_as_clients_and_as_servers_see_it(address: str, tmp_path: Path) -> None:
    credential = prosody_credential(address)
    spec = CertificateSpec.for_node(VISITOR, address, now=datetime.now(UTC), domain=VISITOR)
    known_peer, other_peer = (issue_self_signed(spec, make_key(KeyAlgorithm.EC_P256)) for _ in range(2))
    ca, pem, other_pem = (tmp_path / name for name in ("ca.pem", "known.pem", "other.pem"))
    write_atomically(ca, credential.chain_pem)
    write_atomically(pem, known_peer.chain_pem + known_peer.key_pem)
    write_atomically(other_pem, other_peer.chain_pem + other_peer.key_pem)
    async with running_prosody(
        tmp_path / "prosody", address, credential=credential, names={}, secure_auth=False,
        trusted=credential.chain_pem + known_peer.chain_pem,
    ):  # fmt: skip
        client = await probe(f"{address}:{CLIENT_PORT}", Protocol.XMPP, ca=ca, domain=DOMAIN)
        # This Prosody is told to take logins in the clear.
        assert wrong(client) == ["SASL before TLS"], client.findings
        assert seen(client)["STARTTLS"] == "offered, not required"
        assert "PLAIN" in seen(client)["SASL after TLS"]
        plain = await probe(
            f"{address}:{CLIENT_PORT}", Protocol.XMPP, ca=ca, domain=DOMAIN, mode=TlsMode.NONE
        )
        assert plain.is_ok, plain.findings
        stranger = await probe(f"{address}:{CLIENT_PORT}", Protocol.XMPP, domain=DOMAIN)
        assert "untrusted issuer" in seen(stranger)["TLS handshake"]
        assert "PLAIN" in seen(stranger)["SASL after TLS (behind the refused certificate)"]
        for port, protocol in (
            (DIRECT_CLIENT_PORT, Protocol.XMPP),
            (DIRECT_SERVER_PORT, Protocol.XMPP_SERVER),
        ):
            direct = await probe(f"{address}:{port}", protocol, ca=ca, domain=DOMAIN, mode=TlsMode.DIRECT)
            assert direct.is_ok, direct.findings
            assert seen(direct)["TLS handshake"].startswith("accepted, TLSv1.3")
            assert "STARTTLS" not in seen(direct)
            unknown = await probe(f"{address}:{port}", protocol, domain=DOMAIN, mode=TlsMode.DIRECT)
            assert wrong(unknown) == ["TLS handshake"], unknown.findings
        visitor = await probe(f"{address}:{SERVER_PORT}", Protocol.XMPP_SERVER, ca=ca, domain=DOMAIN)
        assert visitor.is_ok, visitor.findings
        assert seen(visitor)["STARTTLS"] == "required"
        assert seen(visitor)["server dialback"].startswith("offered")
        asked_for = (f"{address}:{SERVER_PORT}", Protocol.XMPP_SERVER)
        known = await probe(*asked_for, ca=ca, domain=DOMAIN, certificate=pem, sender=VISITOR)
        assert known.is_ok, known.findings
        assert seen(known)["SASL EXTERNAL"] == "the certificate of --cert is accepted"
        other = await probe(*asked_for, ca=ca, domain=DOMAIN, certificate=other_pem, sender=VISITOR)
        assert "SASL EXTERNAL" not in seen(other)
        itself = await probe(*asked_for, ca=ca, domain=DOMAIN, sender=DOMAIN)
        assert wrong(itself) == ["stream error"]


KAMAILIO = """\
#!KAMAILIO
debug=0
log_stderror=yes
fork=yes
children=1
tcp_children=1
auto_aliases=no
dns=no
rev_dns=no
enable_tls=yes
listen=tls:{address}:5061
listen=tcp:{address}:5060
listen=udp:{address}:5060
mpath="{modules}"
loadmodule "sl.so"
loadmodule "tls.so"
modparam("tls", "tls_method", "TLSv1.2+")
modparam("tls", "certificate", "{folder}/good.pem")
modparam("tls", "private_key", "{folder}/good.pem")
modparam("tls", "ca_list", "{folder}/ca.pem")
modparam("tls", "require_certificate", 1)
modparam("tls", "verify_certificate", 1)
request_route {{
    if (method=="OPTIONS" && uri=~"server.example") {{ sl_send_reply("200", "Here"); exit; }}
    sl_send_reply("404", "Not Here");
}}
"""


async def test_kamailio_over_each_transport(address: str, tmp_path: Path) -> None:
    issuer = WrongCertificates(HOST, address, now=datetime.now(UTC))
    good, ca, pem = issuer.issue_good(), tmp_path / "ca.pem", tmp_path / "good.pem"
    write_atomically(ca, issuer.anchor_pem)
    write_atomically(pem, good.chain_pem + good.key_pem)
    modules = "/usr/lib/x86_64-linux-gnu/kamailio/modules/"
    modules = modules if Path(modules).is_dir() else "/usr/lib/kamailio/modules/"
    configuration = tmp_path / "kamailio.cfg"
    configuration.write_text(
        KAMAILIO.format(address=address, folder=tmp_path, modules=modules), encoding="utf-8"
    )
    command = (require_program("kamailio"), "-DD", "-E", "-Y", str(tmp_path), "-P", str(tmp_path / "pid"))
    async with server(*command, "-f", str(configuration), ready=(address, 5060)):
        for udp in (False, True):
            report = await probe(f"{address}:5060", Protocol.SIP, mode=TlsMode.NONE, udp=udp, domain=HOST)
            assert report.is_ok, report.findings
            assert seen(report)["SIP OPTIONS"] == "200 Here"
        secure = await probe(
            f"{address}:5061", Protocol.SIP, ca=ca, certificate=pem, server_name=HOST, domain=HOST
        )
        assert secure.is_ok, secure.findings
        assert secure.chain[0].common_name == HOST
        refused = await probe(f"{address}:5061", Protocol.SIP, ca=ca, server_name=HOST, domain=HOST)
        assert "give --cert FILE" in refused.findings[-1].remedy, refused.findings
        elsewhere = await probe(f"{address}:5060", Protocol.SIP, mode=TlsMode.NONE)
        assert wrong(elsewhere) == ["SIP OPTIONS"]
        assert elsewhere.findings[0].seen == "404 Not Here"
