"""A dataset's days as a view and a table macro; log lines with their level as another pair.

Belongs here: the SQL that reads partitions of different schemas as one table, made from
their manifests alone. Does not: reading manifests, connections.

No Parquet footer is opened to learn a schema: each column's name and type are given to
`read_parquet`, which fills in what a file lacks. In there columns bear neutral names, so that
a field may be called whatever it likes, `filename` and `from_day` included.

The macro makes its statement of the days that it is called with: a column that has one type on
those days has that type, whatever other days hold. The view is the macro over all days.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from lake.base.day import Day
from lake.partition.layout import table_key
from lake.partition.rollups import AnyManifest
from lake.query.casts import cast, read_type, type_of
from lake.query.exact import Rest, Value
from lake.query.kinds import (
    NOTHING,
    Kind,
    Plain,
    Struct,
    by_name,
    folded,
    kind_of,
    quoted_name,
    quoted_text,
    sql_type,
)
from lake.query.levels import level_expression, with_level
from lake.query.merged import REST, Node, merge
from lake.query.texts import Text, expression, joined, resolved
from lake.query.zones import local_macros

_DAY = "CAST(substr(filename, -23, 10) AS DATE)"  # …/day=YYYY-MM-DD/data.parquet
_TIME = "TIMESTAMP WITH TIME ZONE"
_GLOB = re.compile(r"[*?\[]")
# Beyond this number of columns in all its SELECTs together a union names absent columns only once.
_DENSE = 5000


@dataclass(frozen=True)
class Table:
    """One dataset: the manifests of its days, and where the objects are; `url` is the store's.

    `level_from`: where a line's level is looked for first; None for a table without the views
    of levels (lake.query.levels). `key` is that of a day's object.

    `time` is the path of a row's time, () for a table without a macro of local days;
    `time_fallback` the column of the ObjectId that dates rows without it.

    Of rollups (lake.query.hourly) `rolled_up` is the dataset, and `unrolled` has its days in the
    lake that have no current rollup.
    """

    dataset: str
    manifests: Mapping[Day, AnyManifest]
    url: Callable[[str], str]
    level_from: Sequence[str] | None = None
    key: Callable[[str, Day], str] = table_key
    rolled_up: str = ""
    unrolled: frozenset[Day] = frozenset()
    time: tuple[str, ...] = ()
    time_fallback: str | None = None

    def definitions(self, *, with_rest: bool = True) -> list[str]:
        """CREATE statements of the views and the macros. No object is looked for.

        Without `with_rest` the column `_rest` lacks what the files have in columns: for
        statements that do not read it. Raises BadData.
        """
        macro = quoted_name(f"{self.dataset}_between")
        return [
            # Views are bound to a macro that reads nothing, then the macro gets its objects.
            f"CREATE OR REPLACE MACRO {macro}(from_day, to_day) AS TABLE {self.empty_statement()}",
            *self._level_macro(),
            *self.views(),
            *self._local_macros(),
            f"CREATE OR REPLACE MACRO {macro}(from_day, to_day) AS TABLE FROM query("
            f"{self._statement(with_rest=with_rest)})",
        ]

    def views(self, start: Day | None = None, end: Day | None = None) -> list[str]:
        """The CREATE statements of the views, over the days in [start, end)."""
        days = f"DATE '{start or '0001-01-01'}', DATE '{end or '9999-12-31'}'"
        return [
            f"CREATE OR REPLACE VIEW {quoted_name(name)} AS "
            f"FROM {quoted_name(f'{name}_between')}({days})"
            for name in self._view_names
        ]

    @property
    def column_names(self) -> list[str]:
        """The columns over all days, `day` first."""
        return ["day", *(node.name for node in self.tree.members.values())]

    def empty_statement(self) -> str:
        """A SELECT of no row, of the types that the view has."""
        return resolved(self._empty, self._all_variants)

    def day_statement(self, day: Day, file: str) -> str:
        """A SELECT of one day's rows in their order, of the types that the view has over all days.

        `file` is the day's object, or a copy whose path ends as the object's does.
        """
        number = self._days.index(day)
        groups = _groups(self.tree, self._schemas, with_rest=True)
        group = next((group for group in groups if group.days >> number & 1), None)
        if group is None:  # a day without rows
            return self.empty_statement()
        before, after = _reading(self.tree, group, sparse=False)
        files = quoted_text(without_patterns(file))
        return f"{resolved(before, self._all_variants)}{files}{after}"

    @cached_property
    def _all_variants(self) -> dict[int, int]:
        return {node.number: (1 << len(node.variants)) - 1 for node in self._varying}

    @property
    def _view_names(self) -> list[str]:
        return [self.dataset, *([] if self.level_from is None else [with_level(self.dataset)])]

    @property
    def has_local_days(self) -> bool:
        """Whether there are macros of a time zone's days: every row has its time in one column,
        or in its ObjectId.
        """
        return bool(self.time) and (
            self._has_time or self._has_identifiers_only or not self.manifests
        )

    @property
    def _time_node(self) -> Node | None:
        node: Node | None = self.tree
        for name in self.time:
            node = node.members.get(folded(name)) if node else None
        return node

    @property
    def _has_time(self) -> bool:
        node = self._time_node
        return node is not None and not node.varying and node.form == _TIME

    @property
    def _has_identifiers_only(self) -> bool:
        """Whether no row of any day has the time field, and all are dated by their ObjectIds."""
        return self._time_node is None and self.time_fallback in self.column_names

    def _local_macros(self) -> list[str]:
        if not self.has_local_days:
            return []
        path = self.time if self._has_time else ()
        fallback = self.time_fallback if path or self._has_identifiers_only else None
        return list(local_macros(self._view_names, path, fallback))

    def _level_macro(self) -> list[str]:
        """The CREATE statement of the range macro whose rows have a level, where there is one."""
        if self.level_from is None:
            return []
        columns = {node.name for node in self.tree.members.values()}
        level = f"{level_expression(columns, self.level_from)} AS level"
        shown = f"* REPLACE ({level})" if "level" in columns else f"*, {level}"
        macro = quoted_name(f"{with_level(self.dataset)}_between")
        between = quoted_name(f"{self.dataset}_between")
        select = ("SELECT", shown, "FROM", f"{between}(from_day, to_day) AS logs")
        return [f"CREATE OR REPLACE MACRO {macro}(from_day, to_day) AS TABLE {' '.join(select)}"]

    @cached_property
    def _days(self) -> list[Day]:
        return sorted(self.manifests)

    @cached_property
    def _schemas(self) -> dict[Struct, int]:
        """Each distinct schema with its days as bits, newest first.

        Days without rows have none where any day has rows: types of no value must not change
        what the others are read as.
        """
        numbers = [n for n, day in enumerate(self._days) if self.manifests[day].rows]
        days: dict[str, int] = {}  # by text: the same schema on many days is read once
        for number in reversed(numbers or range(len(self._days))):
            text = json.dumps(self.manifests[self._days[number]].schema)
            days[text] = days.get(text, 0) | 1 << number
        schemas: dict[Struct, int] = {}
        for text, bits in days.items():
            schema = Struct(tuple((c["name"], kind_of(c)) for c in json.loads(text)))
            schemas[schema] = schemas.get(schema, 0) | bits
        return schemas

    @cached_property
    def tree(self) -> Node:
        """The columns over all days."""
        return merge(self._schemas)

    @cached_property
    def _varying(self) -> list[Node]:
        return list(self.tree.varying_nodes())

    @cached_property
    def _empty(self) -> Text:
        columns = (
            ("CAST(NULL AS ", *type_of(node), f") AS {quoted_name(node.name)}")
            for node in self.tree.members.values()
        )
        return (
            "SELECT ",
            *joined(", ", [("CAST(NULL AS DATE) AS day",), *columns]),
            " WHERE false",
        )

    def _statement(self, *, with_rest: bool) -> str:
        """An expression of the macro's parameters: the statement that reads their days.

        It is put together where no column is in sight, so no field's name can be taken for
        a parameter, and it names the files of those days only.
        """
        groups = _groups(self.tree, self._schemas, with_rest=with_rest)
        empty = expression(self._empty, "m")
        if not groups:
            return empty
        sparse = len(groups) > 1 and len(groups) * len(self.tree.members) > _DENSE
        listed = ", ".join(self._select(group, sparse=sparse) for group in groups)
        selects = (
            f"list_transform([{listed}], lambda g: g['before'] || {self._files()} || g['after'])"
        )
        if sparse:
            union = quoted_text(" UNION ALL BY NAME ")
            statement = f"array_to_string(list_concat([{empty}], {selects}), {union})"
        else:
            union = quoted_text(" UNION ALL ")
            statement = f"coalesce(nullif(array_to_string({selects}, {union}), ''), {empty})"
        if not self._varying:
            return statement
        masks = ", ".join(self._mask(node) for node in self._varying)
        return f"list_transform([[{masks}]], lambda m: {statement})[1]"

    def _mask(self, node: Node) -> str:
        """An expression: which of the node's variants the days have, as bits."""
        stretches: dict[int, list[str]] = {}
        for first, last, variant in node.runs():
            days = f"[{quoted_text(str(self._days[first]))}, {quoted_text(str(self._days[last]))}]"
            stretches.setdefault(variant, []).append(days)
        return " + ".join(
            f"CAST(len(list_filter(CAST([{', '.join(those)}] AS DATE[][]), lambda r: "
            "r[1] < CAST(to_day AS DATE) AND r[2] >= CAST(from_day AS DATE))) > 0 AS BIGINT) "
            f"* {1 << variant}"
            for variant, those in sorted(stretches.items())
        )

    def _select(self, group: _Group, *, sparse: bool) -> str:
        before, after = _reading(self.tree, group, sparse=sparse)
        days = [day for number, day in enumerate(self._days) if group.days >> number & 1]
        dates = ", ".join(quoted_text(str(day)) for day in days)
        return (
            f"{{before: {expression(before, 'm')}, days: CAST([{dates}] AS DATE[]), "
            f"after: {quoted_text(after)}}}"
        )

    def _files(self) -> str:
        """An expression: a group's files in the range as SQL strings; NULL without any."""
        before, after = self._url_around_day()
        # Each file is to become an SQL string inside the statement, which is one itself.
        opened, closed = quoted_text(before)[:-1], quoted_text(after)[1:]
        files = (
            "list_transform(list_filter(g['days'], "
            "lambda d: d >= CAST(from_day AS DATE) AND d < CAST(to_day AS DATE)), "
            f"lambda d: concat({quoted_text(opened)}, d, {quoted_text(closed)}))"
        )
        return f"nullif(array_to_string({files}, ', '), '')"

    def _url_around_day(self) -> tuple[str, str]:
        """What stands before and after the day in an object's URL.

        Brackets keep DuckDB from taking the lake's own path for a pattern.
        """
        day = Day.parse("2000-01-01")
        before, _, after = self.url(self.key(self.dataset, day)).rpartition(str(day))
        return without_patterns(before), after


