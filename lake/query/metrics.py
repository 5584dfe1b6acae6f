"""Why the growth of a metric is empty or means nothing: it is not there, or of another kind.

Belongs here: the check of an empty answer, the sentences. Does not: days that the lake lacks
(notes).
"""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from lake.query.kinds import quoted_name
from lake.query.notes import FIRST, LAST
from lake.query.question import GROWTH, Growth, Question

if TYPE_CHECKING:
    import duckdb

_SHOWN = 3
_COUNTERS = ("_total", "_sum", "_count", "_bucket")
_NATIVE = "histogram_"  # macros of native histograms begin with it


def with_metric_notes(
    rows: Iterator[tuple[Any, ...]], question: Question, connection: duckdb.DuckDBPyConnection
) -> tuple[Iterator[tuple[Any, ...]], tuple[str, ...]]:
    """The same rows, and which metrics may be no counters; where there are no rows, or one of NULL
    and 0 alone, also which are not there.

    Reads nothing for other answers.
    """
    if not question.growths:
        return rows, ()
    first = list(islice(rows, 2))
    is_empty = len(first) < 2 and all(value in (None, 0) for row in first for value in row)
    sentences = (
        (is_empty and _sentence(growth, connection)) or _no_counter(growth)
        for growth in question.growths
    )
    return chain(first, rows), tuple(dict.fromkeys(filter(None, sentences)))


def _no_counter(growth: Growth) -> str:
    of_natives = growth.macro.startswith(_NATIVE)
    return "" if of_natives else no_counter(growth.view, growth.metric)


def no_counter(table: str, metric: str) -> str:
    """That a metric may be none, by its name, as PromQL remarks of increase(); else ""."""
    if metric.endswith(_COUNTERS):
        return ""
    return (
        f"{table}: {metric} may be no counter, for its name does not end in "
        f"{', '.join(_COUNTERS)}: each fall counts as a reset"
    )


def _sentence(growth: Growth, connection: duckdb.DuckDBPyConnection) -> str:
    start, end = growth.days.start or FIRST, growth.days.end or LAST
    is_rollup = GROWTH[growth.macro] is not str
    natives, floats = ("histograms", "samples") if is_rollup else ("0", "1")
    held = connection.execute(
        f"SELECT metric, bool_or({natives} > 0), bool_or({floats} > 0) "  # noqa: S608  quoted
        f"FROM {quoted_name(f'{growth.view}_between')}($start, $end) GROUP BY metric",
        {"start": start.date, "end": end.date},
    ).fetchall()
    kinds = {metric: of for metric, *of in held if metric is not None}
    if not kinds:
        return ""  # the notes on missing days say more
    known = growth.days.start and growth.days.end
    days = f"from {start} to {end.plus(-1)}" if known else "on any day"
    if growth.metric not in kinds:
        near = get_close_matches(growth.metric, sorted(kinds), _SHOWN, 0)
        similar = f"; similar metrics: {', '.join(near)}" if near else ""
        return f"{growth.view}: no metric {growth.metric} {days}{similar}"
    has_natives, has_floats = kinds[growth.metric]
    if growth.macro.startswith(_NATIVE):
        other = growth.macro.removeprefix(_NATIVE)
        problem = "is not a native histogram" if has_floats else ""
    else:
        other = f"{_NATIVE}{growth.macro}"
        problem = "is a native histogram" if has_natives else ""
    return f"{growth.view}: {growth.metric} {problem}: use {other}" if problem else ""
