"""The guide's procedures on the pages: what each button does, what has to restart, what is refused."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from certs.purposes import CertificatePurpose, ServiceName, TrustStoreName
from harness.evidence.ledger import Ledger
from harness.lab import Lab
from harness.nodes.service_state import ServiceState
from harness.plan.lab_file import load_topology
from proxies.sip.transport.flow import Transport
from tests.integration.page_visitor import Shown, Visitor, visitor

PROXY = ServiceName.SIP_PROXY
FEATURES, NETWORK = (
    "/ccmservice/control-center-feature-services",
    "/ccmservice/control-center-network-services",
)

pytestmark = pytest.mark.timeout(180)  # a lab and many requests, on a machine that others use
NEEDED = re.compile(r"<strong>(.*?)</strong> on (\w+): ")


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with Lab.start(load_topology(), work_directory=tmp_path, observer=Ledger()) as lab:
        yield lab


@pytest.fixture
async def imp1(lab: Lab) -> AsyncIterator[Visitor]:
    async with visitor(lab.imp[0]) as someone:
        await someone.log_in("cupadmin", "administrator", lab.administrator_password)
        yield someone


@pytest.fixture
async def cucm1(lab: Lab) -> AsyncIterator[Visitor]:
    async with visitor(lab.cucm[0]) as someone:
        await someone.log_in("ccmadmin", "administrator", lab.administrator_password)
        yield someone


def restarts(page: Shown) -> set[tuple[str, str]]:
    return set(NEEDED.findall(page.text))


async def test_every_page_of_every_menu_is_shown(lab: Lab, imp1: Visitor, cucm1: Visitor) -> None:
    for someone in (imp1, cucm1):
        start = await someone.get("/")
        seen = 0
        for interface in re.findall(r'<li><a href="(/\w+/)">', start.text):
            home = await someone.get(interface)
            for path in re.findall(r'<li><a href="([^"]+)"', home.text):
                page = await someone.get(path)
                assert page.status == 200, path
                seen += 1
        assert seen > 20


async def test_the_import_tool_reports_connection_and_download_apart(lab: Lab, imp1: Visitor) -> None:
    path = "/cupadmin/certificate-import-tool"
    page = await imp1.press(path, "submit", store="cup-trust", address="cucm1.lab.example", port="5061")
    ((kind, text),) = page.messages
    assert kind == "good"
    assert text.splitlines() == [
        "Connected to cucm1.lab.example:5061: yes",
        "Certificate downloaded: yes",
        "CN=cucm1.lab.example is now in cup-trust",
    ]
    assert (PROXY, "imp1") in restarts(page)
    assert (PROXY, "imp2") in restarts(page)  # the TLS context is the cluster's
    page = await imp1.press(path, "submit", store="cup-trust", address="cucm1.lab.example", port="9")
    ((kind, text),) = page.messages
    assert kind == "error"
    assert "Connected to cucm1.lab.example:9: no\nCertificate downloaded: no" in text
    assert "Recommended action:" in text


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"store": "cup-trust", "address": "", "port": "5061"}, "Peer Server: expected an IP address"),
        ({"store": "cup-trust", "address": "cucm1", "port": "0"}, "Peer Server Port: expected a port"),
        ({"store": "cup-trust", "address": "cucm1", "port": "5061x"}, "seen '5061x'"),
        ({"store": "cup", "address": "cucm1", "port": "5061"}, "'cup' is not a trust store"),
        ({"store": "Callmanager-trust", "address": "cucm1", "port": "5061"}, "imp1 has no Callmanager-trust"),
    ],
)
async def test_bad_input_is_named_and_stays_in_the_form(
    imp1: Visitor, fields: dict[str, str], error: str
) -> None:
    page = await imp1.press("/cupadmin/certificate-import-tool", "submit", **fields)
    assert page.status == 400
    ((kind, text),) = page.messages
    assert kind == "error"
    assert error in text
    if fields["address"]:
        assert f'value="{fields["address"]}"' in page.text


async def test_the_restart_banner_stays_until_the_service_has_restarted(lab: Lab, imp1: Visitor) -> None:
    page = await imp1.press("/cupadmin/general-settings", "save", transport="TCP")
    assert {(PROXY, "imp1"), (PROXY, "imp2")} == restarts(page)
    assert (await lab.imp[0].read_settings()).proxy_to_proxy_transport is Transport.TCP
    assert restarts(await imp1.get("/cmplatform/")) == restarts(page)
    page = await imp1.press(FEATURES, "restart", service=PROXY)
    assert page.messages == [("good", "Cisco SIP Proxy Service Restart Operation was Successful")]
    assert restarts(page) == {(PROXY, "imp2")}
    async with visitor(lab.imp[1]) as imp2:
        await imp2.log_in("ccmservice", "administrator", lab.administrator_password)
        assert restarts(await imp2.get(FEATURES)) == {(PROXY, "imp2")}
        assert restarts(await imp2.press(FEATURES, "restart", service=PROXY)) == set()
    assert restarts(await imp1.get(FEATURES)) == set()


async def test_peer_subjects_are_added_moved_and_saved_as_in_the_guide(lab: Lab, imp1: Visitor) -> None:
    name = "cucm1.lab.example"
    page = await imp1.press(
        "/cupadmin/tls-peer-subject", "save", peer_subject_name=f" {name} ", description="cucm1"
    )
    assert page.path == "/cupadmin/tls-peer-subjects"
    again = await imp1.press("/cupadmin/tls-peer-subject", "save", peer_subject_name=name)
    assert again.status == 400
    moved = await imp1.press("/cupadmin/tls-context", "select", available_marked=name)
    assert f'name="selected" value="{name}"' in moved.text
    assert "Not saved yet" in moved.text
    assert (await lab.imp[0].administration.tls_context()).selected_peer_subjects == frozenset()
    saved = await imp1.press("/cupadmin/tls-context", "save", selected=name, ciphers="")
    assert saved.messages[0][0] == "good"
    assert (await lab.imp[0].administration.tls_context()).selected_peer_subjects == {name}
    kept = await imp1.press("/cupadmin/tls-peer-subjects", "delete", peer_subject_name=name)
    assert kept.status == 400
    back = await imp1.press("/cupadmin/tls-context", "deselect", selected=name, selected_marked=name)
    assert f'name="selected" value="{name}"' not in back.text
    refused = await imp1.press("/cupadmin/tls-context", "save", selected="stranger", ciphers="")
    assert "no TLS peer subject is called 'stranger'" in refused.messages[0][1]
    refused = await imp1.press("/cupadmin/tls-context", "save", selected=name, ciphers="NOT-A-CIPHER")
    assert "no cipher called 'NOT-A-CIPHER'" in refused.messages[0][1]


async def test_a_certificate_is_downloaded_from_one_node_and_uploaded_to_another(
    lab: Lab, imp1: Visitor, cucm1: Visitor
) -> None:
    found = await imp1.get("/cmplatform/certificate-management?find=cup.pem")
    link = re.findall(r'<a href="(certificate\?name=cup&amp;sha256=\w+)">cup\.pem</a>', found.text)
    assert len(link) == 1
    file = await imp1.get(
        f"/cmplatform/{link[0].replace('&amp;', '&').replace('certificate?', 'certificate/download?')}"
    )
    assert file.headers["Content-Disposition"] == 'attachment; filename="cup.pem"'
    assert file.content == lab.imp[0].key_store.certificate_pem(CertificatePurpose.CUP)
    page = await cucm1.press(
        "/cmplatform/upload-certificate", "upload", name="Callmanager-trust", file=("cup.pem", file.content)
    )
    assert page.messages == [("good", "Success: Certificate Uploaded to Callmanager-trust")]
    assert restarts(page) == {(ServiceName.CALLMANAGER, "cucm1")}
    (trusted,) = lab.cucm[0].key_store.trust(TrustStoreName.CALLMANAGER_TRUST)
    assert trusted.certificate.common_name == "imp1.lab.example"
    refused = await cucm1.press(
        "/cmplatform/upload-certificate", "upload", name="Callmanager-trust", file=("cup.pem", b"nonsense")
    )
    assert refused.status == 400
    sha256 = trusted.certificate.sha256
    await cucm1.press("/cmplatform/certificate-management", "delete", name="Callmanager-trust", sha256=sha256)
    assert lab.cucm[0].key_store.trust(TrustStoreName.CALLMANAGER_TRUST) == ()


async def test_certificates_are_regenerated_and_requests_made(lab: Lab, imp1: Visitor) -> None:
    before = lab.imp[0].key_store.certificate_pem(CertificatePurpose.CUP)
    page = await imp1.press("/cmplatform/generate-new", "generate", name="cup")
    assert page.path == "/cmplatform/certificate?name=cup"
    assert lab.imp[0].key_store.certificate_pem(CertificatePurpose.CUP) != before
    assert (ServiceName.PRESENCE_ENGINE, "imp1") in restarts(page)
    csr = await imp1.press("/cmplatform/generate-csr", "csr", name="cup")
    assert csr.headers["Content-Disposition"] == 'attachment; filename="cup.csr"'
    assert csr.text.startswith("-----BEGIN CERTIFICATE REQUEST-----")
    foreign = await imp1.press(
        "/cmplatform/upload-certificate", "upload", name="cup", file=("cup.pem", before)
    )
    assert "does not belong to the pending cup.csr" in foreign.messages[0][1]


async def test_secure_modes_and_certificate_settings_say_what_to_do_next(lab: Lab, imp1: Visitor) -> None:
    path = "/cupadmin/security-settings"
    page = await imp1.press(
        path, "save", router_to_router="on", web_client="on", domain_name="lab.example", use_domain_name="on"
    )
    assert "Regenerate cup-xmpp-s2s and cup-xmpp" in page.messages[0][1]
    modes = await lab.imp[0].administration.secure_modes()
    assert (modes.xmpp_client, modes.router_to_router, modes.web_client) == (False, True, True)
    assert {service for service, node in restarts(page) if node == "imp1"} == {
        ServiceName.XCP_CONNECTION_MANAGER,
        ServiceName.XCP_ROUTER,
        ServiceName.XCP_WEB_CONNECTION_MANAGER,
    }
    page = await imp1.press(path, "save", xmpp_client="on", domain_name="")
    assert restarts(page) == set()


async def test_services_are_stopped_started_deactivated_and_activated(lab: Lab, imp1: Visitor) -> None:
    services = lab.imp[0].services
    await imp1.press(FEATURES, "stop", service=PROXY)
    assert services.status(PROXY).state is ServiceState.STOPPED
    refused = await imp1.press(FEATURES, "stop", service=PROXY)
    assert refused.status == 400
    await imp1.press(FEATURES, "start", service=PROXY)
    assert services.status(PROXY).state is ServiceState.STARTED
    others = [one.service for one in services.services() if one.service != PROXY]
    await imp1.press("/ccmservice/service-activation", "save", activated=[*others])
    assert not services.status(PROXY).activated
    assert services.status(ServiceName.XCP_ROUTER).activated  # a network service
    page = await imp1.press(FEATURES, "start", service=PROXY)
    assert "not activated" in page.messages[0][1]
    await imp1.press("/ccmservice/service-activation", "save", activated=[*others, PROXY])
    assert services.status(PROXY).state is ServiceState.STARTED
    assert "expected one of" in (await imp1.press(FEATURES, "start", service="Telnet")).messages[0][1]


async def test_cisco_tomcat_restarts_from_its_own_page_which_is_answered_first(
    lab: Lab, imp1: Visitor
) -> None:
    before = lab.imp[0].services.status(ServiceName.TOMCAT).started_at
    token = (await imp1.get(NETWORK)).token
    fields = {"csrf_token": token, "action": "restart", "service": ServiceName.TOMCAT}
    answer = await imp1.post(NETWORK, fields, allow_redirects=False)
    assert (answer.status, answer.headers["Refresh"]) == (200, f"2; url={NETWORK}")
    await lab.imp[0].later.join()
    after = lab.imp[0].services.status(ServiceName.TOMCAT).started_at
    assert before is not None
    assert after is not None
    assert after > before
    page = await imp1.get(NETWORK)  # the session is still there
    assert page.messages == [("good", "Cisco Tomcat Service Restart Operation was Successful")]
    page = await imp1.press(NETWORK, "stop", service=ServiceName.TOMCAT)
    assert page.status == 400


async def test_trunks_and_profiles_are_made_on_cucm(lab: Lab, cucm1: Visitor) -> None:
    profile = {
        "name": "IM and Presence",
        "device_security_mode": "Encrypted",
        "incoming_transport_type": "TLS",
        "outgoing_transport_type": "TLS",
        "x509_subject_names": "imp1.lab.example, imp2.lab.example",
        "incoming_port": "5061",
        "accept_presence_subscription": "on",
    }
    path = "/ccmadmin/sip-trunk-security-profile"
    wrong = await cucm1.press(path, "save", **{**profile, "incoming_transport_type": "TCP+UDP"})
    assert "Encrypted takes TLS" in wrong.messages[0][1]
    page = await cucm1.press(path, "save", **profile)
    assert page.path == "/ccmadmin/sip-trunk-security-profiles"
    (saved,) = await lab.cucm[0].administration.sip_trunk_security_profiles()
    assert saved.x509_subject_names == {"imp1.lab.example", "imp2.lab.example"}
    assert (saved.accept_presence_subscription, saved.accept_replaces_header) == (True, False)
    trunk = {"name": "to-imp1", "destination_address": "imp1.lab.example", "destination_port": "5062"}
    unknown = await cucm1.press("/ccmadmin/sip-trunk", "save", **trunk, security_profile="none such")
    assert unknown.status == 400
    page = await cucm1.press("/ccmadmin/sip-trunk", "save", **trunk, security_profile="IM and Presence")
    assert restarts(page) == {(ServiceName.CALLMANAGER, "cucm1")}
    in_use = await cucm1.press("/ccmadmin/sip-trunk-security-profiles", "delete", name="IM and Presence")
    assert in_use.status == 400
    await cucm1.press("/ccmadmin/sip-trunks", "delete", name="to-imp1")
    await cucm1.press("/ccmadmin/sip-trunk-security-profiles", "delete", name="IM and Presence")
    assert await lab.cucm[0].administration.sip_trunk_security_profiles() == ()


async def test_lists_of_the_menu_presence_are_edited(lab: Lab, imp1: Visitor) -> None:
    route = {
        "destination_pattern": "1...",
        "route_type": "user",
        "next_hop": "cucm1.lab.example",
        "next_hop_port": "5061",
        "protocol_type": "TLS",
        "server_name": "cucm1.lab.example",
        "priority": "1",
    }
    await imp1.press("/cupadmin/static-routes", "save", **route)
    (saved,) = (await lab.imp[0].read_settings()).static_routes
    assert (saved.destination_pattern, saved.next_hop.port) == ("1...", 5061)
    wrong = await imp1.press("/cupadmin/static-routes", "save", **{**route, "priority": "first"})
    assert "Priority/Weight: expected a number" in wrong.messages[0][1]
    await imp1.press("/cupadmin/static-routes", "delete", destination_pattern="1...")
    await imp1.press("/cupadmin/incoming-acl", "add", address_pattern="10.0.0.0/8", description="phones")
    await imp1.press("/cupadmin/incoming-acl", "delete", address_pattern="10.0.0.0/8")
    assert (await lab.imp[0].read_settings()).incoming_acl == ()
    await imp1.press(
        "/cupadmin/xmpp-federation",
        "save",
        security_mode="TLS Required",
        enable_sasl_external="on",
        dialback_secret="a secret of ours",
        policy="deny",
        allowed_domains="Example.com\nexample.org",
    )
    policy = (await lab.imp[0].read_settings()).federation
    assert policy.allowed_domains == {"example.com", "example.org"}
    page = await imp1.get("/cupadmin/xmpp-federation")
    assert "a secret of ours" not in page.text
    await imp1.press("/cupadmin/xmpp-federation", "save", security_mode="TLS Optional", policy="allow")
    policy = (await lab.imp[0].read_settings()).federation
    assert (policy.dialback_secret, policy.allowed_domains) == ("a secret of ours", None)


async def test_reporting_finds_verdicts_by_reason_and_shows_the_remedy(lab: Lab, imp1: Visitor) -> None:
    peer = lab.imp[0].plan
    await lab.imp[1].administration.import_certificate(
        TrustStoreName.CUP_TRUST, "imp1", peer.ports.sip_tls_peer_auth
    )
    page = await imp1.get("/cucreports/handshakes?outcome=refused&service=Cisco%20SIP%20Proxy")
    numbers = re.findall(r'<a href="handshake\?number=(\d+)">', page.text)
    assert len(numbers) == 1
    shown = await imp1.get(f"/cucreports/handshake?number={numbers[0]}")
    assert "refused:" in shown.text
    assert "Remedy" in shown.text
    none = await imp1.get("/cucreports/handshakes?outcome=accepted&service=Cisco%20SIP%20Proxy")
    assert "Nothing was found." in none.text


async def test_user_options_show_the_user_s_own_and_nobody_else_s(lab: Lab) -> None:
    async with visitor(lab.imp[1]) as alice:  # not her home node, but of her cluster
        await alice.log_in("cupuser", "alice", (await lab.user("alice")).digest_password)
        page = await alice.get("/cupuser/client-settings")
        assert "imp1.lab.example" in page.text
        assert "TLS required" in page.text
        page = await alice.get("/cupuser/contacts")
        assert "Contacts of alice@lab.example" in page.text
        assert "bob" not in page.text
