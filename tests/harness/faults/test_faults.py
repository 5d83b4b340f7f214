"""`imp-harness fault`: each fault as a client sees it, and the twin without it."""

import asyncio
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from certs.errors import ConfigError
from certs.purposes import ServiceName
from harness.faults.board import FaultBoard
from harness.faults.kinds import KINDS, parse_fault
from harness.faults.links import FaultyTransport
from harness.plan.lab_file import parse_lab_file
from proxies.clock import LoopClock
from proxies.interposing import Nobody
from tests.harness.endpoint.running import LIMIT, ROOT, Commands, lab
from tests.harness.endpoint.sip_client import sip_requests

pytestmark = pytest.mark.timeout(300)  # labs and clients are processes of their own

CLIENTS = str(ROOT / "tests/harness/endpoint/clients.py")
XMPP = "Cisco XCP Connection Manager"


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    with lab(tmp_path_factory.mktemp("lab"), "--topology", "two-imp-one-cucm", "--seed", "5") as made:
        yield made


@pytest.fixture
def env(beside: Commands) -> dict[str, str]:
    return beside.environment_of_lab()


@contextmanager
def fault(beside: Commands, name: str, *arguments: str) -> Iterator[None]:
    on = beside.run("fault", "on", name, "--node", "imp1", *arguments)
    assert on.returncode == 0, on.stderr
    assert on.stdout.startswith(f"on: {name}")
    try:
        yield
    finally:
        off = beside.run("fault", "off", name)
        assert "no fault is on" in off.stdout, off.stderr


def xmpp_tls(env: dict[str, str], *arguments: str) -> str:
    """Go over to TLS at imp1's XMPP port with openssl, which checks chain and name, and return what it printed."""
    where = f"{env['IMP_IMP1_ADDRESS']}:{env['IMP_IMP1_XMPP_PORT']}"
    domain = env["IMP_DOMAIN"]
    done = subprocess.run(
        [
            *("openssl", "s_client", "-connect", where, "-starttls", "xmpp", "-xmpphost", domain),
            *(
                "-verify_hostname",
                domain,
                "-verify_return_error",
                "-partial_chain",
                "-CAfile",
                env["IMP_TRUST"],
            ),
            *arguments,
        ],
        input="",
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        ("certificate-expired", "certificate has expired"),
        ("certificate-not-yet-valid", "certificate is not yet valid"),
        ("certificate-other-cn", "hostname mismatch"),
        ("certificate-missing-intermediate", "unable to get local issuer certificate"),
        ("certificate-unknown-issuer", "self-signed certificate in certificate chain"),
    ],
)
def test_a_wrong_server_certificate(beside: Commands, env: dict[str, str], name: str, seen: str) -> None:
    with fault(beside, name, "--service", XMPP):
        assert seen in xmpp_tls(env)
    assert "Verification: OK" in xmpp_tls(env)


def test_a_client_is_expected_to_refuse_an_expired_certificate(beside: Commands, env: dict[str, str]) -> None:
    where = f"{env['IMP_IMP1_ADDRESS']}:{env['IMP_IMP1_XMPP_PORT']}"
    careful = (
        *("openssl", "s_client", "-connect", where, "-starttls", "xmpp", "-xmpphost", env["IMP_DOMAIN"]),
        *("-partial_chain", "-CAfile", env["IMP_TRUST"]),
    )
    expect = ("expect", "client-refuses-server", "certificate_expired", "--within", "10s", "--")
    with fault(beside, "certificate-expired", "--service", XMPP):
        met = beside.run(*expect, *careful, "-verify_return_error")
        careless = beside.run(*expect, *careful)
    assert met.returncode == 0, met.stdout
    assert careless.returncode == 1
    assert "accepted, TLSv1.3" in careless.stdout


def test_old_tls(beside: Commands, env: dict[str, str]) -> None:
    old = ("-tls1_1", "-cipher", "ALL:@SECLEVEL=0")
    with fault(beside, "old-tls", "--service", XMPP):
        assert "unsupported protocol" in xmpp_tls(env, "-tls1_2")
        assert "TLSv1.1" in xmpp_tls(env, *old)
    assert "protocol version" in xmpp_tls(env, *old)
    assert "Verification: OK" in xmpp_tls(env, "-tls1_2")


