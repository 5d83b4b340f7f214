"""XMPP client secure mode (G21): on, clients need TLS; off, logins travel in the clear and the lab warns."""

from dataclasses import replace

from certs.purposes import CertificatePurpose, ServiceName
from certs.verdict import Reason
from harness.actors.xmpp import LoginOutcome, expect_login, expect_refused, try_plain_login, xmpp_client
from harness.expectations import expect
from harness.lab import Lab
from harness.nodes.node import ImpNode
from harness.scenario import ScenarioRun, scenario

CONNECTION_MANAGER = ServiceName.XCP_CONNECTION_MANAGER


@scenario(
    "xmpp-client-secure-mode",
    title="XMPP client secure mode on and off, before and after the restart",
    covers=("G02", "G21"),
)
async def xmpp_client_secure_mode(lab: Lab, run: ScenarioRun) -> None:
    imp1, imp2 = lab.imp
    async with run.step("Secure mode is on by default: alice logs in over TLS and is served cup-xmpp"):
        async with xmpp_client(lab, "alice", imp1) as alice:
            outcome = expect_login("alice's login", await alice.outcome)
        _expect_certificate(imp1, outcome)
        run.saw(
            f"{outcome.tls_version} {outcome.cipher}, CN={outcome.server_subject}, "
            f"sha256 {outcome.server_sha256[:16]}…, {outcome.mechanism}"
        )
    async with run.step("A client that does not want TLS is not let in"):
        since = run.ledger.position
        answer = await try_plain_login(imp1, "alice", (await lab.user("alice")).digest_password)
        expect("<required/> in the offer", True, b"<starttls" in answer and b"<required" in answer)
        expect("the answer to PLAIN in the clear", True, b"<encryption-required" in answer)
        await run.expect_verdict("the login", node="imp1", reason=Reason.LOGIN_IN_THE_CLEAR, since=since)
    async with run.step("A wrong password is refused, and the ledger says why"):
        since = run.ledger.position
        async with xmpp_client(lab, "alice", imp1, password="not hers") as alice:
            expect_refused("alice's login", await alice.outcome, "not-authorized")
        seen = await run.expect_verdict("the login", node="imp1", reason=Reason.BAD_CREDENTIALS, since=since)
        run.saw(seen.detail)
    async with run.step("A user of the other node is sent there"):
        since = run.ledger.position
        async with xmpp_client(lab, "bob", imp1) as bob:
            outcome = expect_refused("bob's login at imp1", await bob.outcome, "see-other-host")
        expect("where he is sent", imp2.plan.fqdn, outcome.text)
        await run.expect_verdict("the login", node="imp1", reason=Reason.NOT_HOME_NODE, since=since)

    async with run.step("System > Security > Settings: turn XMPP client secure mode off"):
        modes = await imp1.administration.secure_modes()
        needed = await imp1.administration.set_secure_modes(replace(modes, xmpp_client=False))
        expect("which services must restart", {CONNECTION_MANAGER}, {one.service for one in needed})
        run.saw("; ".join(map(str, needed)))
    async with (
        run.step("Before Cisco XCP Connection Manager restarts nothing has changed"),
        xmpp_client(lab, "alice", imp1) as alice,
    ):
        expect("TLS", True, bool(expect_login("alice's login", await alice.outcome).tls_version))
    async with run.step("Control Center on imp1: restart Cisco XCP Connection Manager"):
        await imp1.administration.restart(CONNECTION_MANAGER)
    async with run.step("Now imp1 offers no TLS: the login travels in the clear, and the lab warns"):
        since = run.ledger.position
        async with xmpp_client(lab, "alice", imp1, in_the_clear=True) as alice:
            outcome = expect_login("alice's login", await alice.outcome)
        expect("TLS", "", outcome.tls_version)
        seen = await run.expect_verdict("the login", node="imp1", reason=Reason.ACCEPTED, since=since)
        expect("the warning's clause", "G21", seen.clause)
        run.saw(f"{seen.detail}; {seen.remedy}")
    async with run.step("A client that insists on TLS turns away"):
        async with xmpp_client(lab, "alice", imp1) as alice:
            outcome = await alice.outcome
        expect("whether it logged in", False, outcome.accepted)
        run.saw(f"the client saw: {outcome.reason} {outcome.text}")
    async with (
        run.step("imp2, which was not restarted, still asks for TLS"),
        xmpp_client(lab, "bob", imp2) as bob,
    ):
        expect("TLS", True, bool(expect_login("bob's login", await bob.outcome).tls_version))


def _expect_certificate(node: ImpNode, outcome: LoginOutcome) -> None:
    listed = {each.name: each.certificate for each in node.administration.certificate_management.find()}
    expect("what the client was served", listed[CertificatePurpose.CUP_XMPP].sha256, outcome.server_sha256)
