"""tshark reads trace.pcapng as it is: SIP and XMPP, over UDP, TCP, TLS 1.2, TLS 1.3 and after STARTTLS, decrypted."""

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from harness.actors.sip import client_address
from harness.actors.xmpp import XmppClient, leave
from harness.evidence.capture.recorder import WireRecorder
from harness.evidence.capture.trace import finish_trace
from harness.evidence.ledger import Ledger
from harness.lab import Lab
from harness.plan.lab_file import LabFile, load_topology
from harness.processes.process_node import as_process_node
from tests.integration.test_process_nodes import lab_file as with_process_node
from tests.interop.peers import require_program

pytestmark = [pytest.mark.interop, pytest.mark.timeout(180)]

VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
OPTIONS = (
    "OPTIONS sip:lab.example SIP/2.0\r\nVia: SIP/2.0/{transport} {host}:{port};rport;branch=z9hG4bKtrace\r\n"
    "Max-Forwards: 70\r\nFrom: <sip:al@lab.example>;tag=1\r\nTo: <sip:lab.example>\r\nCall-ID: trace\r\n"
    "CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
)


class Traced:
    """A lab whose ledger has a tap."""

    def __init__(self, lab: Lab, ledger: Ledger) -> None:
        self.lab = lab
        self.ledger = ledger
        self.imp1 = lab.imp[0]

    async def options(self, port: int, ssl_context: ssl.SSLContext | None = None) -> None:
        """Ask the SIP proxy something and wait for its answer."""
        host = client_address(self.lab)
        reader, writer = await asyncio.open_connection(
            self.imp1.plan.address, port, ssl=ssl_context, local_addr=(host, 0)
        )
        own = writer.get_extra_info("sockname")[1]
        transport = "TLS" if ssl_context else "TCP"
        writer.write(OPTIONS.format(transport=transport, host=host, port=own).encode())
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"SIP/2.0 ")
        writer.close()
        await writer.wait_closed()

    async def log_in(self, ssl_context: ssl.SSLContext) -> None:
        user = await self.lab.user("alice")
        client = XmppClient(f"alice@{self.imp1.plan.domain}", user.digest_password, ssl_context)
        # COMPAT: slixmpp 1.17 binds to tls-unique under TLS 1.2, which the server does not offer.
        client.plugin["feature_mechanisms"].use_mech = "PLAIN"
        client.connect(self.imp1.plan.address, self.imp1.plan.ports.xmpp_client)
        try:
            async with asyncio.timeout(20):
                assert (await client.outcome).accepted
                client.chat(f"alice@{self.imp1.plan.domain}", "seen by tshark")
                await client.next_message()
        finally:
            await leave(client)


@asynccontextmanager
async def traced(
    folder: Path, *, keep_secrets: bool = True, lab_file: LabFile | None = None
) -> AsyncIterator[Traced]:
    """A lab, and its capture when it is down."""
    recorder = WireRecorder(now=lambda: datetime.now(UTC), keep_secrets=keep_secrets)
    ledger = Ledger(tap=recorder)
    topology = lab_file or load_topology()
    async with Lab.start(topology, work_directory=folder / "lab", observer=ledger) as lab:
        yield Traced(lab, ledger)
    assert finish_trace(folder, ledger, addresses={node.address: node.fqdn for node in lab.plan.nodes})


def unverified(version: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = context.maximum_version = VERSIONS[version]
    return context


def tshark(folder: Path, wanted: str, *fields: str, options: tuple[str, ...] = ()) -> list[str]:
    """Return what tshark shows of the packets that fit a display filter; nothing tells it how to decode."""
    command = [require_program("tshark"), *options, "-r", str(folder / "trace.pcapng"), "-Y", wanted]
    if fields:
        command += ["-T", "fields", *(part for field in fields for part in ("-e", field))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=True)
    return done.stdout.splitlines()


async def test_sip_over_udp_and_tcp(tmp_path: Path) -> None:
    require_program("tshark")
    async with traced(tmp_path) as lab:
        await lab.options(lab.imp1.plan.ports.sip)
        host = client_address(lab.lab)
        answered = asyncio.get_running_loop().create_future()

        class Asker(asyncio.DatagramProtocol):
            def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
                answered.set_result(data)

        socket, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            Asker, local_addr=(host, 0), remote_addr=(lab.imp1.plan.address, lab.imp1.plan.ports.sip)
        )
        port = socket.get_extra_info("sockname")[1]
        socket.sendto(OPTIONS.format(transport="UDP", host=host, port=port).encode())
        async with asyncio.timeout(20):
            await answered
        socket.close()
    for transport in ("udp", "tcp"):
        assert tshark(tmp_path, f"sip.Method == OPTIONS and {transport}.dstport == 5060")
        assert tshark(tmp_path, f"sip.Status-Code and {transport}.srcport == 5060")
    assert not tshark(tmp_path, "tcp.analysis.flags or ip.checksum.status == Bad")


