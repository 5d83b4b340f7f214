"""A scenario of the project's own: no login in the clear while XMPP client secure mode is on (G21)."""

from harness.actors.xmpp import expect_login, try_plain_login, xmpp_client
from harness.expectations import expect
from harness.lab import Lab
from harness.scenario import ScenarioRun, scenario


@scenario(
    "notifier-needs-tls",
    title="alice logs in over TLS and not in the clear",
    covers=("G21",),
)
async def notifier_needs_tls(lab: Lab, run: ScenarioRun) -> None:
    """Show both."""
    imp1 = lab.imp[0]
    alice = await lab.user("alice")
    async with run.step("A login in the clear is refused"):
        answer = await try_plain_login(imp1, "alice", alice.digest_password)
        expect("whether TLS is asked for", True, b"encryption-required" in answer or b"policy" in answer)
    async with run.step("The same login over TLS is accepted"), xmpp_client(lab, "alice", imp1) as client:
        expect_login("alice's login", await client.outcome)
