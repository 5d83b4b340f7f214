"""`imp-harness ladder` over the run of a small scenario."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(300)
FOLDER = Path(__file__).parent / "scenarios"


def harness(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "harness.cli", *arguments],
        capture_output=True, text=True, timeout=120, cwd=Path(__file__).parents[2],
        env=os.environ | {"PYTHONIOENCODING": "utf-8"} | environment, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    done = harness("scenario", "run", "passes", "--path", str(FOLDER), "--runs", str(folder))
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_the_last_run_is_drawn_without_colour(runs: Path) -> None:
    done = harness("ladder", "--runs", str(runs), "--node", "tls-client")
    assert done.returncode == 0, done.stderr
    assert "imp1" in done.stdout
    assert "TLSv1.3 handshake" in done.stdout
    assert "▶│" in done.stdout
    assert "\x1b" not in done.stdout


def test_a_run_is_found_by_scenario_folder_and_file(runs: Path) -> None:
    (folder,) = runs.iterdir()
    shown = {
        harness("ladder", run, "--runs", str(runs), "--json").stdout
        for run in ("passes", folder.name, str(folder), str(folder / "events.jsonl"))
    }
    assert len(shown) == 1
    rows = json.loads(shown.pop())["rows"]
    assert {"tls", "xmpp", "step"} <= {row["kind"] for row in rows}


def test_a_row_is_shown_with_all_that_is_known(runs: Path) -> None:
    rows = json.loads(harness("ladder", "--runs", str(runs), "--json", "--protocol", "tls").stdout)["rows"]
    number = next(row["number"] for row in rows if row["kind"] == "tls")
    shown = harness("ladder", "--runs", str(runs), "--show", str(number)).stdout
    assert shown.startswith(f"{number}  20")
    assert "certificate 1: CN=" in shown


def test_a_terminal_without_unicode_gets_ascii(runs: Path) -> None:
    done = harness("ladder", "--runs", str(runs), "--width", "100", PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert done.stdout.isascii()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["passs"], "did you mean 'passes'"),
        (["--node", "imp11"], "did you mean 'imp1'"),
        (["--show", "100000"], "the ladder has no row 100000"),
    ],
)
def test_what_is_not_there_exits_2_and_says_what_is(runs: Path, arguments: list[str], said: str) -> None:
    done = harness("ladder", "--runs", str(runs), *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_no_run_at_all_exits_2(tmp_path: Path) -> None:
    done = harness("ladder", "--runs", str(tmp_path))
    assert done.returncode == 2
    assert "imp-harness scenario run NAME" in done.stderr
