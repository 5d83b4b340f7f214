"""The JSON API over real https: its session, its operations, its errors, its description."""

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from certs.purposes import CertificatePurpose, ServiceName, TrustStoreName
from certs.verdict import Reason
from harness.evidence.ledger import Ledger
from harness.lab import Lab
from harness.plan.lab_file import load_topology
from tests.integration.page_visitor import Shown, Visitor, visitor

pytestmark = pytest.mark.timeout(180)  # a lab and many requests, on a machine that others use

JSON = {"Content-Type": "application/json"}
PEM = {"Content-Type": "application/x-pem-file"}


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with Lab.start(load_topology(), work_directory=tmp_path, observer=Ledger()) as lab:
        yield lab


class Program(Visitor):
    token = ""

    async def call(self, method: str, path: str, body: Any = None, **headers: str) -> Shown:
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        if body is not None and not isinstance(body, bytes):
            headers |= JSON
            body = json.dumps(body).encode()
        return await self._ask(method, path, data=body, headers=headers)

    async def enter(self, user: str, password: str) -> Shown:
        answer = await self.call("POST", "/api/login", {"user": user, "password": password})
        if answer.status == 200:
            self.token = json.loads(answer.text)["token"]
        return answer


def program(someone: Visitor) -> Program:
    return Program(someone.http, someone.node)


@pytest.fixture
async def imp1(lab: Lab) -> AsyncIterator[Program]:
    async with visitor(lab.imp[0]) as someone:
        made = program(someone)
        await made.enter("administrator", lab.administrator_password)
        yield made


@pytest.fixture
async def cucm1(lab: Lab) -> AsyncIterator[Program]:
    async with visitor(lab.cucm[0]) as someone:
        made = program(someone)
        await made.enter("administrator", lab.administrator_password)
        yield made


def values(answer: Shown) -> Any:
    assert answer.status < 300, answer
    return json.loads(answer.text)


def problem(answer: Shown) -> tuple[int, str]:
    found = json.loads(answer.text)
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert found["status"] == answer.status
    return answer.status, found["detail"]


def needed(answer: Shown) -> set[tuple[str, str]]:
    return {(one["service"], one["node"]) for one in values(answer)["restart_needed"]}


async def test_an_operation_wants_a_session_and_a_session_the_right_password(lab: Lab) -> None:
    async with visitor(lab.imp[0]) as someone:
        stranger = program(someone)
        answer = await stranger.call("GET", "/api/node")
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert problem(answer)[0] == 401
        assert problem(await stranger.enter("administrator", "wrong")) == (
            401,
            "User name or password is wrong.",
        )
        stranger.token = "made up"
        assert (await stranger.call("GET", "/api/node")).status == 401
        assert (await stranger.enter("administrator", lab.administrator_password)).status == 200
        assert values(await stranger.call("GET", "/api/node"))["fqdn"] == "imp1.lab.example"
        assert (await stranger.call("POST", "/api/logout")).status == 204
        assert (await stranger.call("GET", "/api/node")).status == 401


async def test_the_third_failure_locks_here_too(lab: Lab) -> None:
    async with visitor(lab.imp[0]) as someone:
        stranger = program(someone)
        for _ in range(3):
            await stranger.enter("administrator", "wrong")
        status, detail = problem(await stranger.enter("administrator", lab.administrator_password))
        assert (status, "locked" in detail) == (401, True)
        page = await someone.log_in("cupadmin", "administrator", lab.administrator_password)
        assert page.status == 401  # one lock for pages and API


async def test_a_page_s_cookie_opens_nothing_here(lab: Lab) -> None:
    async with visitor(lab.imp[0]) as someone:
        await someone.log_in("cupadmin", "administrator", lab.administrator_password)
        assert (await someone.get("/api/node")).status == 401
        refused = await someone.post("/api/services/Cisco%20SIP%20Proxy/stop", b"")
        assert refused.status == 401


