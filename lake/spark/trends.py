"""A trend's statement in Spark SQL, over the views that deploy/spark/lake_tables.py makes.

Belongs here: the trend's inputs, and its SQL in Spark's dialect. Does not: which datasets it
reads (lake.trends.fitting), running it.

Inputs read the tables, not the rollups: a cluster has the room for it, and the growth is the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import reduce

from lake.base.day import Day
from lake.base.errors import UsageError
from lake.query import Lake
from lake.query.growth import query_changes
from lake.query.kinds import folded
from lake.query.levels import with_level
from lake.query.merged import Node
from lake.query.numbers import with_numbers_as
from lake.query.tables import Table
from lake.spark.dialect import in_spark, spark_expression
from lake.spark.templates import template
from lake.spark.types import quoted_name, quoted_text
from lake.trends.fitting import Fit, InputSource, column_of
from lake.trends.needs import Input, InputColumn
from lake.trends.reading import TARGET, absent


def spark_statement(lake: Lake, fitted: Fit, start: Day, end: Day, every: str | None = None) -> str:
    """The trend over the UTC days [start, end). Raises UsageError where its SQL has something that
    Spark lacks, Missing where the package sqlglot is not installed.
    """
    trend = fitted.trend
    sources = [source for source in fitted.sources if source.need.kind != "histogram"]
    if fitted.sources and not sources:
        raise UsageError(
            f"the trend {trend.name!r} reads native histograms here, which Spark does not",
            remedy="run it with DuckDB: without --spark",
        )
    texts = {source.need.name: _Input(lake, source, start, end).text() for source in sources}
    # Native histograms are not read here: no rows.
    unread = [need for need in trend.needs if need.kind == "histogram"]
    texts |= {need.name: in_spark(absent(need), {}, trend.path) for need in unread}
    inputs = [f"{quoted_name(name)} AS ({text})" for name, text in texts.items()]
    values = {"from_day": start.date, "to_day": end.date, "every": every or trend.every}
    statement = in_spark(trend.sql, values, trend.path)
    return _left_out(fitted) + _with(inputs, statement)


def _left_out(fitted: Fit) -> str:
    """A comment for whoever runs the statement."""
    names = {
        name
        for source in fitted.sources
        if source.need.kind == "histogram"
        for name in (source.dataset, *source.others)
    }
    if not names:
        return ""
    return f"-- Without the native histograms of {', '.join(sorted(names))}: DuckDB counts them\n"


def _with(inputs: list[str], statement: str) -> str:
    if not inputs:
        return statement
    tables = ",\n".join(inputs)
    begin = "WITH "
    if statement.startswith(begin):
        return f"{begin}{tables},\n{statement.removeprefix(begin)}"
    return f"{begin}{tables}\n{statement}"


class _Input:
    """One input over the days [start, end)."""

    def __init__(self, lake: Lake, source: InputSource, start: Day, end: Day) -> None:
        self._lake = lake
        self._source = source
        self._days = {
            "from_day": f"DATE {quoted_text(str(start))}",
            "to_day": f"DATE {quoted_text(str(end))}",
        }

    def text(self) -> str:
        match self._source.need.kind:
            case "documents":
                return self._filled("documents", self._source.dataset, self._columns())
            case "lines":
                view = with_level(self._source.dataset)
                return self._filled("lines", view, self._columns(aggregated=True))
        return self._counter()

    def _counter(self) -> str:
        names = self._source.need.metrics
        metrics = ", ".join(map(quoted_text, names))
        if len(names) > 1:
            need = reduce(Input.with_column, TARGET, self._source.need)
            self._source = replace(self._source, need=need)
        columns = self._columns(aggregated=True)
        counted = self._filled(
            "counter",
            self._source.dataset,
            columns,
            metrics=metrics,
            earliest=self._earliest(metrics),
        )
        if len(names) == 1:
            return counted
        return template("counter_preferred").format(counted=counted, metrics=metrics)

    def _earliest(self, metrics: str) -> str:
        """Of the samples that the same query of the dataset has selected."""
        table = self._lake.table(self._source.dataset)
        days = [f"ts >= TIMESTAMP '{day} 00:00:00Z'" for day in query_changes(table)]

        def first(since: str) -> str:
            texts = {"metrics": metrics, "since": since}
            return f"({self._filled('counter_earliest', table.dataset, '', **texts)})"

        cases = "".join(f" WHEN {since} THEN {first(since)}" for since in reversed(days))
        return f"CASE{cases} ELSE {first('true')} END" if cases else first("true")

    def _filled(self, name: str, view: str, columns: str, **texts: str) -> str:
        return template(name).format(
            table=quoted_name(view), columns=columns, **self._days, **texts
        )

    def _columns(self, *, aggregated: bool = False) -> str:
        """What follows the fixed columns of a SELECT."""
        return "".join(f", {text}" for text in self._each_column(aggregated=aggregated))

    def _each_column(self, *, aggregated: bool) -> Iterator[str]:
        for column in self._source.need.columns:
            value = self._value(column)
            value = f"any_value({value})" if aggregated else value
            yield f"{value} AS {quoted_name(column.name)}"

    def _value(self, column: InputColumn) -> str:
        table = self._lake.table(self._source.dataset)
        kind = "VARCHAR" if column.type == "ANY" else with_numbers_as("BIGINT", column.type)
        value = column_of(table, column) or f"CAST(NULL AS {kind})"
        return spark_expression(value, _rounding(table, column))


def _rounding(table: Table, column: InputColumn) -> str:
    """The function that rounds a document's field as DuckDB does: halves of a DOUBLE to even."""
    node: Node | None = table.tree
    for name in column.path:
        node = node.members.get(folded(name)) if node else None
    if node is None or not column.path:
        return ""
    if node.form in ("DOUBLE", "FLOAT"):
        return "rint"
    return "round" if node.form.startswith("DECIMAL") else ""
