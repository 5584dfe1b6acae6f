"""A trend's answer for a range of days.

Belongs here: the check before, the question, which days the answer lacks.
Does not: what fits (fitting), the inputs' SQL (reading), how an answer is shown.
"""

from __future__ import annotations

from dataclasses import replace

from lake.base.day import Day, day_range
from lake.base.errors import UsageError
from lake.query import Answer, Lake
from lake.query.failures import WrongSQL
from lake.trends.files import EVERY, Trend
from lake.trends.fitting import Choices, Fit, fit, require_fit
from lake.trends.reading import with_inputs


def ask(
    lake: Lake,
    trend: Trend,
    start: Day,
    end: Day,
    choices: Choices | None = None,
    every: str | None = None,
) -> Answer:
    """The trend over the UTC days [start, end), its rows a list; `every` is another period than
    the trend's own, or `range`.

    Raises UsageError where the trend does not fit the lake, LakeError where a read fails.
    """
    chosen = choices or Choices()
    return ask_fitting(lake, fitting(lake, trend, start, end, chosen), start, end, every)


def fitting(lake: Lake, trend: Trend, start: Day, end: Day, choices: Choices) -> Fit:
    """What the trend reads of the lake. Raises UsageError where it does not fit."""
    _require_options(trend, choices)
    fitted = fit(lake, trend, choices, (start, end))
    require_fit(fitted)
    return fitted


def ask_fitting(lake: Lake, fitted: Fit, start: Day, end: Day, every: str | None = None) -> Answer:
    """The same of a trend that is known to fit."""
    trend = fitted.trend
    sql, parameters = with_inputs(lake, trend.sql, fitted.sources, start, end)
    parameters |= {"from_day": start.date, "to_day": end.date}
    if trend.has_periods:
        parameters[EVERY] = every or trend.every
    # Only what the statement names: DuckDB refuses others.
    code = "\n".join(line for line in sql.splitlines() if not line.startswith("--"))
    parameters = {name: value for name, value in parameters.items() if f"${name}" in code}
    try:
        answer = lake.ask(sql, parameters)
    except WrongSQL as error:
        raise UsageError(
            "the trend's SQL is wrong",
            where=trend.path,
            **{name: part for name, part in error.parts.items() if name != "where"},
        ) from error
    return replace(answer, rows=list(answer.rows))


def missing_days(
    lake: Lake, trend: Trend, start: Day, end: Day, choices: Choices | None = None
) -> dict[str, list[Day]]:
    """Of each dataset, the days of [start, end) that are not in the lake, where there are any."""
    fitted = fit(lake, trend, choices or Choices(), (start, end))
    return missing_of(lake, fitted, start, end)


def missing_of(lake: Lake, fitted: Fit, start: Day, end: Day) -> dict[str, list[Day]]:
    """The same of what fits."""
    wanted = list(day_range(start, end))
    missing = {name: [d for d in wanted if d not in lake.days(name)] for name in fitted.datasets}
    return {name: days for name, days in missing.items() if days}


def _require_options(trend: Trend, choices: Choices) -> None:
    """Raises UsageError for an option that is required and not given, or given and not taken."""
    required = [name for name in trend.options if _is_needed(trend, name)]
    lacking = [f"--{name}" for name in required if name not in choices.options]
    other = [f"--{name}" for name in choices.options if name not in trend.options]
    if lacking or other:
        shown = (f"--{name}" if name in required else f"[--{name}]" for name in trend.options)
        raise UsageError(
            f"the trend {trend.name!r} takes {' '.join(shown) or 'none of these options'}",
            found=f"no {', '.join(lacking)}" if lacking else ", ".join(other),
        )


def _is_needed(trend: Trend, option: str) -> bool:
    value = f"${option}"
    return any(
        value in need.metrics or any(value in c.labels and c.needed for c in need.columns)
        for need in trend.needs
    )
