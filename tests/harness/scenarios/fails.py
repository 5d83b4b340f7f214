"""A scenario that fails: it differs from the one that passes in the port."""

from certs.verdict import Reason
from harness.actors.sip import trust_in, try_tls
from harness.expectations import expect_verdict
from harness.lab import Lab
from harness.scenario import ScenarioRun, scenario
from proxies.tls import TlsClientSettings


@scenario("fails", title="A client without a certificate is kept out of port 5062", covers=("G19",))
async def fails(lab: Lab, run: ScenarioRun) -> None:
    imp1 = lab.imp[0]
    async with run.step("Shake hands with the peer-authenticated listener"):
        settings = TlsClientSettings(trust=trust_in(imp1))
        attempt = await try_tls(lab, settings, imp1.plan.address, imp1.plan.ports.sip_tls_peer_auth)
        expect_verdict("the listener", attempt.verdict, Reason.ACCEPTED)
