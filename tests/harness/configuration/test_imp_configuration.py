"""The settings of an IM and Presence cluster: defaults, writes, refusals."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from certs.errors import ConfigError
from harness.configuration.cluster_settings import (
    DEFAULT_TLS_CONTEXT,
    IncomingAcl,
    TlsContext,
    TlsPeerSubject,
    User,
)
from harness.configuration.database import Database, sqlite_url
from harness.configuration.imp_configuration import ImpConfiguration
from proxies.sip.proxy.sip_proxy_settings import RouteType, StaticRoute
from proxies.sip.transport.flow import Destination, Transport

CUCM = TlsPeerSubject(peer_subject_name="cucm1.lab.example", description="cucm1")
IMP2 = TlsPeerSubject(peer_subject_name="imp2.lab.example")


@pytest.fixture
async def configuration(tmp_path: Path) -> AsyncIterator[ImpConfiguration]:
    database = Database(sqlite_url(tmp_path / "cluster.sqlite"))
    await database.prepare()
    yield ImpConfiguration(database)
    await database.aclose()


async def test_a_new_cluster_has_the_product_s_defaults(configuration: ImpConfiguration) -> None:
    settings = await configuration.settings()
    assert settings.proxy_to_proxy_transport is Transport.TLS
    assert settings.tls_context == TlsContext(name=DEFAULT_TLS_CONTEXT)
    assert settings.tls_peer_subjects == ()
    assert settings.incoming_acl == ()


async def test_a_tls_peer_subject_is_added_selected_and_deleted(configuration: ImpConfiguration) -> None:
    await configuration.add_tls_peer_subject(CUCM)
    await configuration.add_tls_peer_subject(IMP2)
    await configuration.select_peer_subjects(DEFAULT_TLS_CONTEXT, [CUCM.peer_subject_name])
    settings = await configuration.settings()
    assert settings.tls_peer_subjects == (CUCM, IMP2)
    assert settings.tls_context.selected_peer_subjects == {"cucm1.lab.example"}

    await configuration.select_peer_subjects(DEFAULT_TLS_CONTEXT, [IMP2.peer_subject_name])
    await configuration.delete_tls_peer_subject(CUCM.peer_subject_name)
    settings = await configuration.settings()
    assert settings.tls_peer_subjects == (IMP2,)
    assert settings.tls_context.selected_peer_subjects == {"imp2.lab.example"}


async def test_a_selected_peer_subject_is_not_deleted(configuration: ImpConfiguration) -> None:
    await configuration.add_imported_subject(CUCM)
    with pytest.raises(ConfigError, match=f"selected in {DEFAULT_TLS_CONTEXT}; move it back"):
        await configuration.delete_tls_peer_subject(CUCM.peer_subject_name)
    await configuration.select_peer_subjects(DEFAULT_TLS_CONTEXT, [])
    await configuration.delete_tls_peer_subject(CUCM.peer_subject_name)


async def test_an_import_adds_and_selects_and_a_second_one_changes_nothing(
    configuration: ImpConfiguration,
) -> None:
    await configuration.add_tls_peer_subject(IMP2)
    await configuration.add_imported_subject(CUCM)
    settings = await configuration.settings()
    assert settings.tls_peer_subjects == (CUCM, IMP2)
    assert settings.tls_context.selected_peer_subjects == {"cucm1.lab.example"}
    await configuration.add_imported_subject(CUCM)
    assert await configuration.settings() == settings


async def test_an_unknown_subject_is_refused_with_near_matches_and_nothing_is_saved(
    configuration: ImpConfiguration,
) -> None:
    await configuration.add_imported_subject(CUCM)
    before = await configuration.settings()
    with pytest.raises(ConfigError, match=r"'cucm2.lab.example'; did you mean 'cucm1.lab.example'\?"):
        await configuration.select_peer_subjects(DEFAULT_TLS_CONTEXT, ["cucm2.lab.example"])
    assert await configuration.settings() == before


async def test_a_subject_is_added_once(configuration: ImpConfiguration) -> None:
    await configuration.add_tls_peer_subject(CUCM)
    with pytest.raises(ConfigError, match=r"'cucm1\.lab\.example' is there already"):
        await configuration.add_tls_peer_subject(CUCM)
    with pytest.raises(ConfigError, match="expected the subject CN"):
        TlsPeerSubject(peer_subject_name=" ")


async def test_an_unknown_context_is_refused(configuration: ImpConfiguration) -> None:
    with pytest.raises(ConfigError, match=f"expected {DEFAULT_TLS_CONTEXT}, seen 'Default'"):
        await configuration.select_peer_subjects("Default", [])


async def test_ciphers_are_those_of_this_machine(configuration: ImpConfiguration) -> None:
    await configuration.select_ciphers(DEFAULT_TLS_CONTEXT, ["ECDHE-ECDSA-AES128-GCM-SHA256"])
    assert (await configuration.settings()).tls_context.selected_ciphers == ("ECDHE-ECDSA-AES128-GCM-SHA256",)
    with pytest.raises(ConfigError, match="no cipher called 'ROT13'"):
        await configuration.select_ciphers(DEFAULT_TLS_CONTEXT, ["ROT13"])


async def test_the_proxy_to_proxy_transport_is_tls_or_tcp(configuration: ImpConfiguration) -> None:
    await configuration.set_proxy_to_proxy_transport(Transport.TCP)
    assert (await configuration.settings()).proxy_to_proxy_transport is Transport.TCP
    with pytest.raises(ConfigError, match="expected TLS or TCP, seen UDP"):
        await configuration.set_proxy_to_proxy_transport(Transport.UDP)
    assert (await configuration.settings()).proxy_to_proxy_transport is Transport.TCP


async def test_the_incoming_acl_has_each_pattern_once(configuration: ImpConfiguration) -> None:
    entry = IncomingAcl(address_pattern="127.20.0.0/24", description="phones")
    await configuration.add_incoming_acl(entry)
    assert (await configuration.settings()).incoming_acl == (entry,)
    with pytest.raises(ConfigError, match="is there already"):
        await configuration.add_incoming_acl(entry)
    await configuration.delete_incoming_acl("127.20.0.0/24")
    assert (await configuration.settings()).incoming_acl == ()
    with pytest.raises(ConfigError, match="no entry of the incoming ACL"):
        await configuration.delete_incoming_acl("127.20.0.0/24")


async def test_a_static_route_is_saved_changed_and_deleted(configuration: ImpConfiguration) -> None:
    def route(port: int) -> StaticRoute:
        hop = Destination(transport=Transport.TLS, host="cucm1", port=port, server_name="cucm1.lab.example")
        return StaticRoute(destination_pattern="1...", next_hop=hop, route_type=RouteType.USER, priority=2)

    await configuration.save_static_route(route(5061))
    await configuration.save_static_route(route(5071))
    assert (await configuration.settings()).static_routes == (route(5071),)
    await configuration.delete_static_route("1...")
    assert (await configuration.settings()).static_routes == ()
    with pytest.raises(ConfigError, match=r"no static route has '1\.\.\.'"):
        await configuration.delete_static_route("1...")


async def test_a_user_is_assigned_once_and_the_password_stays_hidden(configuration: ImpConfiguration) -> None:
    alice = User(user_id="alice", home_node="imp1", digest_password="geheim")
    await configuration.add_user(alice)
    with pytest.raises(ConfigError, match="user 'alice' is there already"):
        await configuration.add_user(alice)
    moved = User(user_id="alice", home_node="imp2", digest_password="other")
    bob = User(user_id="bob", home_node="imp2", digest_password="x")
    await configuration.add_missing_users([moved, bob])
    settings = await configuration.settings()
    assert settings.users == (alice, bob)
    assert "geheim" not in repr(settings)
