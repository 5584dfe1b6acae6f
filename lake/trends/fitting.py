"""Which datasets of a lake have the content that a trend needs.

Belongs here: what a dataset holds, by its manifests' schemas and the metrics of its newest day.
Does not: SQL of an answer (reading).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches

from lake.base.day import Day
from lake.base.errors import UsageError
from lake.query import Lake
from lake.query.hourly import hourly
from lake.query.kinds import folded, quoted_name, quoted_text
from lake.query.levels import with_level
from lake.query.merged import Node
from lake.query.tables import Table
from lake.query.timeline import kind_of
from lake.trends.files import Trend
from lake.trends.needs import Column, Input, Kind

_MAP = "labels"
_LEVEL, _STREAM = "level", "stream_id"
# A table's columns that are no labels, by the column that identifies a row's series or stream: a
# label of such a name is in the map. `metric` may be chosen as if it were a label.
_NO_LABELS = {
    "series_id": frozenset({"series_id", "day", "ts", "value", "nan", "histogram", _MAP}),
    _STREAM: frozenset({_STREAM, "day", "ts", "ts_ns", "line", "metadata", _MAP}),
}
_SHOWN = 3


@dataclass(frozen=True)
class Choices:
    """What the user has chosen: the options' values, and the dataset."""

    options: Mapping[str, str] = field(default_factory=dict)
    dataset: str | None = None


@dataclass(frozen=True)
class Source:
    """An input and the dataset that has its content; `others` have it, too."""

    need: Input
    dataset: str
    others: tuple[str, ...] = ()


@dataclass(frozen=True)
class Fit:
    """A trend on a lake: its sources, or what the lake lacks."""

    trend: Trend
    sources: tuple[Source, ...]
    lacks: tuple[str, ...] = ()

    @property
    def datasets(self) -> list[str]:
        """All that are read, each once."""
        return list(dict.fromkeys([*(s.dataset for s in self.sources), *self.trend.inputs]))


def fit(lake: Lake, trend: Trend, choices: Choices, days: tuple[Day, Day] | None = None) -> Fit:
    """What fits, `days` [start, end) before others. Raises LakeError where a read fails."""
    known = {dataset.name for dataset in lake.settings.dataset}
    if choices.dataset is not None and choices.dataset not in known:
        lake.settings.dataset_named(choices.dataset)  # raises, naming the valid ones
    lacks = [f"dataset {name}" for name in trend.inputs if name not in known]
    sources = []
    for need in trend.needs:
        source = _source(lake, need.filled(dict(choices.options)), choices.dataset, days)
        if isinstance(source, Source):
            sources.append(source)
        else:
            lacks.append(source)
    return Fit(trend, tuple(sources), tuple(lacks))


def require_fit(fitted: Fit) -> None:
    """Raises UsageError where the lake lacks something."""
    if fitted.lacks:
        raise UsageError(
            f"the trend {fitted.trend.name!r} does not fit this lake",
            found=f"no {'; no '.join(fitted.lacks)}",
            remedy="`lake trend` lists the trends that fit; `lake describe` lists columns",
        )


def _source(
    lake: Lake, need: Input, chosen: str | None, days: tuple[Day, Day] | None
) -> Source | str:
    """A source, or what is lacking: of the dataset that lacks the least."""
    names = [chosen] if chosen else [dataset.name for dataset in lake.settings.dataset]
    fits, lacks = [], []
    for name in names:
        lacking = _lacking(lake, lake.table(name), need, days)
        if not lacking:
            fits.append(name)
        else:
            lacks.append(lacking)
    if fits:
        return Source(need, fits[0], tuple(fits[1:]))
    return min(lacks, key=lambda lack: lack[0])[1] if lacks else _kinds(need.kind)


def _lacking(
    lake: Lake, table: Table, need: Input, days: tuple[Day, Day] | None
) -> tuple[int, str] | None:
    """How far the dataset is from fitting, and what it lacks; None where it fits."""
    kind = kind_of(table)
    if kind is None:
        return 3, f"day of {table.dataset} in the lake"
    if kind != need.kind:
        return 4, _kinds(need.kind)
    if kind == "lines" and table.level_from is None:
        return 2, f"view {with_level(table.dataset)}: a dataset has its name"
    absent = [
        column for column in need.columns if column.needed and _is_absent(lake, table, column, days)
    ]
    if need.metrics and not _has_metric(lake, table, need, days):
        newest = max(table.manifests)
        return 2, _metric_lack(table, need, newest, metrics_of(lake, table, newest, newest))
    if absent:
        what = "; no ".join(column.describe() for column in absent)
        return (1 if need.metrics or len(absent) < len(need.columns) else 2), what
    return None


