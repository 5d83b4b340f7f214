"""`imp-harness why` after openssl s_client was refused: what it says, what it mends, and what it does not."""

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.harness.endpoint.running import LIMIT, Commands, lab

pytestmark = pytest.mark.timeout(300)  # labs and clients are processes of their own


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    with lab(tmp_path_factory.mktemp("lab"), "--topology", "two-imp-one-cucm") as made:
        yield made


@pytest.fixture
def env(beside: Commands) -> dict[str, str]:
    return beside.environment_of_lab()


def s_client(address: str, port: str, trust: str, *arguments: str) -> str:
    """Shake hands as a client, read once more (a refusal under TLS 1.3 comes late), and return what it printed."""
    done = subprocess.run(
        [
            "openssl",
            "s_client",
            "-connect",
            f"{address}:{port}",
            "-partial_chain",
            "-CAfile",
            trust,
            *arguments,
        ],
        input="\r\n\r\n",
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    return done.stdout + done.stderr


def refused(text: str) -> bool:
    return "alert" in text


def newest(beside: Commands) -> dict[str, Any]:
    (found,) = beside.json("why", "--json", "-n", "1")
    return dict(found)


def attempt(env: dict[str, str], certificate: str, *, node: str = "IMP1", port: str = "SIP_TLS_PEER") -> str:
    arguments = ["-tls1_2", *(["-cert", env[certificate]] if certificate else [])]
    return s_client(env[f"IMP_{node}_ADDRESS"], env[f"IMP_{node}_{port}_PORT"], env["IMP_TRUST"], *arguments)


def test_a_lab_in_which_nobody_was_refused_says_so(tmp_path_factory: pytest.TempPathFactory) -> None:
    with lab(tmp_path_factory.mktemp("quiet"), "--topology", "two-imp-one-cucm") as made:
        assert "nobody was refused" in made.run("why").stdout
        assert made.json("why", "--json") == []
        nothing = made.run("why", "--apply")
        assert nothing.returncode == 2
        assert "nobody was refused" in nothing.stderr


def test_a_stranger_is_explained_and_let_in_once_the_remedy_is_applied(
    beside: Commands, env: dict[str, str]
) -> None:
    assert refused(attempt(env, "IMP_STRANGER_CERTIFICATE"))
    found = newest(beside)
    assert found["verdict"]["reason"] == "untrusted issuer"
    text = beside.run("why", "-n", "1").stdout
    for line in (
        "imp1 Cisco SIP Proxy: untrusted issuer",
        "presented CN=stranger.lab.example, self-signed",
        "names DNS:stranger.lab.example",
        f"SHA-256 {found['verdict']['presented_chain'][0]['sha256']}",
        "TLS alert unknown_ca",
        "(G13)",
        "System > Security > TLS Peer Subjects: Add New, stranger.lab.example",
        f"`imp-harness why {found['number']} --apply` does it",
    ):
        assert line in text
    applied = beside.run("why", "--apply")
    assert applied.returncode == 0, applied.stderr
    assert "to cup-trust" in applied.stdout
    assert "imp1, Control Center: restart Cisco SIP Proxy" in applied.stdout
    assert not refused(attempt(env, "IMP_STRANGER_CERTIFICATE"))
    again = beside.run("why", str(found["number"]), "--apply")
    assert again.returncode == 1
    assert "Nothing is left to do in the lab" in again.stdout


def test_a_subject_that_is_not_selected_is_selected(beside: Commands, env: dict[str, str]) -> None:
    """The twin of the stranger: trusted already on the other node, and its subject taken away there."""
    assert refused(attempt(env, "IMP_STRANGER_CERTIFICATE", node="IMP2"))
    found = newest(beside)
    done = beside.json("why", str(found["number"]), "--apply", "--json")
    assert done["applied"]
    assert not refused(attempt(env, "IMP_STRANGER_CERTIFICATE", node="IMP2"))


def test_what_lies_with_the_client_is_not_applied(beside: Commands, env: dict[str, str]) -> None:
    assert refused(attempt(env, ""))
    found = newest(beside)
    assert found["verdict"]["reason"] == "no certificate"
    assert found["mend"]["by"] == "peer"
    done = beside.run("why", "--apply")
    assert done.returncode == 1
    assert done.stdout.startswith(f"not applied to refusal {found['number']}:")
    assert env["IMP_CLIENT_CERTIFICATE"] in done.stdout
    unchanged = beside.run("status").stdout
    assert "restart needed" not in unchanged


def test_a_client_that_refuses_the_lab_is_told_of_the_ca_bundle(
    beside: Commands, env: dict[str, str]
) -> None:
    text = s_client(
        env["IMP_IMP1_ADDRESS"],
        env["IMP_IMP1_SIP_TLS_PORT"],
        env["IMP_STRANGER_CERTIFICATE"],
        "-verify_return_error",
    )
    assert "verify error" in text
    found = newest(beside)
    assert (found["verdict"]["reason"], found["mend"]["by"]) == ("peer's alert", "peer")
    assert env["IMP_TRUST"] in found["mend"]["advice"]


def test_a_sip_trunk_is_made_step_by_step(beside: Commands, env: dict[str, str]) -> None:
    """A SIP server of one's own: not trusted, then without profile and trunk, then let in."""
    reasons = []
    for _ in range(4):
        said = trunk_options(env)
        if said.startswith("SIP/2.0 200"):
            break
        found = newest(beside)
        reasons.append(found["verdict"]["reason"])
        assert beside.json("why", "--apply", "--json")["applied"], found
    assert said.startswith("SIP/2.0 200"), said
    assert reasons == ["untrusted issuer", "no SIP trunk security profile"]


def trunk_options(env: dict[str, str]) -> str:
    import socket
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(env["IMP_TRUST"])
    context.load_cert_chain(env["IMP_CLIENT_CERTIFICATE"])
    where = env["IMP_CUCM1_ADDRESS"], int(env["IMP_CUCM1_SIP_TLS_PORT"])
    request = (
        f"OPTIONS sip:{where[0]};transport=tls SIP/2.0\r\n"
        "Via: SIP/2.0/TLS client.lab.example:5061;branch=z9hG4bK776\r\n"
        "Max-Forwards: 70\r\n"
        "From: <sip:client.lab.example>;tag=1\r\n"
        f"To: <sip:{where[0]}>\r\n"
        "Call-ID: options@client.lab.example\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    )
    try:
        with (
            socket.create_connection(where, timeout=20) as plain,
            context.wrap_socket(plain, server_hostname="cucm1.lab.example") as connection,
        ):
            connection.sendall(request.encode())
            return connection.recv(4096).decode()
    except (ssl.SSLError, ConnectionResetError) as error:
        return str(error)


def test_followers_get_a_line_for_each_refusal(beside: Commands, env: dict[str, str]) -> None:
    following = beside.start("why", "--follow", "--json")
    assert following.stdout is not None
    try:
        # Nobody says when the command listens: the client is refused again until it does.
        lines: list[str] = []
        while not lines:
            attempt(env, "")
            import select

            if select.select([following.stdout], [], [], 0.5)[0]:
                lines.append(following.stdout.readline())
    finally:
        following.kill()
        following.wait()
        following.stdout.close()
    assert json.loads(lines[0])["verdict"]["reason"] == "no certificate"


def test_a_number_that_is_none_is_refused_with_those_there_are(beside: Commands, env: dict[str, str]) -> None:
    attempt(env, "")
    done = beside.run("why", "1")
    assert done.returncode == 2
    assert f"{newest(beside)['number']}" in done.stderr
