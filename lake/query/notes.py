"""What an answer lacks: days that are not in the lake, values that a column leaves out. And what it
compares as text.

Belongs here: comparing what a statement reads with the manifests, the sentences.
Does not: reading the statement (question), printing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice

from lake.base.day import Day, day_range
from lake.base.sizes import counted
from lake.partition.rollups import AnyManifest
from lake.query.kinds import folded
from lake.query.merged import LIST, STRUCT, TEXT, Node
from lake.query.question import Question, Range, Reads
from lake.query.tables import Table

_NAMED_DAYS = 3
# Beyond these, bounds of a range mean that it is open: '0001-01-01', '9999-12-31'.
FIRST, LAST = Day.parse("1900-01-01"), Day.parse("2200-01-01")
_NAMED_PATHS = 10
_ANY_NAME = "*"  # of a path in `left_out`: many names together


def missing(table: Table, reads: Reads | None, question: Question) -> Iterator[str]:
    """Sentences about a dataset's days; `reads` is None where the statement is not understood."""
    if not table.manifests and not table.unrolled:
        yield f"{table.dataset}: no day is in the lake yet"
        return
    for days in dict.fromkeys(ranges_of(reads, question)):
        yield from _missing(table, days)


def left_out(table: Table, reads: Reads | None, question: Question) -> Iterator[str]:
    """Sentences about the values that a dataset's columns leave out; `reads` as for `missing`."""
    yield from _left_out(table, ranges_of(reads, question), question)


def ordered_as_text(table: Table, reads: Reads | None, question: Question) -> Iterator[str]:
    """Sentences about columns of several types that the statement compares by order (as text 10
    is before 9), and about arrays beside others, whose length or elements it takes. `reads` as for
    `missing`.
    """
    days = _days(table, reads, question)
    for name, types in _mixed(table, question.ordered, days):
        yield f"{_several(table, name, types)}: it is compared and sorted as text"
    for name, types in _mixed(table, question.of_lists, days):
        if LIST in types:
            yield (
                f"{_several(table, name, types)}: its arrays are JSON text, whose length and parts "
                "are characters"
            )


def nan_in_order(table: Table, reads: Reads | None, question: Question) -> Iterator[str]:
    """Sentences about columns with NaN that the statement compares by order: DuckDB has NaN above
    all numbers, MongoDB below them and in no range. `reads` as for `missing`.
    """
    ranges = ranges_of(reads, question)
    resolved = {ref for ref in question.in_order if _node_of(table.tree, ref)}
    # Any other may be made of each column that the statement reads: an alias, an element.
    ordered = replace(question, columns=resolved, every_column=False)
    if question.in_order - resolved:
        ordered = question
    values: dict[str, int] = {}
    days: dict[str, int] = {}
    for number_of_day, (day, manifest) in enumerate(sorted(table.manifests.items())):
        if table.rolled_up or not any(span.has(day) for span in ranges):
            continue
        for path, number in _numbers(manifest, "nan"):
            if touches(ordered, path, table.tree, 1 << number_of_day):
                values[path] = values.get(path, 0) + number
                days[path] = days.get(path, 0) + 1
    for path in sorted(values):
        yield (
            f"{table.dataset}: column {path} has {values[path]:,} NaN on "
            f"{counted(days[path], 'day')}: SQL sorts and compares NaN as the largest number, "
            "MongoDB as the smallest and in no range; NOT isnan(…) leaves it out"
        )


def nested_as_text(table: Table, reads: Reads | None, question: Question) -> Iterator[str]:
    """Sentences about columns whose arrays or sub-documents are text, for their type differs over
    the days: no value in them is equal to that text. `reads` as for `missing`.
    """
    for name, types in _mixed(table, question.columns, _days(table, reads, question)):
        if types.keys() & {LIST, STRUCT}:
            yield f"{_several(table, name, types)}: its arrays and sub-documents are JSON text"


def _days(table: Table, reads: Reads | None, question: Question) -> int:
    """A bit for each day of the table, in their order."""
    ranges = ranges_of(reads, question)
    return sum(
        1 << number
        for number, day in enumerate(sorted(table.manifests))
        if any(span.has(day) for span in ranges)
    )


def _mixed(
    table: Table, references: Iterable[tuple[str, ...]], days: int
) -> Iterator[tuple[str, dict[str, int]]]:
    """Those columns that are text over the days, with the number of days of each type."""
    columns = [_node_of(table.tree, path) for path in sorted(references)]
    for name, node in dict(filter(None, columns)).items():
        if node.form_on(days) == TEXT:
            had = {variant: (bits & days).bit_count() for variant, bits in node.variants.items()}
            yield name, {variant: number for variant, number in had.items() if number}


