"""Imports point one way, and protocol cores know neither sockets nor event loops (docs/architecture.md)."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BELOW = {
    "certs": {"certs"},
    "proxies": {"certs", "proxies"},
    "harness": {"certs", "proxies", "harness"},
    "scenarios": {"certs", "proxies", "harness", "scenarios"},
}
OURS = {*BELOW, "tests", "bench"}
HAVE_SOCKETS = {
    "proxies/clock.py", "proxies/http/dialling.py", "proxies/http/serving.py", "proxies/http/tapping.py",
    "proxies/interposing.py", "proxies/tasks.py",
    "proxies/tls/connection.py", "proxies/tls/contexts.py", "proxies/tls/core.py",
    "proxies/tls/dialler.py", "proxies/tls/listener.py", "proxies/tls/upgrade.py",
    "proxies/sip/transport/dialling.py", "proxies/sip/transport/endpoint.py", "proxies/sip/agent/request_sender.py",
    "proxies/sip/transport/streams.py", "proxies/sip/agent/subscriber.py", "proxies/sip/transport/transport.py",
    "proxies/sip/trunk/tls.py", "proxies/sip/transport/udp.py", "proxies/sip/agent/user_agent.py",
    "proxies/xmpp/connections/carrier.py", "proxies/xmpp/connections/connection.py",
    "proxies/xmpp/connections/dialling.py",
    "proxies/xmpp/connections/listening.py",
    "proxies/xmpp/web/bosh_carrier.py", "proxies/xmpp/web/http_binding.py",
    "proxies/xmpp/web/websocket_carrier.py",
}  # fmt: skip
"The modules of the proxies that give the cores their sockets. A core does not belong here."


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize("package", BELOW)
def test_imports_point_one_way(package: str) -> None:
    for path in modules(package):
        tops = {name.partition(".")[0] for name in imported(path)} & OURS
        assert tops <= BELOW[package], f"{path.relative_to(ROOT)} imports {tops - BELOW[package]}"


def test_a_core_has_no_socket() -> None:
    found = {
        str(path.relative_to(ROOT))
        for path in modules("proxies")
        if {"asyncio", "ssl", "socket"} & {name.partition(".")[0] for name in imported(path)}
    }
    assert found == HAVE_SOCKETS


def test_no_file_grows_past_what_one_can_read() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for package in BELOW
        for path in modules(package)
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > 420
    }
    assert long == {}
