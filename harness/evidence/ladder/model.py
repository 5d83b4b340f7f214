"""A ladder as values: lanes, and rows that cross them."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Kind(StrEnum):
    """What a row shows."""

    SIP = "sip"
    XMPP = "xmpp"
    HTTP = "http"
    TLS = "tls"
    TCP = "tcp"
    SERVICE = "service"
    OTHER = "other"
    STEP = "step"


class Mood(StrEnum):
    """How a row ended for the peer."""

    NEUTRAL = "neutral"
    ACCEPTED = "accepted"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row: an arrow from lane to lane, a mark on one lane, or, without lanes, a step's heading."""

    number: int
    "Its place in the whole ladder, from 1; stays when rows are filtered out."

    at: datetime
    "When, UTC."

    kind: Kind
    "What it shows."

    label: str
    "A short line for the diagram."

    source: str = ""
    "The lane it starts at; empty for a heading."

    target: str = ""
    "The lane it ends at; the same as `source` for what happened inside a node."

    mood: Mood = Mood.NEUTRAL
    "How it ended."

    connections: tuple[str, ...] = ()
    "The ids of the connections that saw it, one at each end that was observed."

    details: tuple[str, ...] = ()
    "The message as it crossed, or the verdicts with chain, rule and remedy, a line each."


@dataclass(frozen=True, slots=True, kw_only=True)
class Ladder:
    """Rows in the order in which they were seen."""

    began: datetime
    "When the first event was; times are shown from there."

    lanes: tuple[str, ...]
    "The names of nodes and actors, in the order that makes arrows short."

    rows: tuple[Row, ...]
    "What happened."

    left_out: int = 0
    "How many rows a filter or a limit took away."

    def seconds(self, row: Row) -> float:
        """Return when a row was, in seconds since the first event."""
        return (row.at - self.began).total_seconds()
