"""`lake trend`: one trend's answer, and the list of trends.

Belongs here: options, what standard error reports beside an answer. Does not: trends, plots.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lake.base.day import Day, require_range
from lake.base.errors import UsageError
from lake.base.printable import shown
from lake.cli.completing import DatasetType, TrendType
from lake.cli.forms import csv_option, require_one_form, rows_option, write_answer
from lake.cli.options import DayType, config_option, json_option

if TYPE_CHECKING:
    from lake.query import Answer, Lake
    from lake.trends import Days, Fit, Period

_QUARTER = re.compile(r"(\d{4})Q([1-4])", re.IGNORECASE)
_DEFAULT_DAYS = 92


@click.command()
@click.argument("name", type=TrendType(), required=False)
@click.option("--quarter", metavar="2026Q3", help="Calendar quarter (UTC).")
@click.option("--from", "start", type=DayType(), help="Start day (UTC).")
@click.option("--to", "end", type=DayType(), help="End day (UTC, exclusive).")
@click.option("--compare", is_flag=True, help="Compares the range with the one before.")
@click.option(
    "--weekly", is_flag=True, help="One row a week, with the change from the week before."
)
@click.option(
    "--monthly", is_flag=True, help="One row a month, with the change from the month before."
)
@click.option("--metric", metavar="M", help="Metric, for trends that take one.")
@click.option("--by", metavar="LABEL", help="Label, for trends that take one.")
@click.option(
    "--dataset", metavar="NAME", type=DatasetType(), help="Dataset to read, if several fit."
)
@click.option(
    "--png",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File for a plot (1200 × 700 pixels).",
)
@click.option("--spark", is_flag=True, help="Prints the query in Spark SQL, and does not run it.")
@rows_option
@csv_option
@json_option
@config_option
def trend(
    name: str | None,
    quarter: str | None,
    start: Day | None,
    end: Day | None,
    compare: bool,
    weekly: bool,
    monthly: bool,
    metric: str | None,
    by: str | None,
    dataset: str | None,
    png: Path | None,
    spark: bool,
    rows: int | None,
    as_csv: bool,
    as_json: bool,
    config: str | None,
) -> None:
    """Runs a predefined trend query, and plots it with --png.

    Lists the trends if NAME is omitted: which dataset of this lake each reads, or what the lake
    lacks. Trends find metrics, labels and fields under any dataset's name. They read rollups,
    and the tables themselves on days without a current rollup: `lake rollup` makes them fast.
    Files in `trends/` beside lake.toml are listed, too.

    The default range is the last 92 closed UTC days. --compare compares it with the range before,
    a quarter with the quarter before. --weekly and --monthly show the whole weeks or months that
    begin in the range and are over.

    Standard error lists days of the range that are not in the lake, and values that a column
    does not include.

    \b
    Example:  lake trend http_errors --quarter 2026Q3 --compare
    """
    require_one_form(as_csv, as_json)
    options = {key: value for key, value in (("metric", metric), ("by", by)) if value is not None}
    if name is None:
        given = {"quarter": quarter, "from": start, "to": end, "compare": compare,
                 "weekly": weekly, "monthly": monthly, **options, "dataset": dataset, "png": png,
                 "spark": spark}  # fmt: skip
        _require_list_only(given)
        write_answer(_list_trends(config, none=None if as_json else ""), as_csv, as_json, rows)
        return
    if weekly and monthly:
        raise UsageError("--weekly and --monthly exclude each other")
    every: Period | None = "week" if weekly else "month" if monthly else None
    request = _Request(name, _range(quarter, start, end), compare, every, options, dataset, png)
    if spark:
        click.echo(_spark_trend(request, config))
        return
    answer = _show_trend(request, config)
    if not png or as_csv or as_json:
        write_answer(answer, as_csv, as_json, rows)


def _require_list_only(given: Mapping[str, object]) -> None:
    """Raises UsageError for options that a list of trends does not have."""
    if needless := [f"--{name}" for name, value in given.items() if value]:
        raise UsageError(
            "no trend is named",
            expected="lake trend NAME " + " ".join(needless),
            found=", ".join(needless),
            remedy="`lake trend` lists the names",
        )


def _range(quarter: str | None, start: Day | None, end: Day | None) -> tuple[Day, Day]:
    """The days that the options name, [first, last). Raises UsageError."""
    if quarter and (start or end):
        raise UsageError("--quarter and --from/--to exclude each other")
    if quarter:
        return _quarter(quarter)
    if not start and not end:
        today = Day.today()
        return today.plus(-_DEFAULT_DAYS), today
    if not (start and end):
        raise UsageError("--from and --to belong together", expected="both, --to exclusive")
    require_range(start, end)
    return start, end


def _quarter(text: str) -> tuple[Day, Day]:
    match = _QUARTER.fullmatch(text)
    if match is None:
        raise UsageError("not a quarter", expected="such as 2026Q3", found=repr(text))
    year, number = int(match[1]), int(match[2])
    following = (year, number * 3 + 1) if number < 4 else (year + 1, 1)
    starts = [f"{y:04d}-{m:02d}-01" for y, m in ((year, number * 3 - 2), following)]
    return Day.parse(starts[0]), Day.parse(starts[1])


@dataclass(frozen=True)
class _Request:
    """The command line of `lake trend NAME`; `every`: --weekly or --monthly."""

    name: str
    days: tuple[Day, Day]
    compare: bool
    every: Period | None
    options: Mapping[str, str]
    dataset: str | None
    png: Path | None


def _show_trend(request: _Request, config: str | None) -> Answer:
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


def _spark_trend(request: _Request, config: str | None) -> str:
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


def _answer(lake: Lake, fit: Fit, request: _Request, days: Days) -> Answer:
    from lake.trends import ask_fitting, by_period, compare  # noqa: PLC0415

    if request.compare:
        return compare(lake, fit, days)
    if request.every:
        return by_period(lake, fit, days, request.every)
    return ask_fitting(lake, fit, days.start, days.end)


def _require_one(request: _Request) -> None:
    """Raises UsageError."""
    if request.compare and request.every:
        raise UsageError(f"--compare and --{request.every}ly exclude each other")
    if request.png and _is_compared(request):
        raise UsageError("--png plots the trend alone, without --compare, --weekly and --monthly")


def _is_compared(request: _Request) -> bool:
    return request.compare or request.every is not None


def _report(lake: Lake, fitted: Fit, request: _Request, days: Days) -> None:
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


def _list_trends(config: str | None, none: str | None = None) -> Answer:
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
