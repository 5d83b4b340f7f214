"""The compose file's commands as they stand: three nodes in three network namespaces, with PostgreSQL.

No container engine runs here; a namespace is what a container is to the network.
"""

import asyncio
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from certs.purposes import CertificatePurpose, ServiceName, TrustStoreName
from certs.verdict import Reason
from harness.actors.xmpp import XmppClient, expect_login, leave
from harness.processes.control import SOCKET_NAME, ControlClient
from proxies.clock import LoopClock
from proxies.observer import NullObserver
from proxies.sip.agent.user_agent import UserAgent, UserAgentSettings
from proxies.sip.transport.flow import Destination, Transport
from tests.interop.namespaces import Namespace, hosts_on_a_bridge
from tests.interop.peers import require_module, require_program

pytestmark = [pytest.mark.interop, pytest.mark.timeout(180)]

ROOT = Path(__file__).parents[2]
PASSWORDS = {"alice": "wonderland", "bob": "builder"}
PASSWORD = "geheim"


@pytest.fixture(scope="module")
def subnet() -> str:
    """A range of this run's own: other runs on this machine have another."""
    return f"10.89.{100 + os.getpid() % 150}."


@pytest.fixture(scope="module")
def services(subnet: str) -> dict[str, Any]:
    """Return the nodes' services of the compose file, moved into the range."""
    text = (ROOT / "deploy" / "compose.yaml").read_text(encoding="utf-8")
    text = text.replace("${IMP_DATABASE_PASSWORD:?set a password}", PASSWORD).replace("10.89.7.", subnet)
    loaded = yaml.safe_load(text)["services"]
    return {name: service for name, service in loaded.items() if name != "database"}


@pytest.fixture(scope="module")
def hosts(services: dict[str, Any], subnet: str) -> Iterator[dict[str, Namespace]]:
    addresses = {name: each["networks"]["lab"]["ipv4_address"] for name, each in services.items()}
    with hosts_on_a_bridge(addresses, f"{subnet}2") as made:
        yield made


@pytest.fixture(scope="module")
def database(hosts: dict[str, Namespace], subnet: str) -> Iterator[None]:
    """Run PostgreSQL outside the namespaces, as the compose file's container: the same user, password, databases."""
    require_module("asyncpg")
    initdb, pg_ctl, psql = (
        require_program(name, *Path("/usr/lib/postgresql").glob("*/bin"))
        for name in ("initdb", "pg_ctl", "psql")
    )
    with tempfile.TemporaryDirectory() as folder:
        shutil.chown(folder, "postgres")
        secret, data = Path(folder, "password"), str(Path(folder, "data"))
        secret.write_text(PASSWORD, encoding="utf-8")
        shutil.chown(secret, "postgres")

        def run(*command: str) -> None:
            subprocess.run(
                command, user="postgres", cwd=folder, check=True, stdout=subprocess.DEVNULL, timeout=60,
                env=os.environ | {"PGPASSWORD": PASSWORD},
            )  # fmt: skip

        auth = ("--auth-host=scram-sha-256", "--auth-local=trust", f"--pwfile={secret}")
        run(initdb, "--no-sync", *auth, "--username=lab", "-D", data)
        with Path(data, "pg_hba.conf").open("a", encoding="utf-8") as hba:
            hba.write(f"host all lab {subnet}0/24 scram-sha-256\n")
        options = f"-h {subnet}2 -p 5432 -k {folder} -c fsync=off"
        run(pg_ctl, "-w", "-D", data, "-o", options, "-l", str(Path(folder, "log")), "start")
        try:
            run(psql, "-h", folder, "-U", "lab", "-d", "postgres", "-c", "CREATE DATABASE imp")
            run(
                psql,
                "-h",
                folder,
                "-U",
                "lab",
                "-d",
                "postgres",
                "-f",
                str(ROOT / "deploy" / "databases.sql"),
            )
            yield
        finally:
            run(pg_ctl, "-w", "-D", data, "-m", "immediate", "stop")


