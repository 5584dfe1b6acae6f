"""The recovery times over the months, as an SVG.

Belongs here: the plot. Does not: the page around it, where the times come from.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

# Told apart by people who see no red or no green, too (Okabe and Ito's palette).
COLOURS = {"mongo": "#009E73", "prometheus": "#D55E00", "loki": "#0072B2"}
_QUIET = "#5b6770"
_INCHES = (9.2, 3.4)


def recovery_plot(times: Mapping[str, Sequence[tuple[date, float]]]) -> str:
    """An `<svg>` element: a line a system, of (day of the rehearsal, seconds)."""
    # The figure alone, no window system and no state of pyplot.
    import matplotlib as mpl  # noqa: PLC0415  0.4 s
    from matplotlib.backends.backend_svg import FigureCanvasSVG  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    with mpl.rc_context({"svg.hashsalt": "lake", "svg.fonttype": "none", "font.family": "sans"}):
        figure = Figure(_INCHES, layout="constrained")
        FigureCanvasSVG(figure)
        axes: Any = figure.subplots()
        for system, points in sorted(times.items()):
            days = [day for day, _ in points]
            seconds = [one for _, one in points]
            colour = COLOURS[system]
            axes.plot(days, seconds, color=colour, lw=2, marker="o", ms=5, label=system)
            axes.annotate(
                f"{system} {seconds[-1]:.1f} s",
                (days[-1], seconds[-1]),
                xytext=(9, 0),
                textcoords="offset points",
                va="center",
                color=colour,
                fontsize=10,
            )
        _dress(axes, [day for points in times.values() for day, _ in points])
        out = io.StringIO()
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None})
    text = out.getvalue()
    return text[text.index("<svg") :]


def _dress(axes: Any, days: Sequence[date]) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter  # noqa: PLC0415

    axes.set_ylim(bottom=0)
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
        locator = AutoDateLocator(minticks=3, maxticks=9)  # type: ignore[no-untyped-call]
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
        margin = (last - first) / 12
    # To the right there is room for the names.
    axes.set_xlim(first - margin / 2, last + margin * 2.4)
