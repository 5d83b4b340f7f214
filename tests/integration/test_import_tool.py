"""The Certificate Import Tool against real ports: two reports, told apart (G13, G14)."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trustme

from certs.errors import ConnectionFailed
from certs.import_tool import CertificateImportTool
from certs.key_store import KeyStore
from certs.purposes import TrustStoreName
from certs.verdict import Reason
from proxies.clock import LoopClock
from proxies.tls import TlsServerSettings, TlsVersion, TrustPolicy
from tests.integration.tls_peers import SERVER, Lab, issue, listening

CUP_TRUST = TrustStoreName.CUP_TRUST


class Imports:
    """Remembers what the node was told of."""

    def __init__(self) -> None:
        self.seen: list[tuple[TrustStoreName, str, str]] = []

    async def __call__(self, store: TrustStoreName, subject: str, address: str) -> None:
        self.seen.append((store, subject, address))


@pytest.fixture
def imports() -> Imports:
    return Imports()


@pytest.fixture
def tool(tmp_path: Path, imports: Imports) -> CertificateImportTool:
    def resolve(name: str) -> str:
        if name == "nowhere.example":
            raise ConnectionFailed("nowhere.example is no name of the lab")
        return SERVER

    return CertificateImportTool(KeyStore(tmp_path), resolve=resolve, imported=imports, timeout=2.0)


@pytest.fixture(params=[TlsVersion.TLS_1_2, TlsVersion.TLS_1_3])
async def peer(request: pytest.FixtureRequest) -> AsyncIterator[Lab]:
    """A listener that would refuse us: it wants a certificate that the tool does not show."""
    lab = Lab(trustme.CA(key_type=trustme.KeyType.ECDSA), LoopClock())
    settings = TlsServerSettings(
        credential=issue(lab.authority, "cucm1.example"),
        require_client_certificate=True,
        trust=TrustPolicy(certificates=(lab.anchor,)),
        minimum_version=request.param,
        maximum_version=request.param,
    )
    async with listening(settings, lab):
        yield lab


async def test_a_good_port_is_connected_downloaded_and_told_on(
    peer: Lab, tool: CertificateImportTool, imports: Imports
) -> None:
    report = await tool.submit(CUP_TRUST, "cucm1.example", peer.address[1])
    assert (report.connected, report.downloaded, report.subject) == (True, True, "cucm1.example")
    assert imports.seen == [(CUP_TRUST, "cucm1.example", "cucm1.example")]


async def test_an_unreachable_host_is_not_connected(tool: CertificateImportTool, imports: Imports) -> None:
    report = await tool.submit(CUP_TRUST, "cucm1.example", 1)
    assert (report.connected, report.downloaded, report.reason) == (False, False, Reason.UNREACHABLE)
    assert "Certificate Management" in report.remedy
    assert imports.seen == []


async def test_a_name_that_nobody_has_is_not_connected(tool: CertificateImportTool) -> None:
    report = await tool.submit(CUP_TRUST, "nowhere.example", 5061)
    assert (report.connected, report.downloaded) == (False, False)
    assert "no name of the lab" in report.detail


@pytest.mark.parametrize("answer", [b"SIP/2.0 400 Bad Request\r\n\r\n", b""])
async def test_a_port_that_speaks_no_tls_is_connected_but_not_downloaded(
    answer: bytes, tool: CertificateImportTool, imports: Imports
) -> None:
    async def speak_plainly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(answer)
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(speak_plainly, SERVER) as server:
        report = await tool.submit(CUP_TRUST, "cucm1.example", server.sockets[0].getsockname()[1])
    assert (report.connected, report.downloaded, report.reason) == (True, False, Reason.NOT_TLS)
    assert "Certificate Management" in report.remedy
    assert imports.seen == []
