"""Cisco Tomcat on a node: its certificate, its applications, and a restart asked for through itself."""

import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from certs.purposes import CertificatePurpose, ServiceName
from certs.verdict import Reason, Verdict
from harness.evidence.ledger import Ledger
from harness.lab import Lab
from harness.nodes.node import CucmNode, ImpNode
from harness.plan.lab_file import load_topology
from proxies.http.tomcat import HTTP_LISTENER
from proxies.tls.settings import TlsVersion

TOMCAT = ServiceName.TOMCAT


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
async def lab(tmp_path: Path, ledger: Ledger) -> AsyncIterator[Lab]:
    async with Lab.start(load_topology(), work_directory=tmp_path, observer=ledger) as lab:
        yield lab


def trusting(node: ImpNode | CucmNode) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    pem = node.administration.certificate_management.download(CertificatePurpose.TOMCAT)
    context.load_verify_locations(cadata=pem.decode("ascii"))
    return context


def url(node: ImpNode | CucmNode, path: str = "/") -> str:
    return f"https://{node.plan.address}:{node.plan.ports.tomcat}{path}"


def at_tomcat(ledger: Ledger, node: str) -> list[Verdict]:
    return [each.verdict for each in ledger.verdicts(node=node) if each.connection.service == TOMCAT]


async def test_every_node_serves_https_with_its_tomcat_certificate(lab: Lab, ledger: Ledger) -> None:
    for node in (*lab.imp, *lab.cucm):
        async with aiohttp.ClientSession() as http, http.get(url(node), ssl=trusting(node)) as answer:
            assert answer.status == 200
            assert node.plan.fqdn in await answer.text()
        assert [verdict.reason for verdict in at_tomcat(ledger, node.plan.name)] == [Reason.ACCEPTED]


async def test_another_node_s_certificate_is_not_believed(lab: Lab, ledger: Ledger) -> None:
    imp1, imp2 = lab.imp
    async with aiohttp.ClientSession() as http:
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await http.get(url(imp1), ssl=trusting(imp2))
    await ledger.wait_for(lambda _: bool(at_tomcat(ledger, "imp1")))
    assert [verdict.accepted for verdict in at_tomcat(ledger, "imp1")] == [False]


async def test_tls_1_1_is_refused_by_alert_and_1_2_is_let_in(lab: Lab, ledger: Ledger) -> None:
    imp1 = lab.imp[0]
    async with aiohttp.ClientSession() as http:
        for version, is_in in ((TlsVersion.TLS_1_1, False), (TlsVersion.TLS_1_2, True)):
            context = trusting(imp1)
            context.set_ciphers("DEFAULT:@SECLEVEL=0")
            context.minimum_version = context.maximum_version = (
                ssl.TLSVersion.TLSv1_2 if is_in else ssl.TLSVersion.TLSv1_1
            )
            if is_in:
                async with http.get(url(imp1), ssl=context) as answer:
                    assert answer.status == 200
            else:
                with pytest.raises(aiohttp.ClientConnectorSSLError, match="PROTOCOL_VERSION"):
                    await http.get(url(imp1), ssl=context)
            seen = at_tomcat(ledger, "imp1")[-1]
            assert seen.reason is (Reason.ACCEPTED if is_in else Reason.PROTOCOL_VERSION), version


async def test_a_regenerated_tomcat_certificate_is_shown_after_the_restart_only(lab: Lab) -> None:
    imp1 = lab.imp[0]
    old = trusting(imp1)
    needed = await imp1.administration.certificate_management.regenerate(CertificatePurpose.TOMCAT)
    assert ("imp1", TOMCAT) in {(each.node, each.service) for each in needed}
    new = trusting(imp1)
    for believed, refused in ((old, new), (new, old)):
        async with aiohttp.ClientSession() as http, http.get(url(imp1), ssl=believed) as answer:
            assert answer.status == 200
        async with aiohttp.ClientSession() as http:
            with pytest.raises(aiohttp.ClientConnectorCertificateError):
                await http.get(url(imp1), ssl=refused)
        needed = await imp1.administration.restart(TOMCAT)
    assert TOMCAT not in {each.service for each in needed}


async def test_restarting_cisco_tomcat_through_itself_is_answered_first(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    imp1 = lab.imp[0]

    class Restarts:
        def add_routes(self, app: web.Application) -> None:
            app.router.add_post("/restart", self.restart)

        async def restart(self, request: web.Request) -> web.Response:
            imp1.restart_later(TOMCAT)
            info = request.app[HTTP_LISTENER].connection_of(request).info
            return web.Response(text=f"{info.service} on {info.node}")

    monkeypatch.setattr(imp1, "web_applications", lambda: (Restarts(),))
    await imp1.administration.restart(TOMCAT)
    before = imp1.services.status(TOMCAT).started_at
    async with aiohttp.ClientSession() as http:
        async with http.post(url(imp1, "/restart"), ssl=trusting(imp1)) as answer:
            assert await answer.text() == "Cisco Tomcat on imp1"
        await imp1.later.join()
        async with http.get(url(imp1, "/restart"), ssl=trusting(imp1)) as answer:
            assert answer.status == 405
    status = imp1.services.status(TOMCAT)
    assert before is not None
    assert status.started_at is not None
    assert status.started_at > before


async def test_a_path_that_no_application_has_is_not_found(lab: Lab) -> None:
    imp1 = lab.imp[0]
    async with (
        aiohttp.ClientSession() as http,
        http.get(url(imp1, "/nothing"), ssl=trusting(imp1)) as answer,
    ):
        assert answer.status == 404
