"""The guide's procedures on the nodes of a lab, and which restarts they ask for."""

from collections.abc import AsyncIterator
from pathlib import Path
from unittest.mock import ANY

import pytest

from certs.authority import CertificateAuthority
from certs.errors import CertificateError, ConfigError
from certs.issuing import CertificateSpec
from certs.purposes import CertificatePurpose, ServiceName, TrustStoreName
from certs.verdict import Reason
from harness.lab import Lab
from harness.nodes.administration import CucmAdministration, ImpAdministration
from harness.nodes.service_runs import RestartNeeded
from harness.plan.lab_file import load_topology
from proxies.sip.transport.flow import Transport
from proxies.sip.trunk.sip_trunk_profile import (
    DeviceSecurityMode,
    IncomingTransportType,
    SipTrunk,
    SipTrunkSecurityProfile,
)
from proxies.sip.trunk.status import ServiceState

CUP_TRUST, CALLMANAGER_TRUST = TrustStoreName.CUP_TRUST, TrustStoreName.CALLMANAGER_TRUST
PROXY, ENGINE, CALLMANAGER = ServiceName.SIP_PROXY, ServiceName.PRESENCE_ENGINE, ServiceName.CALLMANAGER


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with Lab.start(load_topology(), work_directory=tmp_path) as lab:
        yield lab


@pytest.fixture
def imp(lab: Lab) -> ImpAdministration:
    return lab.imp[0].administration


@pytest.fixture
def cucm(lab: Lab) -> CucmAdministration:
    return lab.cucm[0].administration


def needed(restarts: tuple[RestartNeeded, ...]) -> dict[tuple[str, ServiceName], tuple[str, ...]]:
    return {(each.node, each.service): each.topics for each in restarts}


async def test_the_certificate_exchange_in_the_guide_s_order_brings_the_trunk_up(
    lab: Lab, imp: ImpAdministration, cucm: CucmAdministration
) -> None:
    node = lab.imp[0].plan
    await cucm.save_sip_trunk_security_profile(
        SipTrunkSecurityProfile(
            name="IM and Presence",
            device_security_mode=DeviceSecurityMode.ENCRYPTED,
            incoming_transport_type=IncomingTransportType.TLS,
            outgoing_transport_type=Transport.TLS,
            x509_subject_names=frozenset({node.fqdn}),
            incoming_port=5061,
        )
    )
    await cucm.save_sip_trunk(
        SipTrunk(
            name="to-imp1",
            destination_address=node.fqdn,
            destination_port=node.ports.sip_tls_peer_auth,
            security_profile="IM and Presence",
        )
    )
    assert await cucm.restart(CALLMANAGER) == ()

    outcome = await imp.import_certificate(CUP_TRUST, "cucm1", lab.cucm[0].plan.ports.sip_tls)
    assert (outcome.report.connected, outcome.report.downloaded) == (True, True)
    assert outcome.report.subject == "cucm1.lab.example"
    assert (await imp.restart(PROXY))[0].node == "imp1"  # the presence engine reads cup-trust too
    certificate = imp.certificate_management.download(CertificatePurpose.CUP)
    restarts = await cucm.certificate_management.upload_certificate(CALLMANAGER_TRUST, certificate)
    assert needed(restarts) == {("cucm1", CALLMANAGER): ("Callmanager-trust",)}

    before = await lab.cucm[0].call_manager.ping("to-imp1")
    assert before.state is ServiceState.OUT_OF_SERVICE  # before the restart the old trust still holds
    assert await cucm.restart(CALLMANAGER) == ()
    after = await lab.cucm[0].call_manager.ping("to-imp1")
    assert after.state is ServiceState.IN_SERVICE


async def test_an_import_selects_the_subject_and_asks_for_restarts_on_every_node_that_reads_it(
    lab: Lab, imp: ImpAdministration
) -> None:
    outcome = await imp.import_certificate(CUP_TRUST, "cucm1", 5061)
    (subject,) = await imp.tls_peer_subjects()
    assert (subject.peer_subject_name, subject.description) == ("cucm1.lab.example", "cucm1")
    assert (await imp.tls_context()).selected_peer_subjects == {"cucm1.lab.example"}
    # The settings are the cluster's, the trust store is the node's own.
    assert needed(outcome.restart_needed) == {
        ("imp1", ENGINE): ("cup-trust",),
        ("imp1", PROXY): ("cup-trust", "TLS Peer Subjects", "TLS Context Configuration"),
        ("imp2", PROXY): ("TLS Peer Subjects", "TLS Context Configuration"),
    }
    assert lab.imp[1].key_store.trust(CUP_TRUST) == ()
    assert needed(await lab.imp[1].restart_needed()) == {
        ("imp1", PROXY): ("TLS Peer Subjects", "TLS Context Configuration"),
        ("imp2", PROXY): ("TLS Peer Subjects", "TLS Context Configuration"),
    }


async def test_the_import_tool_tells_not_connected_from_not_downloaded(
    lab: Lab, imp: ImpAdministration
) -> None:
    ports = lab.cucm[0].plan.ports
    refused = (await imp.import_certificate(CUP_TRUST, "cucm1", 9)).report
    assert (refused.connected, refused.downloaded, refused.reason) == (False, False, Reason.UNREACHABLE)
    unknown = (await imp.import_certificate(CUP_TRUST, "cucm9", ports.sip_tls)).report
    assert not unknown.connected
    assert "did you mean 'cucm1'" in unknown.detail
    assert await imp.tls_peer_subjects() == ()
    assert await lab.imp[0].restart_needed() == ()


