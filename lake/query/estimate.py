"""How many bytes a statement reads, before it runs.

Belongs here: the estimate from manifests and the footer of a few objects. Does not: seconds and
prices (lake.answerability), reading the statement (question).

Manifests have an object's bytes, not those of its columns. These come from the footer of the
largest object of the range: its columns' shares are taken to be those of the other days. What
row groups' statistics let DuckDB leave out is not deducted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from lake.base.day import Day
from lake.partition.rollups import AnyManifest
from lake.query.kinds import quoted_text
from lake.query.levels import LINE
from lake.query.notes import ranges_of
from lake.query.question import Question
from lake.query.session import Lake
from lake.query.tables import Table, without_patterns

LARGE = 10**9
"""Bytes from which a query is announced."""
_LEVEL = "level"
_READ_FOR_LEVEL = frozenset({LINE, "metadata", "labels"})


@dataclass(frozen=True)
class Estimate:
    """What a statement reads of one table: `bytes` of the columns in `objects`, of which the
    whole objects have `all_bytes`. Compressed, as stored.
    """

    dataset: str
    objects: int
    bytes: int
    all_bytes: int


def estimate(lake: Lake, sql: str, at_least: int = 0) -> list[Estimate]:
    """For each table that the statement reads. A footer is read only of tables whose objects
    have `at_least` bytes together, all columns counted; others are counted whole. Raises LakeError.
    """
    question = lake.understood(sql)
    return [
        _estimated(lake, table, touched_days(table, question), question, at_least)
        for table in tables_read(lake, sql, question)
    ]


def large_read_note(lake: Lake, sql: str) -> str | None:
    """A sentence where the statement reads a gigabyte or more. Raises LakeError."""
    estimates = estimate(lake, sql, LARGE)
    size = sum(table.bytes for table in estimates)
    if size < LARGE:
        return None
    objects = sum(table.objects for table in estimates)
    names = ", ".join(table.dataset for table in estimates if table.bytes)
    return (
        f"reads about {size / 1e9:,.1f} GB in {objects:,} objects ({names}); fewer days or columns "
        "read less"
    )


def tables_read(lake: Lake, sql: str, question: Question) -> Iterator[Table]:
    """Those of a statement; of one that is not understood those that it mentions."""
    names = question.datasets if question.understood else lake.mentioned(sql)
    yield from map(lake.table, names)


def touched_days(table: Table, question: Question) -> dict[Day, AnyManifest]:
    """The days in the lake that the statement reads."""
    ranges = ranges_of(question.datasets.get(table.dataset), question)
    return {
        day: manifest
        for day, manifest in table.manifests.items()
        if any(span.has(day) for span in ranges)
    }


def _estimated(
    lake: Lake, table: Table, days: dict[Day, AnyManifest], question: Question, at_least: int
) -> Estimate:
    whole = sum(manifest.bytes for manifest in days.values())
    share = 1.0
    if whole and whole >= at_least and not (question.every_column or question.reads_rest):
        largest = max(days, key=lambda day: days[day].bytes)
        share = _share(lake, table, largest, question)
    return Estimate(table.dataset, len(days), round(whole * share), whole)


def _share(lake: Lake, table: Table, day: Day, question: Question) -> float:
    """Of a day's bytes those in columns that the statement reads."""
    file = quoted_text(without_patterns(table.url(table.key(table.dataset, day))))
    columns = lake.rows(
        "SELECT lower(path_in_schema) AS path, CAST(sum(total_compressed_size) AS BIGINT) AS n "  # noqa: S608
        f"FROM parquet_metadata({file}) GROUP BY ALL"
    )
    total = sum(column["n"] for column in columns)
    wanted = set(_references(table, question))
    read = sum(
        column["n"] for column in columns if _is_read(column["path"].replace(", ", "."), wanted)
    )
    return read / total if total else 1.0


def _references(table: Table, question: Question) -> Iterator[str]:
    """Paths by dots. The first step of a reference may be the table's name."""
    for reference in question.columns:
        yield from (".".join(reference[first:]) for first in range(min(2, len(reference))))
    if table.level_from is not None and any(path[-1] == _LEVEL for path in question.columns):
        yield from (*_READ_FOR_LEVEL, *table.level_from)


def _is_read(path: str, references: Iterable[str]) -> bool:
    """Whether a reference is the path, or something above or below it."""
    return any(
        path == read or path.startswith(f"{read}.") or read.startswith(f"{path}.")
        for read in references
    )
