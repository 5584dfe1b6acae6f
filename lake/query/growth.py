"""What the growth of counters does not include, or includes too much of, and no row shows.

Belongs here: the day before a range that is not in the lake, days from which on the dataset has
another query, and their SQL. Does not: days of the range itself (notes), metrics that are not
there (metrics).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from itertools import pairwise

from lake.base.day import Day
from lake.partition.manifest import Manifest
from lake.query.kinds import folded, quoted_text
from lake.query.notes import ranges_of
from lake.query.question import Question, Range, Reads
from lake.query.tables import Table

_OF_ROWS = frozenset({"counter_increase", "hour_growth"})
"""Macros that compute growth from rows, of whatever days the statement reads."""
_STARTS = "query_starts_of"
NO_STARTS = "CAST([] AS TIMESTAMPTZ[])"


def unsure(table: Table, base: Table, reads: Reads | None, question: Question) -> Iterator[str]:
    """Sentences about the growth that a statement computes; `base` is the dataset's own table,
    where the table that it reads is that of rollups, too.
    """
    has_growth = bool(question.functions & _OF_ROWS)
    of_rows = has_growth and _STARTS not in question.functions
    ranges = (days for days in ranges_of(reads, question) if days.with_before or has_growth)
    yield from unsure_over(base, ranges, table.manifests, of_rows=of_rows)


def unsure_over(
    base: Table, ranges: Iterable[Range], rolled: Iterable[Day] = (), *, of_rows: bool = False
) -> Iterator[str]:
    """The same of growth over ranges of days; `rolled`: those whose rollups are read. `of_rows`: by
    macros that do not know the dataset.
    """
    held = {*base.manifests, *rolled}
    for days in dict.fromkeys(ranges):
        read = days
        if days.start and days.with_before:
            read = Range(days.start.plus(-1), days.end)
            yield from _without_day_before(base.dataset, held, days)
        yield from _of_other_queries(base, read, of_rows=of_rows)


def _without_day_before(dataset: str, held: Set[Day], days: Range) -> Iterator[str]:
    """Before the lake's first day there is none to miss."""
    before = days.start and days.start.plus(-1)
    if before and before not in held and any(day < before for day in held):
        yield (
            f"{dataset}: {before} is not in the lake: the growth up to the first samples "
            "after it is not included"
        )


def _of_other_queries(base: Table, days: Range, *, of_rows: bool) -> Iterator[str]:
    """A series that the query before did not select has no sample before, and may be old."""
    for before, day in _changes(base):
        if days.has(before) and days.has(day):
            since = f"{base.dataset}: another query since {day}"
            if of_rows:
                yield f"{since}: series that only this one selects may be older, and count from 0"
            else:
                yield (
                    f"{since}: what series that only this one selects had counted before is not "
                    "included"
                )


def _changes(base: Table) -> Iterator[tuple[Day, Day]]:
    """Pairs of days in the lake that follow one another, of different queries."""
    queries = [
        (day, manifest.definition["query"])
        for day, manifest in sorted(base.manifests.items())
        if isinstance(manifest, Manifest) and "query" in manifest.definition
    ]
    for (before, query_before), (day, query) in pairwise(queries):
        if query != query_before:
            yield before, day


def query_changes(base: Table) -> list[Day]:
    """The days since which the dataset has another query."""
    return [day for _, day in _changes(base)]


def starts_literal(base: Table) -> str:
    """SQL of these days, as `query_start_of` takes them."""
    starts = (f"TIMESTAMPTZ '{day} 00:00:00Z'" for day in query_changes(base))
    listed = ", ".join(starts)
    return f"[{listed}]" if listed else NO_STARTS


def starts_macro(literals: Mapping[str, str]) -> str:
    """The CREATE statement of `query_starts_of`, of the literals of datasets."""
    cases = "".join(
        f" WHEN {quoted_text(folded(name))} THEN {text}" for name, text in literals.items()
    )
    body = f"CASE lower(of_dataset){cases} ELSE {NO_STARTS} END" if cases else NO_STARTS
    return f"CREATE OR REPLACE MACRO query_starts_of(of_dataset) AS {body}"
