"""Which datasets of a lake have the content that a trend needs.

Belongs here: what a dataset holds, by its manifests' schemas and the metrics of its newest day.
Does not: SQL of an answer (reading).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any
from weakref import WeakKeyDictionary

import duckdb

from lake.base.day import Day
from lake.base.errors import UsageError
from lake.query import Lake
from lake.query.casts import type_as
from lake.query.failures import explained
from lake.query.hourly import hourly
from lake.query.kinds import folded, parsed_type, quoted_name, quoted_text
from lake.query.levels import with_level
from lake.query.merged import LIST, STRUCT, Node
from lake.query.numbers import NUMBER, TEXT, as_text, on_days_of_numbers, read_as, with_numbers_as
from lake.query.tables import Table
from lake.query.texts import resolved
from lake.query.timeline import kind_of
from lake.trends.files import Trend
from lake.trends.needs import Input, InputColumn, Kind
from lake.trends.rolled import hourly_macro, rollups_of

_MAP = "labels"
_LEVEL, _STREAM, _HISTOGRAM = "level", "stream_id", "histogram"
# A table's columns that are no labels, by the column that identifies a row's series or stream: a
# label of such a name is in the map. `metric` may be chosen as if it were a label.
_NO_LABELS = {
    "series_id": frozenset({"series_id", "day", "ts", "value", "nan", "histogram", _MAP}),
    _STREAM: frozenset({_STREAM, "day", "ts", "ts_ns", "line", "metadata", _MAP}),
}
_ADDED = frozenset({"lower", "upper"})  # by the macros over a rollup of samples
_SHOWN = 3
_OF_ITEMS = re.compile(r"\[\d*\]$")
_NESTED = re.compile(rf"{_OF_ITEMS.pattern}|^STRUCT\b", re.IGNORECASE)
_EDGES = 2  # of _looked_at

_Days = tuple[Day, Day]
_LookedFor = tuple[str, Day, Day, bool]
_METRICS: WeakKeyDictionary[Lake, dict[_LookedFor, frozenset[str]]] = WeakKeyDictionary()


@dataclass(frozen=True)
class Choices:
    """What the user has chosen: the options' values, and the dataset."""

    options: Mapping[str, str] = field(default_factory=dict)
    dataset: str | None = None


@dataclass(frozen=True)
class InputSource:
    """An input and the dataset that has its content; `others` have it, too."""

    need: Input
    dataset: str
    others: tuple[str, ...] = ()


@dataclass(frozen=True)
class Fit:
    """A trend on a lake: its sources, or what the lake lacks."""

    trend: Trend
    sources: tuple[InputSource, ...]
    lacks: tuple[str, ...] = ()
    absent: tuple[Input, ...] = ()  # inputs without rows, instead of which others are there

    @property
    def datasets(self) -> list[str]:
        """All that are read, each once."""
        return list(dict.fromkeys([*(s.dataset for s in self.sources), *self.trend.inputs]))


def fit(lake: Lake, trend: Trend, choices: Choices, days: _Days | None = None) -> Fit:
    """What fits, `days` [start, end) before others. Raises LakeError where a read fails."""
    known = {dataset.name for dataset in lake.settings.dataset}
    if choices.dataset is not None and choices.dataset not in known:
        lake.settings.dataset_named(choices.dataset)  # raises, naming the valid ones
    lacks = [f"dataset {name}" for name in trend.inputs if name not in known]
    needs = [need.filled(dict(choices.options)) for need in trend.needs]
    _read_manifests(lake, trend, needs, choices.dataset)
    sources, absent = [], []
    for need, source in _sources(lake, needs, choices.dataset, days):
        if isinstance(source, InputSource):
            sources.append(source)
        elif source is None:
            absent.append(need)
        else:
            lacks.append(source)
    return Fit(trend, tuple(sources), tuple(lacks), tuple(absent))