def test_a_slow_handshake(beside: Commands, env: dict[str, str]) -> None:
    def seconds() -> float:
        began = time.monotonic()
        assert "Verification: OK" in xmpp_tls(env)
        return time.monotonic() - began

    with fault(beside, "slow-handshake", "--set", "seconds=6"):
        slow = seconds()
    assert slow >= 6
    assert seconds() < slow


def greet(env: dict[str, str]) -> socket.socket:
    where = env["IMP_IMP1_ADDRESS"], int(env["IMP_IMP1_XMPP_PORT"])
    connection = socket.create_connection(where, timeout=20)
    connection.sendall(
        f"<stream:stream to='{env['IMP_DOMAIN']}' version='1.0' xmlns='jabber:client' "
        "xmlns:stream='http://etherx.jabber.org/streams'>".encode()
    )
    return connection


def read_features(connection: socket.socket) -> bytes:
    got = b""
    while b"</stream:features>" not in got and (data := connection.recv(4096)):
        got += data
    return got


def test_a_connection_that_drops_after_so_many_bytes(beside: Commands, env: dict[str, str]) -> None:
    with fault(beside, "drop-after", "--service", XMPP, "--set", "bytes=100"), greet(env) as connection:
        assert len(read_features(connection)) == 100
    with greet(env) as connection:
        assert read_features(connection).endswith(b"</stream:features>")


def test_a_lost_link_ends_what_is_open_and_what_comes(beside: Commands, env: dict[str, str]) -> None:
    with greet(env) as old:
        assert read_features(old).endswith(b"</stream:features>")
        with fault(beside, "link-loss"):
            assert is_lost(old)
            with socket.create_connection((env["IMP_IMP1_ADDRESS"], 5061), timeout=20) as new:
                assert is_lost(new)
            other = env | {"IMP_IMP1_ADDRESS": env["IMP_IMP2_ADDRESS"]}
            with greet(other) as elsewhere:
                assert read_features(elsewhere).endswith(b"</stream:features>")
    with greet(env) as connection:
        assert read_features(connection).endswith(b"</stream:features>")


def is_lost(connection: socket.socket) -> bool:
    try:
        return connection.recv(4096) == b""
    except ConnectionResetError:
        return True


def pings(env: dict[str, str], *names: str) -> list[tuple[str, float]]:
    done = subprocess.run(
        [
            *(sys.executable, CLIENTS, "pings", env["IMP_IMP1_ADDRESS"], env["IMP_IMP1_XMPP_PORT"]),
            *(env["IMP_USER_ALICE_JID"], env["IMP_USER_ALICE_PASSWORD"], env["IMP_TRUST"], *names),
        ],
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=True,
    )
    return [(line.split()[0], float(line.split()[1])) for line in done.stdout.splitlines()]


def test_delayed_stanzas_keep_their_order(beside: Commands, env: dict[str, str]) -> None:
    with fault(beside, "stanza-delay", "--set", "seconds=2"):
        late = pings(env, "one", "two")
    assert [name for name, _ in late] == ["one", "two"]
    assert all(seconds >= 2 for _, seconds in late)
    assert all(seconds < 2 for _, seconds in pings(env, "one", "two"))


def test_reordered_stanzas(beside: Commands, env: dict[str, str]) -> None:
    names = ("one", "two", "three", "four")
    with fault(beside, "stanza-reorder", "--set", "seconds=5", "--set", "share=1"):
        got = [name for name, _ in pings(env, *names)]
    assert sorted(got) == sorted(names)
    assert got != list(names)
    assert [name for name, _ in pings(env, *names)] == list(names)


def answer_to_options(env: dict[str, str]) -> str:
    client = sip_requests(env, "OPTIONS")
    return subprocess.run(client, capture_output=True, text=True, timeout=LIMIT, check=True).stdout


def test_sip_requests_are_answered_with_503_and_retry_after(beside: Commands, env: dict[str, str]) -> None:
    with fault(beside, "sip-503", "--set", "retry_after=7"):
        text = answer_to_options(env)
    assert text.startswith("SIP/2.0 503 Service Unavailable")
    assert "Retry-After: 7" in text
    assert answer_to_options(env).startswith("SIP/2.0 200")


