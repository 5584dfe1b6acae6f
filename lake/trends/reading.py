"""A trend's inputs as SQL: rollups where they are current, the tables' rows elsewhere.

Belongs here: the statement's WITH, temporary tables of days without a rollup. Does not: which
dataset is read (fitting), what the trend computes.

The SQL stands in sql/inputs; here names of columns and tables are put into it, values are
parameters.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cache, reduce
from itertools import pairwise, starmap
from typing import Any

import duckdb

from lake.base.day import Day, day_range
from lake.base.machine import processors
from lake.base.resources import resource_path
from lake.query import Lake
from lake.query.failures import explained
from lake.query.kinds import quoted_name, quoted_text
from lake.query.levels import with_level
from lake.query.numbers import with_numbers_as
from lake.query.tables import Table
from lake.trends.fitting import Fit, InputSource, column_of
from lake.trends.needs import Input, InputColumn
from lake.trends.rolled import hourly_macro, rollups_of

Parameters = dict[str, Any]
# What identifies a target of Prometheus. No header can name such columns.
TARGET = (
    InputColumn("target job", needed=False, labels=("job",)),
    InputColumn("target instance", needed=False, labels=("instance",)),
)
# A part of a range of rollups is read by one thread, and takes 10 ms to plan.
_MOST_PARTS, _DAYS_OF_A_PART = 4, 30
_PLACE = re.compile(r"\{(\w+)\}")
_WITH = re.compile(r"with\b(\s+recursive\b)?", re.IGNORECASE)


def with_inputs(lake: Lake, sql: str, fitted: Fit, start: Day, end: Day) -> tuple[str, Parameters]:
    """The statement with its inputs as tables of WITH, and the inputs' parameters.

    Days without a rollup are read here.
    """
    tables, parameters = [], Parameters()
    for source in fitted.sources:
        text, more = _relation(lake, source, start, end)
        tables.append(f"{quoted_name(source.need.name)} AS ({text})")
        parameters |= more
    tables += [f"{quoted_name(need.name)} AS ({absent(need)})" for need in fitted.absent]
    return (_with(sql, ", ".join(tables)) if tables else sql), parameters


def _with(sql: str, tables: str) -> str:
    """On one line with the statement's first, so that DuckDB's line numbers are the file's."""
    begin = duckdb.tokenize(sql)[0][0]  # after comments; an offset in bytes
    encoded = sql.encode()
    head, body = encoded[:begin].decode(), encoded[begin:].decode()
    if match := _WITH.match(body):
        return f"{head}{match[0]} {tables}, {body[match.end() :]}"
    return f"{head}WITH {tables} {body}"


def _relation(lake: Lake, source: InputSource, start: Day, end: Day) -> tuple[str, Parameters]:
    match source.need.kind:
        case "documents":
            return _documents(lake, source), {}
        case "counter" | "histogram":
            return _grown(lake, source, start, end)
        case "lines":
            return _rows(lake, source, start, end, "lines")


def absent(need: Input) -> str:
    """An input without rows: one that is not there, where another is enough."""
    names = (quoted_name(column.name) for column in need.columns)
    columns = "".join(f", CAST(NULL AS VARCHAR) AS {name}" for name in names)
    return _filled(f"{need.kind}_absent", columns=columns)


def _grown(lake: Lake, source: InputSource, start: Day, end: Day) -> tuple[str, Parameters]:
    metrics, kind = source.need.metrics, source.need.kind
    if len(metrics) > 1:
        need = reduce(Input.with_column, TARGET, source.need)
        source = replace(source, need=need)
    # Within, a column's name is none that a statement gives to what it computes.
    inside = tuple(replace(column, name=f"label {column.name}") for column in source.need.columns)
    names = zip(inside, source.need.columns, strict=True)
    columns = "".join(f", {quoted_name(c.name)} AS {quoted_name(as_.name)}" for c, as_ in names)
    source = replace(source, need=replace(source.need, columns=inside))
    rows, parameters = _rows(lake, source, start.plus(-1), end, kind)
    starts = f"query_starts_of({quoted_text(source.dataset)})"
    counted = _filled(kind, rows=rows, columns=columns, query_starts=starts)
    if len(metrics) > 1:
        counted = _filled("counter_preferred", counted=counted, metrics=_names(source))
    return counted, parameters


def _documents(lake: Lake, source: InputSource) -> str:
    return _filled(
        "documents",
        columns=_columns(lake.table(source.dataset), source),
        between=quoted_name(f"{source.dataset}_between"),
    )


