"""Scenarios as tests: those that are shipped, those of somebody's own, and the scenario of a marked test."""

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.timeout(200)  # each test starts a pytest of its own, on a machine that may be busy

OWN = Path(__file__).parents[1] / "scenarios"


def run(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return pytester.runpytest_subprocess("-p", "no:cacheprovider", *arguments, timeout=150)


def test_the_shipped_scenarios_are_collected_on_demand(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_other(): pass")
    run(pytester).assert_outcomes(passed=1)
    done = run(pytester, "--imp-scenarios", "-m", "scenario", "-k", "sip-intracluster-tls", "-v")
    done.assert_outcomes(passed=1, deselected=done.parseoutcomes()["deselected"])
    done.stdout.fnmatch_lines(["*sip-intracluster-tls PASSED*"])
    (folder,) = (pytester.path / "runs").iterdir()
    assert (folder / "result.json").is_file()


def test_with_workers_of_xdist(pytester: pytest.Pytester) -> None:
    done = run(pytester, "--imp-scenarios", "-n", "2", "-k", "sip-intracluster")
    assert done.parseoutcomes()["passed"] == 2


def test_files_of_one_s_own_fail_with_difference_remedy_and_folder(pytester: pytest.Pytester) -> None:
    folder = pytester.mkdir("own")
    for name in ("passes.py", "fails.py"):
        (folder / name).write_text((OWN / name).read_text(encoding="utf-8"), encoding="utf-8")
    pytester.makeini("[pytest]\nimp_scenario_paths = own\nimp_runs = evidence\n")
    done = run(pytester, "--junitxml=junit.xml")
    done.assert_outcomes(passed=1, failed=1)
    done.stdout.fnmatch_lines([
        "*scenario fails *",
        "scenario fails failed:*",
        "expected: accepted",
        "*refused: no certificate*",
        "*remedy: Give the peer a certificate*",
        "evidence: *evidence*-fails",
    ])  # fmt: skip
    assert "Traceback" not in done.stdout.str()
    names = {each.get("name") for each in ET.parse(pytester.path / "junit.xml").iter("property")}
    assert names >= {"imp_scenario", "imp_clauses", "imp_evidence"}


def test_a_marked_test_gets_the_result_of_its_scenario(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        import pytest

        @pytest.mark.scenario("sip-intracluster-tcp")
        def test_it(scenario_result):
            assert scenario_result.steps

        @pytest.mark.asyncio
        @pytest.mark.scenario("sip-intracluster-tcp")
        async def test_with_a_loop(scenario_result):
            assert scenario_result.outcome == "passed"

        def test_unmarked(scenario_result): pass
    """)
    done = run(pytester)
    done.assert_outcomes(passed=2, errors=1)
    done.stdout.fnmatch_lines(["*scenario_result is for tests with @pytest.mark.scenario(NAME)*"])


def test_a_marked_test_fails_where_its_scenario_does(pytester: pytest.Pytester) -> None:
    pytester.makeini(f"[pytest]\nimp_scenario_paths = {OWN}\n")
    pytester.makepyfile("""
        import pytest

        @pytest.mark.scenario("fails")
        def test_it():
            raise AssertionError("the body ran")
    """)
    done = run(pytester)
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["scenario fails failed:*", "*remedy: Give the peer a certificate*"])
    assert "the body ran" not in done.stdout.str().split("scenario fails failed")[1]
