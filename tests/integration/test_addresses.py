"""Ranges of addresses of a run's own, across processes."""

import subprocess
import sys
from ipaddress import IPv4Network

import pytest

from certs.errors import ConfigError
from harness.addresses import LOOPBACK, reserve_range

PREFERRED = IPv4Network("127.77.250.0/24")

HOLDER = """
import sys
from ipaddress import IPv4Network
from harness.addresses import reserve_range
reserved = reserve_range(IPv4Network("127.77.250.0/24"))
print(reserved.network, flush=True)
sys.stdin.read()
"""


def test_two_runs_get_ranges_of_their_own_and_a_released_one_is_free_again() -> None:
    with reserve_range(PREFERRED) as first, reserve_range(PREFERRED) as second:
        assert first.network == PREFERRED
        assert not first.network.overlaps(second.network)
        assert second.network.subnet_of(LOOPBACK)
    with reserve_range(PREFERRED) as third:
        assert third.network == PREFERRED


def test_a_range_is_kept_from_other_processes_until_its_holder_is_killed() -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline().strip() == str(PREFERRED)
        with reserve_range(PREFERRED) as beside:
            assert beside.network == IPv4Network("127.77.251.0/24")
        holder.kill()
    with reserve_range(PREFERRED) as after:
        assert after.network == PREFERRED


def test_the_ranges_go_round_at_the_end_of_their_sixteen_bits() -> None:
    last = IPv4Network("127.77.255.0/24")
    with reserve_range(last), reserve_range(last) as second:
        assert second.network == IPv4Network("127.77.0.0/24")


def test_a_range_that_no_interface_has_is_refused() -> None:
    with pytest.raises(ConfigError, match="is no address of this machine"):
        reserve_range(IPv4Network("192.0.2.0/24"))