def without_patterns(path: str) -> str:
    """The path as a glob that matches it alone."""
    return _GLOB.sub(r"[\g<0>]", path)


@dataclass
class _Group:
    """Days that one `read_parquet` reads.

    `sources` has the types in these files of the special columns, by folded name, `rare` the
    files' columns that the table does not have.
    """

    sources: Mapping[str, Kind]
    rare: tuple[Value, ...]
    days: int = field(default=0)


def _groups(tree: Node, schemas: Mapping[Struct, int], *, with_rest: bool) -> list[_Group]:
    """Days differ in group only by what the reader can't turn into the table by itself."""
    groups: dict[tuple[tuple[tuple[str, Kind], ...], tuple[Value, ...]], _Group] = {}
    special = {key: node for key, node in tree.members.items() if node.special}
    for schema, days in schemas.items():
        had = by_name(schema.members)
        sources = tuple(
            (key, read_type(node, had.get(key), with_rare=with_rest))
            for key, node in special.items()
        )
        rare = tuple(
            (name, kind)
            for name, kind in (schema.members if with_rest else ())
            if folded(name) not in tree.members and kind != NOTHING
        )
        group = groups.setdefault((sources, rare), _Group(dict(sources), rare))
        group.days |= days
    return sorted(groups.values(), key=lambda group: group.days & -group.days)


