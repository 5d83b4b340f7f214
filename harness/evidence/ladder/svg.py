"""A ladder as SVG: lanes from top to bottom, an arrow a row, each row a link to its details."""

import html
from collections.abc import Callable, Iterator
from typing import Final

from harness.evidence.ladder.model import Kind, Ladder, Row
from harness.evidence.xml_text import clean

LANE_SPACING: Final = 168
"Pixels between two lanes."

STYLE: Final = """
.ladder text{font:12px/1 ui-sans-serif,system-ui,sans-serif;fill:var(--text)}
.ladder .lane{stroke:var(--line);stroke-width:1}
.ladder .head rect{fill:var(--panel);stroke:var(--line)}
.ladder .head text{font-weight:600;text-anchor:middle}
.ladder .time{fill:var(--faint);font-size:10.5px;text-anchor:end;font-variant-numeric:tabular-nums}
.ladder .step rect{fill:var(--panel)}
.ladder .step text{font-weight:600}
.ladder .label{paint-order:stroke;stroke:var(--page);stroke-width:5px;stroke-linejoin:round}
.ladder .arrow{fill:none;stroke:var(--kind);stroke-width:1.5}
.ladder .tip,.ladder .mark{fill:var(--kind)}
.ladder .sip{--kind:var(--sip)}.ladder .xmpp{--kind:var(--xmpp)}.ladder .tls,.ladder .service{--kind:var(--tls)}
.ladder .http,.ladder .tcp,.ladder .other{--kind:var(--faint)}
.ladder .accepted{--kind:var(--good)}.ladder .refused{--kind:var(--bad)}
.ladder .refused .label{fill:var(--bad)}
.ladder .accepted .label{fill:var(--good)}
.ladder .tls .arrow{stroke-dasharray:5 3}
.ladder .tcp .arrow{stroke-dasharray:1 3}
.ladder a{cursor:pointer}
.ladder a:hover .band,.ladder a:focus .band{fill:var(--panel)}
.ladder a:focus{outline:none}
.ladder .band{fill:transparent}
"""
"Its look. The page around it sets the colours: `--page`, `--panel`, `--text`, `--faint`, `--line`, `--good`, …"

_MARGIN: Final = 96
_HEAD, _STEP, _ROW, _LINE = 34, 30, 34, 22
_LETTER: Final = 6.4
"About the width of a letter."


def ladder_svg(ladder: Ladder, *, link: Callable[[Row], str]) -> str:
    """Return the picture; `link` says where a row leads."""
    return "\n".join(_Picture(ladder, link).parts())


class _Picture:
    def __init__(self, ladder: Ladder, link: Callable[[Row], str]) -> None:
        self._ladder = ladder
        self._link = link
        self._centres = {
            name: _MARGIN + LANE_SPACING * place + LANE_SPACING // 2
            for place, name in enumerate(ladder.lanes)
        }
        self._width = _MARGIN + LANE_SPACING * max(1, len(ladder.lanes))

    def parts(self) -> Iterator[str]:
        height = 2 * _HEAD + sum(_STEP if row.kind is Kind.STEP else _ROW for row in self._ladder.rows) + 8
        names = ", ".join(self._ladder.lanes)
        yield (
            f'<svg class="ladder" xmlns="http://www.w3.org/2000/svg" width="{self._width}" height="{height}" '
            f'viewBox="0 0 {self._width} {height}" role="img" aria-label="Ladder diagram of {escape(names)}">'
        )
        for centre in self._centres.values():
            yield f'<line class="lane" x1="{centre}" y1="{_HEAD}" x2="{centre}" y2="{height - _HEAD}"/>'
        yield from self._heads(4)
        top = _HEAD + 4
        for row in self._ladder.rows:
            if row.kind is Kind.STEP:
                yield self._step(row, top)
                top += _STEP
            else:
                yield self._row(row, top)
                top += _ROW
        yield from self._heads(top + 4)
        yield "</svg>"

    def _heads(self, top: int) -> Iterator[str]:
        for name, centre in self._centres.items():
            width = LANE_SPACING - 16
            yield (
                f'<g class="head"><rect x="{centre - width // 2}" y="{top}" width="{width}" height="24" rx="6"/>'
                f'<text x="{centre}" y="{top + 16}">{escape(_cut(name, width - 12))}'
                f"<title>{escape(name)}</title></text></g>"
            )

    def _step(self, row: Row, top: int) -> str:
        label = escape(_cut(row.label, self._width - _MARGIN + 20))
        return (
            f'<g class="step"><rect x="0" y="{top + 3}" width="{self._width}" height="{_STEP - 6}" rx="4"/>'
            f'<text class="time" x="{_MARGIN - 40}" y="{top + 19}">{self._ladder.seconds(row):.3f}</text>'
            f'<text x="{_MARGIN - 28}" y="{top + 19}">{label}</text></g>'
        )

    def _row(self, row: Row, top: int) -> str:
        body = self._mark(row, top) if row.source == row.target else self._arrow(row, top)
        between = row.source if row.source == row.target else f"{row.source} to {row.target}"
        return (
            f'<a class="{row.kind} {row.mood}" href="{escape(self._link(row))}">'
            f"<title>{escape(f'{row.number}, {between}: {row.label}')}</title>"
            f'<rect class="band" x="0" y="{top}" width="{self._width}" height="{_ROW}"/>'
            f'<text class="time" x="{_MARGIN - 40}" y="{top + _LINE + 4}">{self._ladder.seconds(row):.3f}</text>'
            f"{body}</a>"
        )

    def _mark(self, row: Row, top: int) -> str:
        centre = self._centres[row.source]
        left = centre > self._width / 2
        room = (centre - _MARGIN if left else self._width - centre) - 14
        x, anchor = (centre - 10, "end") if left else (centre + 10, "start")
        return (
            f'<circle class="mark" cx="{centre}" cy="{top + _LINE - 4}" r="4.5"/>'
            f'<text class="label" x="{x}" y="{top + _LINE}" text-anchor="{anchor}">'
            f"{escape(_cut(row.label, room))}</text>"
        )

    def _arrow(self, row: Row, top: int) -> str:
        source, target = self._centres[row.source], self._centres[row.target]
        y, sign = top + _LINE + 3, 1 if target > source else -1
        label = _cut(row.label, self._width - _MARGIN)
        half = len(label) * _LETTER / 2
        middle = min(max((source + target) / 2, _MARGIN + half), self._width - half)
        return (
            f'<path class="arrow" d="M{source} {y}H{target - 7 * sign}"/>'
            f'<path class="tip" d="M{target} {y}l{-9 * sign} -4.5v9z"/>'
            f'<text class="label" x="{middle:.0f}" y="{y - 7}" text-anchor="middle">{escape(label)}</text>'
        )


def escape(text: str) -> str:
    """Return a text for between tags and for attributes."""
    return html.escape(clean(text))


def _cut(text: str, width: float) -> str:
    text = " ".join(text.split())
    letters = int(width / _LETTER)
    return text if len(text) <= letters else text[: max(1, letters - 1)] + "…"
