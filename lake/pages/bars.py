"""Stacked bars as SVG elements, whose colours are those of the page's style.

Belongs here: axis, bars, legend. Does not: what they show.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

COLOURS = 6  # of style.css
_HEIGHT, _WIDE, _NARROW = 260, 940, 400
_LEFT, _RIGHT, _TOP, _BOTTOM = 74, 6, 12, 26
_LABEL_PX = 62  # a label of 7 characters, with room
_STEPS = (1, 2, 2.5, 5, 10)


def stacked_bars(
    labels: Sequence[str],
    series: Mapping[str, Sequence[float]],
    shown: Callable[[float], str],
    caption: str = "",
) -> str:
    """A `<figure>`: a bar for each label, of the series from below in their order.

    `shown` is a value as text. It is drawn twice, for a desk and for a phone; the page's width
    decides which one is seen.
    """
    drawn = {name: values for name, values in series.items() if any(values)}
    if not drawn:
        return ""
    plots = "".join(
        f'<div class="{name}">{_svg(_Plot(width, labels, drawn, shown))}</div>'
        for name, width in (("wide", _WIDE), ("narrow", _NARROW))
    )
    legend = "".join(
        f'<li><i style="background:var(--c{number % COLOURS})"></i>{escape(name)}</li>'
        for number, name in enumerate(drawn)
    )
    below = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return f'<figure>{plots}<ul class="legend">{legend}</ul>{below}</figure>'


@dataclass(frozen=True)
class _Plot:
    width: int
    labels: Sequence[str]
    series: Mapping[str, Sequence[float]]
    shown: Callable[[float], str]

    @property
    def top(self) -> float:
        """The largest sum."""
        columns = zip(*self.series.values(), strict=True)
        return max(float(sum(column)) for column in columns)

    @property
    def slot(self) -> float:
        """The width of a bar and its gap."""
        return (self.width - _LEFT - _RIGHT) / len(self.labels)


def _svg(plot: _Plot) -> str:
    step = _step(plot.top)
    top = math.ceil(plot.top / step - 1e-9) * step
    scale = (_HEIGHT - _TOP - _BOTTOM) / top
    parts = [*_grid(plot, step, top, scale), *_bars(plot, scale), *_names(plot)]
    box = f"0 0 {plot.width} {_HEIGHT}"
    return (
        f'<svg viewBox="{box}" role="img" xmlns="http://www.w3.org/2000/svg">{"".join(parts)}</svg>'
    )


def _step(top: float) -> float:
    """Between grid lines: a round number, four to five times in `top`."""
    power = math.pow(10, math.floor(math.log10(top / 4)))
    return next(step * power for step in _STEPS if step * power * 5 >= top)


def _grid(plot: _Plot, step: float, top: float, scale: float) -> Iterator[str]:
    for number in range(round(top / step) + 1):
        y = _HEIGHT - _BOTTOM - number * step * scale
        yield (
            f'<line class="grid" x1="{_LEFT}" x2="{plot.width - _RIGHT}" y1="{y:.1f}" '
            f'y2="{y:.1f}"/><text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">'
            f"{escape(plot.shown(number * step))}</text>"
        )


def _bars(plot: _Plot, scale: float) -> Iterator[str]:
    for column, label in enumerate(plot.labels):
        y = float(_HEIGHT - _BOTTOM)
        x = _LEFT + column * plot.slot + plot.slot * 0.14
        for number, (name, values) in enumerate(plot.series.items()):
            height = values[column] * scale
            if height <= 0:
                continue
            y -= height
            tip = escape(f"{label}, {name}: {plot.shown(values[column])}")
            yield (
                f'<rect x="{x:.1f}" y="{y:.2f}" width="{plot.slot * 0.72:.1f}" '
                f'height="{height:.2f}" fill="var(--c{number % COLOURS})">'
                f"<title>{tip}</title></rect>"
            )


def _names(plot: _Plot) -> Iterator[str]:
    every = math.ceil(_LABEL_PX / plot.slot)
    last = len(plot.labels) - 1
    for column, label in enumerate(plot.labels):
        if (last - column) % every == 0:
            x = _LEFT + (column + 0.5) * plot.slot
            x = min(x, plot.width - _LABEL_PX / 2)
            yield (
                f'<text x="{x:.1f}" y="{_HEIGHT - 6}" text-anchor="middle">{escape(label)}</text>'
            )
