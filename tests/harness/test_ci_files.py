"""What docs/ci.md, the action and the example's workflow give to CI servers: valid by schema, and it runs."""

import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.harness.test_docs_commands import ROOT, environment, run

PAGE = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```yaml\n# (\S+)\n(.*?)```", PAGE, re.DOTALL)
EXAMPLE = "examples/chat-notifier/.github/workflows/tests.yml"


def check(kind: str, path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{kind}", str(path)],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_action_and_the_example_s_workflow_are_valid() -> None:
    check("github-actions", ROOT / "action.yml")
    check("github-workflows", ROOT / EXAMPLE)


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_the_files_that_the_page_shows_are_valid(number: int, tmp_path: Path) -> None:
    marker, text = BLOCKS[number]
    kind = {"github-workflow": "github-workflows", "gitlab-ci": "gitlab-ci"}[marker]
    path = tmp_path / "file.yml"
    path.write_text(text, encoding="utf-8")
    check(kind, path)


def test_the_page_lists_the_action_s_inputs_with_their_defaults() -> None:
    inputs = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))["inputs"]
    for name, each in inputs.items():
        assert f"`{name}`" in PAGE
        if each["default"] not in ("", "2"):
            assert f"`{each['default']}`" in PAGE


@pytest.mark.timeout(200)
def test_the_scripts_that_the_page_shows_run(tmp_path: Path) -> None:
    """With one scenario instead of all: CI runs them all by themselves."""
    gitlab = next(yaml.safe_load(text) for marker, text in BLOCKS if marker == "gitlab-ci")
    jenkins = re.findall(r"sh '([^']+)'", PAGE)
    assert gitlab["presence-lab"]["script"] == jenkins
    install, scenarios = jenkins
    assert install == "pip install imp-harness"
    done = run(scenarios.replace("--all", "sip-intracluster-tcp"), tmp_path)
    assert done.returncode == 0, done.stdout
    assert (tmp_path / "junit.xml").is_file()
    (tmp_path / "test_it.py").write_text("def test_it(lab): assert not lab.verdicts()", encoding="utf-8")
    pytest_line = next(line for line in re.findall(r"- run: (.*)", PAGE) if line.startswith("pytest"))
    done = run(pytest_line, tmp_path)
    assert done.returncode == 0, done.stdout


def steps(inputs: dict[str, str], folder: Path) -> list[dict[str, Any]]:
    """Return the action's own steps with inputs and contexts filled in, as GitHub's runner does."""
    action = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
    values = {f"inputs.{name}": inputs.get(name, each["default"]) for name, each in action["inputs"].items()}
    values |= {"github.action_path": str(ROOT), "runner.temp": str(folder / "temp")}

    def fill(text: str) -> str:
        return re.sub(r"\$\{\{ ([\w.-]+) \}\}", lambda match: values[match[1]], text)

    mine = [step for step in action["runs"]["steps"] if "run" in step]
    return [step | {"env": {name: fill(text) for name, text in step["env"].items()}} for step in mine]


@pytest.mark.timeout(200)
@pytest.mark.parametrize(
    ("inputs", "status"),
    [
        ({"scenarios": "sip-intracluster-tcp xmpp-router-tcp"}, "0"),
        ({"scenarios": "passes fails", "path": str(ROOT / "tests/harness/scenarios"), "runs": "out"}, "1"),
        ({"scenarios": "nonsense"}, "2"),
    ],
)
def test_the_action_runs_scenarios(inputs: dict[str, str], status: str, tmp_path: Path) -> None:
    install, scenarios = steps(inputs | {"junit": "report.xml"}, tmp_path)
    # The package is installed here already: only a dry run of the installation, `make example` does the real one.
    assert '"${PACKAGE:-$ACTION}"' in install["run"]
    assert install["env"]["ACTION"] == str(ROOT)
    output = tmp_path / "output"
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", scenarios["run"]],
        cwd=tmp_path, env=environment() | scenarios["env"] | {"GITHUB_OUTPUT": str(output)},
        capture_output=True, text=True, timeout=150, check=False,
    )  # fmt: skip
    assert done.returncode == int(status), done.stdout + done.stderr
    assert output.read_text(encoding="utf-8") == f"exit-status={status}\n"
    if status != "2":
        cases = list(ET.parse(tmp_path / "report.xml").iter("testcase"))
        assert len(cases) == 2
        assert len(list((tmp_path / inputs.get("runs", "imp-runs")).glob("*/result.json"))) == 2
