"""The order of lanes: those that talk much stand side by side."""

from collections import Counter
from collections.abc import Iterable
from itertools import permutations
from typing import Final

from harness.evidence.ladder.model import Row

TRIED_WHOLE: Final = 7
"Up to so many lanes every order is tried; more are placed one by one."


def order_lanes(rows: Iterable[Row]) -> tuple[str, ...]:
    """Return the lanes of some rows, ordered so that arrows cross few lanes and the first points right."""
    first_seen: dict[str, None] = {}
    weights: Counter[tuple[str, str]] = Counter()
    for row in rows:
        if not row.source:
            continue
        first_seen.setdefault(row.source)
        first_seen.setdefault(row.target)
        if row.source != row.target:
            weights[min(row.source, row.target), max(row.source, row.target)] += 1
    names = tuple(first_seen)
    if len(names) < 3:
        return names
    if len(names) <= TRIED_WHOLE:
        # Permutations come in the order of first appearance, and `min` keeps the first of the best.
        return min(permutations(names), key=lambda order: _length(order, weights))
    return _place_one_by_one(names, weights)


def _place_one_by_one(names: tuple[str, ...], weights: Counter[tuple[str, str]]) -> tuple[str, ...]:
    order: tuple[str, ...] = ()
    for name in names:
        order = min(
            ((*order[:place], name, *order[place:]) for place in range(len(order), -1, -1)),
            key=lambda candidate: _length(candidate, weights),
        )
    return order


def _length(order: tuple[str, ...], weights: Counter[tuple[str, str]]) -> int:
    places = {name: place for place, name in enumerate(order)}
    return sum(
        weight * abs(places[one] - places[other])
        for (one, other), weight in weights.items()
        if one in places and other in places
    )