async def test_a_user_may_read_own_settings_and_nothing_else(lab: Lab) -> None:
    async with visitor(lab.imp[0]) as someone:
        alice = program(someone)
        await alice.enter("alice", (await lab.user("alice")).digest_password)
        assert values(await alice.call("GET", "/api/user-options"))["address"] == "alice@lab.example"
        status, detail = problem(await alice.call("GET", "/api/settings"))
        assert status == 403
        assert "is for the role administrator; alice is end user" in detail
        assert (
            await alice.call("PUT", "/api/banner", b"text", **{"Content-Type": "text/plain"})
        ).status == 403


async def test_settings_are_read_saved_and_ask_for_restarts(lab: Lab, imp1: Program) -> None:
    everything = values(await imp1.call("GET", "/api/settings"))
    assert everything["general"] == {"sip_intracluster_proxy_to_proxy_transport": "TLS"}
    assert "dialback_secret" not in {k for k, v in everything["xmpp_federation"].items() if v}
    answer = await imp1.call(
        "PUT", "/api/settings/general", {"sip_intracluster_proxy_to_proxy_transport": "TCP"}
    )
    assert needed(answer) == {(ServiceName.SIP_PROXY, "imp1"), (ServiceName.SIP_PROXY, "imp2")}
    answer = await imp1.call("POST", "/api/services/Cisco SIP Proxy/restart")
    assert needed(answer) == {(ServiceName.SIP_PROXY, "imp2")}
    security = everything["security"] | {"router_to_router_secure_mode": True}
    assert needed(await imp1.call("PUT", "/api/settings/security", security)) >= {
        (ServiceName.XCP_ROUTER, "imp1")
    }
    assert values(await imp1.call("GET", "/api/settings/security")) == security


@pytest.mark.parametrize(
    ("path", "body", "error"),
    [
        ("general", {"sip_intracluster_proxy_to_proxy_transport": "UDP"}, "Input should be 'TLS' or 'TCP'"),
        ("general", {}, "sip_intracluster_proxy_to_proxy_transport: Field required"),
        ("general", {"sip_intracluster_proxy_to_proxy_transport": "TCP", "x": 1}, "x: Extra inputs"),
        ("tls-context", {"selected_peer_subjects": ["nobody"]}, "no TLS peer subject is called 'nobody'"),
        ("tls-context", [], "body: Input should be an object"),
    ],
)
async def test_what_is_wrong_with_a_body_is_named_and_nothing_is_saved(
    imp1: Program, path: str, body: object, error: str
) -> None:
    before = (await imp1.call("GET", "/api/settings")).text
    status, detail = problem(await imp1.call("PUT", f"/api/settings/{path}", body))
    assert status == 400
    assert error in detail
    assert (await imp1.call("GET", "/api/settings")).text == before


async def test_other_methods_paths_and_media_types_have_their_own_errors(imp1: Program) -> None:
    assert problem(await imp1.call("GET", "/api/nothing"))[0] == 404
    answer = await imp1.call("DELETE", "/api/settings/general")
    assert problem(answer)[0] == 405
    assert answer.headers["Allow"] == "GET, PUT"
    answer = await imp1.call("PUT", "/api/settings/general", b"x", **{"Content-Type": "text/xml"})
    assert problem(answer) == (415, "expected application/json, seen text/xml")
    assert problem(await imp1.call("PUT", "/api/settings/general", b"{", **JSON))[0] == 400


