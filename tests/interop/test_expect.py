"""`imp-harness expect` and `why` with go-sendxmpp as the client under test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.endpoint.running import Commands, lab
from tests.interop.peers import require_program

pytestmark = [pytest.mark.interop, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    with lab(tmp_path_factory.mktemp("lab")) as made:
        yield made


def client(env: dict[str, str], password: str, trust: str) -> tuple[str, ...]:
    where = f"{env['IMP_IMP1_ADDRESS']}:{env['IMP_IMP1_XMPP_PORT']}"
    return (
        *("env", f"SSL_CERT_FILE={trust}", f"SSL_CERT_DIR={Path(trust).parent / 'none'}", "sh", "-c"),
        'echo hello | "$0" "$@"',
        *(require_program("go-sendxmpp"), "-u", env["IMP_USER_ALICE_JID"], "-p", password, "-j", where),
        env["IMP_USER_BOB_JID"],
    )


def test_go_sendxmpp_sends_a_message_and_its_twin_with_a_wrong_password_does_not(beside: Commands) -> None:
    env = beside.environment_of_lab()
    good = client(env, env["IMP_USER_ALICE_PASSWORD"], env["IMP_TRUST"])
    met = beside.run("expect", "message", "--", *good)
    assert met.returncode == 0, met.stdout + met.stderr
    missed = beside.run("expect", "xmpp-login", "--", *client(env, "not hers", env["IMP_TRUST"]))
    assert missed.returncode == 1
    assert "refused: bad credentials" in missed.stdout
    assert "bad credentials" in beside.run("why", "-n", "1").stdout


def test_go_sendxmpp_is_expected_to_refuse_an_expired_certificate(beside: Commands) -> None:
    env = beside.environment_of_lab()
    careful = client(env, env["IMP_USER_ALICE_PASSWORD"], env["IMP_TRUST"])
    assert beside.run("fault", "on", "certificate-expired", "--node", "imp1").returncode == 0
    refusing = beside.run("expect", "client-refuses-server", "--", *careful)
    assert beside.run("fault", "off").returncode == 0
    twin = beside.run("expect", "client-refuses-server", "--", *careful)
    assert (refusing.returncode, twin.returncode) == (0, 1), refusing.stdout + twin.stdout