@pytest.mark.parametrize("version", VERSIONS)
async def test_sip_over_tls_is_decrypted(tmp_path: Path, version: str) -> None:
    require_program("tshark")
    async with traced(tmp_path) as lab:
        await lab.options(lab.imp1.plan.ports.sip_tls_server_auth, unverified(version))
    assert tshark(tmp_path, "tls.handshake.type == 11 and tcp.srcport == 5061"), "the certificate can be read"
    assert tshark(tmp_path, "tls and sip.Method == OPTIONS", "tcp.dstport") == ["5061"]
    assert tshark(tmp_path, "tls and sip.Status-Code", "tcp.srcport") == ["5061"]


@pytest.mark.parametrize("version", VERSIONS)
async def test_xmpp_after_starttls_is_decrypted(tmp_path: Path, version: str) -> None:
    require_program("tshark")
    async with traced(tmp_path) as lab:
        await lab.log_in(unverified(version))
    in_the_clear = tshark(tmp_path, "xmpp and not tls and tcp.port == 5222")
    assert any("PROCEED" in line for line in in_the_clear), in_the_clear
    assert len(tshark(tmp_path, "tls and xmpp.message and tcp.port == 5222")) == 2
    assert tshark(tmp_path, "tls and xmpp.presence")


async def test_a_node_in_a_process_of_its_own_is_captured_and_decrypted_too(tmp_path: Path) -> None:
    require_program("tshark")
    async with traced(tmp_path, lab_file=with_process_node()) as lab:
        for _ in ("before", "after"):
            await lab.options(lab.imp1.plan.ports.sip_tls_server_auth, unverified("1.3"))
            await as_process_node(lab.imp1).reboot()
    assert tshark(tmp_path, "tls and sip.Method == OPTIONS", "tcp.dstport") == ["5061", "5061"]
    assert tshark(tmp_path, "tls and sip.Status-Code", "tcp.srcport") == ["5061", "5061"]
    assert not tshark(tmp_path, "tcp.analysis.flags")


async def test_its_secrets_stay_secret_where_no_capture_is_to_have_them(tmp_path: Path) -> None:
    require_program("tshark")
    async with traced(tmp_path, keep_secrets=False, lab_file=with_process_node()) as lab:
        await lab.options(lab.imp1.plan.ports.sip_tls_server_auth, unverified("1.3"))
    assert tshark(tmp_path, "tls.handshake.type == 2 and tcp.srcport == 5061")
    assert not tshark(tmp_path, "tls and sip")


async def test_messages_on_other_ports_stand_beside_under_their_protocol_s_name(tmp_path: Path) -> None:
    require_program("tshark")
    async with traced(tmp_path):
        pass
    beside = tshark(tmp_path, "xmpp and exported_pdu", "exported_pdu.dst_port")
    assert "7400" in beside, "the plain stream between the routers"


async def test_without_secrets_the_refusals_and_handshakes_remain(tmp_path: Path) -> None:
    require_program("tshark")
    async with traced(tmp_path, keep_secrets=False) as lab:
        await lab.options(lab.imp1.plan.ports.sip_tls_server_auth, unverified("1.3"))
    assert tshark(tmp_path, "tls.handshake.type == 1")
    assert not tshark(tmp_path, "tls and sip")
    assert not tshark(tmp_path, "sip")


async def test_a_refusal_explains_itself_in_a_packet_comment(tmp_path: Path) -> None:
    require_program("tshark")
    async with traced(tmp_path) as lab:
        with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
            await lab.options(lab.imp1.plan.ports.sip_tls_peer_auth, unverified("1.3"))
    comments = "\n".join(tshark(tmp_path, "frame.comment", "frame.comment"))
    assert "imp1: refused: no certificate" in comments
    assert "remedy:" in comments
    assert any("imp1.lab.example" in line for line in tshark(tmp_path, "tls", "ip.host", options=("-N", "n")))
