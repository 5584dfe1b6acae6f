"""Why the growth of a metric is empty: the metric is not there, or is of another kind.

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
_NATIVE = "histogram_"  # macros of native histograms begin with it


def with_metric_notes(
    rows: Iterator[tuple[Any, ...]], question: Question, connection: duckdb.DuckDBPyConnection
) -> tuple[Iterator[tuple[Any, ...]], tuple[str, ...]]:
    """The same rows, and where there are none, or one of NULL alone, which metrics are not there.

    Reads nothing for other answers.
    """
    if not question.growths:
        return rows, ()
    first = list(islice(rows, 2))
    if len(first) > 1 or any(value is not None for row in first for value in row):
        return chain(first, rows), ()
    sentences = (_sentence(growth, connection) for growth in question.growths)
    return iter(first), tuple(dict.fromkeys(filter(None, sentences)))


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
