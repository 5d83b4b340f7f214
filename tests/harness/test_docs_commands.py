"""Commands in the documents: `console` blocks are run as they stand, and what is named anywhere exists.

In a `console` block `$ ` begins a command and the lines after it are what it prints; `…` stands for anything. A
comment `# exits N` names another exit status than 0. The blocks of a page run in order, in one folder, with the
variables that were set before; a lab that a page leaves up is taken down.
"""

import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import typer

from harness.cli import app

ROOT = Path(__file__).parents[2]
PAGES = (*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/*.md")))
LIMIT = 120

_EXITS = re.compile(r"\s+# exits ([0-9]+)$")
_CODE = re.compile(r"```[^\n]*\n(.*?)```|`([^`\n]+)`|^ {4}(\S[^\n]*)$", re.DOTALL | re.MULTILINE)


@dataclass
class Command:
    line: str
    exits: int = 0
    prints: list[str] = field(default_factory=list)


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def console_commands(page: Path) -> list[Command]:
    commands: list[Command] = []
    for block in re.findall(r"^```console\n(.*?)^```", text_of(page), re.DOTALL | re.MULTILINE):
        for line in block.splitlines():
            if not line.startswith("$ "):
                commands[-1].prints.append(line)
                continue
            exits = _EXITS.search(line)
            commands.append(Command(_EXITS.sub("", line[2:]), int(exits[1]) if exits else 0))
    return commands


def environment(runtime: str = "") -> dict[str, str]:
    """Return one in which `imp-harness` and `pytest` are those of this Python, and output has no colours.

    `runtime` is for labs that stay up: a short path, for a socket's path may have 107 bytes.
    """
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    mine = {"PATH": path, "PYTHONPATH": str(ROOT), "COLUMNS": "300", "NO_COLOR": "1"}
    if runtime:
        mine["IMP_HARNESS_RUNTIME"] = runtime
    return os.environ | mine


def run(line: str, folder: Path, runtime: str = "") -> subprocess.CompletedProcess[str]:
    kept = folder / ".variables"
    script = f"set -aeuo pipefail; [[ ! -e {kept} ]] || . {kept}; trap 'export -p > {kept}' EXIT\n{line}"
    return subprocess.run(
        ["bash", "-c", script],
        cwd=folder, env=environment(runtime), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, timeout=LIMIT, check=False,
    )  # fmt: skip


def pattern(lines: list[str]) -> str:
    """Return what the output must match; a line of `…` alone stands for any lines."""
    parts = [".*" if line == "…" else re.escape(line).replace("…", "[^\n]*") for line in lines]
    return r"\n?".join(parts)


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "page", [page for page in PAGES if console_commands(page)], ids=lambda page: page.name
)
def test_what_a_page_shows_is_what_happens(page: Path, tmp_path: Path) -> None:
    (tmp_path / "docs").symlink_to(ROOT / "docs")  # pages are read in a clone
    with tempfile.TemporaryDirectory(prefix="imp") as runtime:
        try:
            for command in console_commands(page):
                done = run(command.line, tmp_path, runtime)
                assert done.returncode == command.exits, f"{command.line}\n{done.stdout}"
                if command.prints:
                    shown, seen = pattern(command.prints), done.stdout.strip()
                    assert re.search(shown, seen, re.DOTALL), f"{command.line}\n{seen}\n{shown}"
        finally:
            if any(Path(runtime).iterdir()):
                run("imp-harness down --all", tmp_path, runtime)


def named_commands(page: Path) -> Iterator[list[str]]:
    """Yield the words of every `imp-harness …` in a page's code, up to where another command begins."""
    for match in _CODE.finditer(text_of(page)):
        code = (match[1] or match[2] or match[3]).replace("\\\n", " ").replace("\\|", "|")
        for line in code.splitlines():
            for found in re.finditer(
                r"(?<!pip install )(?<![\w/\"'-])imp-harness((?: [^|;&><#)…\"']+)?)", line
            ):
                yield shlex.split(found[1])


def test_every_command_that_a_page_names_exists_with_its_options() -> None:
    seen = 0
    for page in PAGES:
        if page.name == "CHANGELOG.md":
            continue
        for words in named_commands(page):
            seen += 1
            check_command(words, page.name)
    assert seen > 20


def check_command(words: list[str], page: str) -> None:
    command: Any = typer.main.get_command(app)
    rest = words[: words.index("--")] if "--" in words else list(words)  # behind it is another command
    while hasattr(command, "commands"):
        if not rest or rest[0].startswith(("-", "[")):
            break
        name = rest.pop(0)
        assert name in command.commands, f"{page}: imp-harness {' '.join(words)}: no command is called {name}"
        command = command.commands[name]
    known = {
        option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)
    }
    known |= {"--help", "-h"}
    for word in rest:
        option = word.strip("[],.").partition("=")[0]
        if re.fullmatch(r"--?[a-z][a-z-]*", option):
            assert option in known, f"{page}: imp-harness {' '.join(words)}: no option {option}"
