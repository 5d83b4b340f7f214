"""`imp-harness up`, `status`, `down`, `env`: as a person and a CI job use them."""

import json
import signal
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.endpoint.running import LIMIT, Commands, commands, lab

pytestmark = pytest.mark.timeout(300)  # labs and clients are processes of their own


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Commands]:
    with commands(tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    with lab(tmp_path_factory.mktemp("lab")) as made:
        yield made


def test_a_lab_shows_its_endpoints_users_and_files_and_stops_cleanly(alone: Commands) -> None:
    process = alone.start("up")
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith("ready"):
            break
    text = "".join(lines)
    assert "lab two-clusters: 5 nodes up in" in text
    for service in ("Cisco SIP Proxy", "Cisco XCP Connection Manager", "Cisco CallManager", "Cisco Tomcat"):
        assert service in text
    for line in (
        "user:                 alice@lab.example, home node imp1",
        "hosts: ",
        "CA bundle: ",
        "passwords: ",
    ):
        assert line in text
    process.send_signal(signal.SIGINT)
    rest = process.stdout.read()
    process.stdout.close()
    assert process.wait(timeout=LIMIT) == 0
    assert "lab stopped; evidence: runs/" in rest
    (events,) = alone.folder.glob("runs/*/events.jsonl")
    first = json.loads(events.read_text(encoding="utf-8").splitlines()[0])
    assert first["text"].startswith("seed ")
    assert not list(alone.runtime.iterdir())


def test_a_detached_lab_goes_on_until_it_is_told_to_stop(alone: Commands) -> None:
    assert alone.run("status").returncode == 1
    assert json.loads(alone.run("status", "--json").stdout) == {"running": False}
    assert "no lab runs" in alone.run("env").stderr
    up = alone.run("up", "--detach", "--seed", "7")
    assert up.returncode == 0, up.stderr
    assert "`imp-harness down` stops the lab" in up.stdout
    status = alone.run("status")
    assert status.returncode == 0
    assert "imp1.lab.example" in status.stdout
    assert "restart needed" not in status.stdout
    described = alone.json("status", "--json")
    assert described["lab"]["seed"] == 7
    assert {"Started"} == {s["state"] for node in described["now"]["nodes"] for s in node["services"]}
    down = alone.run("down")
    assert down.returncode == 0
    evidence = Path(down.stdout.partition("evidence: ")[2].strip())
    assert json.loads(evidence.read_text(encoding="utf-8").splitlines()[0])["text"] == "seed 7"
    assert alone.run("status").returncode == 1
    assert "no lab runs" in alone.run("down").stdout


def test_a_detached_lab_that_cannot_be_says_why_and_exits_2(alone: Commands) -> None:
    wrong = alone.folder / "wrong.toml"
    wrong.write_text('name = "wrong"\nclusters = []\n', encoding="utf-8")
    done = alone.run("up", "--detach", str(wrong))
    assert done.returncode == 2
    assert "clusters" in done.stderr
    assert alone.run("up", "--topology", "two-domain").stderr.count("did you mean 'two-domains'") == 1


def test_what_a_lab_says_of_itself_is_for_its_user_only(beside: Commands) -> None:
    (folder,) = beside.runtime.iterdir()
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert modes == {"lab.json": 0o600, "control.sock": 0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    passwords = [user["password"] for user in json.loads((folder / "lab.json").read_text())["users"]]
    shown = beside.run("status").stdout + beside.run("status", "--json").stdout
    assert all(passwords)
    assert not any(password in shown for password in passwords)


def test_variables_for_a_shell_for_github_and_as_json(beside: Commands) -> None:
    found = beside.environment_of_lab()
    script = beside.run("env").stdout + '\nprintf "%s %s" "$IMP_USER_ALICE_JID" "$IMP_IMP1_XMPP_PORT"\n'
    shell = subprocess.run(["sh"], input=script, capture_output=True, text=True, timeout=LIMIT, check=True)
    assert shell.stdout == "alice@lab.example 5222"
    github = beside.run("env", "--format", "github")
    assert dict(line.split("=", 1) for line in github.stdout.splitlines()) == found
    assert f"::add-mask::{found['IMP_USER_ALICE_PASSWORD']}" in github.stderr
    for name in ("IMP_TRUST", "IMP_CLIENT_CERTIFICATE", "IMP_STRANGER_CERTIFICATE", "IMP_HOSTS"):
        assert Path(found[name]).is_file()
    hosts = Path(found["IMP_HOSTS"]).read_text(encoding="utf-8")
    assert f"{found['IMP_IMP1_ADDRESS']}\timp1.lab.example imp1" in hosts


def test_a_lab_of_another_name_is_refused_with_those_that_run(beside: Commands) -> None:
    done = beside.run("status", "--lab", "nonsense")
    assert done.returncode == 2
    assert "running: two-" in done.stderr


def test_state_outlives_the_run_with_its_addresses_certificates_and_passwords(alone: Commands) -> None:
    assert alone.run("up", "--detach", "--state", "kept").returncode == 0
    before = alone.environment_of_lab()
    shown = Path(before["IMP_TRUST"]).read_bytes()
    taken = alone.run("up", "--state", "kept")
    assert taken.returncode == 2
    assert "belongs to a lab that runs" in taken.stderr
    assert alone.run("down").returncode == 0
    again = alone.run("up", "--detach", "--state", "kept")
    assert again.returncode == 0, again.stderr
    after = alone.environment_of_lab()
    of_a_run = {"IMP_HARNESS_LAB", "IMP_EVIDENCE", "IMP_CONTROL"}
    assert {k: v for k, v in before.items() if k not in of_a_run} == {
        k: v for k, v in after.items() if k not in of_a_run
    }
    assert Path(after["IMP_TRUST"]).read_bytes() == shown


@pytest.mark.parametrize(
    ("addresses", "expected"),
    [
        ("127.88.0.1", "expected 3 different addresses, for imp1, imp2, cucm1, seen 1"),
        ("127.88.0.1,127.88.0.2,0.0.0.0", "0.0.0.0 is no address that clients can be told"),
        ("127.88.0.1,localhost", "expected IPv4 addresses of this machine"),
    ],
)
def test_addresses_to_bind_are_checked(alone: Commands, addresses: str, expected: str) -> None:
    done = alone.run("up", "--topology", "two-imp-one-cucm", "--bind", addresses)
    assert done.returncode == 2
    assert expected in done.stderr


def test_a_lab_can_be_bound_to_other_addresses(alone: Commands) -> None:
    addresses = "127.88.1.1,127.88.2.1,127.88.3.1"
    done = alone.run("up", "--detach", "--topology", "two-imp-one-cucm", "--bind", addresses)
    assert done.returncode == 0, done.stderr
    found = alone.environment_of_lab()
    assert [found[f"IMP_{node}_ADDRESS"] for node in ("IMP1", "IMP2", "CUCM1")] == addresses.split(",")