def _metric_lack(table: Table, need: Input, newest: Day, metrics: set[str]) -> str:
    """The metric by its first name; the dataset's metrics that are most like it."""
    name, *others = need.metrics
    wanted = f"metric {name}" + (f" or {_names(len(others))}" if others else "")
    near = get_close_matches(name, sorted(metrics), len(metrics) or 1, 0)
    shown = ", ".join(near[:_SHOWN]) + (", …" if len(near) > _SHOWN else "")
    return f"{wanted}: {table.dataset} has {shown or 'no metrics'} on {newest}"


def _names(number: int) -> str:
    return "another name of it" if number == 1 else f"{number} other names of it"


def _is_absent(lake: Lake, table: Table, column: Column, days: tuple[Day, Day] | None) -> bool:
    """Whether no day has the column; of entries of the map whether no row of the days looked at."""
    value = column_of(table, column)
    if value is None or column.path or any(_has_column(table, label) for label in column.labels):
        return value is None
    rollups = rollups_of(lake, table)
    for start, end in _looked_at(table, days):
        for part, within in ((rollups, rollups.manifests), (table, rollups.unrolled)):
            there = column_of(part, column)
            held = any(start <= day <= end for day in within)
            if there and held and _any_row(lake, part, there, start, end):
                return False
    return True


def _any_row(lake: Lake, table: Table, value: str, first: Day, last: Day) -> bool:
    """Whether a row of the days has the value."""
    between = quoted_name(f"{table.dataset}_between")
    answer = lake.ask(
        f"SELECT 1 FROM {between}($first, $last) WHERE {value} IS NOT NULL LIMIT 1",  # noqa: S608
        {"first": first.date, "last": last.plus(1).date},
    )
    return bool(list(answer.rows))


def _kinds(kind: Kind) -> str:
    return {"counter": "dataset of metrics", "lines": "dataset of log lines"}.get(
        kind, "dataset of documents"
    )


def rollups_of(lake: Lake, table: Table) -> Table:
    """The dataset's rollups; none where another dataset has their view's name."""
    rollups = lake.table(hourly(table.dataset))
    if rollups.rolled_up == table.dataset:
        return rollups
    return replace(
        rollups,
        manifests={},
        rolled_up=table.dataset,
        unrolled=frozenset(table.manifests),
    )


def column_of(table: Table, column: Column) -> str | None:
    """SQL of the column's value in a row of the dataset; None where no day has it."""
    if column.path:
        return _field(table.tree, column)
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
    """The columns that are no labels, of a rollup its measures and keys as well."""
    names = next((own for key, own in _NO_LABELS.items() if key in table.tree.members), frozenset())
    for manifest in table.manifests.values():
        definition = getattr(manifest, "definition", {})
        if "measures" in definition:
            return names.union(definition["keys"], definition["measures"])
    return names


def _field(tree: Node, column: Column) -> str | None:
    names, node = [], tree
    for name in column.path:
        if folded(name) not in node.members:
            return None
        node = node.members[folded(name)]
        names.append(quoted_name(node.name))
    text = ".".join(names)
    return text if column.type == "ANY" else f"TRY_CAST({text} AS {column.type})"


def _has_metric(lake: Lake, table: Table, need: Input, days: tuple[Day, Day] | None) -> bool:
    wanted = set(need.metrics)
    return any(wanted & metrics_of(lake, table, *looked) for looked in _looked_at(table, days))


def _looked_at(table: Table, days: tuple[Day, Day] | None) -> list[tuple[Day, Day]]:
    """The range's last and first day, then all days."""
    held = sorted(table.manifests)
    inside = [day for day in held if days and days[0] <= day < days[1]] or held
    return [(inside[-1], inside[-1]), (inside[0], inside[0]), (held[0], held[-1])]


def metrics_of(lake: Lake, table: Table, first: Day, last: Day) -> set[str]:
    """The metrics of the days from first to last."""
    rollups = rollups_of(lake, table)
    between = first.date, last.plus(1).date
    names = (
        [hourly(table.dataset)] if any(first <= day <= last for day in rollups.manifests) else []
    )
    if any(first <= day <= last for day in rollups.unrolled):
        names.append(table.dataset)
    metrics: set[str] = set()
    for name in names:
        answer = lake.ask(
            f"SELECT DISTINCT metric FROM {quoted_name(f'{name}_between')}($first, $last)",  # noqa: S608
            dict(zip(("first", "last"), between, strict=True)),
        )
        metrics |= {metric for (metric,) in answer.rows if metric is not None}
    return metrics
