"""From a statement to what it reads of each dataset.

Belongs here: DuckDB's parsed statement, the days that range macros and filters on `day` name.
Does not: the result's form (question), tables, running the statement.

What is found is never less than what the statement reads: what is not understood counts as
every day and every column.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

import duckdb

from lake.base.day import Day
from lake.query import partitions, time_axis
from lake.query.expressions import (
    Constants,
    UnknownValueError,
    moment_of,
    parsed_sql,
    parts_of,
)
from lake.query.question import GROWTH, REST, Growth, Question, Range, Reads
from lake.query.zones import LOCAL_BETWEEN, LOCAL_PARAMETERS

_BETWEEN = "_between"
_GROWTH_PARAMETERS = ("of_dataset", "of_metric", "from_day", "to_day")
_KNOWN_FUNCTIONS = frozenset({"range", "generate_series", "unnest"})
_KNOWN_TABLES = frozenset(
    {"BASE_TABLE", "TABLE_FUNCTION", "JOIN", "SUBQUERY", "EMPTY", "EXPRESSION_LIST"}
)
# Functions whose value depends on the order of all their arguments, or of the last one.
_OF_ORDER = frozenset(
    {"min", "max", "greatest", "least", "median", "quantile_disc", "arg_min", "arg_max"}
    | {"min_by", "max_by", "arg_min_null", "arg_max_null"}
)
# The same of numbers alone, or of the elements of arrays.
_OF_NUMBERS = frozenset(
    {"quantile", "quantile_cont", "approx_quantile", "reservoir_quantile", "mad"}
    | {f"{kind}_{name}" for kind in ("list", "array") for name in ("max", "min", "sort", "median")}
    | {"list_reverse_sort", "array_reverse_sort", "list_grade_up", "array_grade_up"}
)
_BY_LAST = re.compile(r"arg_|.*_by$")
# What takes texts, too, and then counts and cuts characters. `x IN y` is contains(y, x).
_OF_LISTS = frozenset(
    {"len", "length", "contains", "array_extract", "list_extract", "list_element"}
    | {"array_slice", "list_slice", "||", "concat"}
)
_PARTS_OF_LISTS = ("ARRAY_EXTRACT", "ARRAY_SLICE")
# The equivalent comparison with its sides exchanged.
_TURNED = {
    "COMPARE_GREATERTHAN": "COMPARE_LESSTHAN",
    "COMPARE_GREATERTHANOREQUALTO": "COMPARE_LESSTHANOREQUALTO",
    "COMPARE_LESSTHAN": "COMPARE_GREATERTHAN",
    "COMPARE_LESSTHANOREQUALTO": "COMPARE_GREATERTHANOREQUALTO",
    "COMPARE_EQUAL": "COMPARE_EQUAL",
}
# Joins that WHERE's conditions on a side may precede: (left, right). Comparisons reject NULL, so
# the rows that an outer join adds for want of a match are not in the answer either way.
_NEITHER = (False, False)
_PRECEDED = {
    **dict.fromkeys(("INNER", "LEFT", "RIGHT", "FULL"), (True, True)),
    **dict.fromkeys(("SEMI", "ANTI"), (True, False)),
}
_UNORDERED = frozenset({"REGULAR", "NATURAL", "CROSS"})


def understand(
    connection: duckdb.DuckDBPyConnection,
    sql: str,
    params: Any,
    views: Mapping[str, str],
    datasets: Collection[str],
    *,
    now_by_name: bool = True,
) -> Question:
    """What the statement reads; `views` has each view's name and its dataset, a rollup's its own;
    `datasets` are those of the configuration. Without `now_by_name` current_date is a column.
    """
    parsed = parsed_sql(connection, sql)
    if parsed["error"] or len(parsed["statements"]) != 1:
        return Question(understood=False, every_column=True)
    statement = parsed["statements"][0]
    constants = Constants(connection, params, now_by_name=now_by_name, statement=statement)
    reader = _Reader(views, datasets, constants)
    reader.node(statement)
    reader.question.now = constants.now
    return reader.question


class _Reader:
    def __init__(
        self, views: Mapping[str, str], datasets: Collection[str], constants: Constants
    ) -> None:
        self.question = Question()
        self._datasets = datasets
        self._views = views
        self._constants = constants
        self._queries: set[str] = set()  # names of WITH
        self._rows: set[str] = set()  # names that may stand for whole rows
        self._aliases: set[str] = set()  # names that the statement gives to expressions
        self._orders_by_all: set[int] = set()  # expressions

    def node(self, node: Any) -> None:
        """Everything below."""
        parts = list(parts_of(node))
        for part in parts:
            for query in (part.get("cte_map") or {}).get("map", []):
                self._queries.add(query["key"].lower())
            self._orders_by_all |= set(map(id, _orders_by_all(part)))
        if self._queries & self._views.keys():
            self._give_up()
        for part in parts:
            self._expression(part)
            if part.get("from_table"):
                # A sample is drawn before the conditions hold.
                where = None if part.get("sample") else part.get("where_clause")
                self._from(part["from_table"], list(_conjuncts(where)))
        self.question.every_column |= any(path[-1] in self._rows for path in self.question.columns)
        aliases = {(alias,) for alias in self._aliases}
        self.question.ordered -= aliases
        self.question.of_lists -= aliases

    def _give_up(self) -> None:
        self.question.understood = False
        self.question.every_column = True

    def _expression(self, part: Mapping[str, Any]) -> None:
        match part.get("class"):
            case "STAR" if id(part) in self._orders_by_all:
                pass  # it is what the statement selects
            case "STAR" | "POSITIONAL_REFERENCE":
                self.question.every_column = True
            case "COLUMN_REF":
                self.question.columns.add(tuple(name.lower() for name in part["column_names"]))
            case "FUNCTION" | "WINDOW":
                self.question.functions.add(part["function_name"].lower())
        if part.get("class") not in (None, "COLUMN_REF") and part.get("alias"):
            self._aliases.add(part["alias"].lower())
        self.question.ordered |= _references(_ordered(part))
        if ordered := [*_ordered(part), *_ordered_numbers(part)]:
            self.question.in_order |= _references(parts_of(ordered)) or {()}
        self.question.of_lists |= _references(_of_lists(part))
        self.question.sampled |= bool(part.get("sample"))
        if part.get("ref_type") == "NATURAL" or REST in (part.get("using_columns") or []):
            self.question.every_column = True

    def _from(self, table: Mapping[str, Any], conditions: list[Mapping[str, Any]]) -> None:
        tables = list(_joined(table))
        for table_, preceded in tables:
            if table_["type"] not in _KNOWN_TABLES or _renames(table_):
                self._give_up()
            elif table_["type"] == "BASE_TABLE":
                usable = conditions if preceded and not table_.get("sample") else []
                self._base_table(table_, usable, alone=len(tables) == 1)
            elif table_["type"] == "TABLE_FUNCTION":
                self._function(table_)

    def _base_table(
        self, table: Mapping[str, Any], conditions: list[Mapping[str, Any]], *, alone: bool
    ) -> None:
        name = table["table_name"].lower()
        alias = (table.get("alias") or name).lower()
        self._rows.add(alias)
        if name in self._queries:
            return
        if name not in self._views:
            self._give_up()
            return
        qualified = [[alias, "day"], *([["day"]] if alone else [])]
        self._reads_of(self._views[name]).views.append(self._days_left(conditions, qualified))

    def _function(self, table: Mapping[str, Any]) -> None:
        call = table["function"]
        name = call["function_name"].lower()
        view = name.removesuffix(_BETWEEN)
        self._rows.add((table.get("alias") or name).lower())
        if name.endswith(LOCAL_BETWEEN) and name.removesuffix(LOCAL_BETWEEN) in self._views:
            start, end = self._local_days(call)
            view = name.removesuffix(LOCAL_BETWEEN)
            self._reads_of(self._views[view]).ranges.append(Range(start, end))
        elif view in self._views and name != view:
            start, end = map(self._day, _arguments(call, ("from_day", "to_day")))
            self._reads_of(self._views[view]).ranges.append(Range(start, end))
        elif name in GROWTH:
            self._growth(call, name)
        elif name == time_axis.NAME:
            self._time_axis(call)
        elif name not in _KNOWN_FUNCTIONS and name != partitions.NAME:
            self._give_up()

    def _local_days(self, call: Mapping[str, Any]) -> Iterator[Day | None]:
        """The UTC days that have a part of a zone's days: first day, end day."""
        start, end, zone = _arguments(call, LOCAL_PARAMETERS)
        for function, day in (("utc_first_day", start), ("utc_end_day", end)):
            yield self._called_day(function, day, zone)

    def _time_axis(self, call: Mapping[str, Any]) -> None:
        """Rows of all datasets."""
        self.question.every_column = True
        at, around = _arguments(call, time_axis.PARAMETERS)
        around = around or self._constants.parsed(time_axis.AROUND)
        start, end = (
            self._called_day(function, at, around)
            for function in ("incident_first_day", "incident_end_day")
        )
        for dataset in self._datasets:
            self._reads_of(dataset).ranges.append(Range(start, end))

    def _called_day(self, function: str, *arguments: Mapping[str, Any]) -> Day | None:
        try:
            return Day(moment_of(self._constants.call(function, *arguments)).date())
        except UnknownValueError:
            return None

    def _growth(self, call: Mapping[str, Any], macro: str) -> None:
        dataset, metric, start, end = _arguments(call, _GROWTH_PARAMETERS)
        self.question.every_column = True
        try:
            view = GROWTH[macro](str(self._constants.value(dataset)).lower())
        except UnknownValueError:
            self._give_up()
            return
        if view not in self._views:
            self._give_up()
            return
        days = Range(self._day(start), self._day(end), with_before=True)
        self._reads_of(self._views[view]).ranges.append(days)
        with suppress(UnknownValueError):
            name = str(self._constants.value(metric))
            self.question.growths.append(Growth(macro, view, name, days))

    def _reads_of(self, dataset: str) -> Reads:
        return self.question.datasets.setdefault(dataset, Reads())

    def _day(self, expression: Mapping[str, Any]) -> Day | None:
        try:
            return Day(self._constants.moment(expression).date())
        except UnknownValueError:
            return None

    def _days_left(
        self, conditions: Iterable[Mapping[str, Any]], qualified: list[list[str]]
    ) -> Range:
        """The days that all of the conditions leave."""
        days = Range()
        for condition in conditions:
            days = days.within(*self._days_of(condition, qualified))
        return days

    def _days_of(
        self, condition: Mapping[str, Any], qualified: list[list[str]]
    ) -> tuple[Day | None, Day | None]:
        """The days that the condition leaves, as far as it is about days."""

        def is_day(part: Mapping[str, Any]) -> bool:
            return [name.lower() for name in part.get("column_names", [])] in qualified

        try:
            match condition["type"]:
                case "COMPARE_BETWEEN" if is_day(condition["input"]):
                    lower, upper = (self._moment(condition[side]) for side in ("lower", "upper"))
                    return Day(lower.date()), _after(upper)
                case "COMPARE_IN" if is_day(condition["children"][0]):
                    moments = [self._moment(item) for item in condition["children"][1:]]
                    return Day(min(moments).date()), _after(max(moments))
                case "CONJUNCTION_OR":
                    conditions = map(_conjuncts, condition["children"])
                    sides = [self._days_left(side, qualified) for side in conditions]
                    days = Reads(views=sides).view_range()
                    return days.start, days.end
                case kind if kind in _TURNED:
                    left, right = condition["left"], condition["right"]
                    if is_day(right):
                        left, right, kind = right, left, _TURNED[kind]
                    if is_day(left):
                        return _compared(kind, self._moment(right))
        except (UnknownValueError, OverflowError):
            pass  # the condition may leave any day
        return None, None

    def _moment(self, expression: Mapping[str, Any]) -> datetime:
        return self._constants.moment(expression)


