"""The client as its users run it: a process of its own, against the lab's real sockets."""

import os
import subprocess
import sys
from collections.abc import Callable

import pytest

Notify = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def notify(lab, certs) -> Notify:
    """Run the client as alice."""
    alice = lab.user("alice")
    node = alice.home_node

    def run(text: str, *, to: str, password: str = alice.password, ca: object = certs.trust):
        return subprocess.run(
            [
                sys.executable, "-m", "chat_notifier", "--jid", alice.jid, "--ca", str(ca),
                "--host", node.address, "--port", str(node.ports.xmpp_client), to, text,
            ],
            env=os.environ | {"NOTIFIER_PASSWORD": password},
            capture_output=True, text=True, timeout=30,
        )  # fmt: skip

    return run


def test_the_message_arrives_over_tls(lab, notify, xmpp_client) -> None:
    bob = xmpp_client("bob")
    done = notify("the build is green", to=bob.jid)
    assert done.returncode == 0, done.stderr
    message = bob.next_message()
    assert (message.body, message.sender.partition("/")[0]) == ("the build is green", "alice@lab.example")
    assert lab.expect_accepted(node="imp1").tls_version == "TLSv1.3"


def test_a_wrong_password_is_told_apart_from_a_wrong_server(lab, notify, certs) -> None:
    refused = notify("hello", to="bob@lab.example", password="wrong")
    assert refused.returncode == 1
    assert "refused name or password" in refused.stderr
    lab.expect_refusal("bad credentials", node="imp1")
    lab.forget()
    # The twin: the password is right, and the client does not trust the server.
    stranger = notify("hello", to="bob@lab.example", ca=certs.stranger.chain)
    assert stranger.returncode == 1
    assert "not trusted" in stranger.stderr
    # asyncio's TLS closes without the alert, so this is all that the server can know.
    lab.expect_refusal("closed early", node="imp1")
