"""`lake trend`: one trend's answer, and the list of trends.

Belongs here: what standard error reports beside an answer. Does not: options (query), trends.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lake.base.day import Day
from lake.base.errors import UsageError
from lake.base.printable import shown

if TYPE_CHECKING:
    from lake.query import Answer, Lake
    from lake.trends import Days, Fit, Period


@dataclass(frozen=True)
class TrendRequest:
    """The command line of `lake trend NAME`; `every`: --weekly or --monthly."""

    name: str
    days: tuple[Day, Day]
    compare: bool
    every: Period | None
    options: Mapping[str, str]
    dataset: str | None
    png: Path | None


def show_trend(request: TrendRequest, config: str | None) -> Answer:
    """The answer; notes go to standard error, a plot to its file. Raises LakeError."""
    from lake.query import connect  # noqa: PLC0415
    from lake.trends import Choices, Days, draw, fitting, trend_named  # noqa: PLC0415

    _require_one(request)
    with connect(config) as lake:
        trend = trend_named(request.name, lake.settings)
        choices = Choices(request.options, request.dataset)
        days = Days(*request.days)
        fitted = fitting(lake, trend, days.start, days.end, choices)
        answer = _answer(lake, fitted, request, days)
        _report(lake, fitted, request, days)
        for note in answer.left_out:
            click.echo(shown(note), err=True)
    if request.png:
        chosen = [f"{option}: {value}" for option, value in request.options.items() if value]
        draw(trend, answer, days.start, days.end, request.png, chosen)
        click.echo(str(request.png), err=True)
    return answer


def spark_trend(request: TrendRequest, config: str | None) -> str:
    """The trend's statement in Spark SQL. Raises LakeError."""
    from lake.query import connect  # noqa: PLC0415
    from lake.spark.trends import spark_statement  # noqa: PLC0415
    from lake.trends import Choices, fitting, trend_named  # noqa: PLC0415

    if _is_compared(request) or request.png:
        raise UsageError(
            "--spark prints one query, without --compare, --weekly, --monthly and --png"
        )
    with connect(config) as lake:
        trend = trend_named(request.name, lake.settings)
        choices = Choices(request.options, request.dataset)
        fitted = fitting(lake, trend, *request.days, choices)
        return spark_statement(lake, fitted, *request.days)


def _answer(lake: Lake, fit: Fit, request: TrendRequest, days: Days) -> Answer:
    from lake.trends import ask_fitting, by_period, compare  # noqa: PLC0415

    if request.compare:
        return compare(lake, fit, days)
    if request.every:
        return by_period(lake, fit, days, request.every)
    return ask_fitting(lake, fit, days.start, days.end)


def _require_one(request: TrendRequest) -> None:
    """Raises UsageError."""
    if request.compare and request.every:
        raise UsageError(f"--compare and --{request.every}ly exclude each other")
    if request.png and _is_compared(request):
        raise UsageError("--png plots the trend alone, without --compare, --weekly and --monthly")


def _is_compared(request: TrendRequest) -> bool:
    return request.compare or request.every is not None


def _report(lake: Lake, fitted: Fit, request: TrendRequest, days: Days) -> None:
    """A hole in the lake must not look like a quiet day."""
    from lake.query.notes import missing_days  # noqa: PLC0415
    from lake.trends import Days, before, missing_of, period_before, periods  # noqa: PLC0415

    for source in fitted.sources:
        if source.others:
            others = ", ".join(source.others)
            click.echo(
                f"{fitted.trend.name} reads {source.dataset}; {others} would fit, too (--dataset)",
                err=True,
            )
    ranges = [days]
    if request.compare:
        ranges = [before(days), days]
    elif every := request.every:
        chosen = periods(days, every)
        # The first one's change is against the one before.
        ranges = [Days(period_before(chosen[0], every).start, chosen[-1].end)]
    for span in ranges:
        wanted = f"{span.start.days_until(span.end)} days"
        if _is_compared(request):
            wanted += f" from {span.start} to {span.end.plus(-1)}"
        for dataset, missing in missing_of(lake, fitted, span.start, span.end).items():
            click.echo(missing_days(dataset, missing, wanted), err=True)


def list_trends(config: str | None, none: str | None = None) -> Answer:
    """Each trend: what it shows, the datasets that it reads here, what the lake lacks.

    `none` stands where it reads or lacks nothing.
    """
    from lake.query import Answer, connect  # noqa: PLC0415
    from lake.trends import Choices, all_trends, fit  # noqa: PLC0415

    with connect(config) as lake:
        fits = [fit(lake, trend, Choices()) for trend in all_trends(lake.settings)]
    rows = [
        (
            fit.trend.name,
            fit.trend.description,
            none if fit.lacks else ", ".join(fit.datasets),
            "; ".join(f"no {what}" for what in fit.lacks) or none,
        )
        for fit in fits
    ]
    rows.sort(key=lambda row: (bool(row[3]), row[0]))
    return Answer(("trend", "shows", "reads", "lacks"), ("VARCHAR",) * 4, rows)
