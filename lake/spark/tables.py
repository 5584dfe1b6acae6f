"""A dataset's days for Spark: groups of files, each with its schema and its expressions.

Belongs here: which days one reader reads, what is selected of them. Does not: the description's
file (description), expressions over one value (casts).

The types are those over all days of the table, as in DuckDB's catalog file. `day` comes from the
path, so Spark leaves out the files of other days.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lake.base.day import Day
from lake.query.casts import read_type
from lake.query.kinds import NOTHING, Kind, by_name, folded, kind_of
from lake.query.levels import with_level
from lake.query.merged import Node
from lake.query.tables import Table
from lake.spark.casts import cast
from lake.spark.levels import level_column
from lake.spark.types import has_no_value, quoted_name, spark_type, type_of

_WHOLE = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UINTEGER", "UBIGINT", "HUGEINT")


def described_table(table: Table) -> dict[str, Any]:
    """The table as JSON has it. Raises BadData.

    `schema` and a group's `reads` are column lists of DDL, `columns` expressions over what is
    read, `files` keys below the root, `variants` further views by name with their expressions over
    the view, `notes` what the view leaves out.
    """
    columns = {"day": "DATE", **{n.name: type_of(n) for n in table.tree.members.values()}}
    names = list(table.tree.members.values())
    return {
        "name": table.dataset,
        "schema": _ddl(columns),
        "base": _base(table),
        "groups": [_group(table, group) for group in _groups(table)],
        "variants": dict(_variants(table, [node.name for node in names])),
        "notes": list(_notes(table)),
    }


@dataclass
class _Group:
    """Days that one reader reads: `sources` has the types in these files by folded name of the
    columns whose type there is not the table's.
    """

    sources: Mapping[str, Kind]
    days: list[Day]


def _groups(table: Table) -> list[_Group]:
    groups: dict[tuple[tuple[str, Kind], ...], _Group] = {}
    for day, manifest in sorted(table.manifests.items()):
        if not manifest.rows:
            continue
        had = by_name((c["name"], kind_of(c)) for c in manifest.schema)
        sources = tuple(_sources(table.tree, had))
        groups.setdefault(sources, _Group(dict(sources), [])).days.append(day)
    return list(groups.values())


def _sources(tree: Node, had: Mapping[str, Kind]) -> Iterator[tuple[str, Kind]]:
    for key, node in tree.members.items():
        kind = had.get(key)
        if node.special:
            yield key, read_type(node, kind, with_rare=False)
        elif kind is not None and has_no_value(kind):
            yield key, kind


def _group(table: Table, group: _Group) -> dict[str, Any]:
    reads = {"day": "DATE"}
    columns = ["day"]
    for key, node in table.tree.members.items():
        source = group.sources.get(key, node.kind if not node.special else None)
        value = quoted_name(node.name)
        if source is None or source == NOTHING:
            columns.append(f"CAST(NULL AS {type_of(node)}) AS {value}")
            continue
        # A column that no day has a value of is read as text, which no file contradicts.
        is_read = key in group.sources or bool(node.variants)
        if not is_read:
            columns.append(f"CAST(NULL AS STRING) AS {value}")
            continue
        reads[node.name] = spark_type(source)
        shown = cast(value, source, node)
        columns.append(value if shown == value else f"{shown} AS {value}")
    return {
        "reads": _ddl(reads),
        "columns": columns,
        "files": [table.key(table.dataset, day) for day in group.days],
    }


def _ddl(columns: Mapping[str, str]) -> str:
    return ", ".join(f"{quoted_name(name)} {type_}" for name, type_ in columns.items())


def _base(table: Table) -> str:
    """The folder of the days' folders."""
    key = table.key(table.dataset, Day.parse("2000-01-01"))
    return key.rpartition("/day=")[0]


def _variants(table: Table, columns: list[str]) -> Iterator[tuple[str, list[str]]]:
    if table.level_from is None:
        return
    level = f"{level_column(columns, table.level_from)} AS level"
    shown = [level if name == "level" else quoted_name(name) for name in ("day", *columns)]
    yield with_level(table.dataset), shown if "level" in columns else [*shown, level]


def _notes(table: Table) -> Iterator[str]:
    """What is exact in the files' columns only; DuckDB has it in `_rest` as well."""
    rounded = sorted(
        node.name
        for node in table.tree.members.values()
        if node.form == "DOUBLE" and any(_is_exact(name) for name in node.variants)
    )
    for name in rounded:
        yield f"{name} is DOUBLE: numbers that it rounds are exact in DuckDB's _rest"
    if rare := _rare(table):
        shown = ", ".join(sorted(rare)[:5])
        yield f"{len(rare):,} rare columns ({shown}, …) are in DuckDB's _rest only"


def _is_exact(name: str) -> bool:
    return name in _WHOLE or name.startswith("DECIMAL")


def _rare(table: Table) -> set[str]:
    return {
        column["name"]
        for manifest in table.manifests.values()
        for column in manifest.schema
        if folded(column["name"]) not in table.tree.members
    }