def _reading(tree: Node, group: _Group, *, sparse: bool) -> tuple[Text, str]:
    """SELECT … FROM read_parquet([ and what follows its files."""
    rest = Rest("r")
    shown: list[Text] = [(f"{_DAY} AS day",)]
    schema: list[tuple[str, str, Kind]] = []
    for number, (key, node) in enumerate(tree.members.items()):
        if sparse and not node.days & group.days:
            continue
        inside = "r" if _holds_rest(key, node) else f"c{number}"
        source = group.sources.get(key, NOTHING) if node.special else node.kind
        schema.append((node.name, inside, source))
        if inside != "r":
            rest.add_column(node.name, inside, source, node)
            shown.append((*cast(inside, source, node), f" AS {quoted_name(node.name)}"))
        else:
            place = len(shown)
    rare = [f"r{number}" for number in range(len(group.rare))]
    schema += [(name, value, kind) for (name, kind), value in zip(group.rare, rare, strict=True)]
    if any(inside == "r" for _, inside, _ in schema):
        rest.add_rare(group.rare, rare)
        shown.insert(place, (*rest.text(), f" AS {quoted_name(REST)}"))
    select = ("SELECT ", *joined(", ", shown), " FROM read_parquet([")
    return select, f"], filename = true{_schema_option(schema)})"


def _holds_rest(key: str, node: Node) -> bool:
    return key == REST and not node.special and node.kind == Plain("VARCHAR")


def _schema_option(columns: Sequence[tuple[str, str, Kind]]) -> str:
    if not columns:  # a table without columns (no field at all) still has its rows
        return ""
    # One constant for all: thousands of expressions would take seconds to bind.
    entries = json.dumps([[name, inside, sql_type(kind)] for name, inside, kind in columns])
    entry = "(c[1], {name: c[2], type: c[3], default_value: NULL})"
    listed = f"from_json({quoted_text(entries)}, '[[\"VARCHAR\"]]')"
    return f", schema = map_from_entries(list_transform({listed}, lambda c: {entry}))"