def _sources(
    lake: Lake, needs: Iterable[Input], chosen: str | None, days: _Days | None
) -> Iterator[tuple[Input, InputSource | str | None]]:
    """Each input's source, or what is lacking; None for one instead of which another is there."""
    either: list[Input] = []
    for need in needs:
        if need.either:
            either.append(need)
        else:
            yield need, _source(lake, need, chosen, days)
    # Once one is there, the others are looked for on the last and first day only.
    sources = [_source(lake, need, chosen, days, quick=True) for need in either]
    if not any(isinstance(source, InputSource) for source in sources):
        sources = [_source(lake, need, chosen, days) for need in either]
    fits = any(isinstance(source, InputSource) for source in sources)
    for need, source in zip(either, sources, strict=True):
        if isinstance(source, InputSource):
            yield need, source
        elif fits:
            yield need, None
        elif need is either[0]:  # one is enough: what the first one lacks
            yield need, source


def require_fit(fitted: Fit) -> None:
    """Raises UsageError where the lake lacks something."""
    if fitted.lacks:
        raise UsageError(
            f"the trend {fitted.trend.name!r} does not fit this lake",
            found=f"no {'; no '.join(fitted.lacks)}",
            remedy="`lake trend` lists the trends that fit; `lake describe` lists columns",
        )


def _source(
    lake: Lake, need: Input, chosen: str | None, days: _Days | None, *, quick: bool = False
) -> InputSource | str:
    """A source, or what is lacking: of the dataset that lacks the least.

    `quick`: only the last and the first day, of datasets whose system has such rows.
    """
    lacks: list[tuple[int, str]] = []
    for names in _candidates(lake, need, chosen)[: 1 if quick else None]:
        tables = [lake.table(name) for name in names]
        held = [table for table in tables if _held(lake, table, need)]
        lacks += [(3, f"day of {t.dataset} in the lake") for t in tables if t not in held]
        # The last days of all before any other day: to read the whole of a dataset that does not
        # have the content takes longer than the trend.
        looks = list(
            zip(*(_looked_at(_held(lake, table, need), days) for table in held), strict=True)
        )
        for look in looks[: _EDGES if quick else None]:
            of_tables = zip(held, look, strict=True)
            lacking = {t.dataset: _lacking(lake, t, need, span) for t, span in of_tables}
            if fits := [name for name, lack in lacking.items() if not lack]:
                return InputSource(need, fits[0], tuple(fits[1:]))
            lacks += [lack for lack in lacking.values() if lack]
    return min(lacks, key=lambda lack: lack[0])[1] if lacks else _kinds(need.kind)


def _held(lake: Lake, table: Table, need: Input) -> list[Day]:
    """The days that the input can have: of rollups those that have outlived their table, too."""
    outlived = () if need.kind == "documents" else rollups_of(lake, table).manifests
    return sorted({*table.manifests, *outlived})


def _looked_at(held: list[Day], days: _Days | None) -> list[_Days]:
    """The range's last day, its first day, then all days."""
    inside = [day for day in held if days and days[0] <= day < days[1]] or held
    return [(inside[-1], inside[-1]), (inside[0], inside[0]), (held[0], held[-1])]


def _candidates(lake: Lake, need: Input, chosen: str | None) -> tuple[list[str], list[str]]:
    """The datasets whose system has such rows, and those that are read where none of them fits."""
    first: list[str] = []
    others: list[str] = []
    for dataset in lake.settings.dataset:
        if chosen in (None, dataset.name):
            (first if dataset.rows_are in (None, need.rows_are) else others).append(dataset.name)
    return first, others


def _read_manifests(lake: Lake, trend: Trend, needs: Iterable[Input], chosen: str | None) -> None:
    """At once, those of rollups as well: on S3 one after the other takes most of the time."""
    names = {dataset for dataset in trend.inputs if dataset in lake.datasets}
    for need in needs:
        candidates, _ = _candidates(lake, need, chosen)
        names.update(candidates)
        if need.kind != "documents":
            names.update(map(hourly, candidates))
    lake.read_tables(names)


def _lacking(lake: Lake, table: Table, need: Input, looked_at: _Days) -> tuple[int, str] | None:
    """How far the dataset is from fitting, and what it lacks; None where it fits."""
    kind = kind_of(table) or lake.settings.dataset_named(table.dataset).rows_are
    if kind != need.rows_are:
        return 4, _kinds(need.kind)
    if need.kind == "lines" and table.level_from is None:
        return 2, f"view {with_level(table.dataset)}: a dataset has its name"
    absent = [
        column
        for column in need.columns
        if column.needed and _is_absent(lake, table, column, looked_at)
    ]
    if need.metrics and not metrics_of(lake, table, *looked_at, need.kind) & {*need.metrics}:
        newest = _held(lake, table, need)[-1]
        return 2, _metric_lack(table, need, newest, metrics_of(lake, table, newest, newest))
    if absent:
        what = "; no ".join(column.describe() for column in absent)
        return (1 if need.metrics or len(absent) < len(need.columns) else 2), what
    return None


