"""A node without sockets for the tests of the platform command line, and a terminal that a test types at."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from pathlib import Path

from certs.issuing import CertificateSpec, KeyAlgorithm, LibraryIssuer, issue_self_signed, make_key
from certs.key_store import KeyStore
from certs.purposes import CertificatePurpose, ServiceName, TrustStoreName
from harness.configuration.database import Database, sqlite_url
from harness.nodes.certificate_management import CertificateManagement
from harness.nodes.service_control import ServiceControl, ServiceEnvironment
from harness.nodes.service_runs import RestartNeeded, ServiceRuns
from harness.plan.lab_file import load_topology
from harness.plan.names import LabNames
from harness.plan.topology import plan_lab
from harness.platform.interpreter import Interpreter, Outcome
from harness.platform.session import EndOfInput, PlatformNode
from proxies.clock import LoopClock
from proxies.observer import NullObserver
from tests.harness.nodes.fake_services import FakeBuilder, FakeSnapshot

PURPOSES = (CertificatePurpose.TOMCAT, CertificatePurpose.CUP, CertificatePurpose.CUP_XMPP)
STORES = (TrustStoreName.CUP_TRUST, TrustStoreName.CUP_XMPP_TRUST, TrustStoreName.TOMCAT_TRUST)


@dataclass(slots=True)
class TypedTerminal:
    """Types lines one after the other and keeps what is shown."""

    lines: list[str] = field(default_factory=list)
    shown: str = ""

    def write(self, text: str) -> None:
        self.shown += text

    async def read_line(self, prompt: str) -> str:
        self.shown += prompt
        if not self.lines:
            raise EndOfInput
        line = self.lines.pop(0)
        self.shown += line + "\n"
        return line


@dataclass(slots=True)
class FakeNode:
    """What a test looks at beside the terminal."""

    platform: PlatformNode
    key_store: KeyStore
    diary: list[str]
    proxy: FakeBuilder
    restarts: list[str]

    async def type(self, line: str, *answers: str) -> tuple[Outcome, str]:
        """Run one line with the answers to what it asks, and return how it went and what was shown."""
        terminal = TypedTerminal(list(answers))
        outcome = await Interpreter(self.platform, terminal).execute(line)
        assert terminal.lines == [], "not everything that was typed was read"
        return outcome, terminal.shown


@asynccontextmanager
async def fake_node(directory: Path) -> AsyncIterator[FakeNode]:
    plan = plan_lab(load_topology(), IPv4Network("127.250.0.0/24"))
    node = plan.clusters[0].imp[0]
    clock = LoopClock()
    database = Database(sqlite_url(directory / "cluster.sqlite"))
    await database.prepare()
    diary: list[str] = []
    router, proxy = FakeBuilder("router", diary), FakeBuilder("proxy", diary)
    key_store = KeyStore(directory / "certificates")

    def spec() -> CertificateSpec:
        return CertificateSpec.for_node(node.fqdn, node.address, now=clock.now())

    async def specify(purpose: CertificatePurpose) -> CertificateSpec:
        return spec()

    async def restart_needed() -> tuple[RestartNeeded, ...]:
        return (
            RestartNeeded(node=node.name, service=ServiceName.SIP_PROXY, topics=(CertificatePurpose.CUP,)),
        )

    async def take_snapshot(service: ServiceName) -> FakeSnapshot:
        return FakeSnapshot(value="new", digests={})

    key_store.ensure_own(PURPOSES, lambda _: issue_self_signed(spec(), make_key(KeyAlgorithm.EC_P256)))
    restarts: list[str] = []
    platform = PlatformNode(
        name=node.name,
        fqdn=node.fqdn,
        product="Cisco Unified CM IM and Presence",
        version="9.0.1.10000-21",
        certificates=CertificateManagement(
            node,
            key_store,
            purposes=PURPOSES,
            trust_stores=STORES,
            key_algorithm=KeyAlgorithm.EC_P256,
            issuer=LibraryIssuer(),
            specify=specify,
            restart_needed=restart_needed,
        ),
        services=ServiceControl(
            node.name,
            builders={ServiceName.XCP_ROUTER: router, ServiceName.SIP_PROXY: proxy},
            take_snapshot=take_snapshot,
            environment=ServiceEnvironment(clock=clock, observer=NullObserver(), names=LabNames(plan)),
            runs=ServiceRuns(database),
        ),
        request_restart=lambda: restarts.append(node.name),
    )
    await platform.services.boot()
    try:
        yield FakeNode(platform, key_store, diary, proxy, restarts)
    finally:
        await platform.services.shut_down()
        await database.aclose()
