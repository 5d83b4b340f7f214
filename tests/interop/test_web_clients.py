"""xmpp.js and strophe.js log in to one node and talk to a slixmpp client of another."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import slixmpp

from certs.verdict import Reason
from harness.actors.xmpp import XmppClient, expect_login, xmpp_client
from harness.evidence.ledger import Judged
from tests.interop.node_client import NodeClient
from tests.interop.xmpp_lab import XmppLab, xmpp_lab

pytestmark = pytest.mark.interop

PATHS = {"ws": "/websocket", "wss": "/websocket", "http": "/httpbinding", "https": "/httpbinding", "xmpp": ""}
WAYS = [
    ("xmpp.js", "xmpp"),
    ("xmpp.js", "ws"),
    ("xmpp.js", "wss"),
    ("strophe", "ws"),
    ("strophe", "wss"),
    ("strophe", "http"),
    ("strophe", "https"),
]
SECURE = [(library, scheme) for library, scheme in WAYS if scheme in ("wss", "https")]


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[XmppLab]:
    async with xmpp_lab(tmp_path) as lab:
        yield lab


def service(lab: XmppLab, scheme: str) -> str:
    ports = lab.imp1.plan.ports
    secure = scheme in ("wss", "https")
    port = ports.xmpp_client if scheme == "xmpp" else ports.http_binding_tls if secure else ports.http_binding
    return f"{scheme}://{lab.imp1.plan.address}:{port}{PATHS[scheme]}"


async def client(
    lab: XmppLab, library: str, scheme: str, *, password: str = "", shown: bool = True
) -> NodeClient:
    secure = scheme in ("wss", "https")
    if secure:
        await lab.set_web_secure_mode()
    return NodeClient(
        library=library,
        service=service(lab, scheme),
        domain=lab.domain,
        username="alice",
        password=password or await lab.password("alice"),
        ca=str(lab.trust),
        **({"certificate": str(lab.certificate)} if secure and shown else {}),
    )


@pytest.mark.parametrize(("library", "scheme"), WAYS)
async def test_a_client_exchanges_messages_and_presence_with_another_nodes(
    lab: XmppLab, library: str, scheme: str
) -> None:
    async with xmpp_client(lab.lab, "bob", lab.imp2) as bob, await client(lab, library, scheme) as alice:
        expect_login("bob's login", await bob.outcome)
        jid = (await alice.expect("online"))["jid"]
        assert slixmpp.JID(jid).bare == f"alice@{lab.domain}"
        await alice.order(presence=True)
        await alice.order(to=bob.boundjid.full, presence=True)
        assert (await bob.next_presence(f"alice@{lab.domain}"))["from"].full == jid
        bob.send_presence(pto=slixmpp.JID(jid))
        await alice.expect("presence", **{"from": bob.boundjid.full}, type="")
        await alice.order(to=bob.boundjid.bare, body="grüße <&>")
        message = await bob.next_message()
        assert (message["body"], message["from"].full) == ("grüße <&>", jid)
        for number in range(5):
            bob.chat(f"alice@{lab.domain}", f"answer {number}")
        for number in range(5):
            await alice.expect("message", **{"from": bob.boundjid.full}, body=f"answer {number}")
        await alice.order(end=True)
        await alice.expect("offline")
        await _expect_gone(bob, jid)


async def _expect_gone(bob: XmppClient, jid: str) -> None:
    while (await bob.next_presence(slixmpp.JID(jid).bare))["type"] != "unavailable":
        pass


@pytest.mark.parametrize(("library", "scheme"), WAYS)
async def test_with_a_wrong_password_it_is_refused(lab: XmppLab, library: str, scheme: str) -> None:
    async with await client(lab, library, scheme, password="not hers") as alice:
        await alice.expect("refused", why="not-authorized")
    await _expect_verdict(lab, Reason.BAD_CREDENTIALS)
    assert not [event for event in alice.seen if event["event"] == "online"]


@pytest.mark.parametrize(("library", "scheme"), SECURE)
async def test_without_a_certificate_it_is_refused_in_secure_mode(
    lab: XmppLab, library: str, scheme: str
) -> None:
    async with await client(lab, library, scheme, shown=False) as alice:
        while "certificate" not in (await alice.expect("refused"))["why"].lower():
            pass  # strophe.js gives its own words first
    await _expect_verdict(lab, Reason.NO_CERTIFICATE)


async def _expect_verdict(lab: XmppLab, reason: Reason) -> None:
    found = await lab.ledger.wait_for(
        lambda entry: isinstance(entry, Judged) and entry.verdict.reason is reason, within=5
    )
    assert isinstance(found, Judged)
    assert found.connection.node == "imp1"
    assert found.verdict.remedy
