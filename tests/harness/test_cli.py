"""The command line as CI uses it: exit statuses, JSON, JUnit, evidence."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parent / "scenarios"
LIMIT = 120

pytestmark = pytest.mark.timeout(300)  # each command is a process; several run in one test


def harness(*arguments: str, cwd: Path | None = None, **more: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "COLUMNS": "120"}
    environment.pop("GITHUB_STEP_SUMMARY", None)  # what CI runs these tests for is another summary
    environment |= more
    return subprocess.run(
        [sys.executable, "-m", "harness.cli", *arguments],
        capture_output=True,
        text=True,
        timeout=LIMIT,
        cwd=cwd,
        env=environment,
        check=False,
    )


def run(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return harness("scenario", "run", "--path", str(FOLDER), "--runs", str(tmp_path / "runs"), *arguments)


def only_result(tmp_path: Path) -> dict[str, Any]:
    (path,) = (tmp_path / "runs").glob("*/result.json")
    result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return result


def test_a_scenario_that_passes_exits_0_and_leaves_its_evidence(tmp_path: Path) -> None:
    done = run(tmp_path, "passes")
    assert done.returncode == 0, done.stderr
    assert "lab of 3 nodes up in" in done.stdout
    assert "✔ Shake hands with the server-authenticated listener" in done.stdout
    result = only_result(tmp_path)
    assert (result["outcome"], result["covers"]) == ("passed", ["G03"])
    folder = Path(result["folder"])
    assert {path.name for path in folder.iterdir()} == {
        "result.json", "junit.xml", "events.jsonl", "trace.pcapng", "report.html", "lab",
    }  # fmt: skip
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text(encoding="utf-8").splitlines()]
    assert {"opened", "judged", "closed", "note"} <= {event["event"] for event in events}


def test_a_capture_is_made_unless_somebody_does_not_want_it(tmp_path: Path) -> None:
    sizes = {}
    for options in ([], ["--no-secrets"], ["--no-trace"]):
        runs = tmp_path / "".join(options)
        assert run(runs, *options, "passes").returncode == 0
        sizes["".join(options)] = [path.stat().st_size for path in runs.glob("runs/*/trace.pcapng")]
    assert sizes["--no-trace"] == []
    assert sizes[""][0] > sizes["--no-secrets"][0]


def test_a_scenario_that_fails_exits_1_and_says_reason_and_remedy(tmp_path: Path) -> None:
    done = run(tmp_path, "fails")
    assert done.returncode == 1, done.stderr
    assert "expected: accepted" in done.stdout
    assert "refused: no certificate" in done.stdout
    assert "remedy: Give the peer a certificate" in done.stdout
    failure = only_result(tmp_path)["failure"]
    assert failure["difference"].startswith("expected: accepted")


def test_a_scenario_that_breaks_exits_2_with_its_traceback(tmp_path: Path) -> None:
    done = run(tmp_path, "breaks")
    assert done.returncode == 2
    assert "ZeroDivisionError" in done.stdout
    assert "breaks.py" in only_result(tmp_path)["failure"]["details"]


def test_a_scenario_past_its_limit_failed(tmp_path: Path) -> None:
    done = run(tmp_path, "takes-too-long")
    assert done.returncode == 1
    assert "took more than its 0.2 seconds" in done.stdout
    assert only_result(tmp_path)["steps"][0]["outcome"] == "failed"


def test_the_first_failure_stops_the_run_unless_told_to_keep_going(tmp_path: Path) -> None:
    stopped = run(tmp_path, "fails", "passes")
    assert stopped.returncode == 1
    assert "0 passed, 1 failed, 1 not run" in stopped.stdout
    went_on = run(tmp_path, "--keep-going", "fails", "passes")
    assert went_on.returncode == 1
    assert "1 passed, 1 failed" in went_on.stdout


def test_of_several_outcomes_the_worst_counts(tmp_path: Path) -> None:
    assert run(tmp_path, "--keep-going", "breaks", "fails", "passes").returncode == 2


def test_json_is_all_that_is_printed_and_junit_has_every_case(tmp_path: Path) -> None:
    junit = tmp_path / "junit.xml"
    done = run(tmp_path, "--json", "--keep-going", "--junit", str(junit), "passes", "fails")
    printed = json.loads(done.stdout)
    assert printed["outcome"] == "failed"
    assert [result["name"] for result in printed["results"]] == ["passes", "fails"]
    suite = ET.parse(junit).getroot().find("testsuite")
    assert suite is not None
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("2", "1", "0")
    failure = suite.find("testcase[@name='fails']/failure")
    assert failure is not None
    assert "expected: accepted" in (failure.text or "")
    printed_by_case = suite.findtext("testcase[@name='fails']/system-out", "")
    assert "remedy: Give the peer a certificate" in printed_by_case


def test_scenarios_run_beside_each_other_on_addresses_of_their_own(tmp_path: Path) -> None:
    done = run(tmp_path, "-n", "2", "--keep-going", "passes", "fails")
    assert done.returncode == 1, done.stderr
    assert "1 passed, 1 failed" in done.stdout


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_either_event_loop_runs_a_scenario(tmp_path: Path, loop: str) -> None:
    assert run(tmp_path, "--loop", loop, "passes").returncode == 0
    assert only_result(tmp_path)["loop"] == loop


def test_an_unknown_name_exits_2_with_the_near_ones_and_no_traceback() -> None:
    done = harness("scenario", "run", "sip-intracluster-tsl")
    assert done.returncode == 2
    assert "did you mean 'sip-intracluster-tls'" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_name_like_no_other_exits_2_with_the_nearest() -> None:
    done = harness("scenario", "run", "nonsense")
    assert done.returncode == 2
    assert "nearest are" in done.stderr


def test_no_name_exits_2_with_all_names() -> None:
    done = harness("scenario", "run")
    assert done.returncode == 2
    assert "sip-intracluster-tls" in done.stderr


def test_the_list_names_titles_and_clauses() -> None:
    done = harness("scenario", "list", "--path", str(FOLDER))
    assert "passes          A client without a certificate reaches port 5061 (G03)" in done.stdout
    rows = json.loads(harness("scenario", "list", "--json", "--path", str(FOLDER)).stdout)
    assert [row["name"] for row in rows] == ["breaks", "fails", "passes", "takes-too-long"]


def test_coverage_has_a_row_for_every_clause() -> None:
    rows = json.loads(harness("coverage", "--json").stdout)
    assert [row["clause"] for row in rows] == [f"G{n:02}" for n in range(1, 28)]
    assert "sip-intracluster-tls" in rows[19 - 1]["scenarios"]


def test_wrong_certificates_are_written_with_their_good_twin(tmp_path: Path) -> None:
    done = harness("certs", "wrong", "expired", "sha1", "--folder", str(tmp_path / "wrong"))
    assert done.returncode == 0
    names = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "wrong").iterdir()}
    assert names == dict.fromkeys(("ca.pem", "good.pem", "expired.pem", "sha1.pem"), 0o600)


def test_a_wrong_certificate_that_nobody_knows_exits_2(tmp_path: Path) -> None:
    done = harness("certs", "wrong", "expird", "--folder", str(tmp_path / "wrong"))
    assert done.returncode == 2
    assert "expired" in done.stderr
    assert not (tmp_path / "wrong").exists()


def test_a_lab_stays_up_until_it_is_interrupted_and_tells_where_the_evidence_is(tmp_path: Path) -> None:
    lab = subprocess.Popen(
        [sys.executable, "-m", "harness.cli", "up", "--trace", "--runs", str(tmp_path / "runs")],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert lab.stdout is not None
    lines: list[str] = []
    for line in lab.stdout:
        lines.append(line)
        if line.startswith("ready"):
            break
    (live,) = (line.split()[-1] for line in lines if line.startswith("live page:"))
    with urllib.request.urlopen(live, timeout=10) as answer:
        assert b"Presence lab" in answer.read()
    lab.send_signal(signal.SIGINT)
    rest = lab.stdout.read()
    assert lab.wait(timeout=LIMIT) == 0
    lab.stdout.close()
    text = "".join(lines)
    assert "imp1.lab.example" in text
    assert "peer authentication: shows cup" in text
    assert "client to be refused" in text
    assert "lab stopped; evidence:" in rest
    (capture,) = (tmp_path / "runs").glob("*/trace.pcapng")
    assert str(capture.name) in rest
    assert capture.stat().st_mode & 0o777 == 0o600
    (client,) = (tmp_path / "runs").glob("*/clients/client.pem")
    assert client.stat().st_mode & 0o777 == 0o600


def test_verdicts_says_what_a_reason_means() -> None:
    done = harness("verdicts", "subject", "context")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("subject not in context\n  cause:")
    assert "remedy:        Add the peer in System > Security > TLS Peer Subjects" in done.stdout
    (entry,) = json.loads(harness("verdicts", "SUBJECT_NOT_IN_CONTEXT", "--json").stdout)
    assert (entry["clause"], entry["at_peer"].split(".")[0]) == ("G19", "Alert unknown_ca")


def test_verdicts_without_words_lists_all_and_refuses_unknown_ones() -> None:
    assert "no certificate" in harness("verdicts").stdout
    done = harness("verdicts", "bad", "weather")
    assert (done.returncode, done.stdout) == (2, "")
    assert "`imp-harness verdicts` lists them all" in done.stderr


def test_the_page_of_verdicts_is_up_to_date() -> None:
    page = Path(__file__).parents[2] / "docs" / "verdicts.md"
    assert page.read_text(encoding="utf-8") == harness("verdicts", "--markdown").stdout, (
        "run `imp-harness verdicts --markdown > docs/verdicts.md`"
    )


def test_a_summary_goes_where_github_or_somebody_says(tmp_path: Path) -> None:
    asked, github = tmp_path / "asked.md", tmp_path / "github.md"
    assert run(tmp_path, "--summary", str(asked), "--keep-going", "passes", "fails").returncode == 1
    assert "1 of 2 scenarios passed" in asked.read_text(encoding="utf-8")
    done = harness(
        "scenario", "run", "--path", str(FOLDER), "--runs", str(tmp_path / "runs"), "passes",
        GITHUB_STEP_SUMMARY=str(github),
    )  # fmt: skip
    assert done.returncode == 0
    assert "1 of 1 scenarios passed" in github.read_text(encoding="utf-8")
