"""Backup and restore of a node, and what happens to damaged files."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from certs.errors import ConfigError
from certs.purposes import CertificatePurpose, ServiceName, TrustStoreName
from harness.lab import Lab
from harness.nodes.disaster_recovery import MAXIMUM_BACKUP, configuration_tables
from harness.nodes.node import ImpNode
from harness.plan.lab_file import load_topology
from tests.integration.page_visitor import visitor

pytestmark = pytest.mark.timeout(180)  # a lab and many requests, on a machine that others use

PASSWORD = "of the backup"
CUP_TRUST = TrustStoreName.CUP_TRUST


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with Lab.start(load_topology(), work_directory=tmp_path) as lab:
        yield lab


@pytest.fixture
def imp1(lab: Lab) -> ImpNode:
    return lab.imp[0]


def test_a_backup_s_tables_hold_configuration_that_json_can_carry() -> None:
    tables = configuration_tables()
    assert {table.name for table in tables} >= {"users", "tls_contexts", "sip_trunks", "intercluster_peers"}
    for table in tables:
        for column in table.columns:
            # Moments and bytes say that it is about what runs or what was replicated.
            kind = type(column.type).__name__
            assert kind in ("String", "Integer", "Boolean", "JSON"), f"{table.name}.{column.name}: {kind}"


async def test_what_was_changed_since_the_backup_comes_back_and_services_are_named(
    lab: Lab, imp1: ImpNode
) -> None:
    administration = imp1.administration
    await administration.import_certificate(CUP_TRUST, "cucm1", 5061)
    imp1.login_banner.upload("notice.txt", b"Authorised use only.")
    own = imp1.key_store.certificate_pem(CertificatePurpose.CUP)
    await administration.restart(ServiceName.SIP_PROXY)
    await administration.restart(ServiceName.PRESENCE_ENGINE)
    backup = await imp1.disaster_recovery.back_up(PASSWORD)
    assert backup.startswith(b"IMP-DRS 1 imp1 ")
    assert b"PRIVATE KEY" not in backup

    await administration.certificate_management.regenerate(CertificatePurpose.CUP)
    (trusted,) = imp1.key_store.trust(CUP_TRUST)
    await administration.certificate_management.delete(CUP_TRUST, trusted.certificate.sha256)
    await administration.select_peer_subjects([])
    await administration.restart(ServiceName.SIP_PROXY)
    imp1.login_banner.delete()
    restored = await imp1.disaster_recovery.restore(backup, PASSWORD)

    assert restored.files >= 6
    assert imp1.key_store.certificate_pem(CertificatePurpose.CUP) == own
    assert imp1.key_store.trust(CUP_TRUST) == (trusted,)
    assert imp1.login_banner.read() == "Authorised use only."
    assert (await administration.tls_context()).selected_peer_subjects == {"cucm1.lab.example"}
    needed = {(one.node, one.service) for one in await imp1.restart_needed()}
    assert ("imp1", ServiceName.SIP_PROXY) in needed
    assert ("imp1", ServiceName.PRESENCE_ENGINE) not in needed  # it never saw the other certificate
    assert not imp1.key_store.directory.with_name("certificates.replaced").exists()


async def test_what_is_no_backup_of_this_node_is_refused_and_changes_nothing(lab: Lab, imp1: ImpNode) -> None:
    recovery = imp1.disaster_recovery
    backup = await recovery.back_up(PASSWORD)
    own = imp1.key_store.certificate_pem(CertificatePurpose.CUP)
    header, _, rest = backup.partition(b"\n")
    for content, password, error in (
        (backup, "another password", "the password is another one"),
        (backup[:-1], PASSWORD, "changed or cut short"),
        (
            header.replace(b"imp1", b"imp2") + b"\n" + rest,
            PASSWORD,
            "the password is another one, or the file",
        ),
        (header, PASSWORD, "expected a file that begins with"),
        (b"", PASSWORD, "expected a file that begins with"),
        (b"\xff" * 1000, PASSWORD, "expected a file that begins with"),
        (backup + b"x" * MAXIMUM_BACKUP, PASSWORD, "expected at most"),
        (
            await lab.imp[1].disaster_recovery.back_up(PASSWORD),
            PASSWORD,
            "expected one of imp1, seen one of imp2",
        ),
    ):
        with pytest.raises(ConfigError, match=error):
            await recovery.restore(content, password)
    assert imp1.key_store.certificate_pem(CertificatePurpose.CUP) == own
    await recovery.restore(backup, PASSWORD)
    with pytest.raises(ConfigError, match="at least 8 characters, seen 5"):
        await recovery.back_up("short")


async def test_a_damaged_key_store_file_is_named_on_its_page_and_the_others_are_listed(
    lab: Lab, imp1: ImpNode
) -> None:
    await imp1.administration.import_certificate(CUP_TRUST, "cucm1", 5061)
    (trusted,) = imp1.key_store.trust(CUP_TRUST)
    directory, sha256 = imp1.key_store.directory, trusted.certificate.sha256
    (directory / "own" / "cup.pem").write_bytes(b"truncated")
    (directory / "trust" / "cup-trust" / f"{sha256}.pem").write_bytes(b"")
    async with visitor(imp1) as someone:
        await someone.log_in("cmplatform", "administrator", lab.administrator_password)
        page = await someone.get("/cmplatform/certificate-management")
        assert page.status == 200
        assert "own/cup.pem is damaged" in page.text
        assert f"{sha256}.pem is damaged" in page.text
        assert "cup-xmpp.pem" in page.text
        await someone.press("/cmplatform/certificate-management", "delete", name="cup-trust", sha256=sha256)
        page = await someone.press("/cmplatform/generate-new", "generate", name="cup")
        assert page.status == 200
        assert "damaged" not in (await someone.get("/cmplatform/certificate-management")).text
        assert imp1.key_store.trust(CUP_TRUST) == ()


async def test_a_damaged_database_is_named_and_the_rest_of_the_node_works(lab: Lab, imp1: ImpNode) -> None:
    async with visitor(imp1) as someone:
        await someone.log_in("cupadmin", "administrator", lab.administrator_password)
        database = lab.work_directory / "imp" / "cluster.sqlite"
        for path in database.parent.glob("cluster.sqlite*"):
            path.write_bytes(b"no database any more " * 4000)
        page = await someone.get("/cupadmin/general-settings")
        assert page.status == 500
        assert "cluster.sqlite" in page.text
        assert "The other pages and services of this node are not affected" in page.text
        page = await someone.get("/cmplatform/certificate-management")
        assert page.status == 200
        assert "cup.pem" in page.text
        page = await someone.get("/ccmservice/control-center-feature-services")
        assert page.status == 200
