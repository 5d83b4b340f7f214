"""The ledger keeps everything but secrets."""

import asyncio
import json
from pathlib import Path

from certs.verdict import Reason, Side, Verdict
from harness.evidence.ledger import Entry, Judged, Ledger
from proxies.observer import ConnectionInfo, Direction

CONNECTION = ConnectionInfo(
    id="imp1 sip-proxy 1",
    node="imp1",
    service="Cisco SIP Proxy",
    listener="Default Cisco SIP Proxy TCP Listener",
    transport="TCP",
    local=("127.0.0.1", 5060),
    peer=("127.0.0.2", 40000),
)
REFUSED = Verdict(accepted=False, reason=Reason.EXPIRED, side=Side.SERVER)
ACCEPTED = Verdict(accepted=True, reason=Reason.ACCEPTED, side=Side.SERVER)


def lines(ledger: Ledger, path: Path) -> list[dict[str, object]]:
    ledger.write(path)
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_every_entry_is_a_line_of_json(tmp_path: Path) -> None:
    ledger = Ledger()
    ledger.note("Restart Cisco SIP Proxy on imp1")
    ledger.opened(CONNECTION)
    ledger.judged(CONNECTION, REFUSED)
    ledger.message(CONNECTION, Direction.RECEIVED, b"OPTIONS sip:a SIP/2.0\r\n\r\n")
    ledger.closed(CONNECTION, "closed by the peer")
    events = [line["event"] for line in lines(ledger, tmp_path / "events.jsonl")]
    assert events == ["note", "opened", "judged", "message", "closed"]


def test_the_answer_to_a_digest_challenge_is_masked(tmp_path: Path) -> None:
    ledger = Ledger()
    wire = (
        b"REGISTER sip:a SIP/2.0\r\n"
        b'Authorization: Digest username="bob", cnonce="0a4f", response="6629fae4"\r\n\r\n'
    )
    ledger.message(CONNECTION, Direction.RECEIVED, wire)
    (line,) = lines(ledger, tmp_path / "events.jsonl")
    assert 'username="bob"' in str(line["text"])
    assert "6629fae4" not in str(line)
    assert "0a4f" not in str(line)


def test_bytes_that_are_no_text_are_kept(tmp_path: Path) -> None:
    ledger = Ledger()
    ledger.message(CONNECTION, Direction.SENT, b"SIP/2.0 200 OK\r\n\r\n\xff\xfe")
    (line,) = lines(ledger, tmp_path / "events.jsonl")
    assert line["body_base64"] == "//4="


async def test_waiting_finds_what_comes_later_and_what_was_there() -> None:
    ledger = Ledger()

    def refused(entry: Entry) -> bool:
        return isinstance(entry, Judged) and not entry.verdict.accepted

    waiting = asyncio.ensure_future(ledger.wait_for(refused))
    await asyncio.sleep(0)
    ledger.judged(CONNECTION, ACCEPTED)
    ledger.judged(CONNECTION, REFUSED)
    assert isinstance(await waiting, Judged)
    assert await ledger.wait_for(refused) is await waiting


async def test_what_came_before_the_mark_does_not_count() -> None:
    ledger = Ledger()
    ledger.judged(CONNECTION, REFUSED)
    since = ledger.position
    assert ledger.verdicts(since=since) == []
    assert await ledger.wait_for(lambda entry: True, since=since, within=0.01) is None
    ledger.judged(CONNECTION, ACCEPTED)
    assert [judged.verdict for judged in ledger.verdicts(since=since)] == [ACCEPTED]


def test_lines_are_numbered_and_a_closed_connection_tells_what_crossed_it(tmp_path: Path) -> None:
    ledger = Ledger()
    ledger.opened(CONNECTION)
    ledger.message(CONNECTION, Direction.RECEIVED, b"12345")
    ledger.message(CONNECTION, Direction.SENT, b"123")
    ledger.message(CONNECTION, Direction.SENT, b"1")
    ledger.closed(CONNECTION, "closed by us")
    written = lines(ledger, tmp_path / "events.jsonl")
    assert [line["seq"] for line in written] == [1, 2, 3, 4, 5]
    assert written[-1]["messages"] == {"received": 1, "sent": 2}
    assert written[-1]["bytes"] == {"received": 5, "sent": 4}
