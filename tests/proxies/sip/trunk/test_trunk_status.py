"""A trunk's status follows its pings."""

from datetime import timedelta

import pytest

from certs.clock import ManualClock
from proxies.sip.agent.request_sender import RequestOutcome
from proxies.sip.trunk.status import ServiceState, TrunkStatus

START = ManualClock().now()
UNKNOWN = TrunkStatus(trunk="to imp1", state=ServiceState.UNKNOWN, since=START)


@pytest.mark.parametrize("status", [408, 503])
def test_no_answer_puts_it_out_of_service_with_the_reason(status: int) -> None:
    later = START + timedelta(seconds=1)
    after = UNKNOWN.after(RequestOutcome(status=status, reason="nobody listens"), now=later)
    assert after == TrunkStatus(
        trunk="to imp1", state=ServiceState.OUT_OF_SERVICE, since=later, reason="nobody listens"
    )


@pytest.mark.parametrize("status", [200, 404, 405, 501])
def test_any_other_answer_shows_that_the_peer_lives(status: int) -> None:
    after = UNKNOWN.after(RequestOutcome(status=status, reason="some phrase"), now=START)
    assert (after.state, after.reason) == (ServiceState.IN_SERVICE, "")


def test_the_time_stays_while_the_state_does() -> None:
    down = RequestOutcome(status=503, reason="first")
    first = UNKNOWN.after(down, now=START + timedelta(seconds=1))
    second = first.after(RequestOutcome(status=408, reason="second"), now=START + timedelta(seconds=2))
    assert second.since == first.since
    assert second.reason == "second"
