"""A ladder for the terminal: lanes as columns, arrows with their labels, details below where asked for."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from rich.text import Text

from harness.evidence.ladder.model import Kind, Ladder, Mood, Row

NARROWEST_LANE: Final = 12
"Columns between two lanes; where there are fewer, rows are sentences instead."

_MARGIN: Final = 15
"Columns for a row's number and time."

_COLOURS: Final = {Mood.ACCEPTED: "green", Mood.REFUSED: "red", Mood.NEUTRAL: ""}


@dataclass(frozen=True, slots=True)
class _Signs:
    lane: str
    line: str
    right: str
    left: str
    mark: str
    ellipsis: str


_UNICODE: Final = _Signs("│", "─", "▶", "◀", "●", "…")
_ASCII: Final = _Signs("|", "-", ">", "<", "*", "~")


class LadderText:
    """Draws a ladder in so many columns."""

    def __init__(
        self, ladder: Ladder, *, width: int, details: bool = False, ascii_only: bool = False
    ) -> None:
        """`details` writes each row's message or verdict below it; `ascii_only` draws without box characters."""
        self._ladder = ladder
        self._width = width
        self._details = details
        self._signs = _ASCII if ascii_only else _UNICODE
        lanes = len(ladder.lanes)
        spacing = (width - _MARGIN) // lanes if lanes else 0
        self._is_drawn = lanes > 0 and spacing >= NARROWEST_LANE
        self._centres = {
            name: _MARGIN + spacing * place + spacing // 2 for place, name in enumerate(ladder.lanes)
        }
        self._spacing = spacing

    def lines(self) -> Iterator[Text]:
        """Yield the lines from the top."""
        if self._is_drawn:
            yield self._heads()
        for row in self._ladder.rows:
            yield from self._row(row)
            if self._details:
                for line in row.details:
                    yield Text(f"{'':{_MARGIN}}{line}", style="dim")
        if self._is_drawn:
            yield self._heads()

    # One row.

    def _row(self, row: Row) -> Iterator[Text]:
        margin = f"{row.number:>5} {self._ladder.seconds(row):8.3f}"
        if row.kind is Kind.STEP:
            label = self._cut(row.label, self._width - _MARGIN - 3) if self._is_drawn else row.label
            yield Text(f"{margin} == {label}", style="bold")
        elif not self._is_drawn:
            arrow = (
                f"{row.source}: "
                if row.source == row.target
                else f"{row.source} {self._signs.line}{self._signs.right} {row.target}: "
            )
            text = Text(f"{margin} {arrow}")
            text.append(row.label, style=_COLOURS[row.mood])
            yield text
        elif row.source == row.target:
            yield self._mark(row, margin)
        else:
            yield from self._arrow(row, margin)

    def _mark(self, row: Row, margin: str) -> Text:
        cells = self._empty(margin)
        place = self._centres[row.source]
        cells[place] = self._signs.mark
        right, left = self._width - place - 2, place - _MARGIN - 1
        label = self._cut(row.label, max(right, left))
        begin = place + 2 if len(label) <= right else place - 1 - len(label)
        return self._put(cells, begin, label, row)

    def _arrow(self, row: Row, margin: str) -> Iterator[Text]:
        source, target = self._centres[row.source], self._centres[row.target]
        left, right = min(source, target), max(source, target)
        inside = right - left - 1
        if len(row.label) + 4 <= inside:
            yield self._put(
                self._line(row, margin, left, right),
                left + 1 + (inside - len(row.label)) // 2,
                row.label,
                row,
            )
            return
        label = self._cut(row.label, self._width - _MARGIN)
        begin = min(left + 2, self._width - len(label))
        yield self._put(self._empty(margin), begin, label, row)
        yield self._put(self._line(row, "", left, right), 0, "", row, begin=left + 1, end=right)

    def _line(self, row: Row, margin: str, left: int, right: int) -> list[str]:
        cells = self._empty(margin)
        cells[left + 1 : right] = self._signs.line * (right - left - 1)
        if self._centres[row.target] == right:
            cells[right - 1] = self._signs.right
        else:
            cells[left + 1] = self._signs.left
        return cells

    # Cells.

    def _empty(self, margin: str) -> list[str]:
        cells = [" "] * self._width
        cells[: len(margin)] = margin
        for centre in self._centres.values():
            cells[centre] = self._signs.lane
        return cells

    def _put(
        self, cells: list[str], place: int, label: str, row: Row, *, begin: int | None = None, end: int = 0
    ) -> Text:
        """Return the cells as text, with a label written over them and the row's part in its colour."""
        if label:
            cells[place : place + len(label)] = label
            before, after = place - 1, place + len(label)
            if cells[before] == self._signs.line:
                cells[before] = " "
            if after < len(cells) and cells[after] == self._signs.line:
                cells[after] = " "
            begin, end = place, place + len(label)
        text = Text("".join(cells[: self._width]).rstrip())
        if begin is not None and _COLOURS[row.mood]:
            text.stylize(_COLOURS[row.mood], begin, end)
        return text

    def _heads(self) -> Text:
        cells = [" "] * self._width
        for name, centre in self._centres.items():
            shown = self._cut(name, self._spacing - 1)
            begin = centre - len(shown) // 2
            cells[begin : begin + len(shown)] = shown
        return Text("".join(cells).rstrip(), style="bold")

    def _cut(self, text: str, width: int) -> str:
        text = " ".join(text.split())
        return text if len(text) <= width else text[: max(0, width - 1)] + self._signs.ellipsis
