"""`imp-harness expect` with clients that are processes: met, and missed with the nearest miss."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from certs.errors import ConfigError
from harness.endpoint.durations import parse_duration
from tests.harness.endpoint.running import ROOT, Commands, lab
from tests.harness.endpoint.sip_client import sip_requests

pytestmark = pytest.mark.timeout(300)  # labs and clients are processes of their own

CLIENTS = str(ROOT / "tests/harness/endpoint/clients.py")


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    with lab(tmp_path_factory.mktemp("lab"), "--topology", "two-imp-one-cucm") as made:
        yield made


@pytest.fixture
def env(beside: Commands) -> dict[str, str]:
    return beside.environment_of_lab()


def slixmpp(env: dict[str, str], *messages: str, password: str = "", trust: str = "") -> tuple[str, ...]:
    return (
        *(sys.executable, CLIENTS, "xmpp", env["IMP_IMP1_ADDRESS"], env["IMP_IMP1_XMPP_PORT"]),
        env["IMP_USER_ALICE_JID"],
        password or env["IMP_USER_ALICE_PASSWORD"],
        trust or env["IMP_TRUST"],
        *messages,
    )


def expect(beside: Commands, *arguments: str, client: tuple[str, ...]) -> "subprocess.CompletedProcess[str]":
    return beside.run("expect", *arguments, "--", *client)


@pytest.mark.parametrize(
    ("expectation", "seen"),
    [
        (["xmpp-client"], "accepted, TLSv1.3"),
        (["tls-handshake"], "accepted, TLSv1.3"),
        (["xmpp-login", "--user", "alice"], "alice@lab.example logged in by"),
        (["xmpp-presence", "--node", "imp1"], "sent presence"),
        (["message"], "sent a message"),
    ],
)
def test_a_client_that_does_what_is_expected(
    beside: Commands, env: dict[str, str], expectation: list[str], seen: str
) -> None:
    done = expect(beside, *expectation, client=slixmpp(env, f"{env['IMP_USER_BOB_JID']}=hello"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith(f"✔ {expectation[0]}: 127.0.0.1:")
    assert seen in done.stdout


@pytest.mark.parametrize(
    ("expectation", "nearest"),
    [
        (["xmpp-login", "--user", "bob"], "accepted"),
        (["xmpp-login", "--node", "imp2"], "accepted"),
        (["web-login"], "accepted"),
        (["sip-register"], "accepted"),
    ],
)
def test_a_client_that_does_something_else(
    beside: Commands, env: dict[str, str], expectation: list[str], nearest: str
) -> None:
    done = expect(beside, *expectation, client=slixmpp(env))
    assert done.returncode == 1
    assert done.stdout.startswith(f"✘ {expectation[0]}: the client ended without it; ")
    assert "nearest miss: 127.0.0.1:" in done.stdout
    assert nearest in done.stdout


def test_nobody_came(beside: Commands) -> None:
    done = beside.run("expect", "xmpp-client", "--within", "200ms", "--json")
    assert done.returncode == 1
    missed = json.loads(done.stdout)
    assert (missed["expected"], missed["state"], missed["nearest"]) == (
        "xmpp-client",
        "missed",
        "nobody connected",
    )


def test_a_wrong_password_is_the_nearest_miss_of_a_login_and_is_what_refused_waits_for(
    beside: Commands, env: dict[str, str]
) -> None:
    wrong = slixmpp(env, password="not hers")
    missed = expect(beside, "xmpp-login", client=wrong)
    assert missed.returncode == 1
    assert "nearest miss: 127.0.0.1:" in missed.stdout
    assert "refused: bad credentials" in missed.stdout
    assert "remedy: Check user name and password" in missed.stdout
    met = expect(beside, "refused", "bad credentials", client=wrong)
    assert met.returncode == 0, met.stdout
    other = expect(beside, "refused", "untrusted issuer", client=wrong)
    assert other.returncode == 1


def test_a_client_that_does_not_trust_the_lab_refuses_it(beside: Commands, env: dict[str, str]) -> None:
    closing = expect(
        beside, "client-refuses-server", client=slixmpp(env, trust=env["IMP_STRANGER_CERTIFICATE"])
    )
    assert closing.returncode == 0, closing.stdout
    assert "closed in the middle of the handshake" in closing.stdout
    where = f"{env['IMP_IMP1_ADDRESS']}:{env['IMP_IMP1_XMPP_PORT']}"
    doubting = (
        *("openssl", "s_client", "-connect", where, "-starttls", "xmpp", "-xmpphost", env["IMP_DOMAIN"]),
        *("-verify_return_error", "-CAfile", env["IMP_STRANGER_CERTIFICATE"]),
    )
    met = expect(beside, "client-refuses-server", "unknown_ca", client=doubting)
    assert met.returncode == 0, met.stdout
    assert "refused us with the alert unknown_ca" in met.stdout
    twin = expect(beside, "client-refuses-server", client=slixmpp(env))
    assert twin.returncode == 1
    named = expect(beside, "client-refuses-server", "certificate_expired", client=doubting)
    assert named.returncode == 1
    assert "got unknown_ca" in named.stdout


@pytest.mark.parametrize(
    ("expectation", "method", "twin"),
    [("sip-register", "REGISTER", "OPTIONS"), ("sip-subscribe", "SUBSCRIBE", "REGISTER")],
)
def test_a_sip_client(
    beside: Commands, env: dict[str, str], expectation: str, method: str, twin: str
) -> None:
    met = expect(beside, expectation, client=sip_requests(env, method))
    assert met.returncode == 0, met.stdout
    assert f"{method} was answered with 20" in met.stdout
    missed = expect(beside, expectation, client=sip_requests(env, twin))
    assert missed.returncode == 1
    assert "connected to Cisco SIP Proxy on imp1, and no more" in missed.stdout


def test_no_longer_is_waited_than_the_client_runs(beside: Commands) -> None:
    began = time.monotonic()
    done = expect(beside, "xmpp-client", "--within", "10m", client=("true",))
    assert done.returncode == 1
    assert "nearest miss: nobody connected" in done.stdout
    assert time.monotonic() - began < 180


def test_what_happened_before_counts_where_it_is_asked_for(beside: Commands, env: dict[str, str]) -> None:
    subprocess.run(slixmpp(env), timeout=60, check=True)
    assert beside.run("expect", "xmpp-login", "--since-ready", "--within", "5s").returncode == 0
    assert beside.run("expect", "xmpp-login", "--within", "1s").returncode == 1


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["xmpp-logon"], "did you mean 'xmpp-login'"),
        (["refused", "bad credential"], "did you mean 'bad credentials'"),
        (["xmpp-login", "alice"], "takes no argument"),
        (["xmpp-login", "--within", "soon"], "expected a length of time"),
        (["xmpp-login", "--node", "imp9"], "no node is called 'imp9'"),
        (["xmpp-login", "--", "/no/such/client"], "/no/such/client cannot be started"),
    ],
)
def test_what_cannot_be_waited_for_exits_2(beside: Commands, arguments: list[str], expected: str) -> None:
    done = beside.run("expect", *arguments)
    assert done.returncode == 2, done.stdout
    assert expected in done.stderr


def test_the_list_names_all_expectations(beside: Commands) -> None:
    names = {row["name"] for row in beside.json("expect", "list", "--json")}
    assert {"xmpp-login", "refused", "client-refuses-server", "sip-subscribe"} <= names
    assert "refused [REASON]" in beside.run("expect", "list").stdout


@pytest.mark.parametrize(("text", "seconds"), [("60s", 60), ("500ms", 0.5), ("2m", 120), ("1.5", 1.5)])
def test_lengths_of_time(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "0s", "-1s", "1 s", "60sec"])
def test_what_is_no_length_of_time(text: str) -> None:
    with pytest.raises(ConfigError, match="expected a length of time"):
        parse_duration(text)