def _metric_lack(table: Table, need: Input, newest: Day, metrics: Set[str]) -> str:
    """The metric by its first name; the dataset's metrics that are most like it."""
    name, *others = need.metrics
    kind = "native histogram" if need.kind == "histogram" else "metric"
    wanted = f"{kind} {name}" + (f" or {_names(len(others))}" if others else "")
    near = get_close_matches(name, sorted(metrics), len(metrics) or 1, 0)
    shown = ", ".join(near[:_SHOWN]) + (", …" if len(near) > _SHOWN else "")
    return f"{wanted}: {table.dataset} has {shown or 'no metrics'} on {newest}"


def _names(number: int) -> str:
    return "another name of it" if number == 1 else f"{number} other names of it"


def _is_absent(lake: Lake, table: Table, column: InputColumn, looked_at: _Days) -> bool:
    """Whether no day has the column; of entries of the map whether no row of the days looked at."""
    if column.path:
        return column_of(table, column) is None
    rollups = rollups_of(lake, table)
    if any(_has_column(part, label) for part in (table, rollups) for label in column.labels):
        return False
    start, end = looked_at
    for part, within in ((rollups, rollups.manifests), (table, rollups.unrolled)):
        there = column_of(part, column)
        held = any(start <= day <= end for day in within)
        if there and held and _any_row(lake, part, there, start, end):
            return False
    return True


def _any_row(lake: Lake, table: Table, value: str, first: Day, last: Day) -> bool:
    """Whether a row of the days has the value."""
    braced = value.replace("{", "{{").replace("}", "}}")
    statement = f"SELECT 1 FROM {{between}} WHERE {braced} IS NOT NULL LIMIT 1"  # noqa: S608
    return bool(_rows(lake, table, statement, first, last))


def _kinds(kind: Kind) -> str:
    return {
        "counter": "dataset of metrics",
        "histogram": "dataset of metrics",
        "lines": "dataset of log lines",
    }.get(kind, "dataset of documents")


def column_of(table: Table, column: InputColumn, *, plain: bool = False) -> str | None:
    """SQL of the column's value in a row of the dataset; None where no day has it. `plain`: of
    numbers to be read as text, equal ones are one text (DuckDB's alone).
    """
    if column.path:
        return _field(table, column, plain=plain)
    labels = [text for label in column.labels if (text := _label(table, label))]
    return (f"coalesce({', '.join(labels)})" if len(labels) > 1 else labels[0]) if labels else None


def _label(table: Table, label: str) -> str | None:
    """A column where the name alone decides that the label has one, else an entry of the map."""
    if _has_column(table, label):
        return quoted_name(label)
    if label == label.lower() and label not in _own_columns(table):
        return None
    return f"{_MAP}[{quoted_text(label)}]" if _MAP in table.tree.members else None


def _has_column(table: Table, label: str) -> bool:
    """Whether it has a column of its own."""
    if label == _LEVEL and _STREAM in table.tree.members:
        return True  # the line's level, which the view adds, and not a label of that name
    is_own = label == label.lower() and label not in _own_columns(table)
    return is_own and folded(label) in table.tree.members


def _own_columns(table: Table) -> frozenset[str]:
    """The columns that are no labels, of a rollup its measures and keys as well, and what its
    macros add.
    """
    names = next((own for key, own in _NO_LABELS.items() if key in table.tree.members), frozenset())
    for manifest in table.manifests.values():
        definition = getattr(manifest, "definition", {})
        if "measures" in definition:
            added = _ADDED if "series_id" in table.tree.members else ()
            return names.union(definition["keys"], definition["measures"], added)
    return names