async def test_certificates_go_from_one_node_to_another(lab: Lab, imp1: Program, cucm1: Program) -> None:
    listed = values(await imp1.call("GET", "/api/certificates"))["certificates"]
    assert [one["name"] for one in listed][:4] == ["tomcat", "cup", "cup-xmpp", "cup-xmpp-s2s"]
    pem = await imp1.call("GET", "/api/certificates/cup/pem")
    answer = await cucm1.call("POST", "/api/trust-stores/Callmanager-trust", pem.content, **PEM)
    assert needed(answer) == {(ServiceName.CALLMANAGER, "cucm1")}
    (trusted,) = lab.cucm[0].key_store.trust(TrustStoreName.CALLMANAGER_TRUST)
    path = f"/api/trust-stores/Callmanager-trust/{trusted.certificate.sha256}"
    assert (await cucm1.call("GET", f"{path}/pem")).content == pem.content
    assert needed(await cucm1.call("DELETE", path)) == set()
    assert problem(await cucm1.call("DELETE", path))[0] == 400
    assert problem(await cucm1.call("POST", "/api/trust-stores/cup-trust", pem.content, **PEM))[0] == 400
    assert problem(await cucm1.call("GET", "/api/certificates/cup/pem"))[0] == 400
    old_name = await imp1.call("GET", "/api/certificates/directory/pem")  # of `tomcat` (G07)
    assert old_name.content == lab.imp[0].key_store.certificate_pem(CertificatePurpose.TOMCAT)


async def test_the_import_tool_and_the_ledger(imp1: Program) -> None:
    request = {"store": "cup-trust", "address": "cucm1.lab.example", "port": 5061}
    report = values(await imp1.call("POST", "/api/certificate-import", request))
    assert (report["connected"], report["downloaded"]) == (True, True)
    assert report["subject"] == "cucm1.lab.example"
    report = values(await imp1.call("POST", "/api/certificate-import", request | {"port": 9}))
    assert (report["connected"], report["reason"]) == (False, Reason.UNREACHABLE)
    subjects = values(await imp1.call("GET", "/api/tls-peer-subjects"))["tls_peer_subjects"]
    assert subjects == [{"peer_subject_name": "cucm1.lab.example", "description": "cucm1.lab.example"}]
    verdicts = values(await imp1.call("GET", "/api/verdicts?service=Cisco Tomcat&outcome=accepted"))
    assert verdicts["verdicts"][0]["service"] == "Cisco Tomcat"
    newest = verdicts["verdicts"][0]["number"]
    assert values(await imp1.call("GET", f"/api/verdicts?since={newest}"))["verdicts"] == []
    assert problem(await imp1.call("GET", "/api/verdicts?since=x"))[0] == 400


async def test_services_that_cannot_do_it_conflict(imp1: Program) -> None:
    assert (await imp1.call("POST", "/api/services/Cisco SIP Proxy/stop")).status == 200
    assert problem(await imp1.call("POST", "/api/services/Cisco SIP Proxy/stop"))[0] == 409
    assert values(await imp1.call("GET", "/api/services/Cisco SIP Proxy"))["state"] == "Stopped"
    assert (await imp1.call("POST", "/api/services/Cisco SIP Proxy/start")).status == 200
    assert problem(await imp1.call("POST", "/api/services/Cisco Tomcat/stop"))[0] == 400
    assert problem(await imp1.call("POST", "/api/services/Telnet/start"))[0] == 400
    assert problem(await imp1.call("POST", "/api/services/Cisco SIP Proxy/explode"))[0] == 400


async def test_cisco_tomcat_is_restarted_through_itself(lab: Lab, imp1: Program) -> None:
    assert (await imp1.call("POST", "/api/services/Cisco Tomcat/restart")).status == 200
    await lab.imp[0].later.join()
    assert values(await imp1.call("GET", "/api/services/Cisco Tomcat"))["state"] == "Started"


async def test_the_banner_is_read_by_everybody_and_changed_by_the_administrator(
    lab: Lab, imp1: Program
) -> None:
    text = {"Content-Type": "text/plain"}
    assert (await imp1.call("PUT", "/api/banner", b"Authorised use only.", **text)).status == 204
    refused = await imp1.call("PUT", "/api/banner?file_name=notice.exe", b"Other", **text)
    assert problem(refused)[0] == 400
    assert problem(await imp1.call("PUT", "/api/banner", b"a" * 20_000, **text))[0] == 400
    async with visitor(lab.imp[0]) as someone:
        assert (await program(someone).call("GET", "/api/banner")).text == "Authorised use only."
        assert (await program(someone).call("DELETE", "/api/banner")).status == 401
    assert (await imp1.call("DELETE", "/api/banner")).status == 204
    assert (await imp1.call("GET", "/api/banner")).text == ""


