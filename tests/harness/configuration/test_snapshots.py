"""What a service starts with, and how it is told that the present is another."""

import dataclasses
from collections.abc import Callable
from ipaddress import IPv4Network
from pathlib import Path
from types import MappingProxyType

import pytest

from certs.clock import ManualClock
from certs.credential import Credential
from certs.errors import CertificateError
from certs.issuing import CertificateSpec, KeyAlgorithm, issue_self_signed, make_key
from certs.key_store import KeyStore
from certs.purposes import CertificatePurpose, ServiceName, TrustStoreName
from harness.configuration.cluster_settings import (
    OWNERS,
    ImpSettings,
    IncomingAcl,
    SettingTopic,
    TlsContext,
    TlsPeerSubject,
    User,
    topics_of,
)
from harness.configuration.snapshots import ImpSnapshot, present_digests, take_snapshot
from harness.nodes.service_runs import ServiceRun, changed_since
from harness.nodes.services import sip_proxy_settings
from harness.plan.lab_file import load_topology
from harness.plan.topology import plan_lab
from proxies.sip.proxy.sip_proxy_settings import ClusterNode, StaticRoute
from proxies.sip.transport.flow import Destination, Transport

CLUSTER = plan_lab(load_topology(), IPv4Network("127.20.0.0/24")).clusters[0]
SETTINGS = ImpSettings(
    tls_peer_subjects=(TlsPeerSubject(peer_subject_name="cucm1.lab.example"),),
    tls_context=TlsContext(
        selected_peer_subjects=frozenset({"cucm1.lab.example"}),
        selected_ciphers=("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384"),
    ),
    incoming_acl=(IncomingAcl(address_pattern="127.20.0.1"),),
    proxy_to_proxy_transport=Transport.TCP,
    users=(User(user_id="alice", home_node="imp2", digest_password="geheim"),),
    static_routes=(
        StaticRoute(
            destination_pattern="1...",
            next_hop=Destination(transport=Transport.TLS, host="cucm1", port=5061),
        ),
    ),
)


@pytest.fixture
def key_store(tmp_path: Path) -> KeyStore:
    key_store = KeyStore(tmp_path / "certificates")
    key_store.set_own(CertificatePurpose.CUP, credential())
    key_store.set_own(CertificatePurpose.TOMCAT, credential())
    key_store.add_trust(TrustStoreName.CUP_TRUST, credential("cucm1.lab.example").chain_pem)
    return key_store


def credential(name: str = "imp1.lab.example") -> Credential:
    spec = CertificateSpec.for_node(name, "127.20.0.11", now=ManualClock().now())
    return issue_self_signed(spec, make_key(KeyAlgorithm.EC_P256))


def snapshot(settings: ImpSettings, key_store: KeyStore) -> ImpSnapshot:
    return take_snapshot(CLUSTER.imp[0], CLUSTER, ServiceName.SIP_PROXY, settings, key_store)


def test_the_sip_proxy_gets_its_settings_certificate_trust_and_neighbours(key_store: KeyStore) -> None:
    settings = sip_proxy_settings(snapshot(SETTINGS, key_store))
    assert settings.credential == key_store.own(CertificatePurpose.CUP)
    assert settings.server_auth_credential == key_store.own(CertificatePurpose.TOMCAT)
    assert settings.trust.certificates == (key_store.trust(TrustStoreName.CUP_TRUST)[0].pem,)
    assert settings.trust.peer_subjects == {"cucm1.lab.example"}
    assert settings.trust.tls_context == "Default_Cisco_UPS_SIP_Proxy_Peer_Auth_TLS_Context"
    assert settings.trust.services == (ServiceName.SIP_PROXY, ServiceName.PRESENCE_ENGINE)
    assert settings.tls_ciphers == "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384"
    assert settings.incoming_access_list == ("127.20.0.1",)
    assert settings.proxy_to_proxy_transport is Transport.TCP
    assert settings.users == {"alice": "imp2"}
    assert settings.static_routes == SETTINGS.static_routes
    assert settings.cluster_nodes == (
        ClusterNode(name="imp2", fqdn="imp2.lab.example", address="127.20.0.12"),
    )
    assert (settings.sip_port, settings.server_auth_port, settings.peer_auth_port) == (5060, 5061, 5062)


