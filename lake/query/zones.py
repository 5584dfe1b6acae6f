"""Days of a time zone: the range macros `NAME_local_between` over a lake of UTC days.

Belongs here: their names and their SQL. Does not: the first instant of a zone's day (sql/macros).

A macro reads the UTC days that have a part of the zone's days, and of their rows those between the
first instants of both days, whose clocks may have been set in between.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from lake.config.datasets import Dataset
from lake.query.kinds import quoted_name, quoted_text

LOCAL_BETWEEN = "_local_between"
LOCAL_PARAMETERS = ("from_day", "to_day", "in_zone")
_LOCAL = "_local"
_TIME_OF_SYSTEMS = "ts"


def time_path(dataset: Dataset, others: Collection[str]) -> tuple[str, ...]:
    """Where a row's time is, by names; () where the macro's name is another dataset's."""
    if f"{dataset.name}{_LOCAL}" in others:
        return ()
    field = str(getattr(dataset, "time_field", _TIME_OF_SYSTEMS))
    return tuple(field.split("."))


def local_macros(
    names: Sequence[str], path: Sequence[str], fallback: str | None = None
) -> Iterator[str]:
    """The CREATE statements for tables of these names, each with a range macro. `fallback` is the
    column of the ObjectId that dates a row without a time of its own. Without it and without a
    path the rows are all of those UTC days.
    """
    by_identifier = id_time(f"read_.{quoted_name(fallback)}") if fallback else ""
    time = _expression(path) if path else by_identifier
    if path and by_identifier:
        time = f"coalesce({time}, {by_identifier})"
    for name in names:
        rows = (
            f"SELECT * FROM {quoted_name(f'{name}_between')}("  # noqa: S608  quoted
            "utc_first_day(from_day, in_zone), utc_end_day(to_day, in_zone)) AS read_"
        )
        if time:
            rows += (
                f" WHERE {time} >= local_day_start(from_day, in_zone)"
                f" AND {time} < local_day_start(to_day, in_zone)"
            )
        macro = quoted_name(f"{name}{LOCAL_BETWEEN}")
        yield f"CREATE OR REPLACE MACRO {macro}({', '.join(LOCAL_PARAMETERS)}) AS TABLE {rows}"


def id_time(identifier: str) -> str:
    """SQL of the time at which an ObjectId was made; NULL of other identifiers."""
    return f"object_id_time({identifier})"


def _expression(path: Sequence[str]) -> str:
    first, *members = path
    text = f"read_.{quoted_name(first)}"
    for name in members:
        text = f"struct_extract({text}, {quoted_text(name)})"
    return text
