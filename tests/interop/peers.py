"""Peers that nobody here wrote: where one is missing the test is skipped, in CI it fails."""

import importlib
import os
import shutil
from pathlib import Path
from types import ModuleType

import pytest

REQUIRED = os.environ.get("IMP_REQUIRE_PEERS") == "1"
"Whether a missing peer is a failure: CI sets it."


def missing(what: str) -> pytest.fail.Exception | pytest.skip.Exception:
    """Return what to raise where a peer is not there."""
    if REQUIRED:
        return pytest.fail.Exception(f"{what} is not installed, and IMP_REQUIRE_PEERS is set")
    return pytest.skip.Exception(f"{what} is not installed")


def require_program(name: str, *folders: Path) -> str:
    """Return a program's path, from the search path or from other folders."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    for folder in folders:
        found = found or next(map(str, folder.glob(name)), None)
    if found is None:
        raise missing(name)
    return found


def require_module(name: str) -> ModuleType:
    """Import a module of another project."""
    try:
        return importlib.import_module(name)
    except ImportError:
        raise missing(name) from None
