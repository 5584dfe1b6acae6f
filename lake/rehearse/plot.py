"""The recovery times over the months, as an SVG.

Belongs here: the plot. Does not: the page around it, where the times come from.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import cycle
from typing import Any

from lake.systems import SYSTEMS
from lake.systems.registry import system as registered

# Distinct for people who see no red or no green, too (Okabe and Ito's palette).
_PALETTE = ("#009E73", "#D55E00", "#0072B2", "#CC79A7", "#56B4E9", "#E69F00")
COLOURS = dict(zip(SYSTEMS, cycle(_PALETTE), strict=False))
NAMES = {name: registered(name).title for name in SYSTEMS}
_QUIET = "#5b6770"
# A plot is scaled to the page's width: on a phone the wide one's text would be 4 px high.
_WIDE, _NARROW = (9.2, 3.4), (4.4, 3.4)


def recovery_plot(
    times: Mapping[str, Sequence[tuple[date, float]]], *, narrow: bool = False
) -> str:
    """An `<svg>` element: one line per system, of (day of the rehearsal, seconds).

    `narrow`: for a page of a phone's width.
    """
    # The figure alone, no window system and no state of pyplot.
    import matplotlib as mpl  # noqa: PLC0415  0.4 s
    from matplotlib.backends.backend_svg import FigureCanvasSVG  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    with mpl.rc_context(
        {"svg.hashsalt": f"lake{narrow}", "svg.fonttype": "none", "font.family": "sans"}
    ):
        figure = Figure(_NARROW if narrow else _WIDE, layout="constrained")
        FigureCanvasSVG(figure)
        axes: Any = figure.subplots()
        top = max(seconds for points in times.values() for _, seconds in points) * 1.15
        heights = _apart({name: points[-1][1] for name, points in times.items()}, top * 0.07)
        for system, points in sorted(times.items()):
            days = [day for day, _ in points]
            seconds = [value for _, value in points]
            colour = COLOURS[system]
            axes.plot(days, seconds, color=colour, lw=2, marker="o", ms=5)
            axes.annotate(
                f"{NAMES[system]} {seconds[-1]:.1f} s",
                (days[-1], heights[system]),
                xytext=(9, 0),
                textcoords="offset points",
                va="center",
                color=colour,
                fontsize=10,
            )
        axes.set_ylim(0, top)
        _dress(axes, [day for points in times.values() for day, _ in points], narrow=narrow)
        out = io.StringIO()
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None})
    text = out.getvalue()
    return text[text.index("<svg") :]


def _apart(heights: Mapping[str, float], least: float) -> dict[str, float]:
    """Where names stand, so that none covers another: each at least so much above the last."""
    placed: dict[str, float] = {}
    below = float("-inf")
    for name, height in sorted(heights.items(), key=lambda pair: pair[1]):
        below = placed[name] = max(height, below + least)
    return placed


def _dress(axes: Any, days: Sequence[date], *, narrow: bool) -> None:
    from matplotlib.dates import (  # noqa: PLC0415
        AutoDateLocator,
        ConciseDateFormatter,
        date2num,
    )

    axes.yaxis.set_major_formatter("{x:g} s")
    axes.grid(axis="y", color="#e3e7ea", lw=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color("#c3cad0")
    axes.tick_params(colors=_QUIET, length=0, labelsize=10)
    first, last = min(days), max(days)
    if first == last:
        axes.set_xticks([first], [str(first)])
        margin = timedelta(days=15)
    else:
        locator = AutoDateLocator(minticks=2, maxticks=4 if narrow else 9)  # type: ignore[no-untyped-call]
        formatter = ConciseDateFormatter(locator)  # type: ignore[no-untyped-call]
        ticks = locator.tick_values(_midnight(first), _midnight(last))  # type: ignore[no-untyped-call]
        inside = [tick for tick in ticks if date2num(first) <= tick <= date2num(last)]  # type: ignore[no-untyped-call]
        axes.set_xticks(inside, formatter.format_ticks(inside))  # type: ignore[no-untyped-call]
        margin = (last - first) / 12
    # To the right there is room for the names.
    before = margin * (1.2 if narrow else 0.5)
    axes.set_xlim(first - before, last + margin * (7 if narrow and first != last else 2.4))


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
