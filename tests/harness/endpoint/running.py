"""Commands as processes, beside labs of their own: each test's runtime folder is another one."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
LIMIT = 180


@dataclass
class Commands:
    """Runs `imp-harness` with a runtime folder of its own; a socket's path must be short."""

    folder: Path
    runtime: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="imp-", dir="/tmp")))

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | {
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            "COLUMNS": "160",
            "IMP_HARNESS_RUNTIME": str(self.runtime),
        }

    def run(
        self, *arguments: str, within: float = LIMIT, answers: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "harness.cli", *arguments],
            input=answers,
            capture_output=True,
            text=True,
            timeout=within,
            cwd=self.folder,
            env=self.environment,
            check=False,
        )

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "harness.cli", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=self.folder,
            env=self.environment,
        )

    def json(self, *arguments: str) -> Any:
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr + done.stdout
        return json.loads(done.stdout)

    def environment_of_lab(self) -> dict[str, str]:
        found: dict[str, str] = self.json("env", "--json")
        return found

    def close(self) -> None:
        self.run("down", "--all")
        shutil.rmtree(self.runtime, ignore_errors=True)


@contextmanager
def commands(folder: Path) -> Iterator[Commands]:
    """Yield the commands, and stop every lab at the end."""
    made = Commands(folder)
    try:
        yield made
    finally:
        made.close()


@contextmanager
def lab(folder: Path, *arguments: str) -> Iterator[Commands]:
    """Yield the commands beside a detached lab."""
    with commands(folder) as made:
        done = made.run("up", "--detach", *arguments)
        assert done.returncode == 0, done.stderr + done.stdout
        yield made
