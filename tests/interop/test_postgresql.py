"""A cluster's database on PostgreSQL: the same lab, with nothing changed but the URL."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from certs.errors import ConfigError
from certs.purposes import ServiceName, TrustStoreName
from harness.configuration.database import Database
from harness.im_store.store import DatabaseImStore
from harness.lab import Lab
from harness.plan.addresses import reserve_range
from harness.plan.lab_file import LabFile, parse_lab_file
from proxies.clock import LoopClock
from proxies.sip.transport.flow import Transport
from proxies.xmpp.im.archive_values import ArchiveEntry, ArchiveQuery
from proxies.xmpp.im.interfaces import OfflineMessage, RosterItem
from proxies.xmpp.jid import Jid
from proxies.xmpp.pep.values import PepNode, PublishedItem
from proxies.xmpp.stanza import Stanza
from tests.harness.plan.lab_texts import SMALL
from tests.interop.peers import require_module, require_program

pytestmark = pytest.mark.interop

PORT = 5432


def program(name: str) -> str:
    return require_program(name, *Path("/usr/lib/postgresql").glob("*/bin"))


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Run a server in a folder of its own, not as root, and return its address."""
    require_module("asyncpg")
    user = "postgres" if os.geteuid() == 0 else None
    initdb, pg_ctl = program("initdb"), program("pg_ctl")
    with (
        tempfile.TemporaryDirectory() as folder,
        reserve_range(IPv4Network("127.77.249.0/24")) as reserved,
    ):
        data, address = Path(folder, "data"), str(reserved.network[2])
        if user is not None:
            shutil.chown(folder, user)

        def run(*command: str) -> None:
            subprocess.run(command, user=user, cwd=folder, check=True, stdout=subprocess.DEVNULL, timeout=60)

        run(initdb, "--no-sync", "--auth=trust", "--username=lab", "-D", str(data))
        options = f"-h {address} -p {PORT} -k {folder} -c fsync=off"
        run(pg_ctl, "-w", "-D", str(data), "-o", options, "-l", str(Path(folder, "log")), "start")
        try:
            yield address
        finally:
            run(pg_ctl, "-w", "-D", str(data), "-m", "fast", "stop")


@pytest.fixture
def lab_file(server: str) -> LabFile:
    url = f"postgresql+asyncpg://lab@{server}:{PORT}/postgres?ssl=disable"
    return parse_lab_file(
        SMALL.replace('kind = "imp"', f'kind = "imp"\ndatabase = "{url}"'), source="lab.toml"
    )


async def test_a_lab_stages_settings_and_derives_restarts_on_postgresql(
    lab_file: LabFile, tmp_path: Path
) -> None:
    async with Lab.start(lab_file, work_directory=tmp_path) as lab:
        alice = await lab.user("alice")
        administration = lab.imp[0].administration
        outcome = await administration.import_certificate(TrustStoreName.CUP_TRUST, "cucm1", 5061)
        assert outcome.report.downloaded
        await administration.set_proxy_to_proxy_transport(Transport.TCP)
        assert {(each.node, each.service) for each in await lab.imp[1].restart_needed()} == {
            ("imp1", ServiceName.SIP_PROXY),
            ("imp2", ServiceName.SIP_PROXY),
        }
        for node in lab.imp:
            await node.administration.restart(ServiceName.SIP_PROXY)
        assert await lab.imp[1].restart_needed() == ()
    async with Lab.start(lab_file, work_directory=tmp_path) as lab:
        assert await lab.user("alice") == alice
        settings = await lab.imp[1].read_settings()
        assert settings.proxy_to_proxy_transport is Transport.TCP
        assert settings.tls_context.selected_peer_subjects == {"cucm1.lab.example"}


async def test_a_server_that_does_not_answer_is_named_without_its_password(server: str) -> None:
    database = Database(f"postgresql+asyncpg://lab:geheim@{server}:{PORT + 1}/postgres")
    with pytest.raises(ConfigError, match=rf"database .*{server}:{PORT + 1}.* cannot be reached") as refusal:
        await database.prepare()
    assert "geheim" not in str(refusal.value)
    await database.aclose()


async def test_users_data_are_written_and_read_again_on_postgresql(server: str, lab_file: LabFile) -> None:
    """Each kind of row: new, changed, taken away; and an archive."""
    clock, alice, bob = LoopClock(), Jid.parse("alice@lab.example"), Jid.parse("bob@lab.example")
    database = Database(lab_file.clusters[0].database or "")
    await database.prepare()

    async def open_store() -> DatabaseImStore:
        return await DatabaseImStore.open(database, clock, node="imp1", conference_domain="rooms.lab.example")

    message = Stanza("message", {"to": str(alice), "from": str(bob)}, b"<body>hi</body>", (("", "body"),))
    store = await open_store()
    for name in ("Bob", "Robert"):
        store.set_roster_item(alice, RosterItem(jid=bob, name=name))
    store.set_roster_item(bob, RosterItem(jid=alice))
    store.set_vcard(alice, b"<vCard xmlns='vcard-temp'/>")
    store.add_offline_message(alice, OfflineMessage(stanza=message, received=clock.now()))
    store.append(ArchiveEntry(alice, 1, clock.now(), bob, message))
    store.pep.set_pep_node(alice, PepNode(name="urn:example:n"))
    store.pep.put_pep_item(
        alice, "urn:example:n", PublishedItem(id="1", payload=b"<a xmlns='b'/>", published=clock.now())
    )
    await store.aclose()
    store = await open_store()
    assert store.roster(alice)[bob].name == "Robert"
    assert store.vcard(alice) == b"<vCard xmlns='vcard-temp'/>"
    assert [kept.stanza for kept in store.offline_messages(alice)] == [message]
    assert list(store.pep.pep_items(alice, "urn:example:n")) == ["1"]
    page = await store.query(alice, ArchiveQuery(maximum=10))
    assert [each.id for each in page.messages] == [1]
    store.remove_roster_item(bob, alice)
    store.clear_offline_messages(alice)
    store.pep.remove_pep_node(alice, "urn:example:n")
    await store.aclose()
    store = await open_store()
    assert not store.roster(bob)
    assert not store.offline_messages(alice)
    assert not store.pep.pep_nodes(alice)
    await store.aclose()
    await database.aclose()