def _several(table: Table, name: str, types: Mapping[str, int]) -> str:
    most_first = sorted(types, key=lambda variant: (-types[variant], variant))
    shown = ", ".join(f"{v.upper()} on {counted(types[v], 'day')}" for v in most_first)
    return f"{table.dataset}: column {name} has several types ({shown})"


def _node_of(tree: Node, reference: tuple[str, ...]) -> tuple[str, Node] | None:
    """A column or member of the table, by its path; the first step may be the table's name."""
    for first in range(min(2, len(reference))):
        node: Node | None = tree
        path = []
        for name in reference[first:]:
            node = node.members.get(folded(name)) if node else None
            path += [node.name] if node else []
        if node:
            return ".".join(path), node
    return None


def ranges_of(reads: Reads | None, question: Question) -> list[Range]:
    """The days of each mention; of a statement that is not understood all days."""
    if not reads or not question.understood:
        return [Range()]
    return [_without_extremes(days) for days in (*reads.ranges, *reads.views)]


def _without_extremes(days: Range) -> Range:
    start = days.start if days.start and days.start >= FIRST else None
    end = days.end if days.end and days.end <= LAST else None
    return replace(days, start=start, end=end)


def _missing(table: Table, days: Range) -> Iterator[str]:
    """An open side ends with the first or last day in the lake."""
    held = {*table.manifests, *table.unrolled}
    start = days.start or min(held)
    end = days.end or max(held).plus(1)
    if start >= end and not (days.start and days.end):
        beyond = f"from {start} on" if days.start else f"before {end}"
        yield f"{table.dataset}: no day {beyond} is in the lake"
    elif start >= end:
        yield f"{table.dataset}: the range has no day: from {start} to {end}, which is exclusive"
    number = max(0, start.days_until(end))
    wanted = f"{number} days from {start} to {end.plus(-1)}" if number > 1 else "1 day"
    if absent := number - sum(start <= day < end for day in held):
        missing = islice((day for day in day_range(start, end) if day not in held), _NAMED_DAYS + 1)
        yield _missing_sentence(table.dataset, absent, list(missing), wanted)
    if days.with_before and start.plus(-1) in table.unrolled:
        start, wanted = start.plus(-1), f"{number + 1} days from {start.plus(-1)} to {end.plus(-1)}"
    if unrolled := sorted(day for day in table.unrolled if start <= day < end):
        yield _unrolled_days(table, unrolled, wanted)


def _unrolled_days(table: Table, days: Sequence[Day], wanted: str) -> str:
    have = "has" if len(days) == 1 else "have"
    return (
        f"{table.dataset}: {len(days)} of {wanted} {have} no current rollup ({_named(days)}); "
        f"`lake rollup {table.rolled_up}` makes {'it' if len(days) == 1 else 'them'}"
    )


def missing_days(dataset: str, missing: Sequence[Day], wanted: str) -> str:
    """The sentence about days that are not in the lake."""
    return _missing_sentence(dataset, len(missing), missing, wanted)


def _missing_sentence(dataset: str, number: int, first: Sequence[Day], wanted: str) -> str:
    """`first`: the first of them, one more than are named where there are more."""
    are = "is" if number == 1 else "are"
    return f"{dataset}: {number} of {wanted} {are} not in the lake ({_named(first)})"


def _named(days: Sequence[Day]) -> str:
    return ", ".join(map(str, days[:_NAMED_DAYS])) + (", …" if days[_NAMED_DAYS:] else "")


def _left_out(table: Table, ranges: Sequence[Range], question: Question) -> Iterator[str]:
    values: dict[str, int] = {}
    days: dict[str, int] = {}
    for number_of_day, (day, manifest) in enumerate(sorted(table.manifests.items())):
        if not any(span.has(day) for span in ranges):
            continue
        for path, number in _numbers(manifest, "left_out"):
            if number and _reads(table, question, path, 1 << number_of_day):
                values[path] = values.get(path, 0) + number
                days[path] = days.get(path, 0) + 1
    most_first = sorted(values, key=lambda path: (-values[path], path))
    for path in most_first[:_NAMED_PATHS]:
        yield left_out_sentence(table.dataset, path, values[path], days[path], table.rolled_up)
    if more := most_first[_NAMED_PATHS:]:
        number = sum(values[path] for path in more)
        yield f"{table.dataset}: {others_sentence(len(more), number)}"
    # Their names are not in the manifest: the statement may read them.
    read = [m for day, m in table.manifests.items() if any(span.has(day) for span in ranges)]
    unnamed = left_out_others(read)
    if unnamed and (question.every_column or question.columns):
        yield f"{table.dataset}: {others_sentence(**unnamed)} (paths not in the manifest)"