async def test_trunks_of_cucm(cucm1: Program) -> None:
    profile = {
        "name": "IM and Presence",
        "device_security_mode": "Encrypted",
        "incoming_transport_type": "TLS",
        "outgoing_transport_type": "TLS",
        "x509_subject_names": ["imp1.lab.example"],
        "incoming_port": 5061,
    }
    assert (await cucm1.call("PUT", "/api/sip-trunk-security-profiles", profile)).status == 200
    trunk = {
        "name": "to-imp1",
        "destination_address": "imp1.lab.example",
        "destination_port": 5062,
        "security_profile": "IM and Presence",
    }
    assert (await cucm1.call("PUT", "/api/sip-trunks", trunk)).status == 200
    assert values(await cucm1.call("GET", "/api/sip-trunks")) == {"trunks": [trunk]}
    in_use = await cucm1.call("DELETE", "/api/sip-trunk-security-profiles/IM and Presence")
    assert problem(in_use)[0] == 400
    assert problem(await cucm1.call("GET", "/api/settings"))[0] == 404  # an IM and Presence node's


async def test_a_new_password_ends_the_other_sessions(lab: Lab, imp1: Program) -> None:
    async with visitor(lab.imp[0]) as someone:
        await someone.log_in("cupadmin", "administrator", lab.administrator_password)
        assert problem(await imp1.call("PUT", "/api/password", {"password": "short"}))[0] == 400
        assert (await someone.get("/cupadmin/")).path == "/cupadmin/"
        assert (await imp1.call("PUT", "/api/password", {"password": "a new password"})).status == 204
        assert (await someone.get("/cupadmin/")).path == "/cupadmin/login"
        assert (await imp1.call("GET", "/api/node")).status == 200
        page = await someone.log_in("cupadmin", "administrator", lab.administrator_password)
        assert page.status == 401
        assert (await someone.log_in("cupadmin", "administrator", "a new password")).path == "/cupadmin/"


async def test_a_backup_is_restored_through_it(lab: Lab, imp1: Program) -> None:
    await imp1.call("POST", "/api/tls-peer-subjects", {"peer_subject_name": "before"})
    backup = await imp1.call("POST", "/api/backup", {"password": "of the backup"})
    await imp1.call("DELETE", "/api/tls-peer-subjects/before")
    request = {"backup": base64.b64encode(backup.content).decode(), "password": "another one"}
    assert problem(await imp1.call("POST", "/api/restore", request))[0] == 400
    restored = await imp1.call("POST", "/api/restore", request | {"password": "of the backup"})
    assert (ServiceName.SIP_PROXY, "imp1") in needed(restored)
    subjects = values(await imp1.call("GET", "/api/tls-peer-subjects"))["tls_peer_subjects"]
    assert [one["peer_subject_name"] for one in subjects] == ["before"]


async def test_the_description_names_every_operation_once(lab: Lab) -> None:
    for node in (lab.imp[0], lab.cucm[0]):
        async with visitor(node) as someone:
            answer = await someone.get("/api/openapi.json")
        description = json.loads(answer.text)
        assert description["openapi"] == "3.1.0"
        operations = [one for path in description["paths"].values() for one in path.values()]
        names = [one["operationId"] for one in operations]
        assert len(names) == len(set(names)) > 20
        referenced = set(json.dumps(description["paths"]).split("#/components/schemas/")[1:])
        for name in (each.split('"')[0] for each in referenced):
            assert name in description["components"]["schemas"]
        public = {one["operationId"] for one in operations if not one["security"]}
        assert public == {"log_in", "get_banner"}
