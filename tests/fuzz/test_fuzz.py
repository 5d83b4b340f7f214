"""A short run of every target, with the same seed each time; `make fuzz` runs them for longer, with others."""

import random
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.listeners import fuzz_listeners
from tests.fuzz.mutation import chance, mutate, mutate_tree, pieces
from tests.fuzz.recordings import DICTIONARY, NAMES, STANZAS, VALUES
from tests.fuzz.running import Hang, Target, fuzz
from tests.fuzz.sip_cores import MESSAGES
from tests.fuzz.targets import CORES

SEED = 20260101


@pytest.mark.parametrize("target", CORES, ids=lambda target: target.name)
def test_a_core_survives_what_is_wrong(target: Target) -> None:
    report = fuzz(target, seed=SEED, seconds=20.0, maximum=60)
    assert not report.failure, report.failure


@pytest.mark.parametrize("target", CORES, ids=lambda target: target.name)
@settings(max_examples=10, deadline=None)
@given(chances=st.randoms(use_true_random=False))
def test_a_core_survives_what_hypothesis_thinks_of(target: Target, chances: random.Random) -> None:
    target.run(chances)


async def test_listeners_survive_garbage_and_serve_as_before() -> None:
    report = await fuzz_listeners(seed=SEED, seconds=3.0)
    assert not report.failure, report.failure


def test_an_input_is_made_of_its_seed_alone() -> None:
    made = [mutate(chance(1, number), MESSAGES, DICTIONARY) for number in range(20)]
    assert made == [mutate(chance(1, number), MESSAGES, DICTIONARY) for number in range(20)]
    assert len(set(made)) > 15
    assert made != [mutate(chance(2, number), MESSAGES, DICTIONARY) for number in range(20)]


def test_pieces_are_the_whole_and_trees_stay_well_formed() -> None:
    for number in range(50):
        assert b"".join(pieces(chance(1, number), b"0123456789" * 9)) == b"0123456789" * 9
        tree = mutate_tree(chance(1, number), ET.fromstring(STANZAS[number % len(STANZAS)]), VALUES, NAMES)
        ET.fromstring(ET.tostring(tree))


def _crash(_: random.Random) -> None:
    raise KeyError("a bug")


def _spin(_: random.Random) -> None:
    while True:
        pass


def test_a_crash_is_reported_with_what_repeats_it() -> None:
    report = fuzz(Target("crash", _crash), seed=7, seconds=1.0, first=41)
    assert "KeyError: 'a bug'" in report.failure
    assert "--target crash --seed 7 --first 41 --inputs 1" in report.failure


def test_a_hang_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.fuzz.running.HANG", 0.2)
    report = fuzz(Target("spin", _spin), seed=7, seconds=1.0)
    assert Hang.__name__ in report.failure


def test_growth_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[bytes] = []
    monkeypatch.setattr("tests.fuzz.running.GROWTH", 4 * 1024 * 1024)
    leak = Target("leak", lambda _: kept.append(bytes(range(256)) * 4096))
    report = fuzz(leak, seed=7, seconds=30.0, maximum=40)
    assert "octets of memory more" in report.failure
