"""The ladder in a terminal of so many columns."""

import pytest

from certs.errors import ConfigError
from certs.verdict import Reason, Side
from harness.evidence.ladder.building import build_ladder
from harness.evidence.ladder.filtering import LadderFilter
from harness.evidence.ladder.model import Kind, Ladder
from harness.evidence.ladder.text import LadderText
from tests.harness.evidence.ladder.exchanges import OK, OPTIONS, Exchange, refused

WIDE = """\
                                   imp1                                         imp2
    1    0.000 == OPTIONS
    3    0.003                       │── OPTIONS (CSeq 7) sip:imp2.lab.example ──▶│
    4    0.005                       │◀──────── 200 OK (CSeq 7 OPTIONS) ──────────│
    5    0.007 == A refusal
    6    0.008                       │ TLSv1.3 refused: expired (certificate_expired)
                                     │◀───────────────────────────────────────────│
                                   imp1                                         imp2
"""


def ladder() -> Ladder:
    exchange = Exchange()
    exchange.ledger.note("OPTIONS")
    imp1, imp2 = exchange.pair()
    exchange.send(imp1, imp2, OPTIONS)
    exchange.send(imp2, imp1, OK)
    exchange.ledger.note("A refusal")
    exchange.ledger.judged(imp2, refused(Reason.EXPIRED, Side.SERVER, sent="certificate_expired"))
    return LadderFilter().apply(build_ladder(exchange.events))


def draw(shown: Ladder, width: int, *, ascii_only: bool = False) -> str:
    return "\n".join(line.plain for line in LadderText(shown, width=width, ascii_only=ascii_only).lines())


def test_a_wide_terminal_has_lanes_and_labels_in_the_arrows() -> None:
    assert draw(ladder(), 105).splitlines() == WIDE.splitlines()


@pytest.mark.parametrize("width", [40, 60, 95, 200])
def test_no_line_is_wider_than_the_terminal_where_lanes_are_drawn(width: int) -> None:
    lines = draw(ladder(), width).splitlines()
    if lines[0].split() == ["imp1", "imp2"]:
        assert max(map(len, lines)) <= width
    assert any("OPTIONS (CSeq 7)" in line for line in lines)


def test_a_narrow_terminal_has_sentences() -> None:
    shown = draw(ladder(), 38)
    assert "imp1 ─▶ imp2: OPTIONS (CSeq 7) sip:imp2.lab.example" in shown


def test_ascii_only_is_ascii() -> None:
    assert draw(ladder(), 95, ascii_only=True).isascii()
    assert draw(ladder(), 38, ascii_only=True).isascii()


def test_details_stand_below_their_row() -> None:
    lines = [line.plain for line in LadderText(ladder(), width=95, details=True).lines()]
    place = next(n for n, line in enumerate(lines) if "refused: expired" in line)
    assert any("remedy: the remedy" in line for line in lines[place:])


def test_filters_keep_numbers_and_drop_empty_steps() -> None:
    kept = LadderFilter(refused_only=True).apply(ladder())
    assert [(row.number, row.kind) for row in kept.rows] == [(5, Kind.STEP), (6, Kind.TLS)]
    assert [row.number for row in LadderFilter(end=0.004).apply(ladder()).rows] == [1, 3]
    assert [
        row.number
        for row in LadderFilter(connections=("imp2 a",), kinds=frozenset({Kind.SIP})).apply(ladder()).rows
    ] == [1, 3, 4]


def test_a_lane_or_connection_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigError, match="no lane 'imp'; did you mean"):
        LadderFilter(nodes=("imp",)).apply(ladder())
    with pytest.raises(ConfigError, match="no connection 'imp9'"):
        LadderFilter(connections=("imp9",)).apply(ladder())
