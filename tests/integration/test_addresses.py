"""Ranges of addresses of a run's own, across processes."""

import os
import subprocess
import sys
from ipaddress import IPv4Network

import pytest

from certs.errors import ConfigError
from harness.plan.addresses import LOOPBACK, reserve_range

# Of this process's own, so that test runs beside each other do not meet.
PREFERRED = IPv4Network(f"127.{128 + os.getpid() % 120}.250.0/24")
NEXT = IPv4Network(int(PREFERRED.network_address) + 256).supernet(new_prefix=24)

HOLDER = """
import sys
from ipaddress import IPv4Network
from harness.plan.addresses import reserve_range
reserved = reserve_range(IPv4Network(sys.argv[1]))
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
        [sys.executable, "-c", HOLDER, str(PREFERRED)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline().strip() == str(PREFERRED)
        with reserve_range(PREFERRED) as beside:
            assert beside.network == NEXT
        holder.kill()
    with reserve_range(PREFERRED) as after:
        assert after.network == PREFERRED


def test_the_ranges_go_round_at_the_end_of_their_sixteen_bits() -> None:
    last = IPv4Network(int(PREFERRED.network_address) | 0xFF00).supernet(new_prefix=24)
    first = IPv4Network(int(PREFERRED.network_address) & ~0xFF00).supernet(new_prefix=24)
    with reserve_range(last), reserve_range(last) as second:
        assert second.network == first


def test_a_range_that_no_interface_has_is_refused() -> None:
    with pytest.raises(ConfigError, match="is no address of this machine"):
        reserve_range(IPv4Network("192.0.2.0/24"))
