"""The trends that fit the lake, as numbers to plot.

Belongs here: which trends, their answers as series by day, their files. Does not: SQL
(lake.trends), drawing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from math import isfinite
from threading import Lock
from typing import Any

from lake.base.day import Day, day_range
from lake.base.errors import LakeError
from lake.config.settings import Settings
from lake.query import connect
from lake.query.notes import missing_days
from lake.report.data import script
from lake.report.facts import Facts
from lake.trends import (
    Choices,
    Fit,
    Panel,
    Trend,
    all_trends,
    ask_fitting,
    fit,
    lines_of,
    missing_of,
)

_OPTION = re.compile(r" \(--[a-z]+\)")


class Trends:
    """Over the UTC days [start, end) of one session; not for several threads at a time."""

    def __init__(
        self, settings: Settings, start: Day, end: Day, unreadable: Sequence[str] = ()
    ) -> None:
        """Without the datasets `unreadable`: a query of those is refused. Raises LakeError."""
        self._note = (
            f"Without {', '.join(unreadable)}: a manifest can't be read." if unreadable else ""
        )
        datasets = [dataset for dataset in settings.dataset if dataset.name not in unreadable]
        self._lake = lake = connect(settings.model_copy(update={"dataset": datasets}))
        self._start, self._end = start, end
        fits = [
            fit(lake, trend, Choices(), (start, end))
            for trend in all_trends(lake.settings)
            if not trend.options
        ]
        self.fits = [fitted for fitted in fits if not fitted.lacks and fitted.datasets]

    def close(self) -> None:
        """Ends the session."""
        self._lake.close()

    def listed(self) -> dict[str, Any]:
        """The days, and each trend's name and title in the order of their numbers."""
        trends = [{"name": of.trend.name, "title": _title(of.trend)} for of in self.fits]
        return {
            "from": str(self._start),
            "to": str(self._end),
            "trends": trends,
            "note": self._note,
        }

    def plotted(self, number: int) -> dict[str, Any]:
        """One trend: its panels with a value, or null, for each point of time. A trend that can't
        be computed has `problem` instead.
        """
        fitted = self.fits[number]
        trend = fitted.trend
        about = {
            "name": trend.name,
            "title": _title(trend),
            "grain": trend.grain,
            "datasets": fitted.datasets,
        }
        try:
            return about | self._panels(fitted)
        except LakeError as error:
            return about | {"problem": str(error)}

    def _panels(self, fitted: Fit) -> dict[str, Any]:
        trend = fitted.trend
        answer = ask_fitting(self._lake, fitted, self._start, self._end)
        rows = [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]
        days = self._points(trend, rows)
        missing = missing_of(self._lake, fitted, self._start, self._end)
        of = f"{self._start.days_until(self._end)} days"
        notes = [missing_days(name, lost, of) for name, lost in missing.items()]
        panels = [_panel(trend, panel, rows, days) for panel in trend.panels]
        return {
            "days": [day.isoformat() for day in days],
            "panels": [panel for panel in panels if panel["series"]],
            "notes": [*notes, *answer.left_out],
        }

    def _points(self, trend: Trend, rows: Sequence[Mapping[str, Any]]) -> list[date]:
        """Every day of the range, or every period from the first to the last."""
        if trend.every == "day":
            return [day.date for day in day_range(self._start, self._end)]
        known = sorted({row[trend.x] for row in rows})
        if trend.every != "week" or not known:
            return known
        weeks = (known[-1] - known[0]).days // 7
        return [known[0] + timedelta(weeks=number) for number in range(weeks + 1)]


def _title(trend: Trend) -> str:
    """Without the options of the command."""
    return _OPTION.sub("", trend.description)


def _panel(
    trend: Trend, panel: Panel, rows: Sequence[Mapping[str, Any]], days: Sequence[date]
) -> dict[str, Any]:
    return {
        "label": panel.label,
        "style": panel.style,
        "series": [
            {"label": line.label, "values": [_number(line.values.get(day)) for day in days]}
            for line in lines_of(trend, panel, rows)
        ],
    }


def _number(value: float | None) -> float | None:
    """Six digits: what a plot and its table show."""
    return float(f"{value:.6g}") if value is not None and isfinite(value) else None


class TrendFiles:
    """The trends of one state of the lake as scripts, computed when they are first requested.

    Two are equal where nothing that the trends read differs. Safe to use from several threads.
    """

    def __init__(self, settings: Settings, facts: Facts, days: int) -> None:
        self._settings = settings
        self._facts = facts
        self._days = days
        self._lock = Lock()
        self._trends: Trends | None = None
        self._problem = ""
        self._answers: dict[int, bytes] = {}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TrendFiles) and self._reads() == other._reads()

    __hash__ = None  # type: ignore[assignment]

    def _reads(self) -> tuple[object, ...]:
        """A new table has a new manifest, and a rollup is made for its table."""
        days = (
            (of.name, day, status.created_at, status.fingerprint, status.bytes, status.rollup)
            for of in self._facts.datasets
            for day, status in of.status.days.items()
        )
        return (self._days, self._facts.today, *days)

    def listed(self) -> bytes:
        """`data/trends.js`; a lake whose trends can't be read has the reason there."""
        with self._lock:
            trends = self._opened()
            return script(
                "trends", trends.listed() if trends else {"trends": [], "problem": self._problem}
            )

    def plotted(self, number: int) -> bytes | None:
        """`data/trends/N.js`, None behind the last."""
        with self._lock:
            trends = self._opened()
            if trends is None or number >= len(trends.fits):
                return None
            if number not in self._answers:
                self._answers[number] = script(f"trends/{number}", trends.plotted(number))
            return self._answers[number]

    def _opened(self) -> Trends | None:
        if self._trends is None and not self._problem:
            start, end = self._range()
            unreadable = [of.name for of in self._facts.datasets if of.unreadable]
            try:
                self._trends = Trends(self._settings, start, end, unreadable)
            except LakeError as error:
                self._problem = str(error)
        return self._trends

    def _range(self) -> tuple[Day, Day]:
        """The last closed days, without those before the lake's first."""
        end = self._facts.today
        start = end.plus(-self._days)
        held = [day for of in self._facts.datasets for day in of.exported]
        return min(max(start, min(held, default=start)), end.plus(-1)), end