class Deployed:
    """The nodes that run, and who administers them."""

    def __init__(self, folder: Path, services: dict[str, Any], hosts: dict[str, Namespace]) -> None:
        self.folder = folder
        self._services = services
        self._hosts = hosts

    def address(self, name: str) -> str:
        return self._hosts[name].address

    def control(self, name: str) -> ControlClient:
        cluster = "cucm" if name == "cucm1" else "imp"
        return ControlClient(self.folder / name / cluster / name / SOCKET_NAME, name)

    @asynccontextmanager
    async def node(self, name: str, lab: Path) -> AsyncIterator[asyncio.subprocess.Process]:
        """Run a service's command in its namespace, with its environment; the paths are this run's."""
        service = self._services[name]
        moved = {"/etc/imp-harness/lab.toml": str(lab), "/var/lib/imp-harness": str(self.folder / name)}
        command = [moved.get(word, word) for word in service["command"]]
        process = await asyncio.create_subprocess_exec(
            *self._hosts[name].command(sys.executable, "-m", "harness.cli", *command),
            cwd=ROOT, env=os.environ | service["environment"], stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            yield process
        finally:
            if process.returncode is None:
                process.terminate()
            try:
                async with asyncio.timeout(20):
                    await process.communicate()
            except TimeoutError:
                process.kill()
                await process.communicate()


@pytest.fixture
async def deployed(
    services: dict[str, Any], hosts: dict[str, Namespace], database: None, subnet: str, tmp_path: Path
) -> AsyncIterator[Deployed]:
    """Start the three nodes at once and wait until each says that it is ready."""
    text = (ROOT / "deploy" / "lab.toml").read_text(encoding="utf-8").replace("10.89.7.", subnet)
    for home, password in (("imp1", PASSWORDS["alice"]), ("imp2", PASSWORDS["bob"])):
        text = text.replace(
            f'home_node = "{home}"\n', f'home_node = "{home}"\ndigest_password = "{password}"\n'
        )
    lab = tmp_path / "lab.toml"
    lab.write_text(text, encoding="utf-8")
    made = Deployed(tmp_path, services, hosts)
    async with AsyncExitStack() as stack:
        running = {name: await stack.enter_async_context(made.node(name, lab)) for name in services}
        for name, process in running.items():
            assert process.stdout is not None
            line = await asyncio.wait_for(process.stdout.readline(), 60)
            assert line, (await process.communicate())[1].decode()
            assert json.loads(line)["event"] == "ready"
            assert json.loads(line)["address"] == made.address(name)
        yield made


@asynccontextmanager
async def logged_in(deployed: Deployed, user: str, node: str) -> AsyncIterator[XmppClient]:
    """Log a client in from outside the namespaces, with trust in the node's own certificate."""
    pem = await deployed.control(node).call_later(
        "administration.certificate_management.download", CertificatePurpose.CUP_XMPP
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(cadata=pem.decode("ascii"))
    client = XmppClient(f"{user}@lab.example", PASSWORDS[user], context)
    client.connect(deployed.address(node), 5222)
    try:
        async with asyncio.timeout(15):
            expect_login(f"{user}'s login at {node}", await asyncio.shield(client.outcome))
        yield client
    finally:
        await leave(client)


async def test_alice_and_bob_chat_across_namespaces(deployed: Deployed) -> None:
    async with logged_in(deployed, "alice", "imp1") as alice, logged_in(deployed, "bob", "imp2") as bob:
        alice.chat("bob@lab.example", "from another host")
        message = await bob.next_message(within=20)
        assert (message["body"], message["from"].bare) == ("from another host", "alice@lab.example")
        bob.chat("alice@lab.example", "and back")
        assert (await alice.next_message(within=20))["body"] == "and back"


class _Hosts:
    def __init__(self, addresses: dict[str, str]) -> None:
        self._addresses = addresses

    def address_of(self, name: str) -> str | None:
        return self._addresses.get(name, name)

    def services_of(self, domain: str, transport: Transport) -> tuple[tuple[str, int], ...]:
        return ()


def phone(deployed: Deployed, user: str, node: str, subnet: str) -> UserAgent:
    proxy = Destination(transport=Transport.TCP, host=deployed.address(node), port=5060)
    settings = UserAgentSettings(
        uri=f"sip:{user}@lab.example", address=f"{subnet}2", outbound_proxy=proxy, time_limit=15.0
    )
    return UserAgent(settings, clock=LoopClock(), resolver=_Hosts({}), observer=NullObserver())


async def test_sip_crosses_hosts_over_mutual_tls_once_certificates_are_exchanged(
    deployed: Deployed, subnet: str
) -> None:
    # One write for both: a setting is the cluster's, and the database on another host has it.
    await deployed.control("imp1").call_later("administration.add_incoming_acl", f"{subnet}0/24", "clients")
    for name in ("imp1", "imp2"):
        await deployed.control(name).call_later("administration.restart", ServiceName.SIP_PROXY)
    async with (
        phone(deployed, "alice", "imp1", subnet) as alice,
        phone(deployed, "bob", "imp2", subnet) as bob,
    ):
        assert (await bob.register()).status == 200
        refused = await alice.message("sip:bob@lab.example", "too early")
        assert refused.status == 503, "imp2's certificate is not trusted yet"
        for name, peer in (("imp1", "imp2"), ("imp2", "imp1")):
            control = deployed.control(name)
            outcome = await control.call_later(
                "administration.import_certificate", TrustStoreName.CUP_TRUST, f"{peer}.lab.example", 5062
            )
            assert outcome.report.reason is Reason.ACCEPTED, outcome.report
        for name in ("imp1", "imp2"):
            await deployed.control(name).call_later("administration.restart", ServiceName.SIP_PROXY)
        assert (await bob.register()).status == 200
        sent = await alice.message("sip:bob@lab.example", "over TLS")
        assert sent.status == 200, f"{sent.reason} {sent.warning}"
        assert (await bob.next_request()).body == b"over TLS"


async def test_a_namespace_reaches_what_its_node_listens_on_and_no_other_does(
    deployed: Deployed, hosts: dict[str, Namespace]
) -> None:
    """The exchange above crossed the network: no node listens on another's loopback."""
    probe = "import socket, sys; socket.create_connection((sys.argv[1], 5222), 2)"
    for where, target, reached in (("imp2", "imp1", True), ("imp2", "127.0.0.1", False)):
        address = deployed.address(target) if target in hosts else target
        command = hosts[where].command(sys.executable, "-c", probe, address)
        done = await asyncio.to_thread(subprocess.run, command, capture_output=True, timeout=20, check=False)
        assert (done.returncode == 0) is reached
    with pytest.raises(OSError), socket.create_connection(("127.0.0.1", 5222), timeout=1):  # noqa: PT011
        pass