def _field(table: Table, column: InputColumn, *, plain: bool) -> str | None:
    """Where a sub-document or an array is another type on some days, the column is JSON text over
    ranges with such days: it is read as JSON, which a STRUCT or a LIST can become, too.
    """
    text, node, as_json = "", table.tree, False
    for name in column.path:
        if folded(name) not in node.members:
            return None
        as_json |= node.varying
        node = node.members[folded(name)]
        if as_json:
            member = quoted_text(f'$."{node.name}"')
            text = f"(TRY_CAST({text} AS JSON) ->> {member})"
        else:
            text = f"{text}.{quoted_name(node.name)}" if text else quoted_name(node.name)
    if column.type == "ANY":
        return text
    if column.type.upper() == NUMBER:
        number, days = read_as(text, NUMBER, node), sorted(table.manifests)
        on_days = on_days_of_numbers([node], days)
        return f"CASE WHEN {on_days} THEN {number} END" if on_days else number
    if plain and column.type.upper() == TEXT and not as_json:
        text = as_text(text, node)
    if _NESTED.search(column.type):
        kind = with_numbers_as("DOUBLE", column.type)
        text = _nested(text, node, kind, as_json=as_json)
    return read_as(text, column.type, node)


def _nested(text: str, node: Node, kind: str, *, as_json: bool) -> str:
    """What can be cast to the nested type: DuckDB casts STRUCTs by names, in any case, and refuses
    those without any of the type's; JSON by names in their case.
    """
    item, varying, lists = node, node.varying, ""
    of_item = kind
    while item.item and _OF_ITEMS.search(of_item):
        item, of_item, lists = item.item, _OF_ITEMS.sub("", of_item), f"{lists}[]"
        varying |= item.varying
    try:
        by_name = any(folded(name) in item.members for name, _ in parsed_type(of_item).children)
    except duckdb.Error:
        return text  # the statement's own error names the type
    if by_name and not varying and not as_json:
        return text
    text = f"TRY_CAST({text} AS JSON)"
    if by_name and LIST in node.variants:
        masks = {n.number: (1 << len(n.variants)) - 1 for n in node.varying_nodes()}
        if item.varying:  # over some ranges the elements are text, of a document its JSON
            text = f"TRY_CAST(TRY_CAST({text} AS VARCHAR{lists}) AS JSON{lists})"
        elements = resolved(type_as(item, STRUCT), masks)
        text = f"TRY_CAST({text} AS {elements}{lists})"
    return text


def metrics_of(lake: Lake, table: Table, first: Day, last: Day, kind: Kind = "counter") -> Set[str]:
    """The metrics of the days from first to last; for the kind `histogram` those that have native
    histograms. Several trends look for theirs in the same days: a session reads each once.
    """
    known = _METRICS.setdefault(lake, {})
    looked_for = (table.dataset, first, last, kind == "histogram")
    if looked_for not in known:
        known[looked_for] = _metrics_of(lake, table, first, last, kind)
    return known[looked_for]


def _metrics_of(lake: Lake, table: Table, first: Day, last: Day, kind: Kind) -> frozenset[str]:
    statement = "SELECT DISTINCT metric FROM {between}"
    if kind == "histogram":
        statement += f" WHERE {_HISTOGRAM} IS NOT NULL"
    rollups = rollups_of(lake, table)
    metrics: set[str] = set()
    for part, within in ((rollups, rollups.manifests), (table, rollups.unrolled)):
        days = _with_histograms(part, within) if kind == "histogram" else set(within)
        if any(first <= day <= last for day in days):
            rows = _rows(lake, part, statement, first, last)
            metrics |= {metric for (metric,) in rows if metric is not None}
    return frozenset(metrics)


def _with_histograms(table: Table, days: Iterable[Day]) -> set[Day]:
    """Those that may have a native histogram: a rollup's manifest has their number."""
    if _HISTOGRAM not in table.tree.members:
        return set()
    return {day for day in days if getattr(table.manifests[day], "sums", {}).get("histograms") != 0}


def _rows(lake: Lake, table: Table, statement: str, first: Day, last: Day) -> list[tuple[Any, ...]]:
    """The answer of a statement over these days of the dataset, or of rollups."""
    end = last.plus(1)
    given = {"first": first.date, "end": end.date}
    if not table.rolled_up:
        between = f"{quoted_name(f'{table.dataset}_between')}($first, $end)"
        return list(lake.ask(statement.format(between=between), given).rows)
    between = f"{hourly_macro(lake, table, first, end)}($first, $end)"
    with explained(lake.settings.lake.root):
        return lake.connection.execute(statement.format(between=between), given).fetchall()
