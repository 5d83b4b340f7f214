"""What the live page is told: entries of the ledger in a small form, and the ladder of the latest ones."""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from harness.evidence.decoding import chain_lines
from harness.evidence.ladder.building import build_ladder
from harness.evidence.ladder.filtering import USUAL, LadderFilter
from harness.evidence.ladder.lanes import order_lanes
from harness.evidence.ladder.model import Kind, Ladder, Row
from harness.evidence.ladder.svg import ladder_svg
from harness.evidence.ledger import (
    Closed,
    Entry,
    Judged,
    LabUp,
    Ledger,
    MessageSeen,
    Note,
    Opened,
    encode_entry,
)
from harness.expectations import describe_verdict, explanation_lines

BACKLOG: Final = 1500
"Entries of the ledger that the page looks back on."

MAXIMUM_ROWS: Final = 200
"Rows of the ladder that it shows: the latest."

MAXIMUM_CONNECTIONS: Final = 5000
"Connections from before the backlog that are remembered."

_KEPT_LADDERS: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class LadderWish:
    """Which rows somebody wants to see."""

    node: str = ""
    "A lane; empty for all."

    kind: Kind | None = None
    "A kind of row; None for the usual ones."

    refused: bool = False
    "Refusals only."


class LiveFeed:
    """Reads a ledger for pages. Nothing here changes it."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._ladders: OrderedDict[tuple[int, LadderWish], Ladder] = OrderedDict()
        self._lab: LabUp | None = None
        self._began: datetime | None = None
        self._open: OrderedDict[str, Opened] = OrderedDict()
        for entry in ledger.entries():
            self.take(entry)

    def take(self, entry: Entry) -> None:
        """Take what happened: what outlives the backlog is remembered."""
        self._began = self._began or entry.at
        if isinstance(entry, LabUp):
            self._lab = entry
        elif isinstance(entry, Opened):
            self._open[entry.connection.id] = entry
            if len(self._open) > MAXIMUM_CONNECTIONS:
                self._open.popitem(last=False)

    @property
    def position(self) -> int:
        """How many entries there have been."""
        return self._ledger.position

    def entries(self, since: int) -> list[dict[str, Any]]:
        """Return what happened since a mark, or of it what the backlog has, as JSON values."""
        start = max(since, self.position - BACKLOG)
        entries = list(self._ledger.entries(since=start))
        if since == 0 and start and self._lab is not None:
            entries.insert(0, self._lab)
        return [told for entry in entries if (told := _tell(entry))]

    def ladder(self, wish: LadderWish) -> dict[str, Any]:
        """Return the latest rows as a picture, with the lanes that can be asked for."""
        position = self.position
        ladder = self._wanted(position, wish)
        return {
            "position": position,
            "svg": ladder_svg(ladder, link=lambda row: f"#row-{row.number}"),
            "rows": sum(row.kind is not Kind.STEP for row in ladder.rows),
            "left_out": ladder.left_out,
        }

    def row(self, position: int, wish: LadderWish, number: int) -> Row | None:
        """Return a row of a ladder that was given out lately; None of one that is no longer known."""
        ladder = self._ladders.get((position, wish))
        if ladder is None:
            return None
        return next((row for row in ladder.rows if row.number == number), None)

    def _wanted(self, position: int, wish: LadderWish) -> Ladder:
        key = (position, wish)
        ladder = self._ladders.get(key)
        if ladder is None:
            ladder = self._ladders[key] = _keep(build_ladder(self._events(), began=self._began), wish)
            while len(self._ladders) > _KEPT_LADDERS:
                self._ladders.popitem(last=False)
        return ladder

    def _events(self) -> Iterator[dict[str, Any]]:
        """Yield the backlog's events. Connections that opened before it are told of first."""
        start = max(0, self.position - BACKLOG)
        recent = list(self._ledger.entries(since=start))
        opened = {entry.connection.id for entry in recent if isinstance(entry, Opened)}
        seen = {entry.connection.id for entry in recent if isinstance(entry, MessageSeen | Judged | Closed)}
        if self._lab is not None:
            yield encode_entry(self._lab)
        for id_, entry in self._open.items():
            if id_ in seen and id_ not in opened:
                yield encode_entry(entry) | {"event": "known"}
        yield from map(encode_entry, recent)


def _keep(ladder: Ladder, wish: LadderWish) -> Ladder:
    kinds = USUAL if wish.kind is None else frozenset({wish.kind})
    lanes = {name for row in ladder.rows for name in (row.source, row.target)}
    nodes = (wish.node,) if wish.node and wish.node in lanes else ()
    if wish.node and not nodes:
        kinds = frozenset()
    kept = LadderFilter(nodes=nodes, kinds=kinds, refused_only=wish.refused).apply(ladder)
    rows = kept.rows[-MAXIMUM_ROWS:]
    return Ladder(
        began=kept.began,
        lanes=order_lanes(rows),
        rows=rows,
        left_out=kept.left_out + len(kept.rows) - len(rows),
    )


def _tell(entry: Entry) -> dict[str, Any] | None:
    head = {"at": entry.at.strftime("%H:%M:%S.%f")[:-3]}
    match entry:
        case Opened():
            one = entry.connection
            return head | {
                "event": "opened",
                "id": one.id,
                "node": one.node,
                "service": one.service,
                "listener": one.listener,
                "transport": one.transport,
                "local": f"{one.local[0]}:{one.local[1]}",
                "peer": f"{one.peer[0]}:{one.peer[1]}",
            }
        case Judged():
            verdict = entry.verdict
            lines = [] if verdict.accepted else explanation_lines(verdict)
            return head | {
                "event": "judged",
                "id": entry.connection.id,
                "node": entry.connection.node,
                "service": entry.connection.service,
                "peer": f"{entry.connection.peer[0]}:{entry.connection.peer[1]}",
                "accepted": verdict.accepted,
                "line": describe_verdict(verdict),
                "clause": verdict.clause,
                "lines": lines,
                "chain": [] if verdict.accepted else chain_lines(verdict.presented_chain),
            }
        case MessageSeen():
            return {"event": "message", "id": entry.connection.id, "direction": entry.direction}
        case Closed():
            return head | {"event": "closed", "id": entry.connection.id, "why": entry.why}
        case Note():
            return head | {"event": "note", "text": entry.text}
        case LabUp():
            nodes = [node.name for node in entry.nodes]
            return head | {"event": "lab", "name": entry.name, "nodes": nodes}
