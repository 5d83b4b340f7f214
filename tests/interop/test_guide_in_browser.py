"""The guide's procedures in Chromium, step by step by the names of menus and buttons; pictures in runs/browser."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from certs.purposes import CertificatePurpose, ServiceName, TrustStoreName
from harness.actors.pages import INTERFACES
from harness.evidence.ledger import Ledger
from harness.lab import Lab
from harness.plan.lab_file import load_topology
from proxies.sip.transport.flow import Transport
from proxies.sip.trunk.cucm_trunk import CallManager
from proxies.sip.trunk.status import ServiceState
from tests.interop.browser_person import Person, chromium, person

pytestmark = [pytest.mark.interop, pytest.mark.timeout(300)]

SIP_PROXY, CALLMANAGER = ServiceName.SIP_PROXY, ServiceName.CALLMANAGER
NOTICE = "Authorised use only.\nActivities are recorded."
CONTEXT = "Default_Cisco_UPS_SIP_Proxy_Peer_Auth_TLS_Context"
TRANSPORT = "SIP Intra-cluster Proxy-to-Proxy Transport Protocol"


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with Lab.start(load_topology(), work_directory=tmp_path, observer=Ledger()) as lab:
        yield lab


@pytest.fixture
async def browser() -> AsyncIterator[Any]:
    async with chromium() as browser:
        yield browser


async def test_create_login_banner(lab: Lab, browser: Any, tmp_path: Path) -> None:
    notice = tmp_path / "notice.txt"
    notice.write_text(NOTICE)
    async with person(browser, lab, lab.imp[0], "login-banner") as somebody:
        await somebody.enter("cmplatform")
        await somebody.select("Software Upgrades", "Customized Logon Message")
        await somebody.page.get_by_label("File", exact=True).set_input_files(notice)
        await somebody.picture("customized logon message")
        await somebody.press("Upload File")
        await somebody.read("notice.txt was uploaded")
    alice = (await lab.user("alice")).digest_password
    for interface in INTERFACES:
        async with person(browser, lab, lab.imp[0], "login-banner") as somebody:
            await somebody.page.goto(f"{somebody.url}/{interface}/")
            banner = somebody.page.get_by_role("region", name="Login banner")
            assert await banner.inner_text() == NOTICE
            await somebody.picture(f"{interface} before login")
            who = ("alice", alice) if interface == "cupuser" else ("administrator", "")
            await somebody.enter(interface, user=who[0], password=who[1])
            assert await banner.inner_text() == NOTICE
            await somebody.picture(f"{interface} after login")
    async with person(browser, lab, lab.imp[1], "login-banner") as somebody:
        await somebody.page.goto(f"{somebody.url}/cupadmin/")
        assert await somebody.page.get_by_role("region", name="Login banner").count() == 0


async def test_exchange_certificates_between_imp_and_cucm(lab: Lab, browser: Any, tmp_path: Path) -> None:
    imp1, cucm1 = lab.imp[0], lab.cucm[0]
    async with (
        person(browser, lab, imp1, "certificate-exchange") as imp,
        person(browser, lab, cucm1, "certificate-exchange") as cucm,
    ):
        await configure_trunk(cucm, imp1.plan.fqdn)

        # Import the CUCM certificate (G13); what it adds by itself (G14).
        await imp.enter("cupadmin")
        await imp.select("System", "Security", "Certificate Import Tool")
        store = imp.page.get_by_label("Certificate Trust Store")
        await store.select_option(label="IM and Presence (IM/P) Service Trust")
        await imp.page.get_by_label("Peer Server", exact=False).first.fill(cucm1.plan.fqdn)
        await imp.page.get_by_label("Peer Server Port").fill(str(cucm1.plan.ports.sip_tls))
        await imp.press("Submit")
        await imp.read("Certificate downloaded: yes")
        await imp.picture("certificate import tool")
        await imp.select("System", "Security", "TLS Peer Subjects")
        # Its subject, and the address that it was asked at as the description.
        assert await imp.page.get_by_role("cell", name=cucm1.plan.fqdn, exact=True).count() == 2

        # Restart SIP proxy service (G15).
        assert await imp.page.get_by_role("status").get_by_text(SIP_PROXY).count() > 0
        await imp.restart(SIP_PROXY)
        await imp.picture("control center")
        await imp.restart(ServiceName.PRESENCE_ENGINE)

        # Download cup.pem (G16).
        await imp.enter("cmplatform")
        await imp.select("Security", "Certificate Management")
        await imp.press("Find")
        await imp.picture("certificate list")
        await imp.follow("cup.pem")
        await imp.picture("cup pem")
        async with imp.page.expect_download() as downloading:
            await imp.follow("Download")
        file = tmp_path / (await downloading.value).suggested_filename
        await (await downloading.value).save_as(file)
        assert file.name == "cup.pem"
        assert file.read_bytes() == imp1.key_store.certificate_pem(CertificatePurpose.CUP)

        # Upload it to Callmanager-trust, restart Cisco CallManager (G17).
        await cucm.enter("cmplatform")
        await cucm.select("Security", "Certificate Management")
        await cucm.follow("Upload Certificate")
        await cucm.page.get_by_label("Certificate Name").select_option("Callmanager-trust")
        await cucm.page.locator("#file").set_input_files(file)
        await cucm.picture("upload certificate")
        await cucm.press("Upload File")
        await cucm.read("Success: Certificate Uploaded to Callmanager-trust")
        await cucm.restart(CALLMANAGER)
        await cucm.picture("control center")
    (trusted,) = cucm1.key_store.trust(TrustStoreName.CALLMANAGER_TRUST)
    assert trusted.certificate.common_name == imp1.plan.fqdn
    service = cucm1.services.running(CALLMANAGER)
    assert isinstance(service, CallManager)
    assert (await service.ping("trunk-to-imp1")).state is ServiceState.IN_SERVICE


async def configure_trunk(cucm: Person, subject: str) -> None:
    """The prerequisites on CUCM (G12)."""
    await cucm.enter("ccmadmin")
    await cucm.select("System", "Security", "SIP Trunk Security Profile")
    await cucm.follow("Add New")
    page = cucm.page
    await page.get_by_label("Name", exact=False).first.fill("IM and Presence")
    await page.get_by_label("Device Security Mode").select_option("Encrypted")
    await page.get_by_label("Incoming Transport Type").select_option("TLS")
    await page.get_by_label("Outgoing Transport Type").select_option("TLS")
    await page.get_by_label("X.509 Subject Name").fill(subject)
    await page.get_by_label("Incoming Port").fill("5061")
    for feature in (
        "Presence Subscription",
        "Out-of-Dialog REFER",
        "Unsolicited Notification",
        "Replaces Header",
    ):
        await page.get_by_label(f"Accept {feature}").check()
    await cucm.picture("sip trunk security profile")
    await cucm.press("Save")
    await cucm.read("Save successful: IM and Presence")
    await cucm.select("Device", "Trunk")
    await cucm.follow("Add New")
    await page.get_by_label("Device Name").fill("trunk-to-imp1")
    await page.get_by_label("Destination Address").fill(subject)
    await page.get_by_label("Destination Port").fill("5062")
    await page.get_by_label("SIP Trunk Security Profile").select_option("IM and Presence")
    await cucm.press("Save")
    await cucm.read("Save successful: trunk-to-imp1")
    await cucm.picture("trunks")
    await cucm.restart(CALLMANAGER)


async def test_sip_security_settings(lab: Lab, browser: Any) -> None:
    administration = lab.imp[0].administration
    async with person(browser, lab, lab.imp[0], "sip-security") as imp:
        await imp.enter("cupadmin")

        # Configure TLS peer subject (G18).
        await imp.select("System", "Security", "TLS Peer Subjects")
        await imp.follow("Add New")
        await imp.page.get_by_label("Peer Subject Name").fill("cucm1.lab.example")
        await imp.page.get_by_label("Description").fill("cucm1")
        await imp.press("Save")
        await imp.read("Add successful: cucm1.lab.example")
        await imp.picture("tls peer subjects")

        # Configure TLS context (G19).
        await imp.select("System", "Security", "TLS Context Configuration")
        await imp.press("Find")
        await imp.follow(CONTEXT)
        await imp.page.get_by_label("Available TLS Peer Subjects").select_option("cucm1.lab.example")
        await imp.press("Move to Selected →")
        await imp.read("Not saved yet")
        await imp.picture("tls context moved")
        await imp.press("Save")
        await imp.read("Update successful.")
        await imp.picture("tls context saved")
        assert (await administration.tls_context()).selected_peer_subjects == {"cucm1.lab.example"}
        await imp.enter("ccmservice")
        await imp.select("Tools", "Service Activation")
        await imp.page.get_by_label("Service Name").select_option(SIP_PROXY)
        await imp.picture("service activation")
        await imp.press("Restart")
        await imp.read(f"{SIP_PROXY} Service Restart Operation was Successful")

        # Configure SIP proxy-to-proxy intracluster protocol type (G20).
        await imp.enter("cupadmin")
        await imp.select("System", "Security", "General Settings")
        await imp.page.get_by_label(TRANSPORT).select_option("TCP")
        await imp.press("Save")
        await imp.read("Update successful.")
        await imp.picture("general settings")
        assert (await lab.imp[0].read_settings()).proxy_to_proxy_transport is Transport.TCP
        await imp.restart(SIP_PROXY)


async def test_xmpp_security_settings(lab: Lab, browser: Any) -> None:
    imp1 = lab.imp[0]
    async with person(browser, lab, imp1, "xmpp-security") as imp:
        await imp.enter("cupadmin")
        await imp.select("System", "Security", "Settings")
        await imp.page.get_by_label("Enable XMPP Client To IM/P Service Secure Mode").uncheck()
        await imp.page.get_by_label("Enable XMPP Router-to-Router Secure Mode").check()
        await imp.page.get_by_label("Enable Web Client to IM/P Service Secure Mode").check()
        await imp.page.get_by_label("XMPP Server-to-Server Domain Name").fill("lab.example")
        await imp.page.get_by_label("Use Domain Name for XMPP Certificate Subject Common Name").check()
        await imp.press("Save")
        await imp.read("Regenerate cup-xmpp-s2s and cup-xmpp")
        await imp.picture("settings")
        modes = await imp1.administration.secure_modes()
        assert (modes.xmpp_client, modes.router_to_router, modes.web_client) == (False, True, True)
        for name in ("cup-xmpp-s2s", "cup-xmpp"):
            await imp.enter("cmplatform")
            await imp.select("Security", "Certificate Management")
            await imp.follow(f"{name}.pem")
            await imp.press("Regenerate")
            await imp.read(f"Success: Certificate Generated: {name}.pem")
            await imp.picture(f"{name} regenerated")
        await imp.restart(ServiceName.XCP_ROUTER, network=True)
        for service in (
            ServiceName.XCP_CONNECTION_MANAGER,
            ServiceName.XCP_WEB_CONNECTION_MANAGER,
            ServiceName.XCP_XMPP_FEDERATION,
        ):
            await imp.restart(service)
        await imp.picture("nothing waits on imp1")
    assert {one.node for one in await imp1.restart_needed()} == {"imp2"}


async def test_reporting_backup_and_user_options(lab: Lab, browser: Any, tmp_path: Path) -> None:
    imp1 = lab.imp[0]
    await lab.imp[1].administration.import_certificate(TrustStoreName.CUP_TRUST, "imp1", 5062)
    async with person(browser, lab, imp1, "other-interfaces") as imp:
        await imp.enter("cucreports")
        await imp.select("System Reports", "Handshake Ledger")
        await imp.page.get_by_label("Outcome").select_option("refused")
        await imp.press("Find")
        await imp.picture("handshake ledger")
        await imp.page.locator("#ledger tbody a").first.click()
        await imp.heading("Verdict")
        await imp.picture("verdict")
        await imp.enter("drf")
        await imp.select("Backup", "Manual Backup")
        await imp.page.get_by_label("Backup password").fill("of the backup")
        async with imp.page.expect_download() as downloading:
            await imp.press("Start Backup")
        backup = tmp_path / "imp1.drs"
        await (await downloading.value).save_as(backup)
        await imp.select("Restore", "Restore Wizard")
        await imp.page.locator("#file").set_input_files(backup)
        await imp.page.get_by_label("Backup password").fill("of the backup")
        await imp.press("Restore")
        await imp.read("Restore Completed")
        await imp.picture("restored")
    async with person(browser, lab, imp1, "other-interfaces", scheme="dark") as alice:
        password = (await lab.user("alice")).digest_password
        await alice.enter("cupuser", user="alice", password=password)
        await alice.select("User Options", "Client Settings")
        await alice.picture("user options in the dark")


async def test_pages_are_used_with_the_keyboard_alone(lab: Lab, browser: Any) -> None:
    async with person(browser, lab, lab.imp[0], "keyboard", scheme="dark") as imp:
        keys = imp.page.keyboard
        await imp.page.goto(f"{imp.url}/cupadmin/")
        await keys.type("administrator")  # the field has the focus
        await keys.press("Tab")
        await keys.type(lab.administrator_password)
        await keys.press("Enter")
        await imp.page.get_by_role("navigation", name="Menus").wait_for()
        await keys.press("Tab")
        assert await imp.page.evaluate("document.activeElement.textContent") == "Skip to content"
        for _ in range(4):  # Navigation, Logout, System: the order of the page
            await keys.press("Tab")
            if (await imp.page.evaluate("document.activeElement.textContent")).strip() == "System":
                break
        await keys.press("Enter")
        await imp.picture("menu opened by the keyboard")
        while await imp.page.evaluate("document.activeElement.textContent") != "General Settings":
            await keys.press("Tab")
        await keys.press("Enter")
        await imp.heading("General Settings")
        await imp.page.get_by_label(TRANSPORT).focus()
        await keys.press("ArrowDown")
        await keys.press("Tab")
        await keys.press("Enter")
        await imp.read("Update successful.")
    assert (await lab.imp[0].read_settings()).proxy_to_proxy_transport is Transport.TCP


async def test_control_center_follows_what_happens_elsewhere(lab: Lab, browser: Any) -> None:
    async with person(browser, lab, lab.imp[0], "live") as imp:
        await imp.enter("ccmservice")
        await imp.select("Tools", "Control Center - Feature Services")
        row = imp.page.get_by_role("row", name=SIP_PROXY)
        await row.get_by_text("Started").wait_for()
        await lab.imp[0].services.stop(SIP_PROXY)
        await row.get_by_text("Stopped").wait_for()  # without a reload
        await lab.imp[0].services.start(SIP_PROXY)
        await row.get_by_text("Started").wait_for()
        await imp.select("Tools", "Control Center - Network Services")
        await imp.page.get_by_label("Cisco Tomcat", exact=True).check()
        await imp.press("Restart")
        await imp.heading("Please wait")
        await imp.picture("cisco tomcat restarts")
        await imp.read("Cisco Tomcat Service Restart Operation was Successful")
        await imp.picture("cisco tomcat restarted")
