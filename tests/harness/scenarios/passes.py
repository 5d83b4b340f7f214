"""A scenario that passes."""

from certs.verdict import Reason
from harness.actors.sip import trust_in, try_tls
from harness.expectations import expect_verdict
from harness.lab import Lab
from harness.scenario import ScenarioRun, scenario
from proxies.tls import TlsClientSettings


@scenario("passes", title="A client without a certificate reaches port 5061", covers=("G03",))
async def passes(lab: Lab, run: ScenarioRun) -> None:
    imp1 = lab.imp[0]
    async with run.step("Shake hands with the server-authenticated listener"):
        settings = TlsClientSettings(trust=trust_in(imp1))
        attempt = await try_tls(lab, settings, imp1.plan.address, imp1.plan.ports.sip_tls_server_auth)
        expect_verdict("the listener", attempt.verdict, Reason.ACCEPTED)
        run.saw(f"over {attempt.verdict.tls_version}")
