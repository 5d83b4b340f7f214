"""A peer that sends too fast is read more slowly."""

import pytest

from proxies.xmpp.streams.rate_limit import RateLimit


def test_a_burst_passes_and_more_waits() -> None:
    limit = RateLimit(bytes_per_second=1000, burst=5000, now=0.0)
    assert limit.take(5000, now=0.0) == 0
    assert limit.take(500, now=0.0) == pytest.approx(0.5)
    assert limit.take(100, now=0.6) == 0


def test_silence_saves_no_more_than_a_burst() -> None:
    limit = RateLimit(bytes_per_second=1000, burst=5000, now=0.0)
    assert limit.take(5000, now=3600.0) == 0
    assert limit.take(1, now=3600.0) > 0