async def test_an_edit_that_is_taken_back_needs_no_restart(lab: Lab, imp: ImpAdministration) -> None:
    restarts = await imp.set_proxy_to_proxy_transport(Transport.TCP)
    topic = ("SIP Intra-cluster Proxy-to-Proxy Transport Protocol",)
    assert needed(restarts) == {("imp1", PROXY): topic, ("imp2", PROXY): topic}
    assert await imp.set_proxy_to_proxy_transport(Transport.TLS) == ()


async def test_each_node_s_restart_ends_its_own_need_only(lab: Lab, imp: ImpAdministration) -> None:
    await imp.add_incoming_acl("127.20.0.0/24", "phones")
    assert needed(await imp.restart(PROXY)) == {("imp2", PROXY): ("Incoming ACL",)}
    assert await lab.imp[1].administration.restart(PROXY) == ()


async def test_selecting_in_the_context_is_staged_until_the_sip_proxy_restarts(
    lab: Lab, imp: ImpAdministration
) -> None:
    await imp.add_tls_peer_subject("cucm1.lab.example", "cucm1")
    await imp.select_peer_subjects(["cucm1.lab.example"])
    await imp.select_ciphers(["ECDHE-ECDSA-AES128-GCM-SHA256"])
    assert needed(await lab.imp[0].restart_needed())["imp1", PROXY] == (
        "TLS Peer Subjects",
        "TLS Context Configuration",
    )
    await imp.select_peer_subjects([])
    await imp.select_ciphers([])
    assert await imp.delete_tls_peer_subject("cucm1.lab.example") == ()


async def test_find_lists_the_node_s_own_and_its_trusted_certificates(
    lab: Lab, imp: ImpAdministration
) -> None:
    management = imp.certificate_management
    assert [(line.file_name, line.certificate.common_name) for line in management.find()] == [
        ("tomcat.pem", "imp1.lab.example"),
        ("cup.pem", "imp1.lab.example"),
        ("cup-xmpp.pem", "imp1.lab.example"),
        ("cup-xmpp-s2s.pem", "imp1.lab.example"),
        (ANY, "imp2.lab.example"),  # the XMPP certificate that replication brought into cup-xmpp-trust
    ]
    await imp.import_certificate(CUP_TRUST, "cucm1", 5061)
    (line,) = [line for line in management.find() if line.name is CUP_TRUST]
    assert line.certificate.common_name == "cucm1.lab.example"
    await management.delete(CUP_TRUST, line.certificate.sha256)
    assert [line for line in management.find() if line.name is CUP_TRUST] == []


async def test_a_regenerated_certificate_is_shown_after_the_restart_only(
    lab: Lab, imp: ImpAdministration
) -> None:
    peer = lab.imp[1].administration

    async def shown() -> str:
        port = lab.imp[0].plan.ports.sip_tls_peer_auth
        report = (await peer.import_certificate(CUP_TRUST, "imp1", port)).report
        return report.imported[0].certificate.sha256

    old = await shown()
    restarts = await imp.certificate_management.regenerate(CertificatePurpose.CUP)
    assert "cup" in needed(restarts)["imp1", PROXY]
    assert "cup" in needed(restarts)["imp1", ENGINE]
    assert await shown() == old
    await imp.restart(PROXY)
    assert await shown() != old


async def test_a_signed_certificate_takes_the_place_of_the_self_signed_one(
    lab: Lab, imp: ImpAdministration
) -> None:
    authority = CertificateAuthority.create()
    spec = CertificateSpec.for_node("imp1.lab.example", lab.imp[0].plan.address, now=lab.clock.now())
    management = imp.certificate_management
    csr = await management.generate_csr(CertificatePurpose.CUP)
    before = management.download(CertificatePurpose.CUP)  # a pending CSR is not in its way (G16)
    with pytest.raises(CertificateError):
        await management.upload_signed_certificate(CertificatePurpose.CUP, before)
    restarts = await management.upload_signed_certificate(
        CertificatePurpose.CUP, authority.sign_csr(csr, spec)
    )
    assert needed(restarts)["imp1", PROXY] == ("cup",)
    assert management.download(CertificatePurpose.CUP) != before


async def test_what_a_node_does_not_have_is_refused_by_name(
    imp: ImpAdministration, cucm: CucmAdministration
) -> None:
    with pytest.raises(ConfigError, match="imp1 has no Callmanager-trust; it has cup-trust"):
        await imp.import_certificate(CALLMANAGER_TRUST, "cucm1", 5061)
    with pytest.raises(ConfigError, match="cucm1 has no cup; it has tomcat, CallManager"):
        cucm.certificate_management.download(CertificatePurpose.CUP)
    pem = imp.certificate_management.download(CertificatePurpose.CUP)
    with pytest.raises(ConfigError, match="cucm1 has no cup-trust"):
        await cucm.certificate_management.upload_certificate(CUP_TRUST, pem)
    await cucm.certificate_management.upload_certificate(CALLMANAGER_TRUST, pem)


async def test_trunks_and_profiles_are_listed_and_deleted(cucm: CucmAdministration) -> None:
    profile = SipTrunkSecurityProfile(name="plain")
    trunk = SipTrunk(
        name="to-imp1", destination_address="imp1", destination_port=5060, security_profile="plain"
    )
    await cucm.save_sip_trunk_security_profile(profile)
    restarts = await cucm.save_sip_trunk(trunk)
    assert needed(restarts) == {("cucm1", CALLMANAGER): ("SIP Trunk Security Profile", "SIP Trunk")}
    assert await cucm.sip_trunk_security_profiles() == (profile,)
    assert await cucm.sip_trunks() == (trunk,)
    await cucm.delete_sip_trunk("to-imp1")
    assert await cucm.delete_sip_trunk_security_profile("plain") == ()
