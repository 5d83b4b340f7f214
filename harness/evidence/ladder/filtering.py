"""Which rows of a ladder somebody wants to see."""

from dataclasses import dataclass, field, replace
from itertools import zip_longest

from certs.errors import ConfigError
from harness.evidence.ladder.lanes import order_lanes
from harness.evidence.ladder.model import Kind, Ladder, Mood, Row
from harness.near_matches import did_you_mean

USUAL = frozenset(Kind) - {Kind.TCP}
"What is shown unless somebody asks otherwise: connections that open and close say little."


@dataclass(frozen=True, slots=True, kw_only=True)
class LadderFilter:
    """What to keep. Fields that are empty keep everything."""

    nodes: tuple[str, ...] = ()
    "Lanes of which a row must touch one."

    connections: tuple[str, ...] = ()
    "Connections, by their whole id or its beginning."

    kinds: frozenset[Kind] = field(default=USUAL)
    "What rows may show. Steps are kept in any case."

    begin: float | None = None
    "Seconds since the first event."

    end: float | None = None
    "Seconds since the first event."

    refused_only: bool = False
    "Keep refusals only."

    def apply(self, ladder: Ladder) -> Ladder:
        """Return the ladder with the rows wanted and the lanes they need.

        Raises ConfigError where a node or connection is asked for that the ladder does not have.
        """
        self._check(ladder)
        kept = [row for row in ladder.rows if self._wants(ladder, row)]
        kept = _without_empty_steps(kept) if self._is_narrow else kept
        return replace(
            ladder,
            rows=tuple(kept),
            lanes=order_lanes(kept),
            left_out=ladder.left_out + len(ladder.rows) - len(kept),
        )

    @property
    def _is_narrow(self) -> bool:
        return bool(self.nodes or self.connections or self.refused_only or self.kinds != USUAL)

    def _wants(self, ladder: Ladder, row: Row) -> bool:
        seconds = ladder.seconds(row)
        if self.begin is not None and seconds < self.begin:
            return False
        if self.end is not None and seconds > self.end:
            return False
        if row.kind is Kind.STEP:
            return True
        return (
            row.kind in self.kinds
            and (not self.nodes or row.source in self.nodes or row.target in self.nodes)
            and (not self.connections or any(id_.startswith(self.connections) for id_ in row.connections))
            and (not self.refused_only or row.mood is Mood.REFUSED)
        )

    def _check(self, ladder: Ladder) -> None:
        lanes = {name for row in ladder.rows for name in (row.source, row.target) if name}
        for node in self.nodes:
            if node not in lanes:
                hint = did_you_mean(node, sorted(lanes)) or f"; there are {', '.join(sorted(lanes))}"
                raise ConfigError(f"the ladder has no lane {node!r}{hint}")
        ids = {id_ for row in ladder.rows for id_ in row.connections}
        for connection in self.connections:
            if not any(id_.startswith(connection) for id_ in ids):
                raise ConfigError(
                    f"the ladder has no connection {connection!r}{did_you_mean(connection, sorted(ids))}; "
                    "`imp-harness ladder --json` lists them with their rows"
                )


def _without_empty_steps(rows: list[Row]) -> list[Row]:
    return [
        row
        for row, after in zip_longest(rows, rows[1:])
        if row.kind is not Kind.STEP or (after is not None and after.kind is not Kind.STEP)
    ]
