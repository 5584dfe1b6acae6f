"""A trend's plot as a PNG.

Belongs here: axes, colours, legends, which lines a panel has room for. Does not: what is plotted
(the trend's header).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from math import isfinite
from pathlib import Path
from typing import Any

from lake.base.causes import cause
from lake.base.day import Day
from lake.base.errors import Missing, PermanentError
from lake.query import Answer
from lake.trends.files import Panel, Trend

_INCHES, _DPI = (12, 7), 100  # 1200 × 700
# Distinct for people who see no red or no green, too (Okabe and Ito's palette).
_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#F0E442", "#000000")
_QUIET = "#666666"
_GREY, _OTHERS = "#bbbbbb", " others"
_OTHERS_LABEL = re.compile(rf"\d+{_OTHERS}(, not shown)?")
_LONGEST = 32  # characters of a label


@dataclass(frozen=True)
class Line:
    """One line or bar: what a legend shows, values by day."""

    label: str
    values: Mapping[date, float]


def draw(
    trend: Trend, answer: Answer, start: Day, end: Day, file: Path, chosen: Iterable[str] = ()
) -> None:
    """Writes a PNG of 1200 × 700 pixels, its time axis that of the UTC days [start, end).
    `chosen`: what the user chose, below the title.

    Raises Missing where the answer has no row, PermanentError where it can't be written.
    """
    rows = [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]
    if not rows:
        raise Missing(
            "nothing to plot",
            where=f"{trend.name}, {start} … {end}",
            remedy="`lake status` lists the days in the lake",
        )
    # The figure alone, no window system and no state of pyplot.
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415  0.4 s
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(_INCHES, _DPI, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(
        f"{_plain(trend.description)}\n", x=0.01, ha="left", fontsize=15, fontweight="bold"
    )
    last = end.plus(-1)
    below = "   ".join([*chosen, f"{start} … {last}, UTC days"])
    figure.text(0.011, 0.935, _plain(below), color=_QUIET, fontsize=10)
    panels = figure.subplots(len(trend.panels), 1, sharex=True, squeeze=False)[:, 0]
    colours = _Colours()
    for axes, panel in zip(panels, trend.panels, strict=True):
        lines = lines_of(trend, panel, rows)
        _draw_panel(axes, panel, lines, [colours.of(line.label) for line in lines])
    _time_axis(panels[-1], start, end, min(row[trend.x] for row in rows))
    try:
        figure.savefig(file, format="png", metadata={"Software": None})
    except OSError as error:
        raise PermanentError(
            "the plot can't be written",
            where=file,
            found=cause(error),
            remedy="write it to a directory that exists and has space",
        ) from error


class _Colours:
    """One colour per label, the same in every panel; grey for the sum of the others."""

    def __init__(self) -> None:
        self._given: dict[str, str] = {}

    def of(self, label: str) -> str:
        if _OTHERS_LABEL.fullmatch(label):
            return _GREY
        return self._given.setdefault(label, _COLOURS[len(self._given) % len(_COLOURS)])


def lines_of(trend: Trend, panel: Panel, rows: Sequence[Mapping[str, Any]]) -> list[Line]:
    """What the panel shows of an answer's rows; what has no value at all is left out.

    Of more than there are colours the largest; the others are summed where bars add up.
    """
    by_label: dict[str, dict[date, float]] = {}
    for row in rows:
        for column in panel.columns:
            series = [] if trend.series is None else [_text(row[trend.series])]
            names = [*series, column] if len(panel.columns) > 1 else series or [column]
            if row[column] is not None:
                by_label.setdefault(" ".join(names), {})[row[trend.x]] = float(row[column])
    lines = [Line(label, values) for label, values in by_label.items()]
    if len(lines) <= len(_COLOURS):
        return lines
    return _largest(lines, summed=panel.style != "lines")


def _largest(lines: Sequence[Line], *, summed: bool) -> list[Line]:
    labels = [line.label for line in sorted(lines, key=_size, reverse=True)[: len(_COLOURS) - 1]]
    shown = [line for line in lines if line.label in labels]
    others = [line for line in lines if line.label not in labels]
    if not summed:
        return [*shown, Line(f"{len(others)}{_OTHERS}, not shown", {})]
    total: dict[date, float] = {}
    for line in others:
        for day, value in line.values.items():
            total[day] = total.get(day, 0.0) + value
    return [*shown, Line(f"{len(others)}{_OTHERS}", total)]


def _size(line: Line) -> float:
    return sum(abs(value) for value in line.values.values() if isfinite(value))


def _text(value: object) -> str:
    return "NULL" if value is None else str(value)


def _plain(text: str) -> str:
    """For matplotlib, which reads formulas between dollar signs."""
    return text.replace("$", r"\$")


def _short(label: str) -> str:
    """As a legend shows it: neither a formula nor, by an underscore, hidden; ends are kept."""
    if len(label) > _LONGEST:
        half = _LONGEST // 2
        label = f"{label[: half - 1]}…{label[-half:]}"
    if not label:
        return '""'  # matplotlib shows no empty one
    # A word joiner has no width.
    return _plain(f"\u2060{label}" if label.startswith("_") else label)


def _draw_panel(axes: Any, panel: Panel, lines: Sequence[Line], colours: Sequence[str]) -> None:
    days, step = _grid({day for line in lines for day in line.values})
    if panel.style == "lines":
        for line, colour in zip(lines, colours, strict=True):
            values = [line.values.get(day, float("nan")) for day in days]
            axes.plot(
                days, values, color=colour, lw=1.8, marker=".", ms=5, label=_short(line.label)
            )
    else:
        below = [0.0] * len(days)
        width = step.days * 0.85
        for line, colour in zip(lines, colours, strict=True):
            values = [line.values.get(day, 0.0) for day in days]
            axes.bar(days, values, width, below, color=colour, label=_short(line.label))
            below = [base + value for base, value in zip(below, values, strict=True)]
    _dress(axes, panel, legend=len(lines) > 1)


def _grid(dates: set[date]) -> tuple[list[date], timedelta]:
    """Every day (or week) from the first to the last: where one is missing, the line breaks."""
    days = sorted(dates)
    step = min((b - a for a, b in pairwise(days)), default=timedelta(days=1))
    return [days[0] + step * number for number in range((days[-1] - days[0]) // step + 1)], step


def _dress(axes: Any, panel: Panel, *, legend: bool) -> None:
    from matplotlib.ticker import EngFormatter, FuncFormatter  # noqa: PLC0415

    large = EngFormatter(sep="")

    def number(value: float, position: int | None = None) -> str:
        """`8k`; not `6m` for 0.006, which reads as six million."""
        return large(value, position) if abs(value) >= 1 else f"{value:g}"

    axes.set_title(_plain(panel.label), loc="left", fontsize=11)
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(FuncFormatter(number))
    axes.grid(axis="y", color="#dddddd", lw=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(colors=_QUIET, length=0)
    if legend:
        axes.legend(
            loc="upper left", bbox_to_anchor=(1.005, 1), frameon=False, fontsize=10, borderaxespad=0
        )


def _time_axis(axes: Any, start: Day, end: Day, first: date) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter  # noqa: PLC0415

    locator = AutoDateLocator(minticks=4, maxticks=10)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(
        ConciseDateFormatter(locator, show_offset=False)  # type: ignore[no-untyped-call]
    )
    # A day's mark stands at its midnight: half of its bar is to the left.
    half = timedelta(hours=12)
    left, right = min(start.date, first), end.date
    axes.set_xlim(*(datetime(d.year, d.month, d.day) - half for d in (left, right)))  # noqa: DTZ001