def _orders_by_all(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The expressions ALL of the node's ORDER BY."""
    for modifier in node.get("modifiers") or []:
        for order in modifier.get("orders") or []:
            expression = order["expression"]
            limited = ("exclude_list", "replace_list", "rename_list", "relation_name", "expr")
            if expression.get("class") == "STAR" and expression.get("columns"):
                yield from () if any(map(expression.get, limited)) else (expression,)


def _ordered(part: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The expressions whose values the part compares by order."""
    kind = str(part.get("type", ""))
    yield from (order["expression"] for order in part.get("orders") or [])
    if part.get("class") in ("FUNCTION", "WINDOW") and part["function_name"].lower() in _OF_ORDER:
        by_last = _BY_LAST.match(part["function_name"].lower())
        yield from part["children"][-1 if by_last else 0 :]
    elif kind.startswith(("COMPARE_LESS", "COMPARE_GREATER")):
        yield from (part["left"], part["right"])
    elif kind in ("COMPARE_BETWEEN", "COMPARE_NOT_BETWEEN"):
        yield from (part["input"], part["lower"], part["upper"])


def _ordered_numbers(part: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    """The expressions whose numbers, or elements, the part compares by order beside these."""
    called = part.get("class") in ("FUNCTION", "WINDOW")
    return part["children"] if called and part["function_name"].lower() in _OF_NUMBERS else ()


def _of_lists(part: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    """The expressions of which the part takes the length or elements."""
    called = part.get("class") == "FUNCTION" and part["function_name"].lower() in _OF_LISTS
    return part["children"] if called or part.get("type") in _PARTS_OF_LISTS else ()


def _references(expressions: Iterable[Mapping[str, Any]]) -> set[tuple[str, ...]]:
    """Those that are columns, lower case."""
    return {
        tuple(name.lower() for name in expression["column_names"])
        for expression in expressions
        if expression.get("class") == "COLUMN_REF"
    }


def _arguments(call: Mapping[str, Any], parameters: tuple[str, ...]) -> Iterator[Mapping[str, Any]]:
    """The call's arguments by name or place; {} for one that is not there."""
    given = call.get("children", [])
    named = {argument.get("alias", "").lower(): argument for argument in given}
    for place, parameter in enumerate(parameters):
        yield named.get(parameter) or (given[place] if place < len(given) else {})


def _compared(kind: str, moment: datetime) -> tuple[Day | None, Day | None]:
    start, end = Day(moment.date()), _after(moment)
    if kind == "COMPARE_EQUAL":
        return start, end
    if kind == "COMPARE_LESSTHAN" and moment == start.start:
        return None, start
    if kind.startswith("COMPARE_LESS"):
        return None, end
    return (end if kind == "COMPARE_GREATERTHAN" else start), None


def _after(moment: datetime) -> Day:
    """The day after the moment's own."""
    return Day(moment.date()).plus(1)


def _joined(
    table: Mapping[str, Any], *, preceded: bool = True
) -> Iterator[tuple[Mapping[str, Any], bool]]:
    """The tables of a FROM, joins taken apart; whether WHERE's conditions on the table can be
    applied to it before the joins without a change of the answer.
    """
    if table["type"] == "JOIN":
        for side, may in zip(("left", "right"), _sides(table), strict=True):
            yield from _joined(table[side], preceded=preceded and may)
    else:
        yield table, preceded


def _renames(table: Mapping[str, Any]) -> bool:
    """Whether it gives a dataset's columns other names: those of `unnest(…) AS u(v)` are none."""
    function = (table.get("function") or {}).get("function_name", "").lower()
    return bool(table.get("column_name_alias")) and function not in _KNOWN_FUNCTIONS


def _sides(join: Mapping[str, Any]) -> tuple[bool, bool]:
    if join.get("ref_type") in _UNORDERED:
        return _PRECEDED.get(join.get("join_type", ""), _NEITHER)
    # ASOF chooses among all rows of its right side; POSITIONAL counts the rows of both.
    return (True, False) if join.get("ref_type") == "ASOF" else _NEITHER


def _conjuncts(condition: Mapping[str, Any] | None) -> Iterator[Mapping[str, Any]]:
    if condition is None:
        return
    if condition.get("type") == "CONJUNCTION_AND":
        for child in condition["children"]:
            yield from _conjuncts(child)
    else:
        yield condition
