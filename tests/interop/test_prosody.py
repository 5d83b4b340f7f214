"""Prosody federates with the lab, by certificates and by dialback, and each refusal differs in one thing."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from certs.presented import fingerprint, parse_certificates
from certs.purposes import CertificatePurpose
from certs.verdict import Reason
from harness.actors.xmpp import XmppClient, expect_login, xmpp_client
from harness.evidence.ledger import Ledger
from harness.expectations import ScenarioExpectations
from harness.lab import Lab
from harness.nodes.node import ImpNode
from harness.plan.addresses import reserve_range
from harness.plan.lab_file import parse_lab_file
from harness.procedures.federation import (
    S2S,
    TRUST,
    exchange_messages,
    exchange_presence,
    expect_bounce,
    expect_federation,
    federate,
    name_domain,
    shown_fingerprint,
)
from proxies.xmpp.federation.settings import FederationLimits, FederationPolicy, FederationSecurityMode
from tests.interop.peers import require_program
from tests.interop.prosody import DOMAIN, SERVER_PORT, Prosody, prosody_credential, running_prosody

pytestmark = pytest.mark.interop

ALICE, ROMEO = "alice@lab.example", f"romeo@{DOMAIN}"
LAB = """\
name = "federated"
clusters = [{ name = "imp", kind = "imp", nodes = [{ name = "imp1" }] }]
users = [{ user_id = "alice", home_node = "imp1" }]
"""
STRICT = FederationPolicy(
    security_mode=FederationSecurityMode.TLS_REQUIRED, require_client_side_certificates=True
)
DIALBACK = FederationPolicy(security_mode=FederationSecurityMode.TLS_OPTIONAL)
IN_THE_CLEAR = FederationPolicy(security_mode=FederationSecurityMode.NO_TLS)


@dataclass(frozen=True, kw_only=True)
class Setup:
    """Two domains that federate; each refusal changes one field."""

    policy: FederationPolicy
    lab_trusts_prosody: bool = True
    prosody_trusts_lab: bool = True
    prosody_finds_lab: bool = True
    lab_finds_prosody: bool = True
    secure_auth: bool
    require_encryption: bool = True


@dataclass
class Federation:
    lab: Lab
    imp1: ImpNode
    seen: ScenarioExpectations
    prosody: Prosody
    prosody_sha256: str

    @asynccontextmanager
    async def clients(self) -> AsyncIterator[tuple[XmppClient, XmppClient]]:
        async with xmpp_client(self.lab, "alice", self.imp1) as alice, self.prosody.client("romeo") as romeo:
            expect_login("alice's login", await alice.outcome)
            yield alice, romeo


@asynccontextmanager
async def federated(folder: Path, setup: Setup) -> AsyncIterator[Federation]:
    async with AsyncExitStack() as stack:
        reserved = stack.enter_context(reserve_range(IPv4Network("127.78.250.0/24")))
        address = str(reserved.network[2])
        port = SERVER_PORT if setup.lab_finds_prosody else SERVER_PORT + 1
        entry = f'foreign_domains = [{{ domain = "{DOMAIN}", address = "{address}", port = {port} }}]\n'
        ledger = Ledger()
        lab_file = parse_lab_file(LAB + entry, source="lab.toml")
        lab = await stack.enter_async_context(
            Lab.start(lab_file, work_directory=folder / "lab", observer=ledger)
        )
        (imp1,) = lab.imp
        management = imp1.administration.certificate_management
        credential = prosody_credential(address)
        await name_domain([imp1])
        if setup.lab_trusts_prosody:
            await management.upload_certificate(TRUST, credential.chain_pem)
        await federate([imp1], setup.policy)
        where = ((imp1.plan.address, imp1.plan.ports.xmpp_federation),)
        prosody = await stack.enter_async_context(
            running_prosody(
                folder / "prosody",
                address,
                credential=credential,
                trusted=management.download(S2S) if setup.prosody_trusts_lab else b"",
                names={"lab.example": where} if setup.prosody_finds_lab else {},
                secure_auth=setup.secure_auth,
                require_encryption=setup.require_encryption,
            )
        )
        sha256 = fingerprint(parse_certificates(credential.chain_pem)[0])
        yield Federation(lab, imp1, ScenarioExpectations(ledger), prosody, sha256)


BY_CERTIFICATE = Setup(policy=STRICT, secure_auth=True)
BY_DIALBACK = Setup(policy=DIALBACK, secure_auth=False, lab_trusts_prosody=False, prosody_trusts_lab=False)


async def test_by_certificates_messages_and_presence_go_both_ways(tmp_path: Path) -> None:
    async with federated(tmp_path, BY_CERTIFICATE) as both, both.clients() as (alice, romeo):
        await exchange_messages(alice, romeo)
        await exchange_presence(romeo, alice)
        came_in = await expect_federation(
            both.seen, "Prosody", both.imp1, detail=f"{DOMAIN} by EXTERNAL over TLS", outgoing=False
        )
        went_out = await expect_federation(
            both.seen, "Prosody", both.imp1, detail="by EXTERNAL over TLS", outgoing=True
        )
        for verdict in (came_in, went_out):
            assert verdict.presented_chain[0].sha256 == both.prosody_sha256
        await both.prosody.log_has(
            "Accepting SASL EXTERNAL identity from lab.example", "certificate chain validation result: valid"
        )


async def test_a_prosody_that_the_lab_does_not_trust_is_refused_both_ways(tmp_path: Path) -> None:
    async with (
        federated(tmp_path, replace(BY_CERTIFICATE, lab_trusts_prosody=False)) as both,
        both.clients() as (alice, romeo),
    ):
        assert "untrusted issuer" in await expect_bounce(alice, ROMEO, "remote-server-timeout")
        refused = await expect_federation(
            both.seen, "Prosody", both.imp1, reason=Reason.UNTRUSTED_ISSUER, outgoing=True
        )
        assert refused.presented_chain[0].sha256 == both.prosody_sha256
        assert refused.alert_sent == "unknown_ca"
        await expect_bounce(romeo, ALICE, "remote-server-timeout")
        came_in = await expect_federation(
            both.seen, "Prosody", both.imp1, reason=Reason.UNTRUSTED_ISSUER, outgoing=False
        )
        assert came_in.alert_sent == "unknown_ca"
        assert "cup-xmpp-trust" in came_in.remedy


async def test_a_prosody_that_does_not_trust_the_lab_refuses_it(tmp_path: Path) -> None:
    async with (
        federated(tmp_path, replace(BY_CERTIFICATE, prosody_trusts_lab=False)) as both,
        both.clients() as (alice, _),
    ):
        text = await expect_bounce(alice, ROMEO, "remote-server-timeout")
        assert "not-authorized" in text or "policy-violation" in text


async def test_by_dialback_over_tls_messages_and_presence_go_both_ways(tmp_path: Path) -> None:
    async with federated(tmp_path, BY_DIALBACK) as both, both.clients() as (alice, romeo):
        await exchange_messages(alice, romeo)
        await exchange_presence(alice, romeo)
        await expect_federation(
            both.seen, "Prosody", both.imp1, detail="by dialback over TLS", outgoing=False
        )
        await expect_federation(both.seen, "Prosody", both.imp1, detail="by dialback over TLS", outgoing=True)


async def test_by_dialback_in_the_clear_messages_go_both_ways(tmp_path: Path) -> None:
    setup = replace(BY_DIALBACK, policy=IN_THE_CLEAR, require_encryption=False)
    async with federated(tmp_path, setup) as both, both.clients() as (alice, romeo):
        await exchange_messages(alice, romeo)
        await expect_federation(
            both.seen, "Prosody", both.imp1, detail="by dialback in the clear", outgoing=False
        )


async def test_no_tls_here_and_encryption_required_there_do_not_go_together(tmp_path: Path) -> None:
    async with (
        federated(tmp_path, replace(BY_DIALBACK, policy=IN_THE_CLEAR)) as both,
        both.clients() as (alice, _),
    ):
        assert "requires TLS" in await expect_bounce(alice, ROMEO, "remote-server-timeout")
        await expect_federation(
            both.seen, "Prosody", both.imp1, reason=Reason.SECURITY_MODES_DIFFER, outgoing=True
        )


async def test_a_prosody_that_cannot_call_back_does_not_let_the_lab_in(tmp_path: Path) -> None:
    async with (
        federated(tmp_path, replace(BY_DIALBACK, prosody_finds_lab=False)) as both,
        both.clients() as (alice, _),
    ):
        alice.chat(ROMEO, "is anybody there?")
        await both.seen.expect_message("our key", lambda seen: b"<db:result" in seen.wire, within=10.0)
        # Prosody 0.12 answers nothing then.
        both.lab.clock.advance(FederationLimits().patience)
        bounced = await alice.next_message()
        assert bounced["error"]["condition"] == "remote-server-timeout"
        assert "dialback failed" in bounced["error"]["text"]
        await expect_federation(both.seen, "Prosody", both.imp1, reason=Reason.DIALBACK_FAILED, outgoing=True)


async def test_a_lab_that_cannot_call_back_does_not_let_prosody_in(tmp_path: Path) -> None:
    async with (
        federated(tmp_path, replace(BY_DIALBACK, lab_finds_prosody=False)) as both,
        both.clients() as (_, romeo),
    ):
        await expect_bounce(romeo, ALICE, "remote-server-timeout")
        refused = await expect_federation(
            both.seen, "Prosody", both.imp1, reason=Reason.DIALBACK_FAILED, outgoing=False
        )
        assert "Connection refused" in refused.detail


async def test_openssl_s_client_is_shown_cup_xmpp_s2s(tmp_path: Path) -> None:
    openssl = require_program("openssl")
    async with Lab.start(parse_lab_file(LAB, source="lab.toml"), work_directory=tmp_path / "lab") as lab:
        (imp1,) = lab.imp
        await name_domain([imp1])
        await federate([imp1], DIALBACK)
        trusted = tmp_path / "trusted.pem"
        trusted.write_bytes(imp1.administration.certificate_management.download(S2S))
        process = await asyncio.create_subprocess_exec(
            openssl, "s_client", "-connect", f"{imp1.plan.address}:{imp1.plan.ports.xmpp_federation}",
            "-starttls", "xmpp-server", "-xmpphost", "lab.example", "-CAfile", str(trusted), "-showcerts",
            "-verify_hostname", "lab.example",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        async with asyncio.timeout(20):
            output, _ = await process.communicate(b"")
        text = output.decode()
        assert "Verify return code: 0 (ok)" in text
        assert "Protocol" in text or "TLSv1.3" in text
        pem = text[text.index("-----BEGIN") : text.index("-----END CERTIFICATE-----")]
        shown = fingerprint(parse_certificates(f"{pem}-----END CERTIFICATE-----\n".encode())[0])
        assert shown == shown_fingerprint(imp1)
        general = imp1.administration.certificate_management.download(CertificatePurpose.CUP_XMPP)
        assert shown != fingerprint(parse_certificates(general)[0])
