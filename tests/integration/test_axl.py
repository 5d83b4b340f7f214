"""The AXL web service over https: who is let in, what is answered, and what is a fault."""

import base64
import io
import ssl
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

import aiohttp
import pytest

from certs.purposes import CertificatePurpose
from certs.verdict import Reason
from harness.evidence.ledger import Ledger
from harness.lab import Lab
from harness.plan.lab_file import load_topology
from proxies.http.axl.names import API, LAB
from proxies.http.soap import ENVELOPE

GOOD = f"<n:getCCMVersion xmlns:n='{API}'/>"


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    headers: dict[str, str]

    @property
    def text(self) -> str:
        return self.body.decode()


@dataclass
class Asker:
    """Asks imp1's AXL as any program would."""

    session: aiohttp.ClientSession
    url: str
    ledger: Ledger
    password: str

    async def post(
        self, inside: str, *, login: str | None = "", action: str = "", raw: bytes | None = None
    ) -> Answer:
        headers = {"Content-Type": "text/xml; charset=utf-8"}
        if action:
            headers["SOAPAction"] = action
        if login is not None:
            pair = login or f"axl:{self.password}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        body = raw or f"<s:Envelope xmlns:s='{ENVELOPE}'><s:Body>{inside}</s:Body></s:Envelope>".encode()
        async with self.session.post(f"{self.url}/axl/", data=io.BytesIO(body), headers=headers) as response:
            return Answer(response.status, await response.read(), dict(response.headers))


@asynccontextmanager
async def asking(folder: Path) -> AsyncIterator[Asker]:
    ledger = Ledger()
    async with Lab.start(load_topology(), work_directory=folder, observer=ledger) as lab:
        imp1 = lab.imp[0]
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        pem = imp1.administration.certificate_management.download(CertificatePurpose.TOMCAT)
        context.load_verify_locations(cadata=pem.decode())
        connector = aiohttp.TCPConnector(ssl=context)
        async with aiohttp.ClientSession(connector=connector) as session:
            password = (await imp1.intercluster.axl_account()).password
            yield Asker(session, f"https://{imp1.plan.address}:8443", ledger, password)


@pytest.fixture
async def asker(tmp_path: Path) -> AsyncIterator[Asker]:
    async with asking(tmp_path) as made:
        yield made


async def test_name_and_password_are_let_in_and_anything_else_is_not(asker: Asker) -> None:
    answer = await asker.post(GOOD)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/xml; charset=utf-8")
    assert "<version>9.0.1" in answer.text
    for login in ("axl:wrong", f"other:{asker.password}", "axl:", ":", "axl", "axl:\u00e4"):
        answer = await asker.post(GOOD, login=login)
        assert answer.status == 401, login
        assert answer.headers["WWW-Authenticate"].startswith("Basic realm=")
        assert "9.0.1" not in answer.text
    assert (await asker.post(GOOD, login=None)).status == 401
    refused = [e.verdict for e in asker.ledger.verdicts() if e.verdict.reason is Reason.BAD_CREDENTIALS]
    assert len(refused) == 6
    assert {verdict.clause for verdict in refused} == {"G06"}
    assert asker.password not in repr(refused)


async def test_what_is_no_request_is_a_fault(asker: Asker) -> None:
    for raw, text in (
        (b"no xml", "well-formed XML"),
        (f"<!DOCTYPE a [<!ENTITY b 'c'>]>{GOOD}".encode(), "document type declaration"),
    ):
        answer = await asker.post("", raw=raw)
        assert answer.status == 500
        assert "<faultcode>soapenv:Client</faultcode>" in answer.text
        assert text in answer.text
    assert "no operation" in (await asker.post(f"<n:doReset xmlns:n='{API}'/>")).text
    assert (await asker.post(GOOD)).status == 200


async def test_a_request_that_is_too_large_is_refused(asker: Asker) -> None:
    answer = await asker.post("", raw=b"<" + b"a" * (1024 * 1024 + 1))
    assert answer.status == 500
    assert "at most 1048576 bytes" in answer.text
    assert (await asker.post("", raw=b"a" * (5 * 1024 * 1024))).status == 413


async def test_another_schema_s_action_is_refused_and_ours_is_not(asker: Asker) -> None:
    assert (await asker.post(GOOD, action='"CUCM:DB ver=9.0 getCCMVersion"')).status == 200
    answer = await asker.post(GOOD, action='"CUCM:DB ver=14.0 getCCMVersion"')
    assert answer.status == 599
    assert "ver=14.0" in answer.text


async def test_the_wsdl_is_in_the_toolkit_and_at_the_service(asker: Asker) -> None:
    async with asker.session.get(f"{asker.url}/plugins/axlsqltoolkit.zip") as response:
        archive = zipfile.ZipFile(io.BytesIO(await response.read()))
    packed = archive.read("schema/9.0/AXLAPI.wsdl")
    assert b'location="https://imp1.lab.example:8443/axl/"' in packed
    pair = base64.b64encode(f"axl:{asker.password}".encode()).decode()
    headers = {"Authorization": f"Basic {pair}"}
    async with asker.session.get(f"{asker.url}/axl/?wsdl", headers=headers) as response:
        assert await response.read() == packed
    async with asker.session.get(f"{asker.url}/axl/", headers=headers) as response:
        assert "The AXL web service of imp1 works" in await response.text()
    async with asker.session.get(f"{asker.url}/axl/?wsdl") as response:
        assert response.status == 401


async def test_certificates_of_nodes_are_told_and_passwords_of_users_are_not(asker: Asker) -> None:
    nodes = await asker.post(f"<n:listInterclusterNode xmlns:n='{LAB}'/>")
    found = ET.fromstring(nodes.body).findall(".//node/certificate")
    assert [(each.text or "")[:27] for each in found] == ["-----BEGIN CERTIFICATE-----"] * 2
    users = await asker.post(f"<n:listInterclusterUser xmlns:n='{LAB}'/>")
    rows = ET.fromstring(users.body).findall(".//user")
    assert [[(field.tag, field.text) for field in row] for row in rows] == [
        [("userid", "alice"), ("homeNode", "imp1.lab.example")],
        [("userid", "bob"), ("homeNode", "imp2.lab.example")],
    ]
