"""The level of log lines as a column: the views `NAME_with_level` of Loki's datasets.

Belongs here: their names, and where a level is looked for. Does not: reading levels in texts
(sql/macros/log_level.sql, level_name.sql).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from lake.config.datasets import Dataset
from lake.query.kinds import quoted_name, quoted_text

LINE = "line"
"""In `level_from`: the text of the line."""
_SUFFIX = "_with_level"
_USUAL_KEYS = ("detected_level", "level", "severity")  # of structured metadata
_USUAL_LABEL = "level"
_NO_LABELS = frozenset({"day", "ts", "ts_ns", "stream_id", "line", "labels", "metadata"})


def with_level(dataset: str) -> str:
    """The name of the view, and of the range macro without `_between`."""
    return f"{dataset}{_SUFFIX}"


def level_places(datasets: Iterable[Dataset]) -> Mapping[str, Sequence[str]]:
    """`level_from` of each dataset that has the views: all of log lines, which have this key, but
    those whose view's name is another dataset's.
    """
    known = list(datasets)
    names = {dataset.name for dataset in known}
    return {
        dataset.name: places
        for dataset in known
        if (places := getattr(dataset, "level_from", None)) is not None
        and with_level(dataset.name) not in names
    }


@dataclass(frozen=True)
class Place:
    """Where a row has a level: the entry `key` of a MAP column, else the column itself; that of
    the line is its text.
    """

    column: str
    key: str = ""


def level_expression(columns: Collection[str], level_from: Sequence[str]) -> str:
    """SQL of a row of `logs`: the first place that has a level; NULL where none has.

    The places of `level_from`, then structured metadata, the label, the line.
    """
    return level_in(places_in(columns, level_from))


def level_in(places: Iterable[Place]) -> str:
    """The same for these places."""
    candidates = map(_level_at, places)
    return f"coalesce({', '.join(['CAST(NULL AS VARCHAR)', *candidates])})"


def _level_at(place: Place) -> str:
    if place.key:
        return f"level_name(logs.{place.column}[{quoted_text(place.key)}])"
    if place.column == LINE:
        return "log_level(logs.line, NULL)"
    return f"level_name(logs.{quoted_name(place.column)})"


def places_in(columns: Collection[str], level_from: Sequence[str]) -> list[Place]:
    """The places of a table of these columns, in their order."""
    named = (place for name in level_from for place in _named(columns, name))
    return list(dict.fromkeys([*named, *_usual(columns)]))


def _named(columns: Collection[str], place: str) -> Iterator[Place]:
    """A table that has no day yet has none of these columns."""
    if place == LINE:
        yield from _line(columns)
        return
    yield from _entry(columns, "metadata", place)
    yield from _label(columns, place)


def _usual(columns: Collection[str]) -> Iterator[Place]:
    for key in _USUAL_KEYS:
        yield from _entry(columns, "metadata", key)
    yield from _label(columns, _USUAL_LABEL)
    yield from _line(columns)


def _label(columns: Collection[str], name: str) -> Iterator[Place]:
    """A label has a column or is in `labels`, by its name alone."""
    if name in columns and name not in _NO_LABELS:
        yield Place(name)
    else:
        yield from _entry(columns, "labels", name)


def _entry(columns: Collection[str], column: str, key: str) -> Iterator[Place]:
    if column in columns:
        yield Place(column, key)


def _line(columns: Collection[str]) -> Iterator[Place]:
    if LINE in columns:
        yield Place(LINE)
