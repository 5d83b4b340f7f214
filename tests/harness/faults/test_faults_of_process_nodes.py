"""Faults of a node in a process of its own: the same commands, the same things seen, also after a reboot."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.faults.kinds import KINDS, Fault, FaultSettings, parse_fault
from tests.harness.endpoint.running import LIMIT, Commands, lab
from tests.harness.faults.test_faults import (
    XMPP,
    answer_to_options,
    fault,
    greet,
    is_lost,
    pings,
    read_features,
    xmpp_tls,
)
from tests.integration.test_node_command import listens

pytestmark = pytest.mark.timeout(300)

LAB = """name = "apart"
[[clusters]]
name = "imp"
kind = "imp"
[[clusters.nodes]]
name = "imp1"
process = true
[[clusters.nodes]]
name = "imp2"
[[users]]
user_id = "alice"
home_node = "imp1"
"""


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    folder = tmp_path_factory.mktemp("lab")
    (folder / "apart.toml").write_text(LAB, encoding="utf-8")
    with lab(folder, "apart.toml", "--seed", "5") as made:
        yield made


@pytest.fixture
def env(apart: Commands) -> dict[str, str]:
    return apart.environment_of_lab()


def reboot(apart: Commands, env: dict[str, str]) -> None:
    done = apart.run("cli", "imp1", "utils", "system", "restart", answers="yes\n")
    assert "Do you really want to restart" in done.stdout, done.stderr + done.stdout
    where = env["IMP_IMP1_ADDRESS"], int(env["IMP_IMP1_XMPP_PORT"])
    wait_until(lambda: not listens(*where))
    wait_until(lambda: listens(*where))


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_wrong_certificate_stays_over_a_reboot_until_it_is_turned_off(
    apart: Commands, env: dict[str, str]
) -> None:
    with fault(apart, "certificate-expired", "--service", XMPP):
        assert "certificate has expired" in xmpp_tls(env)
        trusted = Path(env["IMP_TRUST"]).read_bytes()
        reboot(apart, env)
        # Its process issued another one; clients are told to trust that one's issuer once all services are up.
        wait_until(lambda: Path(env["IMP_TRUST"]).read_bytes() != trusted)
        assert "certificate has expired" in xmpp_tls(env)
        other = env | {
            "IMP_IMP1_ADDRESS": env["IMP_IMP2_ADDRESS"],
            "IMP_IMP1_XMPP_PORT": env["IMP_IMP2_XMPP_PORT"],
        }
        assert "Verification: OK" in xmpp_tls(other)
    assert "Verification: OK" in xmpp_tls(env)


def test_its_connections_stanzas_and_requests_suffer(apart: Commands, env: dict[str, str]) -> None:
    with fault(apart, "drop-after", "--service", XMPP, "--set", "bytes=100"), greet(env) as connection:
        assert len(read_features(connection)) == 100
    with greet(env) as old:
        assert read_features(old).endswith(b"</stream:features>")
        with fault(apart, "link-loss"):
            assert is_lost(old)
    with fault(apart, "stanza-delay", "--set", "seconds=2"):
        assert all(seconds >= 2 for _, seconds in pings(env, "one"))
    assert all(seconds < 2 for _, seconds in pings(env, "one"))


def test_its_sip_clients_get_503(apart: Commands, env: dict[str, str]) -> None:
    with fault(apart, "sip-503", "--set", "retry_after=7"):
        assert "Retry-After: 7" in answer_to_options(env)
    assert answer_to_options(env).startswith("SIP/2.0 200")


def test_a_service_that_it_has_not_is_refused(apart: Commands) -> None:
    done = apart.run("fault", "on", "stanza-delay", "--node", "imp1", "--service", "Cisco Nothing")
    assert done.returncode == 2
    assert "no such service 'Cisco Nothing'" in done.stderr
    assert XMPP in done.stderr


@pytest.mark.parametrize("name", KINDS)
def test_a_fault_s_text_means_that_fault(name: str) -> None:
    kind = KINDS[name]
    told = {"seconds": 0.5, "bytes": 7, "retry_after": 9, "share": 0.25}
    settings = FaultSettings.model_validate({each: told[each] for each in kind.settings})
    for node, service in (("", ""), ("imp1", ""), ("imp1", XMPP)):
        meant = Fault(name=name, node=node, service=service, settings=settings)
        assert parse_fault(meant.text) == meant
