"""aiosip, a client that nobody here wrote, registers and sends messages through the SIP proxy."""

import asyncio
import itertools
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from certs.verdict import Reason
from harness.actors.sip import client_address, user_agent
from harness.endpoint.ready import ClientFiles, make_ready
from harness.evidence.ledger import Ledger
from harness.lab import Lab
from harness.plan.lab_file import load_topology
from tests.interop.peers import require_module

pytestmark = pytest.mark.interop

PORTS = itertools.count(5070)  # a port of a closed connection stays taken for a while


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
async def lab(tmp_path: Path, ledger: Ledger) -> AsyncIterator[tuple[Lab, ClientFiles]]:
    async with Lab.start(load_topology(), work_directory=tmp_path / "lab", observer=ledger) as lab:
        yield lab, await make_ready(lab, tmp_path / "clients")


def trusting(files: ClientFiles, certificate: Path | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(files.trust)
    if certificate is not None:
        context.load_cert_chain(certificate)
    return context


class Phone:
    """A user's aiosip beside one node."""

    def __init__(self, lab: Lab, protocol: str, port: int, ssl_context: ssl.SSLContext | None = None) -> None:
        client = require_module("tests.interop.aiosip_client")
        node = lab.imp[0].plan
        self._lab = lab
        self._protocol = client.PROTOCOLS[protocol]
        self._remote = node.address, port
        self._app = client.Application(ssl_context, node.fqdn)
        self._address, self._port = client_address(lab, 20), next(PORTS)
        self._dialogs: list[Any] = []

    async def __aenter__(self) -> "Phone":
        return self

    async def __aexit__(self, *_: object) -> None:
        self._app.close()

    async def register(self) -> int:
        dialog = await self._dialog("sip:alice@lab.example")
        return int((await asyncio.wait_for(dialog.register(), 5)).status_code)

    async def message(self, to: str, text: str) -> int:
        dialog = await self._dialog(to)
        sent = dialog.send_message("MESSAGE", content_type="text/plain", payload=text)
        return int((await asyncio.wait_for(sent, 5)).status_code)

    async def _dialog(self, to: str) -> Any:
        dialog = await self._app.start_dialog(
            from_uri="sip:alice@lab.example",
            to_uri=to,
            contact_uri=f"sip:alice@{self._address}:{self._port}",
            protocol=self._protocol,
            local_addr=(self._address, self._port),
            remote_addr=self._remote,
        )
        self._dialogs.append(dialog)  # the application keeps weak references only
        return dialog


@pytest.mark.parametrize(
    ("protocol", "port", "shown"),
    [("UDP", 5060, ""), ("TCP", 5060, ""), ("TLS", 5061, ""), ("TLS", 5062, "good")],
    ids=["UDP", "TCP", "TLS, server authentication", "TLS, peer authentication"],
)
async def test_aiosip_registers_and_its_message_arrives(
    lab: tuple[Lab, ClientFiles], protocol: str, port: int, shown: str
) -> None:
    nodes, files = lab
    context = trusting(files, files.good if shown else None) if protocol == "TLS" else None
    async with (
        user_agent(nodes, "bob", nodes.imp[1]) as bob,
        Phone(nodes, protocol, port, context) as alice,
    ):
        assert (await bob.register()).status == 200
        assert await alice.register() == 200
        assert await alice.message("sip:bob@lab.example", "from aiosip") == 200
        assert (await bob.next_request()).body == b"from aiosip"
        assert await alice.message("sip:nobody@lab.example", "the twin") == 404


@pytest.mark.parametrize(
    ("shown", "reason"), [(True, Reason.UNTRUSTED_ISSUER), (False, Reason.NO_CERTIFICATE)]
)
async def test_with_another_certificate_or_none_the_same_client_is_refused(
    lab: tuple[Lab, ClientFiles], ledger: Ledger, shown: bool, reason: Reason
) -> None:
    nodes, files = lab
    context = trusting(files, files.stranger if shown else None)
    since = ledger.position
    async with Phone(nodes, "TLS", 5062, context) as alice:
        # Under TLS 1.3 the client believes that it is in until it reads.
        with pytest.raises((TimeoutError, ssl.SSLError)):
            await asyncio.wait_for(alice.register(), 1)
    (judged,) = [e for e in ledger.verdicts(since=since, node="imp1") if e.connection.local[1] == 5062]
    assert judged.verdict.reason is reason


async def test_a_client_that_is_not_on_the_access_list_gets_403(tmp_path: Path) -> None:
    async with (
        Lab.start(load_topology(), work_directory=tmp_path) as lab,
        Phone(lab, "UDP", 5060) as alice,
    ):
        assert await alice.register() == 403
