"""A trend's answer for a range of days.

Belongs here: the check before, the question, which days the answer lacks.
Does not: what fits (fitting), the inputs' SQL (reading), how an answer is shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from lake.base.day import Day, day_range
from lake.base.errors import UsageError
from lake.query import Answer, Lake
from lake.query.failures import WrongSQL
from lake.query.growth import unsure_over
from lake.query.metrics import no_counter
from lake.query.question import Range
from lake.trends.files import EVERY, Trend
from lake.trends.fitting import Choices, Fit, fit, require_fit
from lake.trends.reading import with_inputs
from lake.trends.rolled import rollups_of

# Comments, texts and quoted names.
_NO_PARAMETER = re.compile(
    r"""--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'|"(?:[^"]|"")*"|\$(\w*)\$.*?\$\1\$""", re.DOTALL
)
_PARAMETER = re.compile(r"\$([A-Za-z_]\w*)")
_DATE = re.compile(r"DATE$")
_NUMBERS = re.compile(r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?$|DOUBLE|FLOAT|DECIMAL|\"NULL\"")
_ANY = re.compile("")


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
    sql, parameters = with_inputs(lake, trend.sql, fitted, start, end)
    parameters |= {"from_day": start.date, "to_day": end.date}
    if trend.has_periods:
        parameters[EVERY] = every or trend.every
    _require_parameters(trend)
    # Only what the statement names: DuckDB refuses others.
    code = "\n".join(line for line in sql.splitlines() if not line.startswith("--"))
    parameters = {name: value for name, value in parameters.items() if f"${name}" in code}
    # Rows of counters and lines are in temporary tables and in rollups' copies; without copies the
    # session has asked for them before.
    is_local = not trend.inputs and all(need.kind != "documents" for need in trend.needs)
    try:
        answer = lake.ask(sql, parameters, local=is_local)
    except UsageError as error:
        raise WrongSQL(
            "the trend's SQL is wrong" if isinstance(error, WrongSQL) else error.what,
            where=trend.path,
            **{name: part for name, part in error.parts.items() if name != "where"},
        ) from error
    _require_columns(trend, answer)
    notes = dict.fromkeys((*answer.left_out, *_unsure(lake, fitted, start, end)))
    return replace(answer, rows=list(answer.rows), left_out=tuple(notes))


def _unsure(lake: Lake, fitted: Fit, start: Day, end: Day) -> Iterator[str]:
    counters = [source for source in fitted.sources if source.need.kind == "counter"]
    remarks = (no_counter(of.dataset, metric) for of in counters for metric in of.need.metrics)
    yield from filter(None, remarks)
    grown = (s.dataset for s in fitted.sources if s.need.kind in ("counter", "histogram"))
    for dataset in dict.fromkeys(grown):
        table = lake.table(dataset)
        rolled = rollups_of(lake, table).manifests
        yield from unsure_over(table, [Range(start, end, with_before=True)], rolled)


def _require_parameters(trend: Trend) -> None:
    """Raises WrongSQL where the statement has parameters that its header does not name."""
    texts = _NO_PARAMETER.sub(" ", trend.sql)
    if other := sorted(set(_PARAMETER.findall(texts)) - set(trend.parameters)):
        raise WrongSQL(
            "the parameters of the trend's SQL differ from its header's",
            where=trend.path,
            expected=", ".join(f"${name}" for name in trend.parameters),
            found=", ".join(f"${name}" for name in other),
            remedy="correct the statement, or the header's line `parameters`",
        )


def _require_columns(trend: Trend, answer: Answer) -> None:
    """Raises WrongSQL where the answer does not have what the header names."""
    types = dict(zip(answer.columns, answer.types, strict=True))
    wanted = [(trend.x, " of type DATE", _DATE)]
    wanted += [(name, "", _ANY) for name in (*trend.keys, trend.series) if name]
    plotted = dict.fromkeys(name for panel in trend.panels for name in panel.columns)
    wanted += [(name, " of numbers", _NUMBERS) for name in plotted]
    for name, values, allowed in wanted:
        if name not in types or not allowed.match(types[name]):
            raise WrongSQL(
                "the trend's SQL lacks columns that its header names",
                where=trend.path,
                expected=f"a column {name}{values}",
                found=", ".join(f"{column} {kind}" for column, kind in types.items()),
                remedy="correct the statement, or the header's x, keys, series and panel",
            )


def missing_days(
    lake: Lake, trend: Trend, start: Day, end: Day, choices: Choices | None = None
) -> dict[str, list[Day]]:
    """Of each dataset, the days of [start, end) that are not in the lake, where there are any."""
    fitted = fit(lake, trend, choices or Choices(), (start, end))
    return missing_of(lake, fitted, start, end)


def missing_of(lake: Lake, fitted: Fit, start: Day, end: Day) -> dict[str, list[Day]]:
    """The same of what fits. A rollup that outlives its table is enough where rollups are read."""
    wanted = list(day_range(start, end))
    documents = {source.dataset for source in fitted.sources if source.need.kind == "documents"}
    of_rows = documents.union(fitted.trend.inputs)
    missing = {}
    for name in fitted.datasets:
        held = lake.days(name)
        if name not in of_rows:
            held |= rollups_of(lake, lake.table(name)).manifests.keys()
        missing[name] = [day for day in wanted if day not in held]
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
