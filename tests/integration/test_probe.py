"""`imp-harness probe` against the lab's own services, each refusal beside the twin that is all well."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import dnslib
import pytest

from certs.errors import ConfigError, ConnectionFailed
from certs.purposes import CertificatePurpose
from harness.endpoint.ready import ClientFiles, make_ready
from harness.lab import Lab
from harness.plan.lab_file import load_topology
from harness.probe.kinds import Outcome, Protocol, TlsMode
from harness.probe.probe import probe
from harness.probe.report import ProbeReport

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Ready:
    lab: Lab
    files: ClientFiles

    @property
    def address(self) -> str:
        return self.lab.imp[0].plan.address


@pytest.fixture
async def ready(tmp_path: Path) -> AsyncIterator[Ready]:
    async with Lab.start(load_topology(), work_directory=tmp_path / "lab") as lab:
        yield Ready(lab, await make_ready(lab, tmp_path / "clients"))


def wrong(report: ProbeReport) -> list[tuple[str, str]]:
    return [(each.what, each.remedy) for each in report.findings if each.outcome is Outcome.WRONG]


def seen(report: ProbeReport) -> dict[str, str]:
    return {each.what: each.seen for each in report.findings}


async def test_a_sip_server_that_lets_us_in(ready: Ready) -> None:
    report = await probe(
        f"{ready.address}:5062", Protocol.SIP, ca=ready.files.trust, certificate=ready.files.good,
        domain="lab.example",
    )  # fmt: skip
    assert report.is_ok, report.findings
    assert [each.common_name for each in report.chain] == ["imp1.lab.example"]
    assert seen(report)["TLS handshake"].startswith("accepted, TLSv1.3 TLS_")
    assert seen(report)["SIP OPTIONS"].startswith("200")


async def test_without_a_certificate_the_late_alert_is_told(ready: Ready) -> None:
    report = await probe(f"{ready.address}:5062", Protocol.SIP, ca=ready.files.trust)
    assert wrong(report) == [
        (
            "the server's answer to our handshake",
            "The server wants a client certificate: give --cert FILE and --key FILE.",
        )
    ]
    refused = await probe(
        f"{ready.address}:5062", Protocol.SIP, ca=ready.files.trust, certificate=ready.files.stranger
    )
    assert wrong(refused)[0][1].startswith("The server does not trust the issuer of --cert")


async def test_a_server_that_is_not_trusted_is_looked_at_all_the_same(ready: Ready) -> None:
    report = await probe(f"{ready.address}:5061", Protocol.SIP, ca=ready.files.stranger, domain="lab.example")
    ((what, remedy),) = wrong(report)
    assert what == "TLS handshake"
    assert remedy.startswith("Trust the server's certificate, or its issuer's, with --ca FILE")
    assert "untrusted issuer" in seen(report)["TLS handshake"]
    assert seen(report)["behind the refused certificate"].startswith("SIP OPTIONS: 200")


async def test_another_name_is_refused(ready: Ready) -> None:
    report = await probe(
        f"{ready.address}:5061", Protocol.SIP, ca=ready.files.trust, server_name="other.example"
    )
    assert "host name mismatch" in seen(report)["TLS handshake"]
    assert "--server-name" in wrong(report)[0][1]


@pytest.mark.parametrize("udp", [False, True])
async def test_sip_without_tls(ready: Ready, udp: bool) -> None:
    report = await probe(
        f"{ready.address}:5060", Protocol.SIP, mode=TlsMode.NONE, udp=udp, domain="lab.example"
    )
    assert report.is_ok, report.findings
    assert report.chain == ()


async def test_plain_tcp_where_tls_was_asked_for_names_the_option(ready: Ready) -> None:
    report = await probe(f"{ready.address}:5222", Protocol.SIP, within=2)
    ((_, remedy),) = wrong(report)
    assert "--tls" in remedy


async def test_an_xmpp_server_before_and_after_tls(ready: Ready, tmp_path: Path) -> None:
    management = ready.lab.imp[0].administration.certificate_management
    pem = tmp_path / "cup-xmpp.pem"
    pem.write_bytes(management.download(CertificatePurpose.CUP_XMPP))
    name = ready.lab.imp[0].plan.fqdn
    report = await probe(
        f"{ready.address}:5222", Protocol.XMPP, ca=pem, domain="lab.example", server_name=name
    )
    assert report.is_ok, report.findings
    assert seen(report)["STARTTLS"] == "required"
    assert "SCRAM-SHA-256" in seen(report)["SASL after TLS"]
    other = await probe(
        f"{ready.address}:5222", Protocol.XMPP, ca=pem, domain="lab.example", server_name="other.example"
    )
    assert "XMPP domain not in the certificate" in seen(other)["TLS handshake"]
    assert "SASL after TLS (behind the refused certificate)" in seen(other)
    unknown = await probe(
        f"{ready.address}:5222", Protocol.XMPP, ca=pem, domain="other.example", server_name=name
    )
    assert wrong(unknown) == [
        ("stream error", "The server does not serve other.example: name its domain by --domain.")
    ]


async def test_an_xmpp_server_for_servers(ready: Ready, tmp_path: Path) -> None:
    management = ready.lab.imp[0].administration.certificate_management
    pem = tmp_path / "s2s.pem"
    pem.write_bytes(management.download(CertificatePurpose.CUP_XMPP_S2S))
    report = await probe(f"{ready.address}:5269", Protocol.XMPP_SERVER, ca=pem, domain="lab.example")
    assert seen(report)["server dialback"].startswith("offered"), report.findings
    client = await probe(
        f"{ready.address}:5222", Protocol.XMPP_SERVER, ca=pem, domain="lab.example", within=2
    )
    assert wrong(client)[0][1].startswith("This port is for clients: --as xmpp")


async def test_bosh_and_https(ready: Ready) -> None:
    port = ready.lab.imp[0].plan.ports.http_binding
    report = await probe(f"{ready.address}:{port}", Protocol.BOSH, mode=TlsMode.NONE, domain="lab.example")
    assert report.is_ok, report.findings
    assert seen(report)["BOSH session"].startswith("created: wait")
    assert "host-meta" in seen(report)
    elsewhere = await probe(
        f"{ready.address}:{port}", Protocol.BOSH, mode=TlsMode.NONE, domain="lab.example", path="bosh"
    )
    assert "--path" in wrong(elsewhere)[0][1]


async def test_https_of_the_administration(ready: Ready, tmp_path: Path) -> None:
    imp = ready.lab.imp[0]
    pem = tmp_path / "tomcat.pem"
    pem.write_bytes(imp.administration.certificate_management.download(CertificatePurpose.TOMCAT))
    tomcat = f"{ready.address}:{imp.plan.ports.tomcat}"
    report = await probe(tomcat, Protocol.HTTPS, ca=pem)
    assert report.is_ok, report.findings
    assert report.chain[0].common_name == imp.plan.fqdn
    assert "GET /" in seen(report)
    other = await probe(tomcat, Protocol.HTTPS, ca=ready.files.good)
    assert wrong(other)[0][0] == "TLS handshake"
    assert "GET / (behind the refused certificate)" in seen(other)
    plain = await probe(f"{ready.address}:5060", Protocol.HTTPS, within=2)
    assert "--tls none" in wrong(plain)[0][1]


async def test_srv_records_lead_to_the_server(ready: Ready) -> None:
    """A DNS server of two lines; the domain is all that is given."""

    class Names(asyncio.DatagramProtocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
            question = dnslib.DNSRecord.parse(data)
            answer = question.reply()
            name = str(question.q.qname)
            if name == "_xmpp-client._tcp.lab.example.":
                answer.add_answer(*dnslib.RR.fromZone(f"{name} 60 SRV 0 5 5222 imp1.lab.example."))
            if name == "imp1.lab.example.":
                answer.add_answer(*dnslib.RR.fromZone(f"{name} 60 A {ready.address}"))
            self.transport.sendto(answer.pack(), address)  # type: ignore[attr-defined]

    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Names, local_addr=("127.0.0.1", 0))
    dns = "127.0.0.1:{}".format(transport.get_extra_info("sockname")[1])
    try:
        report = await probe("lab.example", Protocol.XMPP, ca=ready.files.trust, dns=dns)
        assert seen(report)["SRV record"] == f"_xmpp-client._tcp.lab.example leads to {ready.address}:5222"
        assert seen(report)["STARTTLS"] == "required"
    finally:
        transport.close()


async def test_nobody_there_is_no_verdict() -> None:
    for protocol in Protocol:
        with pytest.raises(ConnectionFailed, match=r"nobody answers at 127\.77\.0\.1:9"):
            await probe("127.77.0.1:9", protocol, within=2)


@pytest.mark.parametrize(
    ("target", "options", "message"),
    [
        ("a b", {}, "target: expected HOST:PORT"),
        ("127.0.0.1:70000", {}, "expected a port from 1 to 65535, seen 70000"),
        ("127.0.0.1:9", {"mode": TlsMode.STARTTLS}, "--tls: expected direct or none for sip, seen starttls"),
        ("127.0.0.1:9", {"mode": TlsMode.DIRECT, "udp": True}, "--udp is for --as sip without TLS"),
        ("127.0.0.1:9", {"key": Path("x")}, "--key needs --cert"),
    ],
)
async def test_arguments_that_cannot_be_used_are_named(
    target: str, options: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        await probe(target, Protocol.SIP, **options)  # type: ignore[arg-type]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "harness.cli", "probe", *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=50, check=False,
    )  # fmt: skip


async def test_the_command_s_exit_statuses(ready: Ready) -> None:
    trust, good = str(ready.files.trust), str(ready.files.good)
    secure = [f"{ready.address}:5062", "--as", "sip", "--ca", trust, "--domain", "lab.example"]
    well = await asyncio.to_thread(run, *secure, "--cert", good)
    assert well.returncode == 0, well.stdout + well.stderr
    assert "✔ TLS handshake: accepted, TLSv1.3" in well.stdout
    assert "0: CN=imp1.lab.example" in well.stdout
    assert "SHA-256 " in well.stdout
    assert "✔ all is well" in well.stdout
    refused = await asyncio.to_thread(run, *secure, "--json")
    assert refused.returncode == 1
    report = json.loads(refused.stdout)
    assert (report["outcome"], report["as"]) == ("wrong", "sip")
    assert report["findings"][0]["verdict"]["presented_chain"][0]["subject"] == "CN=imp1.lab.example"
    nobody = await asyncio.to_thread(run, "127.77.0.1:9", "--as", "xmpp")
    assert nobody.returncode == 2
    assert nobody.stderr.startswith("imp-harness: nobody answers at 127.77.0.1:9")
    assert "check address and port" in nobody.stderr