def _rows(
    lake: Lake, source: InputSource, start: Day, end: Day, kind: str
) -> tuple[str, Parameters]:
    """Rows of the rollup, and those of a temporary table for the days without a current one."""
    name, metrics = source.need.name, _names(source)
    parameters = dict(zip(_parameters(source), source.need.metrics, strict=True))
    rollups = rollups_of(lake, lake.table(source.dataset))
    parts = []
    if any(start <= day < end for day in rollups.manifests):
        if kind == "lines":
            parts.append(_lines_rolled(lake, source, (start, end)))
        else:
            parts.append(_grown_rolled(lake, source, (start, end), metrics))
    days = [day for day in day_range(start, end) if day in rollups.unrolled]
    if days or not parts:
        table = quoted_name(f"trend_input_{name}")
        view = with_level(source.dataset) if kind == "lines" else source.dataset
        statement = _filled(
            f"{kind}_day",
            columns=_columns(lake.table(source.dataset), source, aggregated=True),
            between=quoted_name(f"{view}_between"),
            metrics=metrics,
        )
        _fill(lake, table, statement, _stretches(days or [start]), parameters)
        parts.append(f"FROM temp.{table}")
    return " UNION ALL BY NAME ".join(parts), parameters


def _parameters(source: InputSource) -> list[str]:
    return [f"{source.need.name}_{number}" for number in range(len(source.need.metrics))]


def _names(source: InputSource) -> str:
    """The metrics, as the statement's parameters."""
    return ", ".join(f"${name}" for name in _parameters(source))


def _grown_rolled(lake: Lake, source: InputSource, days: tuple[Day, Day], metrics: str) -> str:
    rollups = rollups_of(lake, lake.table(source.dataset))
    kind, hourly = source.need.kind, hourly_macro(lake, rollups, *days)
    names = (quoted_name(column.name) for column in source.need.columns)
    columns = "".join(f", any_value({name}) AS {name}" for name in names)

    def grown(first: str, end: str) -> str:
        hours = _filled(
            f"{kind}_hours",
            columns=_columns(rollups, source),
            hourly=hourly,
            first=first,
            end=end,
            metrics=metrics,
        )
        return _filled(f"{kind}_rolled", columns=columns, hours=hours)

    return " UNION ALL BY NAME ".join(starmap(grown, _parts(*days)))


def _parts(first: Day, end: Day) -> Iterator[tuple[str, str]]:
    """Stretches of days, as SQL: the rows of each follow one another, the stretches are read in
    parallel.
    """
    days = first.days_until(end)
    number = max(1, min(processors(), _MOST_PARTS, days // _DAYS_OF_A_PART))
    starts = [first.plus(days * part // number) for part in range(1, number)]
    bounds = ["$from_day - 1", *(f"DATE '{day}'" for day in starts), "$to_day"]
    return pairwise(bounds)


def _lines_rolled(lake: Lake, source: InputSource, days: tuple[Day, Day]) -> str:
    rollups = rollups_of(lake, lake.table(source.dataset))
    return _filled(
        "lines_rolled",
        columns=_columns(rollups, source),
        hourly=hourly_macro(lake, rollups, *days),
    )


def _fill(
    lake: Lake,
    table: str,
    statement: str,
    stretches: Iterable[tuple[Day, Day]],
    parameters: Mapping[str, Any],
) -> None:
    """The temporary table of these days' rows, one stretch of days after the other."""
    begin = f"CREATE OR REPLACE TEMP TABLE {table} AS"
    for start, end in stretches:
        given = {**parameters, "from_day": start.date, "to_day": end.date}
        if begin.startswith("CREATE"):  # makes the session define what the statement reads
            lake.ask(f"SELECT * FROM ({statement}) LIMIT 0", given)  # noqa: S608
        with explained(lake.settings.lake.root):
            lake.connection.execute(f"{begin} {statement}", given)
        begin = f"INSERT INTO temp.{table} BY NAME"


def _stretches(days: Iterable[Day]) -> Iterator[tuple[Day, Day]]:
    """Days that follow one another, as half-open ranges."""
    start = end = None
    for day in days:
        if start is not None and end is not None and day != end:
            yield start, end
            start = None
        start = start or day
        end = day.plus(1)
    if start is not None and end is not None:
        yield start, end


def _columns(table: Table, source: InputSource, *, aggregated: bool = False) -> str:
    """What follows the fixed columns of a SELECT."""
    listed = ""
    for column in source.need.columns:
        kind = "VARCHAR" if column.type == "ANY" else with_numbers_as("BIGINT", column.type)
        value = column_of(table, column, plain=True) or f"CAST(NULL AS {kind})"
        value = f"any_value({value})" if aggregated else value
        listed += f", {value} AS {quoted_name(column.name)}"
    return listed


def _filled(name: str, **texts: str) -> str:
    return _PLACE.sub(lambda place: texts[place[1]], _template(name))


@cache
def _template(name: str) -> str:
    """On one line, without its comments."""
    lines = (resource_path("sql/inputs") / f"{name}.sql").read_text("utf-8").splitlines()
    return " ".join(line.strip() for line in lines if not line.startswith("--"))
