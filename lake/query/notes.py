"""What an answer lacks: days that are not in the lake, values that a column leaves out.

Belongs here: comparing what a statement reads with what the manifests say, the sentences.
Does not: reading the statement (asked), printing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lake.base.day import Day, day_range
from lake.query.asked import Asked, Question, Range
from lake.query.tables import Table

_NAMED_DAYS = 3
_NAMED_PATHS = 10
_ANY_NAME = "*"  # of a path in `left_out`: many names together


def notes(table: Table, asked: Asked | None, question: Question) -> Iterator[str]:
    """Sentences about one dataset; `asked` is None where the statement is not understood."""
    if not table.manifests:
        yield f"{table.dataset}: no day is in the lake yet"
        return
    ranges = [*asked.ranges, *asked.views] if asked and question.understood else [Range()]
    for days in dict.fromkeys(ranges):
        yield from _missing(table, days)
    yield from _left_out(table, ranges, question)


def _missing(table: Table, days: Range) -> Iterator[str]:
    """An open side ends with the first or last day in the lake."""
    start = days.start or min(table.manifests)
    end = days.end or max(table.manifests).plus(1)
    if start >= end and not (days.start and days.end):
        beyond = f"from {start} on" if days.start else f"before {end}"
        yield f"{table.dataset}: no day {beyond} is in the lake"
    missing = [day for day in day_range(start, end) if day not in table.manifests]
    if missing:
        number = start.days_until(end)
        wanted = f"{number} days from {start} to {end.plus(-1)}" if number > 1 else "1 day"
        yield missing_days(table.dataset, missing, wanted)


def missing_days(dataset: str, missing: Sequence[Day], wanted: str) -> str:
    """The sentence about days that are not in the lake."""
    some = ", ".join(map(str, missing[:_NAMED_DAYS])) + (", …" if missing[_NAMED_DAYS:] else "")
    are = "is" if len(missing) == 1 else "are"
    return f"{dataset}: {len(missing)} of {wanted} {are} not in the lake ({some})"


def _left_out(table: Table, ranges: Sequence[Range], question: Question) -> Iterator[str]:
    values: dict[str, int] = {}
    days: dict[str, int] = {}
    for day, manifest in table.manifests.items():
        left_out = manifest.details.get("left_out")
        if not isinstance(left_out, dict) or not any(_has(one, day) for one in ranges):
            continue
        for path, number in left_out.items():
            if isinstance(number, int) and number and _touches(question, path):
                values[path] = values.get(path, 0) + number
                days[path] = days.get(path, 0) + 1
    most_first = sorted(values, key=lambda path: (-values[path], path))
    for path in most_first[:_NAMED_PATHS]:
        yield left_out_sentence(table.dataset, path, values[path], days[path])
    if others := most_first[_NAMED_PATHS:]:
        number = sum(values[path] for path in others)
        yield f"{table.dataset}: {len(others)} more columns leave out {number:,} values"


def left_out_sentence(dataset: str, path: str, values: int, days: int) -> str:
    """What a column leaves out."""
    are = "value is" if values == 1 else "values are"
    on = "1 day" if days == 1 else f"{days} days"
    there = f"{'it is' if values == 1 else 'they are'} in `_rest` or `_raw`"
    if path.endswith(_ANY_NAME):
        where = f"under {path.removesuffix(_ANY_NAME).removesuffix('.')}" if "." in path else ""
        names = f"names without a column {where}".rstrip()
        return f"{dataset}: {values:,} {are} under {names} on {on}; {there}"
    return f"{dataset}: {values:,} {are} not in the column {path} on {on}; {there}"


def _has(days: Range, day: Day) -> bool:
    return (not days.start or day >= days.start) and (not days.end or day < days.end)


def _touches(question: Question, path: str) -> bool:
    """Whether the statement reads the path, or something above or below it."""
    if question.every_column:
        return True
    steps = tuple(path.lower().split("."))
    # The first step of a reference may be the table's name.
    return any(
        _related(steps, reference[first:])
        for reference in question.columns
        for first in range(min(2, len(reference)))
    )


def _related(path: tuple[str, ...], reference: tuple[str, ...]) -> bool:
    if not reference or (path[-1] == _ANY_NAME and len(reference) >= len(path)):
        return False
    return all(a == b for a, b in zip(path, reference, strict=False))
