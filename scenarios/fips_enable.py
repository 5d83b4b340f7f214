"""FIPS mode is enabled: reboot, self-tests, new keys; peers that trust the old certificates are refused (G25)."""

from certs.purposes import ServiceName
from certs.verdict import Reason
from harness.actors.sip import user_agent
from harness.expectations import expect, expect_outcome
from harness.lab import Lab
from harness.procedures.fips import APPROVED, CHACHA20, enable_fips, expect_status, expect_suite, fips_node
from harness.procedures.sip import import_cup_certificates, let_clients_in, restart_sip_proxies
from harness.scenario import ScenarioRun, scenario


@scenario(
    "fips-enable",
    title="A node enters FIPS mode by a reboot, with self-tests and new keys",
    covers=("G25", "G26"),
    topology="fips",
    limit=240.0,
)
async def fips_enable(lab: Lab, run: ScenarioRun) -> None:
    node = fips_node(lab)
    imp2 = lab.imp[1]
    await let_clients_in(lab, run)
    await import_cup_certificates(lab, run)
    await restart_sip_proxies(lab, run)

    async def message(expected: int, text: str) -> str:
        async with user_agent(lab, "alice", lab.imp[0]) as alice, user_agent(lab, "bob", imp2) as bob:
            expect_outcome("alice's registration", await alice.register(), 200)
            outcome = await bob.message("sip:alice@lab.example", text)
            expect_outcome("bob's message", outcome, expected)
            if expected == 200:
                expect("what alice got", text.encode(), (await alice.next_request()).body)
            return outcome.warning

    async with run.step("By default the node is not in FIPS mode: imp2 reaches it, ChaCha20 is taken"):
        await expect_status(lab, run, enabled=False)
        await message(200, "before")
        await expect_suite(lab, run, node, CHACHA20, accepted=True)

    await enable_fips(lab, run)

    async with run.step("A client that offers only ChaCha20 is refused, its twin with AES-GCM is let in"):
        await expect_suite(lab, run, node, CHACHA20, accepted=False)
        await expect_suite(lab, run, node, APPROVED, accepted=True)

    async with run.step("imp2 still trusts the old certificate, and does not believe imp1 any more"):
        since = run.ledger.position
        run.saw(await message(503, "too early"))
        await run.expect_verdict(
            "imp1's new certificate", node="imp2", reason=Reason.UNTRUSTED_ISSUER, since=since
        )

    await import_cup_certificates(lab, run)
    async with run.step("Control Center - Feature Services: restart Cisco SIP Proxy on both nodes"):
        for each in lab.imp:
            await each.administration.restart(ServiceName.SIP_PROXY)
    async with run.step("With the new certificates exchanged the message arrives, over an approved suite"):
        since = run.ledger.position
        await message(200, "after")
        seen = await run.expect_verdict("imp2", node="imp1", reason=Reason.ACCEPTED, since=since)
        run.saw(f"imp1 accepted CN={seen.subject} over {seen.tls_version} {seen.cipher}")