def _reads(table: Table, question: Question, path: str, day: int) -> bool:
    """Whether the statement reads what is made of the path. A rollup's manifest has the paths
    that its columns are made of: which of them is not known.
    """
    if table.rolled_up:
        return question.every_column or bool(question.columns)
    return touches(question, path, table.tree, day)


def in_rest(table: Table, name: str) -> str:
    """How to read a name that is no column but has values in `_rest`, or may have; "" where none
    are left out.
    """
    manifests = table.manifests.values()
    paths = [path for manifest in manifests for path, number in _numbers(manifest, "left_out")]
    path = next((path for path in paths if path.lower() == name.lower()), "")
    quoted = (path or name).replace("'", "''")
    read = f"json_extract(_rest, '$.\"{quoted}\"') reads"
    if path:
        return f"{table.dataset} has values of {path} in _rest alone: {read} them"
    if _ANY_NAME in paths or left_out_others(manifests):
        return f"rare names of {table.dataset} have no column: if {name} is one, {read} it"
    return ""


def left_out_others(manifests: Iterable[AnyManifest]) -> dict[str, int]:
    """`paths` and `values` of what the manifests do not name; empty where there is nothing.

    Different days' paths may be the same: the number of paths is the largest of a day.
    """
    others = [dict(_numbers(manifest, "left_out_others")) for manifest in manifests]
    values = sum(numbers.get("values", 0) for numbers in others)
    return (
        {"paths": max(numbers.get("paths", 0) for numbers in others), "values": values}
        if values
        else {}
    )


def _numbers(manifest: AnyManifest, detail: str) -> Iterator[tuple[str, int]]:
    numbers = manifest.details.get(detail)
    for key, number in numbers.items() if isinstance(numbers, dict) else ():
        if isinstance(number, int):
            yield key, number


def others_sentence(paths: int, values: int) -> str:
    """What paths leave out that are not named one by one."""
    leave = "path leaves" if paths == 1 else "paths leave"
    return f"{paths:,} more {leave} out {counted(values, 'value')}"


def left_out_sentence(dataset: str, path: str, values: int, days: int, rolled_up: str = "") -> str:
    """What a column leaves out; of rollups one of the table that they are made of."""
    where = f"{counted(values, 'value')} on {counted(days, 'day')} (see _rest, _raw)"
    of = f" of {rolled_up}" if rolled_up else ""
    if is_wildcard(path):
        return f"{dataset}: names without a column{of} ({path}) leave out {where}"
    return f"{dataset}: column {path}{of} leaves out {where}"


def touches(question: Question, path: str, tree: Node, day: int) -> bool:
    """Whether the statement reads the path, or something above or below it; `day` as a bit."""
    if question.every_column:
        return True
    # The first step of a reference may be the table's name.
    return any(
        _related(path.lower(), reference[first:], tree, day)
        for reference in question.columns
        for first in range(min(2, len(reference)))
    )


def _related(path: str, reference: tuple[str, ...], tree: Node, day: int) -> bool:
    """Paths are compared as texts: a field's name may have dots itself.

    A wildcard holds the names that are columns on other days only.
    """
    read = ".".join(reference)
    if not is_wildcard(path):
        return bool(reference) and is_related(path, read)
    parent = parent_of(path)
    if reference and _below(parent, read):
        return True
    node: Node | None = tree
    for place, name in enumerate(reference):
        node = node.members.get(folded(name)) if node else None
        if node and ".".join(reference[:place]) == parent:
            return not node.days & day
    return False


def is_related(path: str, read: str) -> bool:
    """Whether one path is the other, or above it."""
    return _below(path, read) or _below(read, path)


def is_wildcard(path: str) -> bool:
    """Whether a path of `left_out` stands for many names of a sub-document, or of the top."""
    return path == _ANY_NAME or path.endswith(f".{_ANY_NAME}")


def parent_of(wildcard: str) -> str:
    """The path of the sub-document whose names it stands for; "" at the top."""
    return wildcard.removesuffix(_ANY_NAME).removesuffix(".")


def _below(path: str, parent: str) -> bool:
    return path == parent or path.startswith(f"{parent}.")
