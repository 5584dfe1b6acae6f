"""A dataset's columns: types, how many days and rows have them, what they leave out.

Belongs here: putting it together from manifests and Parquet statistics. Does not: printing.

Rows are counted from the statistics in the objects' footers; only columns that are LISTs are
read. An example comes from the first rows of the newest day that has any.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from lake.base.day import Day
from lake.partition.definition import has_other_rules
from lake.partition.layout import table_key
from lake.partition.manifest import Manifest
from lake.partition.rollups import AnyManifest
from lake.query import Lake
from lake.query.casts import type_of
from lake.query.kinds import quoted_name, quoted_text
from lake.query.merged import STRUCT, Node
from lake.query.notes import left_out_others
from lake.query.tables import Table, without_patterns
from lake.query.texts import resolved

DAYS = 31  # that are described where no range is given
_SAMPLE_ROWS = 2048
_EXAMPLE_CHARS = 80
_COLUMNS = 1000  # that are described at most
_SEPARATOR = ", "  # of a path's names, in DuckDB's Parquet metadata


@dataclass(frozen=True)
class DescribedColumn:
    """A column, or a member of a STRUCT by its path.

    `days` and `rows` have a value there; `left_out` values are in `_rest` only. `first` and `last`
    of those days are None where there is none.
    """

    path: str
    type: str
    days: int
    first: Day | None
    last: Day | None
    rows: int
    left_out: int
    example: str | None


@dataclass(frozen=True)
class Description:
    """A dataset over [first, last]; both None where the lake has no day of it.

    `without_column` are the values under names that have no column, by path; `others` sums the
    paths that the manifests do not name: `paths` and `values`. `held` are the lake's first and
    last day of the dataset. `rules` are those of its columns, as configured now; `other_rules` all
    days in the lake that were exported under others.
    """

    dataset: str
    first: Day | None
    last: Day | None
    days: int
    rows: int
    columns: tuple[DescribedColumn, ...] = ()
    without_column: dict[str, int] = field(default_factory=dict)
    others: dict[str, int] = field(default_factory=dict)
    held: tuple[Day, Day] | None = None
    rules: tuple[dict[str, Any], ...] = ()
    other_rules: tuple[Day, ...] = ()


def describe(
    lake: Lake, dataset: str, start: Day | None = None, end: Day | None = None
) -> Description:
    """The dataset over [start, end); the newest DAYS days where both are None. Raises LakeError."""
    whole = lake.table(dataset).manifests
    chosen = sorted(d for d in whole if (not start or d >= start) and (not end or d < end))
    if not start and not end:
        chosen = chosen[-DAYS:]
    held = (min(whole), max(whole)) if whole else None
    configured = lake.settings.dataset_named(dataset)
    other_rules = tuple(
        day
        for day, manifest in sorted(whole.items())
        if isinstance(manifest, Manifest) and has_other_rules(configured, manifest)
    )
    rules = tuple(configured.recorded_rules()), other_rules
    if not chosen:
        return Description(dataset, None, None, 0, 0, (), {}, {}, held, *rules)
    table = lake.table(dataset)
    days = sorted(whole)
    window = sum(1 << number for number, day in enumerate(days) if day in set(chosen))
    has_rows = sum(1 << number for number, day in enumerate(days) if whole[day].rows) & window
    filled = [day for day in chosen if whole[day].rows]
    leaves = [leaf for leaf in _leaves(table.tree, ()) if leaf[1].days & window][:_COLUMNS]
    left_out = _left_out([whole[day] for day in chosen])
    rows = _rows(lake, table, filled, leaves)
    examples = _examples(lake, dataset, filled[-1], leaves) if filled else {}
    masks = {node.number: node.mask(window) for node in table.tree.varying_nodes()}
    columns = tuple(
        DescribedColumn(
            path=".".join(path),
            type=resolved(type_of(node), masks),
            **_span(days, node.days & has_rows),
            rows=rows.get(path, 0),
            left_out=left_out.pop(".".join(path), 0),
            example=examples.get(path),
        )
        for path, node in leaves
    )
    total = sum(whole[day].rows for day in chosen)
    others = left_out_others([whole[day] for day in chosen])
    return Description(
        dataset, chosen[0], chosen[-1], len(chosen), total, columns, left_out, others, held, *rules
    )


def _span(days: Sequence[Day], bits: int) -> dict[str, Any]:
    """The number, the first and the last of the days that a set of bits has."""
    first = days[(bits & -bits).bit_length() - 1] if bits else None
    last = days[bits.bit_length() - 1] if bits else None
    return {"days": bits.bit_count(), "first": first, "last": last}


Leaf = tuple[tuple[str, ...], Node]


def _leaves(node: Node, path: tuple[str, ...]) -> Iterator[Leaf]:
    """Columns and members that are no STRUCTs themselves."""
    for member in node.members.values():
        inner = (*path, member.name)
        if member.form == STRUCT:
            yield from _leaves(member, inner)
        else:
            yield inner, member


def _left_out(manifests: Sequence[AnyManifest]) -> dict[str, int]:
    sums: dict[str, int] = {}
    for manifest in manifests:
        left_out = manifest.details.get("left_out")
        for path, number in left_out.items() if isinstance(left_out, dict) else ():
            sums[path] = sums.get(path, 0) + int(number)
    return sums


def _rows(
    lake: Lake, table: Table, days: Sequence[Day], leaves: Sequence[Leaf]
) -> dict[tuple[str, ...], int]:
    """Rows with a value, by path."""
    if not days:
        return {}
    files = ", ".join(
        quoted_text(without_patterns(table.url(table_key(table.dataset, day)))) for day in days
    )
    counted = lake.rows(
        "SELECT lower(path_in_schema) AS path, "  # noqa: S608  all names are quoted
        "CAST(sum(num_values - stats_null_count) AS BIGINT) AS n, "
        "count(*) = count(stats_null_count) AS whole "
        f"FROM parquet_metadata([{files}]) GROUP BY ALL"
    )
    # Where some days have a STRUCT or a LIST their leaves have longer paths.
    nested = {above for row in counted for above in _above(row["path"])}
    counts = {
        row["path"]: row["n"] for row in counted if row["whole"] and row["path"] not in nested
    }
    rows = {path: counts[_key(path)] for path, _ in leaves if _key(path) in counts}
    others = [(path, node) for path, node in leaves if path not in rows]
    if others:
        rows |= _counted(lake, table.dataset, days, others)
    return rows


def _above(path: str) -> Iterator[str]:
    while path := path.rpartition(_SEPARATOR)[0]:
        yield path


def _key(path: tuple[str, ...]) -> str:
    return _SEPARATOR.join(path).lower()


def _counted(
    lake: Lake, dataset: str, days: Sequence[Day], leaves: Sequence[Leaf]
) -> dict[tuple[str, ...], int]:
    counts = ", ".join(f"count({_expression(path)}) AS c{n}" for n, (path, _) in enumerate(leaves))
    between = quoted_name(f"{dataset}_between")
    (row,) = lake.rows(
        f"SELECT {counts} FROM {between}(DATE '{days[0]}', DATE '{days[-1].plus(1)}')"  # noqa: S608
    )
    return {path: row[f"c{n}"] for n, (path, _) in enumerate(leaves)}


def _examples(
    lake: Lake, dataset: str, day: Day, leaves: Sequence[Leaf]
) -> dict[tuple[str, ...], str]:
    """A short value of each column."""
    between = quoted_name(f"{dataset}_between")
    values = ", ".join(
        f"left(CAST(any_value({_expression(path)}) AS VARCHAR), {_EXAMPLE_CHARS}) AS c{n}"
        for n, (path, _) in enumerate(leaves)
    )
    (row,) = lake.rows(
        f"SELECT {values} FROM (FROM {between}(DATE '{day}', DATE '{day.plus(1)}') "  # noqa: S608
        f"LIMIT {_SAMPLE_ROWS})"
    )
    examples = {path: row[f"c{n}"] for n, (path, _) in enumerate(leaves)}
    return {path: value for path, value in examples.items() if value is not None}


def _expression(path: tuple[str, ...]) -> str:
    first, *members = path
    text = quoted_name(first)
    for name in members:
        text = f"struct_extract({text}, {quoted_text(name)})"
    return text


def as_json(described: Description) -> dict[str, Any]:
    """The description as `lake describe --json` prints it."""
    return {
        "dataset": described.dataset,
        "from": str(described.first) if described.first else None,
        "to": str(described.last.plus(1)) if described.last else None,
        "days": described.days,
        "rows": described.rows,
        "columns": [
            {
                "column": column.path,
                "type": column.type,
                "days": column.days,
                "first_day": str(column.first) if column.first else None,
                "last_day": str(column.last) if column.last else None,
                "rows": column.rows,
                "left_out": column.left_out,
                "example": column.example,
            }
            for column in described.columns
        ],
        "without_column": described.without_column,
        "others": described.others,
        "rules": list(described.rules),
        "other_rules": [str(day) for day in described.other_rules],
    }
