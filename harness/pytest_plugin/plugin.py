"""What pytest loads: options, markers, fixtures, hooks. Nothing of the lab is imported before a test needs it."""

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from harness.evidence.result import RunResult
    from harness.pytest_plugin.certificates import LabCertificates
    from harness.pytest_plugin.clients import XmppPeers
    from harness.pytest_plugin.labs import LabChoice, LabPool, RunningLab
    from harness.pytest_plugin.views import CucmNodeView, ImpNodeView, LabView

DEFAULT_LAB: Final = "two-imp-one-cucm"

_view_key: Final = pytest.StashKey["LabView"]()
_result_key: Final = pytest.StashKey["RunResult"]()

_MARKERS: Final = (
    "imp_lab(source, fresh=False, exchanged=True): the lab of this test: a built-in topology or a lab file; fresh "
    "for one of its own; exchanged=False for nodes as installed",
    "scenario(name): run this scenario before the test, and fail with its evidence where it does not pass",
)


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Add the options and ini settings."""
    group = parser.getgroup("imp-harness", "presence lab")
    group.addoption(
        "--imp-lab",
        metavar="LAB",
        help="The lab of tests without the marker imp_lab: a topology or a lab file.",
    )
    group.addoption("--imp-scenarios", action="store_true", help="Collect the shipped scenarios as tests.")
    group.addoption(
        "--imp-runs",
        metavar="DIR",
        help="Where failing tests and scenarios leave their evidence (default: runs, below rootdir).",
    )
    parser.addini("imp_lab", "The lab of tests without the marker imp_lab.", default=DEFAULT_LAB)
    parser.addini("imp_runs", "Where failing tests and scenarios leave their evidence.", default="runs")
    parser.addini(
        "imp_scenario_paths", "Folders whose files are scenarios, one each.", type="paths", default=[]
    )


def pytest_configure(config: pytest.Config) -> None:
    """Say what the markers mean."""
    for line in _MARKERS:
        config.addinivalue_line("markers", line)


# Scenarios as tests.


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect the files of `imp_scenario_paths` as scenarios."""
    folders = parent.config.getini("imp_scenario_paths")
    if file_path.suffix != ".py" or file_path.name.startswith("_") or file_path.parent not in folders:
        return None
    from harness.pytest_plugin.scenarios import ScenarioFile

    return ScenarioFile.from_parent(parent, path=file_path)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(
    session: pytest.Session, config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Add the shipped scenarios, before -k and -m choose among all."""
    if config.getoption("--imp-scenarios"):
        from harness.pytest_plugin.scenarios import ShippedScenarios

        items.extend(ShippedScenarios.from_parent(session, name="scenarios").collect())


# Fixtures.


@pytest.fixture(scope="session")
def imp_labs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> "Iterator[LabPool]":
    """The labs of this session (of this worker, with pytest-xdist)."""
    from harness.pytest_plugin.labs import LabPool

    pool = LabPool(lambda: tmp_path_factory.mktemp("imp-lab"), request.config.rootpath)
    yield pool
    pool.close()


@pytest.fixture
def imp_running_lab(request: pytest.FixtureRequest, imp_labs: "LabPool") -> "Iterator[RunningLab]":
    """The lab that this test uses, shared unless its marker says `fresh=True`."""
    choice = _choose(request.config, request.node.get_closest_marker("imp_lab"))
    if not choice.fresh:
        yield imp_labs.get(choice)
        return
    running = imp_labs.start(choice)
    yield running
    running.background.stop()


@pytest.fixture
def lab(request: pytest.FixtureRequest, imp_running_lab: "RunningLab") -> "LabView":
    """A running lab: nodes, users, and its verdicts since this test began."""
    from harness.pytest_plugin.views import LabView

    view = LabView(imp_running_lab.background, imp_running_lab.certs)
    request.node.stash[_view_key] = view
    return view


@pytest.fixture(scope="session")
def session_lab(request: pytest.FixtureRequest, imp_labs: "LabPool") -> "LabView":
    """The lab of tests without the marker `imp_lab`, for fixtures of a wider scope, with all verdicts."""
    from harness.pytest_plugin.views import LabView

    running = imp_labs.get(_choose(request.config, None))
    return LabView(running.background, running.certs, since=0)


@pytest.fixture
def certs(lab: "LabView") -> "LabCertificates":
    """The files that a client trusts and shows: good, stranger, wrong(...)."""
    return lab.certs


@pytest.fixture
def imp_node(lab: "LabView") -> "ImpNodeView":
    """The first IM and Presence node of the lab."""
    return lab.imp[0]


@pytest.fixture
def cucm(lab: "LabView") -> "CucmNodeView":
    """The first CUCM node of the lab."""
    if not lab.cucm:
        pytest.fail(f"the lab {lab.name} has no CUCM node; choose another with @pytest.mark.imp_lab(...)")
    return lab.cucm[0]


@pytest.fixture
def xmpp_client(lab: "LabView", imp_running_lab: "RunningLab") -> "Iterator[XmppPeers]":
    """Log peers for the client under test in: `xmpp_client("bob")`."""
    from harness.pytest_plugin.clients import XmppPeers

    peers = XmppPeers(imp_running_lab.background)
    yield peers
    peers.close()


@pytest.fixture
def scenario_result(request: pytest.FixtureRequest) -> "RunResult":
    """The result of the scenario that the marker `scenario` names. The test's body only runs where it passed."""
    stash: pytest.Stash = request.node.stash
    result = stash.get(_result_key, None)
    if result is None:
        pytest.fail("scenario_result is for tests with @pytest.mark.scenario(NAME)")
    return result


def _choose(config: pytest.Config, marker: pytest.Mark | None) -> "LabChoice":
    from harness.pytest_plugin.labs import LabChoice

    default = config.getoption("--imp-lab") or config.getini("imp_lab")
    if marker is None:
        return LabChoice(source=default)
    try:
        return _choice_of(default, *marker.args, **marker.kwargs)
    except TypeError as error:
        raise pytest.UsageError(
            f"@pytest.mark.imp_lab takes (source, fresh=False, exchanged=True): {error}"
        ) from None


def _choice_of(
    default: str, source: "str | Path" = "", *, fresh: bool = False, exchanged: bool = True
) -> "LabChoice":
    from harness.pytest_plugin.labs import LabChoice

    return LabChoice(source=str(source) or default, fresh=fresh, exchanged=exchanged)


# Running and reporting.


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Run the scenario of a marked test before its fixtures are made."""
    marker = item.get_closest_marker("scenario")
    if marker is not None and isinstance(item, pytest.Function):
        from harness.pytest_plugin.scenarios import run_marked

        item.stash[_result_key] = run_marked(item, marker)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> None:
    """Fail a marked test whose scenario did not pass; its body is not run."""
    result = pyfuncitem.stash.get(_result_key, None)
    if result is not None:
        from harness.pytest_plugin.scenarios import require_passed

        require_passed(result)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Attach what the lab saw to the report of a test that failed."""
    report = yield
    view = item.stash.get(_view_key, None)
    if report.failed and report.when == "call" and view is not None:
        from harness.pytest_plugin.evidence import attach_evidence

        attach_evidence(item, report, view)
    return report
