"""A client that was added to the incoming access list is let in after Cisco SIP Proxy restarts, not before."""

from certs.purposes import ServiceName
from certs.verdict import Reason
from harness.actors.sip import client_network, user_agent
from harness.expectations import expect_outcome
from harness.lab import Lab
from harness.scenario import ScenarioRun, scenario


@scenario(
    "message-needs-restart",
    title="A change of the incoming access list waits for a restart",
    covers=("G15",),
)
async def message_needs_restart(lab: Lab, run: ScenarioRun) -> None:
    imp1 = lab.imp[0]
    async with run.step("Add the clients to the incoming access list"):
        needed = await imp1.administration.add_incoming_acl(client_network(lab), "clients")
        run.saw("; ".join(map(str, needed)))

    async with run.step("Before the restart alice is refused"), user_agent(lab, "alice", imp1) as alice:
        expect_outcome("the registration", await alice.register(), 403)
        await run.expect_verdict("the ledger", node="imp1", reason=Reason.NOT_IN_ACCESS_LIST)

    async with run.step("Control Center: restart Cisco SIP Proxy"):
        await imp1.administration.restart(ServiceName.SIP_PROXY)

    async with run.step("After it she is let in"), user_agent(lab, "alice", imp1) as alice:
        expect_outcome("the registration", await alice.register(), 200)
