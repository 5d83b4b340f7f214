"""Watches the ledger until an expectation is met or its time is up; then it says what came nearest."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

from harness.endpoint.expecting.catalogue import Expectation
from harness.endpoint.expecting.watching import History, Wanted
from harness.endpoint.session import LabSession
from harness.evidence.ledger import Entry, Judged, Opened, encode_verdict
from harness.expectations import describe_verdict, explanation_lines

GRACE: Final = 1.0
"Seconds that are waited on once the client has ended: its last bytes may still be under way."

_LOOK_AGAIN: Final = 0.2


async def wait_for(
    session: LabSession, expectation: Expectation, wanted: Wanted, *, since: int | None, within: float
) -> AsyncIterator[dict[str, Any]]:
    """Yield `armed`, then `met` with what was seen or `missed` with the nearest miss.

    `since` is a mark of the ledger; None means from now on.
    """
    history = History(frozenset(node.address for node in session.lab.plan.nodes))
    mark = session.ledger.position if since is None else max(since, session.ready_at)
    number = max(session.client_ended, default=0) + 1
    ended = session.client_ended[number] = asyncio.Event()
    try:
        yield {"state": "armed", "position": mark, "number": number}
        async for each in _watch(session, expectation, wanted, history, mark, ended, within):
            yield each
    finally:
        del session.client_ended[number]


async def _watch(
    session: LabSession,
    expectation: Expectation,
    wanted: Wanted,
    history: History,
    mark: int,
    ended: asyncio.Event,
    within: float,
) -> AsyncIterator[dict[str, Any]]:
    ledger = session.ledger
    loop = asyncio.get_running_loop()
    end = loop.time() + within
    over = False
    while True:
        position = ledger.position
        for entry in ledger.entries(since=mark):
            connection = history.take(entry)
            if connection is None or (wanted.node and connection.node != wanted.node):
                continue
            seen = expectation.match(entry, wanted, history)
            if seen:
                yield {"state": "met", "seen": seen, "at": entry.at.isoformat(timespec="milliseconds")}
                return
        mark = position
        if ended.is_set():
            end = min(end, loop.time() + GRACE)
            ended.clear()
            over = True
        left = end - loop.time()
        if left <= 0:
            break
        await ledger.wait_for(lambda entry: True, since=mark, within=min(left, _LOOK_AGAIN))
    yield {"state": "missed", "client_ended": over, "connections": history.opened} | _nearest_miss(
        history, expectation
    )


def _nearest_miss(history: History, expectation: Expectation) -> dict[str, Any]:
    """Return the entry that came nearest: a refusal where it was to happen, before a connection, before others."""
    if not history.entries:
        return {"nearest": "nobody connected"}
    newest_last = list(enumerate(history.entries))
    _, nearest = max(newest_last, key=lambda one: (_nearness(one[1], expectation), one[0]))
    match nearest:
        case Judged(connection=connection, verdict=verdict):
            where = f"{connection.peer[0]}:{connection.peer[1]} at {connection.service} on {connection.node}"
            return {
                "nearest": f"{where}: {describe_verdict(verdict)}",
                "explanation": explanation_lines(verdict),
                "verdict": encode_verdict(verdict),
            }
        case Opened(connection=connection):
            where = f"{connection.service} on {connection.node}"
            return {"nearest": f"{connection.peer[0]}:{connection.peer[1]} connected to {where}, and no more"}
        case _:
            return {"nearest": "nobody connected"}


def _nearness(entry: Entry, expectation: Expectation) -> int:
    if not isinstance(entry, Opened | Judged):
        return 0
    here = not expectation.services or entry.connection.service in expectation.services
    if isinstance(entry, Opened):
        return 3 if here else 1
    if not here:
        return 2
    return 4 if entry.verdict.accepted else 5