def test_without_its_certificate_a_service_gets_no_snapshot(tmp_path: Path) -> None:
    empty = KeyStore(tmp_path / "empty")
    with pytest.raises(CertificateError):
        snapshot(SETTINGS, empty)
    for purpose in (CertificatePurpose.CUP, CertificatePurpose.TOMCAT):
        empty.set_own(purpose, credential())
    snapshot(SETTINGS, empty)


@pytest.mark.parametrize(
    ("edit", "topic"),
    [
        (lambda s: dataclasses.replace(s, tls_peer_subjects=()), SettingTopic.TLS_PEER_SUBJECTS),
        (lambda s: dataclasses.replace(s, tls_context=TlsContext()), SettingTopic.TLS_CONTEXT),
        (lambda s: dataclasses.replace(s, incoming_acl=()), SettingTopic.INCOMING_ACL),
        (
            lambda s: dataclasses.replace(s, proxy_to_proxy_transport=Transport.TLS),
            SettingTopic.PROXY_TO_PROXY_TRANSPORT,
        ),
        (lambda s: dataclasses.replace(s, static_routes=()), SettingTopic.STATIC_ROUTES),
        (
            lambda s: dataclasses.replace(s, users=(dataclasses.replace(s.users[0], home_node="imp1"),)),
            SettingTopic.USERS,
        ),
    ],
)
def test_an_edit_is_seen_in_its_topic_and_in_no_other(
    key_store: KeyStore, edit: Callable[[ImpSettings], ImpSettings], topic: SettingTopic
) -> None:
    run = run_of(snapshot(SETTINGS, key_store))
    assert changed(run, SETTINGS, key_store) == ()
    assert changed(run, edit(SETTINGS), key_store) == (topic.value,)


def test_descriptions_and_digest_passwords_are_not_what_the_sip_proxy_reads(key_store: KeyStore) -> None:
    run = run_of(snapshot(SETTINGS, key_store))
    edited = dataclasses.replace(
        SETTINGS,
        users=(dataclasses.replace(SETTINGS.users[0], digest_password="other"),),
        tls_peer_subjects=(dataclasses.replace(SETTINGS.tls_peer_subjects[0], description="other"),),
        incoming_acl=(dataclasses.replace(SETTINGS.incoming_acl[0], description="other"),),
    )
    assert changed(run, edited, key_store) == ()


def test_the_order_of_a_set_changes_nothing(key_store: KeyStore) -> None:
    def context(names: list[str]) -> ImpSettings:
        selected = frozenset(names)
        return dataclasses.replace(SETTINGS, tls_context=TlsContext(selected_peer_subjects=selected))

    names = [f"imp{i}.lab.example" for i in range(20)]
    run = run_of(snapshot(context(names), key_store))
    assert changed(run, context(names[::-1]), key_store) == ()


def test_a_certificate_that_goes_and_comes_back_needs_no_restart(key_store: KeyStore) -> None:
    run = run_of(snapshot(SETTINGS, key_store))
    (trusted,) = key_store.trust(TrustStoreName.CUP_TRUST)
    key_store.delete_trust(TrustStoreName.CUP_TRUST, trusted.certificate.sha256)
    assert changed(run, SETTINGS, key_store) == ("cup-trust",)
    key_store.add_trust(TrustStoreName.CUP_TRUST, trusted.pem)
    assert changed(run, SETTINGS, key_store) == ()


def test_a_new_certificate_is_seen(key_store: KeyStore) -> None:
    run = run_of(snapshot(SETTINGS, key_store))
    key_store.set_own(CertificatePurpose.CUP, credential())
    assert changed(run, SETTINGS, key_store) == ("cup",)


def test_every_topic_has_a_service_that_owns_it() -> None:
    assert set(OWNERS) == {*SettingTopic, *CertificatePurpose, *TrustStoreName}
    assert SettingTopic.TLS_CONTEXT in topics_of(ServiceName.SIP_PROXY)
    assert SettingTopic.SIP_TRUNKS in topics_of(ServiceName.CALLMANAGER)


def run_of(taken: ImpSnapshot) -> ServiceRun:
    return ServiceRun(
        node="imp1",
        service=ServiceName.SIP_PROXY,
        started_at=ManualClock().now(),
        digests=MappingProxyType(dict(taken.digests)),
    )


def changed(run: ServiceRun, settings: ImpSettings, key_store: KeyStore) -> tuple[str, ...]:
    return changed_since(run, present_digests(tuple(OWNERS), settings, key_store))
