"""What the live page is told is bounded, and reads like the whole."""

from certs.verdict import Reason, Side
from harness.evidence.ladder.model import Kind
from harness.evidence.live.feed import BACKLOG, MAXIMUM_ROWS, LadderWish, LiveFeed
from harness.plan.lab_file import load_topology
from harness.plan.topology import plan_lab
from proxies.observer import Direction
from tests.harness.evidence.ladder.exchanges import OPTIONS, Exchange, refused


def test_entries_since_a_mark() -> None:
    exchange = Exchange()
    imp1, imp2 = exchange.pair()
    feed = LiveFeed(exchange.ledger)
    mark = feed.position
    exchange.ledger.judged(imp2, refused(Reason.EXPIRED, Side.SERVER, sent="certificate_expired"))
    exchange.send(imp1, imp2, OPTIONS)
    assert [told["event"] for told in feed.entries(0)] == ["opened", "opened", "judged", "message", "message"]
    (judged, *_) = feed.entries(mark)
    assert judged["line"].startswith("refused: expired")
    assert "remedy: the remedy" in judged["lines"]


def test_a_long_lab_is_looked_back_on_as_far_as_the_backlog_goes() -> None:
    exchange = Exchange()
    lab_file = load_topology()
    exchange.ledger.lab_is_up(plan_lab(lab_file, lab_file.address_range))
    imp1, imp2 = exchange.pair()
    feed = LiveFeed(exchange.ledger)
    for _ in range(BACKLOG):
        exchange.send(imp1, imp2, OPTIONS)
    told = feed.entries(0)
    assert told[0]["event"] == "lab", "the nodes' names outlive the backlog"
    assert len(told) == BACKLOG + 1
    ladder = feed.ladder(LadderWish())
    assert ladder["rows"] == MAXIMUM_ROWS
    assert ladder["left_out"] > 0
    assert ">imp1<" in ladder["svg"], "a connection that was opened before the backlog has its lanes"


def test_a_row_can_be_asked_for_while_its_ladder_is_kept() -> None:
    exchange = Exchange()
    imp1, imp2 = exchange.pair()
    exchange.send(imp1, imp2, OPTIONS)
    feed = LiveFeed(exchange.ledger)
    wish = LadderWish(kind=Kind.SIP)
    position = feed.ladder(wish)["position"]
    row = feed.row(position, wish, 2)
    assert row is not None
    assert row.label.startswith("OPTIONS")
    assert feed.row(position, wish, 99) is None
    assert feed.row(position + 1, wish, 2) is None
    for number in range(10):
        exchange.ledger.note(f"step {number}")
        feed.ladder(wish)
    assert feed.row(position, wish, 2) is None


def test_a_lane_that_is_not_there_has_no_rows() -> None:
    exchange = Exchange()
    imp1, imp2 = exchange.pair()
    exchange.send(imp1, imp2, OPTIONS)
    feed = LiveFeed(exchange.ledger)
    assert feed.ladder(LadderWish(node="imp9"))["rows"] == 0
    assert feed.ladder(LadderWish(node="imp1"))["rows"] == 1


def test_what_no_document_may_hold_is_replaced_in_the_picture() -> None:
    exchange = Exchange()
    imp1, _ = exchange.pair()
    exchange.ledger.message(imp1, Direction.SENT, b"OPTIONS sip:\x01<b> SIP/2.0\r\n\r\n")
    svg = LiveFeed(exchange.ledger).ladder(LadderWish())["svg"]
    assert "\x01" not in svg
    assert "�&lt;b&gt;" in svg
