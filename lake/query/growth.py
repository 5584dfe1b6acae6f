"""What the growth of counters does not include, or includes too much of, and no row shows.

Belongs here: the day before a range that is not in the lake, days from which on the dataset has
another query. Does not: days of the range itself (notes), metrics that are not there (metrics).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from itertools import pairwise

from lake.base.day import Day
from lake.partition.manifest import Manifest
from lake.query.notes import ranges_of
from lake.query.question import Question, Range, Reads
from lake.query.tables import Table

_OF_ROWS = frozenset({"counter_increase", "hour_growth"})
"""Macros that compute growth from rows, of whatever days the statement reads."""


def unsure(table: Table, base: Table, reads: Reads | None, question: Question) -> Iterator[str]:
    """Sentences about the growth that a statement computes; `base` is the dataset's own table,
    where the table that it reads is that of rollups, too.
    """
    of_rows = bool(question.functions & _OF_ROWS)
    ranges = (days for days in ranges_of(reads, question) if days.with_before or of_rows)
    yield from unsure_over(base, ranges, table.manifests)


def unsure_over(base: Table, ranges: Iterable[Range], rolled: Iterable[Day] = ()) -> Iterator[str]:
    """The same of growth over ranges of days; `rolled`: those whose rollups are read."""
    held = {*base.manifests, *rolled}
    for days in dict.fromkeys(ranges):
        read = days
        if days.start and days.with_before:
            read = Range(days.start.plus(-1), days.end)
            yield from _without_day_before(base.dataset, held, days)
        yield from _of_other_queries(base, read)


def _without_day_before(dataset: str, held: Set[Day], days: Range) -> Iterator[str]:
    """Before the lake's first day there is none to miss."""
    before = days.start and days.start.plus(-1)
    if before and before not in held and any(day < before for day in held):
        yield (
            f"{dataset}: {before} is not in the lake: the growth up to the first samples "
            "after it is not included"
        )


def _of_other_queries(base: Table, days: Range) -> Iterator[str]:
    """A series that the query before did not select looks like one that was born."""
    of_days = [(day, base.manifests[day]) for day in sorted(base.manifests) if days.has(day)]
    queries = [
        (day, manifest.definition["query"])
        for day, manifest in of_days
        if isinstance(manifest, Manifest) and "query" in manifest.definition
    ]
    for (_, before), (day, query) in pairwise(queries):
        if query != before:
            yield (
                f"{base.dataset}: another query since {day}: series that only this one selects may "
                "be older, and count from 0"
            )