def test_faults_are_listed_shown_by_status_and_recorded(beside: Commands) -> None:
    listed = beside.json("fault", "list", "--json")
    assert [kind["name"] for kind in listed["faults"]] == list(KINDS)
    assert listed["on"] == []
    with fault(beside, "stanza-delay"):
        assert beside.json("fault", "list", "--json")["on"][0]["seconds"] == 3.0
        assert "fault on: stanza-delay on imp1 (seconds=3.0)" in beside.run("status").stdout


def test_a_lab_can_begin_with_faults_and_says_so_first(tmp_path_factory: pytest.TempPathFactory) -> None:
    with lab(tmp_path_factory.mktemp("lab"), "--fault", "sip-503,node=imp1,retry_after=9") as made:
        assert made.json("fault", "list", "--json")["on"][0]["retry_after"] == 9
        made.run("down")
        (events,) = made.folder.glob("runs/*/events.jsonl")
        lines = events.read_text(encoding="utf-8").splitlines()
    assert json.loads(lines[1])["text"] == "fault from the start: sip-503 on imp1 (retry_after=9, share=1.0)"
    assert any("fault on: sip-503" in line for line in lines)


def test_a_lab_file_may_name_faults(tmp_path_factory: pytest.TempPathFactory) -> None:
    text = """name = "faulty"
faults = ["sip-503,node=imp1,retry_after=9"]
[[clusters]]
name = "imp"
kind = "imp"
[[clusters.nodes]]
name = "imp1"
"""
    (faulty,) = parse_lab_file(text, source="faulty.toml").faults
    assert str(parse_fault(faulty)) == "sip-503 on imp1 (retry_after=9, share=1.0)"
    with pytest.raises(ConfigError, match="did you mean 'sip-503'"):
        parse_lab_file(text.replace("sip-503", "sip-504"), source="faulty.toml")
    folder = tmp_path_factory.mktemp("lab")
    (folder / "faulty.toml").write_text(text, encoding="utf-8")
    with lab(folder, "faulty.toml") as made:
        assert made.json("fault", "list", "--json")["on"][0]["name"] == "sip-503"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["on", "stanza-dely"], "did you mean 'stanza-delay'"),
        (
            ["on", "sip-503", "--set", "seconds=3"],
            "has no setting 'seconds'; it has node, service, retry_after, share",
        ),
        (["on", "stanza-delay", "--set", "seconds=0"], "seconds: Input should be greater than 0"),
        (["on", "stanza-delay", "--set", "seconds"], "expected settings as node=imp1"),
        (["on", "stanza-delay", "--node", "imp9"], "no node is called 'imp9'"),
        (["on", "stanza-delay", "--service", "Cisco Nothing"], "no such service 'Cisco Nothing'"),
        (["off", "stanza-delay"], "fault stanza-delay is not on"),
    ],
)
def test_what_is_no_fault_is_refused(beside: Commands, arguments: list[str], expected: str) -> None:
    done = beside.run("fault", *arguments)
    assert done.returncode == 2
    assert expected in done.stderr


async def test_without_a_fault_nothing_lies_between_socket_and_service() -> None:
    def factory() -> asyncio.Protocol:
        raise AssertionError("nobody connects")

    assert Nobody().accepting(factory) is factory
    made: list[Remembering] = []

    def remember() -> asyncio.Protocol:
        made.append(Remembering())
        return made[-1]

    board = FaultBoard(seed=1, clock=LoopClock(), note=lambda text: None)
    board.know_nodes({"imp1": "127.0.0.1"}, frozenset({"imp1"}))
    seam = board.interposer("imp1", ServiceName.SIP_PROXY)
    server = await asyncio.get_running_loop().create_server(seam.accepting(remember), "127.0.0.1", 0)
    where = server.sockets[0].getsockname()
    try:
        for between in (False, True):
            if between:
                board.turn_on(parse_fault("drop-after,bytes=1"))
            _, writer = await asyncio.open_connection(*where)
            await asyncio.sleep(0.05)
            writer.close()
            transport = made[-1].transport
            assert isinstance(transport, FaultyTransport) is between
            assert transport.get_protocol() is made[-1]
    finally:
        server.close()


class Remembering(asyncio.Protocol):
    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport


def test_a_text_means_a_fault() -> None:
    meant = parse_fault("stanza-reorder,node=imp2,seconds=0.5,share=0.25")
    assert str(meant) == "stanza-reorder on imp2 (seconds=0.5, share=0.25)"
    with pytest.raises(ConfigError, match="share"):
        parse_fault("stanza-reorder,share=2")
