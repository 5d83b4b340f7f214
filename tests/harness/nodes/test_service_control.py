"""Control Center: states, order, bounded times, and a service that fails beside others that run."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from certs.errors import CertificateError, ConfigError, LocalProtocolError
from certs.purposes import ServiceName
from harness.configuration.database import Database, sqlite_url
from harness.nodes.service_control import ServiceControl, ServiceEnvironment, ServiceLimits
from harness.nodes.service_runs import ServiceRuns
from harness.nodes.service_state import TRANSITIONS, ServiceEvent, ServiceFailed, ServiceState
from harness.plan.lab_file import load_topology
from harness.plan.names import LabNames
from harness.plan.topology import plan_lab
from proxies.clock import LoopClock
from proxies.observer import NullObserver
from tests.harness.nodes.fake_services import FakeBuilder, FakeSnapshot

ROUTER, PROXY = ServiceName.XCP_ROUTER, ServiceName.SIP_PROXY


@dataclass(slots=True)
class Node:
    """Control Center with two fake services and settings that a test can change."""

    control: ServiceControl[FakeSnapshot]
    runs: ServiceRuns
    router: FakeBuilder
    proxy: FakeBuilder
    diary: list[str]
    setting: list[str] = field(default_factory=lambda: ["old"])

    def states(self) -> list[str]:
        return [status.state.value for status in self.control.services()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cluster.sqlite"


@pytest.fixture
async def node(path: Path) -> AsyncIterator[Node]:
    async with made_node(path, ServiceLimits()) as node:
        yield node


@pytest.fixture
async def impatient_node(path: Path) -> AsyncIterator[Node]:
    async with made_node(path, ServiceLimits(start=0.5, stop=0.5)) as node:
        yield node


@asynccontextmanager
async def made_node(path: Path, limits: ServiceLimits) -> AsyncIterator[Node]:
    database = Database(sqlite_url(path))
    await database.prepare()
    diary: list[str] = []
    router, proxy = FakeBuilder("router", diary), FakeBuilder("proxy", diary)
    setting = ["old"]

    async def take_snapshot(service: ServiceName) -> FakeSnapshot:
        if setting[0] == "broken":
            raise CertificateError("cup.pem is damaged; regenerate cup")
        return FakeSnapshot(value=setting[0], digests={"setting": setting[0]})

    runs = ServiceRuns(database)
    control = ServiceControl(
        "imp1",
        builders={ROUTER: router, PROXY: proxy},
        take_snapshot=take_snapshot,
        environment=ServiceEnvironment(
            clock=LoopClock(),
            observer=NullObserver(),
            names=LabNames(plan_lab(load_topology(), IPv4Network("127.20.0.0/24"))),
        ),
        runs=runs,
        limits=limits,
    )
    yield Node(control, runs, router, proxy, diary, setting)
    await control.shut_down()
    await database.aclose()


async def test_services_start_in_order_and_stop_against_it(node: Node) -> None:
    assert node.states() == ["Stopped", "Stopped"]
    assert await node.control.boot() == ()
    assert node.states() == ["Started", "Started"]
    assert await node.control.shut_down() == ()
    assert node.states() == ["Stopped", "Stopped"]
    assert node.diary == ["start router old", "start proxy old", "stop proxy old", "stop router old"]


async def test_a_restart_hands_a_service_the_present_settings_and_leaves_the_others(node: Node) -> None:
    await node.control.boot()
    node.setting[0] = "new"
    node.diary.clear()
    await node.control.restart(PROXY)
    assert node.diary == ["stop proxy old", "start proxy new"]


async def test_a_restart_starts_a_service_that_is_stopped(node: Node) -> None:
    await node.control.restart(PROXY)
    assert node.states() == ["Stopped", "Started"]


async def test_what_runs_is_written_down_with_its_digests(node: Node) -> None:
    await node.control.boot()
    await node.control.stop(ROUTER)
    (run,) = await node.runs.started()
    assert (run.node, run.service, run.digests) == ("imp1", PROXY, {"setting": "old"})


async def test_lines_that_a_killed_run_left_are_gone_after_the_boot(node: Node) -> None:
    await node.control.boot()
    node.proxy.start_error = OSError("no")
    assert len(await node.runs.started()) == 2
    await node.control.shut_down()
    await node.control.boot()
    assert [run.service for run in await node.runs.started()] == [ROUTER]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError("port 5060 is taken"), "port 5060 is taken"),
        (ConfigError("no certificate"), "no certificate"),
    ],
)
async def test_a_service_that_cannot_start_says_why_and_leaves_the_others_running(
    node: Node, error: Exception, reason: str
) -> None:
    node.proxy.start_error = error
    (failure,) = await node.control.boot()
    assert str(failure) == f"Cisco SIP Proxy on imp1: {reason}"
    assert node.states() == ["Started", "Stopped"]
    assert node.control.status(PROXY).reason == reason
    assert node.diary[-1] == "stop proxy old"

    node.proxy.start_error = None
    await node.control.start(PROXY)
    assert node.states() == ["Started", "Started"]
    assert node.control.status(PROXY).reason == ""


async def test_a_snapshot_that_cannot_be_taken_stops_the_start(node: Node) -> None:
    node.setting[0] = "broken"
    with pytest.raises(ServiceFailed, match=r"cup\.pem is damaged; regenerate cup"):
        await node.control.start(PROXY)
    assert node.proxy.built == []
    node.setting[0] = "mended"
    await node.control.start(PROXY)


async def test_a_start_that_hangs_ends_by_its_limit(impatient_node: Node) -> None:
    node = impatient_node
    node.proxy.hang_at = ("start",)
    with pytest.raises(ServiceFailed, match=r"did not start within 0\.5 s"):
        await node.control.start(PROXY)
    assert node.states() == ["Stopped", "Stopped"]


async def test_a_stop_that_hangs_ends_by_its_limit_and_the_service_can_start_again(
    impatient_node: Node,
) -> None:
    node = impatient_node
    node.proxy.hang_at = ("stop",)
    await node.control.start(PROXY)
    with pytest.raises(ServiceFailed, match=r"did not stop within 0\.5 s and was left behind"):
        await node.control.stop(PROXY)
    node.proxy.hang_at = ()
    await node.control.start(PROXY)
    assert node.control.status(PROXY).state is ServiceState.STARTED


@pytest.mark.parametrize("error", [OSError("gone"), RuntimeError("gone")])
async def test_a_node_shuts_down_though_one_service_fails_to_stop(node: Node, error: Exception) -> None:
    node.proxy.stop_error = error
    await node.control.boot()
    (failure,) = await node.control.shut_down()
    assert failure.reason == "gone"
    assert node.states() == ["Stopped", "Stopped"]
    assert node.diary[-1] == "stop router old"


async def test_a_node_shuts_down_though_its_database_is_broken(node: Node, path: Path) -> None:
    await node.control.boot()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE service_runs")
    failures = await node.control.shut_down()
    assert [failure.service for failure in failures] == [PROXY, ROUTER]
    assert "no such table: service_runs" in failures[0].reason
    assert node.states() == ["Stopped", "Stopped"]


async def test_a_cancelled_start_leaves_nothing_open(node: Node) -> None:
    node.proxy.hang_at = ("start",)
    task = asyncio.create_task(node.control.start(PROXY))
    while "start proxy old" not in node.diary:
        await asyncio.sleep(0)
    assert node.control.status(PROXY).state is ServiceState.STARTING
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert node.diary[-1] == "stop proxy old"
    assert node.control.status(PROXY).state is ServiceState.STOPPED


async def test_a_service_that_is_not_activated_is_not_started(node: Node) -> None:
    await node.control.deactivate(PROXY)
    await node.control.boot()
    assert node.states() == ["Started", "Stopped"]
    with pytest.raises(ServiceFailed, match="not activated"):
        await node.control.start(PROXY)
    await node.control.activate(PROXY)
    assert node.states() == ["Started", "Started"]
    await node.control.deactivate(PROXY)
    assert node.states() == ["Started", "Stopped"]


async def test_a_running_service_is_to_be_had_and_a_stopped_one_is_not(node: Node) -> None:
    with pytest.raises(ServiceFailed, match="it is Stopped"):
        node.control.running(PROXY)
    await node.control.start(PROXY)
    assert node.control.running(PROXY) is node.proxy.built[0]


async def test_a_service_that_the_node_has_not_is_refused(node: Node) -> None:
    with pytest.raises(ConfigError, match="imp1 has no service Cisco Tomcat; it has Cisco XCP Router"):
        await node.control.start(ServiceName.TOMCAT)


async def test_starting_twice_is_our_own_mistake(node: Node) -> None:
    await node.control.start(PROXY)
    with pytest.raises(LocalProtocolError, match="Cisco SIP Proxy is Started: start asked is not allowed"):
        await node.control.start(PROXY)
    assert node.control.status(PROXY).state is ServiceState.STARTED


def test_the_states_table_has_each_arrow_once_and_no_dead_end() -> None:
    assert {event for _, event in TRANSITIONS} == set(ServiceEvent)
    assert {state for state, _ in TRANSITIONS} == set(TRANSITIONS.values()) == set(ServiceState)
