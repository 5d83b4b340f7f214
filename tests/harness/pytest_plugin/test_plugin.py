"""The plugin as an outside suite uses it: each test runs pytest in a folder and a process of its own."""

import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.timeout(200)  # each test starts a pytest of its own, on a machine that may be busy

ROOT = Path(__file__).parents[3]

HELPERS = """
import socket, ssl

def shake_hands(address, port, trust, pem=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(trust)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")  # else OpenSSL does not even load a weak certificate
    if pem is not None:
        context.load_cert_chain(pem)
    with socket.create_connection((address, port), 5) as plain, context.wrap_socket(plain) as tls:
        tls.sendall(b"\\r\\n\\r\\n")
        return tls.recv(10)  # under TLS 1.3 a refusal comes now
"""


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    """Return an outside project: no configuration of this repository's reaches it."""
    pytester.makeini("[pytest]\naddopts = --strict-markers --strict-config\n")
    pytester.makepyfile(helpers=HELPERS)
    pytester.syspathinsert()
    return pytester


def run(suite: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return suite.runpytest_subprocess("-p", "no:cacheprovider", *arguments, timeout=150)


def test_a_suite_that_does_not_use_the_plugin_imports_nothing_of_the_lab(suite: pytest.Pytester) -> None:
    suite.makepyfile("""
        import sys
        def test_nothing():
            ours = {name for name in sys.modules if name.split(".")[0] in ("harness", "proxies", "certs")}
            assert ours == {"harness", "harness.pytest_plugin", "harness.pytest_plugin.plugin"}
            assert not {"slixmpp", "aiohttp", "pydantic", "sqlalchemy", "cryptography"} & sys.modules.keys()
    """)
    run(suite).assert_outcomes(passed=1)


def test_a_client_that_is_let_in_and_its_twin_that_is_refused(suite: pytest.Pytester) -> None:
    suite.makepyfile("""
        import ssl, pytest
        from helpers import shake_hands

        def test_good(lab, imp_node, certs):
            port = imp_node.ports.sip_tls_peer_auth
            shake_hands(imp_node.address, port, certs.trust, certs.good.pem)
            verdict = lab.expect_accepted("client.lab.example", node="imp1")
            assert verdict.tls_version == "TLSv1.3"
            assert [each.verdict.accepted for each in lab.verdicts()] == [True]

        @pytest.mark.parametrize(("kind", "reason"), [
            ("stranger", "untrusted issuer"), ("expired", "expired"), ("sha1", "weak signature"),
            ("other-cn", "subject not in context"),
        ])
        def test_wrong(lab, imp_node, certs, kind, reason):
            wrong = certs.stranger if kind == "stranger" else certs.wrong(kind)
            with pytest.raises((ssl.SSLError, ConnectionError)):
                shake_hands(imp_node.address, imp_node.ports.sip_tls_peer_auth, certs.trust, wrong.pem)
            assert lab.expect_refusal(reason).remedy
            assert len(lab.verdicts(accepted=False)) == 1, "verdicts of other tests are not ours"

        def test_the_twin_of_the_wrong_ones(lab, imp_node, certs):
            twin = certs.issued_good()
            assert (twin.chain.stat().st_mode & 0o777, twin.key.stat().st_mode & 0o777) == (0o600, 0o600)
            shake_hands(imp_node.address, imp_node.ports.sip_tls_peer_auth, certs.trust, twin.pem)
            lab.expect_accepted("client.lab.example")

        @pytest.fixture(scope="session")
        def started(session_lab):
            return session_lab.imp[0].address

        def test_a_fixture_of_the_session(started, imp_node, session_lab):
            assert started == imp_node.address
            assert len(session_lab.verdicts()) >= 6, "of all tests"

        def test_cucm(lab, cucm, imp_node):
            assert (cucm.name, imp_node.name) == ("cucm1", "imp1")
            assert lab.user("bob").home_node.name == "imp2"
            assert lab.user("bob").password not in repr(lab.user("bob"))
    """)
    run(suite, "-q").assert_outcomes(passed=8)


def test_an_unmet_expectation_says_what_was_seen_and_leaves_its_evidence(suite: pytest.Pytester) -> None:
    suite.makepyfile("""
        import contextlib
        from helpers import shake_hands

        def test_it(lab, imp_node, certs):
            with contextlib.suppress(OSError):
                shake_hands(imp_node.address, imp_node.ports.sip_tls_peer_auth, certs.trust, certs.stranger.pem)
            lab.expect_refusal("expired", within=0.3)
    """)
    done = run(suite, "--junitxml=junit.xml")
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines([
        "*LabExpectationFailed: the lab two-imp-one-cucm did not see what was expected within 0.3 s",
        "*expected: refused: expired",
        "*imp1 Cisco SIP Proxy, peer 127.*: refused: untrusted issuer*CN=stranger.lab.example*",
        "*- presence lab -*",
        "*remedy: Import the peer's certificate*",
        "*presented: CN=stranger.lab.example*",
        "evidence: *",
    ])  # fmt: skip
    (folder,) = (suite.path / "runs").iterdir()
    assert {path.name for path in folder.iterdir()} == {"events.jsonl", "verdicts.json", "report.html"}
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "stranger.lab.example" in page
    assert "LabExpectationFailed" in page
    ladder = subprocess.run(
        [sys.executable, "-m", "harness.cli", "ladder", str(folder)],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert "untrusted issuer" in ladder.stdout
    properties = {
        each.get("name"): each.get("value") for each in ET.parse(suite.path / "junit.xml").iter("property")
    }
    assert properties["imp_evidence"] == str(folder)
    assert properties["imp_last_refusal"] == "untrusted issuer"
    assert str(properties["imp_remedy"]).startswith("Import the peer's certificate")


def test_tests_with_an_event_loop_of_their_own(suite: pytest.Pytester) -> None:
    suite.makepyfile("""
        import asyncio, pytest
        import slixmpp

        class Client(slixmpp.ClientXMPP):
            def __init__(self, user, certs):
                super().__init__(user.jid, user.password)
                self.ca_certs = certs.trust
                self.ssl_context.check_hostname = False
                self.enable_direct_tls = False
                self.started = asyncio.get_running_loop().create_future()
                self.add_event_handler("session_start", self.started.set_result)

        @pytest.mark.asyncio
        async def test_client(lab, certs, xmpp_client):
            alice = lab.user("alice")
            client = Client(alice, certs)
            client.connect(alice.home_node.address, alice.home_node.ports.xmpp_client)
            await asyncio.wait_for(client.started, 10)
            client.send_presence()
            bob = xmpp_client("bob")
            assert bob.outcome.accepted
            client.send_message(mto=bob.jid, mbody="to bob", mtype="chat")
            message = await asyncio.to_thread(bob.next_message)
            assert (message.body, message.sender.partition("/")[0]) == ("to bob", alice.jid)
            with pytest.raises(RuntimeError, match="await asyncio.to_thread"):
                lab.expect_accepted()
            await client.disconnect()

        def test_refused_peer(lab, xmpp_client):
            assert xmpp_client("alice", password="wrong").outcome.reason == "not-authorized"
            lab.expect_refusal("bad credentials", node="imp1")
    """)
    run(suite, "-q").assert_outcomes(passed=2)


def test_workers_of_xdist_have_labs_of_their_own(suite: pytest.Pytester) -> None:
    suite.makepyfile("""
        import pathlib, time, pytest
        from helpers import shake_hands

        @pytest.mark.parametrize("number", range(2))
        def test_it(lab, imp_node, certs, number, worker_id):
            pathlib.Path(f"{worker_id}.address").write_text(imp_node.address)
            while len(list(pathlib.Path().glob("*.address"))) < 2:
                time.sleep(0.01)
            shake_hands(imp_node.address, imp_node.ports.sip_tls_peer_auth, certs.trust, certs.good.pem)
            lab.expect_accepted()
    """)
    run(suite, "-n", "2", "--dist", "each", "-k", "test_it[0]").assert_outcomes(passed=2)
    addresses = {path.read_text() for path in suite.path.glob("*.address")}
    assert len(addresses) == 2


def test_a_marker_chooses_the_lab_and_a_fresh_one_is_the_test_s_own(suite: pytest.Pytester) -> None:
    suite.path.joinpath("one.toml").write_text(
        'name = "one"\n[[clusters]]\nname = "imp"\nkind = "imp"\n[[clusters.nodes]]\nname = "solo"\n'
    )
    suite.makeini("[pytest]\nimp_lab = two-domains\n")
    suite.makepyfile("""
        import pytest
        from certs.purposes import ServiceName

        seen = []

        @pytest.mark.parametrize("number", range(2))
        def test_ini(lab, number):
            seen.append(lab.imp[0].address)
            assert lab.name == "two-domains" and len(set(seen)) == 1

        @pytest.mark.imp_lab("one.toml", fresh=True, exchanged=False)
        @pytest.mark.parametrize("number", range(2))
        def test_fresh(lab, imp_node, number):
            assert (lab.name, imp_node.fqdn) == ("one", "solo.lab.example")
            subjects = lab.run(lambda lab: lab.imp[0].administration.tls_peer_subjects())
            assert subjects == (), "the other test's"
            lab.run(lambda lab: lab.imp[0].administration.add_tls_peer_subject("x.example"))
            lab.run(lambda lab: lab.imp[0].administration.restart(ServiceName.SIP_PROXY))
    """)
    run(suite, "-q").assert_outcomes(passed=4)


def test_mistakes_are_named_with_what_was_meant(suite: pytest.Pytester) -> None:
    suite.makepyfile("""
        import pytest

        def test_reason(lab):
            lab.expect_refusal("expird")

        def test_wrong(certs):
            certs.wrong("sha2")

        @pytest.mark.imp_lab("two-domain")
        def test_topology(lab): pass

        @pytest.mark.imp_lab("missing.toml")
        def test_file(lab): pass

        @pytest.mark.scenario("sip-intracluster-tsl")
        def test_scenario(): pass
    """)
    done = run(suite)
    done.assert_outcomes(failed=2, errors=3)
    done.stdout.fnmatch_lines_random([
        "*no reason is called 'expird'; did you mean 'expired'*",
        "*no wrong certificate is called 'sha2'; did you mean*sha1*",
        "*no topology is called 'two-domain'; did you mean 'two-domains'*",
        "*missing.toml is no lab file; a path is relative to pytest's rootdir*",
        "*no scenario is called 'sip-intracluster-tsl'; did you mean 'sip-intracluster-tls'*",
    ])  # fmt: skip


def test_the_examples_of_the_page_pass(suite: pytest.Pytester) -> None:
    page = (ROOT / "docs" / "pytest.md").read_text(encoding="utf-8")
    examples = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    for number, example in enumerate(examples):
        suite.makepyfile(**{f"test_{number}": example})
    (ini,) = re.findall(r"```ini\n(.*?)```", page, re.DOTALL)
    suite.makeini(f"{ini}addopts = --strict-config --strict-markers\n")
    suite.path.joinpath("tests", "scenarios").mkdir(parents=True)
    run(suite, "-q").assert_outcomes(passed=8)


def test_loading_the_plugin_loads_nothing_else() -> None:
    code = "import pytest, sys; before = set(sys.modules); import harness.pytest_plugin.plugin; " \
        "print(*sorted(set(sys.modules) - before))"  # fmt: skip
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["harness", "harness.pytest_plugin", "harness.pytest_plugin.plugin"]
