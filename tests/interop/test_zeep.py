"""zeep, a SOAP client that nobody here wrote, reads the WSDL of a node and asks its AXL."""

import asyncio
import io
import zipfile
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from certs.purposes import CertificatePurpose
from certs.verdict import Reason
from harness.evidence.ledger import Ledger
from harness.lab import Lab
from harness.plan.lab_file import load_topology
from tests.interop.peers import require_module

pytestmark = pytest.mark.interop

BINDING = "{http://www.cisco.com/AXLAPIService/}AXLAPIBinding"


@dataclass
class Zeep:
    """A node's address, what its clients trust, and the toolkit's folder."""

    url: str
    trust: Path
    folder: Path
    password: str
    ledger: Ledger

    async def ask(self, call: Callable[[Any], Any], *, password: str = "", verify: str = "") -> Any:
        """Call an operation in a thread of its own, as the node runs in this one."""
        return await asyncio.to_thread(self._ask, call, password or self.password, verify or str(self.trust))

    def _ask(self, call: Callable[[Any], Any], password: str, verify: str) -> Any:
        import requests
        import zeep
        from zeep.transports import Transport

        with requests.Session() as session:
            session.verify = verify
            session.trust_env = False
            session.auth = ("axl", password)
            wsdl = self.folder / "AXLAPI.wsdl"
            if not wsdl.exists():
                toolkit = session.get(f"{self.url}/plugins/axlsqltoolkit.zip", timeout=10)
                archive = zipfile.ZipFile(io.BytesIO(toolkit.content))
                wsdl.write_bytes(archive.read("schema/9.0/AXLAPI.wsdl"))
            client = zeep.Client(str(wsdl), transport=Transport(session=session, operation_timeout=10))
            return call(client.create_service(BINDING, f"{self.url}/axl/"))


@pytest.fixture
async def zeep_client(tmp_path: Path) -> AsyncIterator[Zeep]:
    require_module("zeep")
    ledger = Ledger()
    async with Lab.start(load_topology(), work_directory=tmp_path / "lab", observer=ledger) as lab:
        imp1 = lab.imp[0]
        trust = tmp_path / "tomcat.pem"
        trust.write_bytes(imp1.administration.certificate_management.download(CertificatePurpose.TOMCAT))
        password = (await imp1.intercluster.axl_account()).password
        yield Zeep(f"https://{imp1.plan.address}:8443", trust, tmp_path, password, ledger)


async def test_the_product_s_operations(zeep_client: Zeep) -> None:
    version = await zeep_client.ask(lambda axl: axl.getCCMVersion())
    assert version["return"]["componentVersion"]["version"].startswith("9.0.1")
    users = await zeep_client.ask(
        lambda axl: axl.listUser(
            searchCriteria={"userid": "a%"}, returnedTags={"userid": "", "homeCluster": ""}
        )
    )
    (alice,) = users["return"]["user"]
    assert (alice["userid"], alice["homeCluster"], alice["imAndPresenceEnable"]) == ("alice", "true", None)
    nodes = await zeep_client.ask(
        lambda axl: axl.listProcessNode(
            searchCriteria={"name": "%"}, returnedTags={"name": "", "nodeUsage": ""}
        )
    )
    assert [(node["name"], node["nodeUsage"]) for node in nodes["return"]["processNode"]] == [
        ("imp1.lab.example", "Publisher"),
        ("imp2.lab.example", "Subscriber"),
    ]


async def test_the_lab_s_operations(zeep_client: Zeep) -> None:
    stamp = (await zeep_client.ask(lambda axl: axl.getInterclusterStamp()))["return"]
    assert (stamp["cluster"], stamp["domain"], bool(stamp["stamp"])) == ("imp", "lab.example", True)
    nodes = (await zeep_client.ask(lambda axl: axl.listInterclusterNode()))["return"]["node"]
    assert [(node["fqdn"], node["routerPort"]) for node in nodes] == [
        ("imp1.lab.example", 7400),
        ("imp2.lab.example", 7400),
    ]
    assert all(node["certificate"].startswith("-----BEGIN CERTIFICATE-----") for node in nodes)
    users = await zeep_client.ask(lambda axl: axl.listInterclusterUser(skip=1, first=1))
    assert [user["userid"] for user in users["return"]["user"]] == ["bob"]


async def test_a_fault_is_zeep_s_fault_with_axl_s_error(zeep_client: Zeep) -> None:
    from zeep.exceptions import Fault

    with pytest.raises(Fault, match="query request too large") as caught:
        await zeep_client.ask(lambda axl: axl.listInterclusterUser(first=5000))
    assert caught.value.code == "soapenv:Client"
    assert caught.value.detail.findtext(".//axlcode") == "5009"


async def test_a_wrong_password_is_401_and_a_verdict(zeep_client: Zeep) -> None:
    from zeep.exceptions import TransportError

    with pytest.raises(TransportError) as caught:
        await zeep_client.ask(lambda axl: axl.getCCMVersion(), password="wrong")
    assert caught.value.status_code == 401
    refused = [e.verdict for e in zeep_client.ledger.verdicts() if e.verdict.reason is Reason.BAD_CREDENTIALS]
    assert [verdict.clause for verdict in refused] == ["G06"]


async def test_a_client_that_does_not_trust_tomcat_asks_nothing(zeep_client: Zeep) -> None:
    import certifi
    from requests.exceptions import SSLError

    await zeep_client.ask(lambda axl: axl.getCCMVersion())
    with pytest.raises(SSLError, match="certificate verify failed"):
        await zeep_client.ask(lambda axl: axl.getCCMVersion(), verify=certifi.where())
    reasons = [entry.verdict.reason for entry in zeep_client.ledger.verdicts()]
    assert Reason.PEER_ALERT in reasons
