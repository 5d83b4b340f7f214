"""What the documents tell people to type and to write is true."""

import re
import subprocess
import sys
from pathlib import Path

from harness.plan.lab_file import ImpClusterEntry, parse_lab_file

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "docs" / "examples" / "message_needs_restart.py"


def test_the_example_scenario_passes_as_the_page_says(tmp_path: Path) -> None:
    command = ["scenario", "run", "message-needs-restart", "--path", str(EXAMPLE.parent)]
    done = subprocess.run(
        [sys.executable, "-m", "harness.cli", *command, "--runs", str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, timeout=50, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "message-needs-restart passed" in done.stdout
    page = (ROOT / "docs" / "scenario-author.md").read_text(encoding="utf-8")
    assert f"$ imp-harness {' '.join(command[:3])} --path docs/examples\n" in page


def test_the_page_shows_the_example_as_it_is() -> None:
    page = (ROOT / "docs" / "scenario-author.md").read_text(encoding="utf-8")
    assert f"```python\n{EXAMPLE.read_text(encoding='utf-8')}```" in page


def test_the_lab_file_of_the_federation_page_can_be_used() -> None:
    page = (ROOT / "docs" / "federation.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    lab_file = parse_lab_file(text, source="docs/federation.md")
    assert [foreign.domain for foreign in lab_file.foreign_domains] == ["montague.example"]


def test_the_lab_file_of_the_component_page_can_be_used() -> None:
    page = (ROOT / "docs" / "components.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    cluster = parse_lab_file(text, source="docs/components.md").clusters[0]
    assert isinstance(cluster, ImpClusterEntry)
    assert [component.domain for component in cluster.components] == ["echo.lab.example"]


def test_links_between_documents_lead_somewhere() -> None:
    for page in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")):
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
