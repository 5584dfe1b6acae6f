"""A dataset's days as one view and one table macro.

Belongs here: the SQL that reads partitions of different schemas as one table, made from
their manifests alone. Does not: reading manifests, connections.

No Parquet footer is opened to learn a schema: each column's name and type are given to
`read_parquet`, which fills in what a file lacks. In there columns bear neutral names, so that
a field may be called whatever it likes, `filename` and `from_day` included.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lake.base.day import Day
from lake.base.layout import table_key
from lake.query.casts import cast, read_directly
from lake.query.exact import rest_with_exact
from lake.query.kinds import (
    Kind,
    by_name,
    folded,
    kind_of,
    quoted_name,
    quoted_text,
    sql_type,
    united_members,
)

Columns = tuple[tuple[str, Kind], ...]
_DAY = "CAST(substr(filename, -23, 10) AS DATE)"  # …/day=YYYY-MM-DD/data.parquet
_REST = "_rest"  # of MongoDB's tables: what their typed columns can't hold
_GLOB = re.compile(r"[*?\[]")


@dataclass(frozen=True)
class Table:
    """One dataset: the schemas of its days, and where the objects are.

    `schemas` maps each day that has a manifest to its `Manifest.schema`; `url` is the
    store's.
    """

    dataset: str
    schemas: Mapping[Day, list[dict[str, Any]]]
    url: Callable[[str], str]

    def definitions(self) -> list[str]:
        """CREATE statements of the view and the macro. Raises BadData."""
        columns_of = self._columns_by_day()
        # The newest day first: its order of columns is the one people know.
        newest_first = list(dict.fromkeys(columns_of[day] for day in sorted(columns_of)[::-1]))
        columns = tuple(united_members(newest_first))
        empty = _empty_select(columns)
        groups = _groups(columns_of, columns)
        all_days = " UNION ALL ".join(self._select(*group) for group in groups) or empty
        between = f"{quoted_name(f'{self.dataset}_between')}(from_day, to_day)"
        asked_days = f"FROM query({self._statement_between(groups, empty)})"
        return [
            f"CREATE OR REPLACE VIEW {quoted_name(self.dataset)} AS {all_days}",
            f"CREATE OR REPLACE MACRO {between} AS TABLE {asked_days}",
        ]

    def _columns_by_day(self) -> dict[Day, Columns]:
        parsed: dict[str, Columns] = {}  # the same schema on many days is read once
        for text in (texts := {day: json.dumps(s) for day, s in self.schemas.items()}).values():
            if text not in parsed:
                parsed[text] = tuple((c["name"], kind_of(c)) for c in json.loads(text))
        return {day: parsed[text] for day, text in texts.items()}

    def _select(self, days: list[Day], select: str, schema: str) -> str:
        before, after = self._url_around_day()
        files = ", ".join(quoted_text(f"{before}{day}{after}") for day in days)
        return f"{select}[{files}]{schema}"

    def _url_around_day(self) -> tuple[str, str]:
        """What stands before and after the day in an object's URL.

        Brackets keep DuckDB from taking the lake's own path for a pattern.
        """
        day = Day.parse("2000-01-01")
        before, _, after = self.url(table_key(self.dataset, day)).rpartition(str(day))
        return without_patterns(before), after

    def _statement_between(self, groups: list[tuple[list[Day], str, str]], empty: str) -> str:
        """An expression of the macro's parameters: the statement that reads their days.

        It is put together where no column is in sight, so no field's name can be taken for
        a parameter, and it names the files of those days only.
        """
        if not groups:
            return quoted_text(empty)
        selects = ", ".join(self._select_between(*group) for group in groups)
        return f"coalesce(nullif(concat_ws(' UNION ALL ', {selects}), ''), {quoted_text(empty)})"

    def _select_between(self, days: list[Day], select: str, schema: str) -> str:
        """NULL where none of the group's days is in the range."""
        dates = ", ".join(quoted_text(str(day)) for day in days)
        before, after = self._url_around_day()
        # Each file is to become an SQL string inside the statement, which is one itself.
        opened, closed = quoted_text(before)[:-1], quoted_text(after)[1:]
        files = (
            f"list_transform(list_filter(CAST([{dates}] AS DATE[]), "
            "lambda d: d >= CAST(from_day AS DATE) AND d < CAST(to_day AS DATE)), "
            f"lambda d: concat({quoted_text(opened)}, d, {quoted_text(closed)}))"
        )
        listed = f"nullif(array_to_string({files}, ', '), '')"
        return f"{quoted_text(select + '[')} || {listed} || {quoted_text(']' + schema)}"


def without_patterns(path: str) -> str:
    """The path as a glob that matches it alone."""
    return _GLOB.sub(r"[\g<0>]", path)


def _groups(
    columns_of: Mapping[Day, Columns], columns: Columns
) -> list[tuple[list[Day], str, str]]:
    """Days that one `read_parquet` can read, with the SQL before and after its files.

    Days differ in group only by columns that the reader can't turn into the common type
    by itself.
    """
    targets = by_name(columns)
    days_of: dict[Columns, list[Day]] = {}
    for day, had in sorted(columns_of.items()):
        cast_here = tuple(
            (folded(name), kind)
            for name, kind in had
            if not read_directly(kind, targets[folded(name)])
        )
        days_of.setdefault(tuple(sorted(cast_here, key=lambda c: c[0])), []).append(day)
    return [(days, *_reading(columns, dict(sources))) for sources, days in days_of.items()]


def _reading(columns: Columns, sources: Mapping[str, Kind]) -> tuple[str, str]:
    """SELECT … FROM read_parquet( and its options.

    `sources` has the types in these files of the columns that need a cast, by folded name.
    """
    read = [
        (name, f"c{number}", sources.get(folded(name), target), target)
        for number, (name, target) in enumerate(columns)
    ]
    casts = [column for column in read if folded(column[0]) in sources]
    shown, schema = [f"{_DAY} AS day"], []
    for name, inside, source, target in read:
        value = cast(inside, source, target)
        if name == _REST and source == target:
            value = rest_with_exact(value, casts)
        shown.append(f"{value} AS {quoted_name(name)}")
        schema.append(
            f"{quoted_text(name)}: {{name: {quoted_text(inside)}, "
            f"type: {quoted_text(sql_type(source))}, default_value: NULL}}"
        )
    # A table without columns (no field at all) still has its rows.
    options = f", schema = MAP {{{', '.join(schema)}}}" if schema else ""
    select = f"SELECT {', '.join(shown)} FROM read_parquet("  # noqa: S608  all names are quoted
    return select, f", filename = true{options})"


def _empty_select(columns: Columns) -> str:
    typed = (f"CAST(NULL AS {sql_type(kind)}) AS {quoted_name(name)}" for name, kind in columns)
    return f"SELECT {', '.join(['CAST(NULL AS DATE) AS day', *typed])} WHERE false"
