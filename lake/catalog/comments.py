"""What tables and columns mean, as comments that DuckDB's clients show.

Belongs here: the sentences, COMMENT ON. Does not: what a column means by its name (lake.columns).

    SELECT table_name, column_name, comment FROM duckdb_columns() WHERE comment IS NOT NULL
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lake.columns import DAY, elsewhere, meaning, unit
from lake.config.datasets import Dataset
from lake.partition.manifest import Manifest
from lake.privacy.rules import Rule
from lake.query import Lake
from lake.query.kinds import folded, quoted_name, quoted_text
from lake.query.levels import with_level
from lake.query.merged import Node
from lake.query.tables import Table
from lake.query.zones import LOCAL_BETWEEN

_LEVEL = "level of the line: trace, debug, info, warn, error, critical, fatal or NULL"
_TIME = "TIMESTAMP WITH TIME ZONE"


def comment_statements(lake: Lake, table: Table) -> Iterator[str]:
    """COMMENT ON for the table's views, macros and columns, which have to be there."""
    dataset = lake.settings.dataset_named(table.rolled_up or table.dataset)
    about = _about(table, dataset)
    level = with_level(table.dataset) if table.level_from is not None else None
    for name in filter(None, (table.dataset, level)):
        yield f"COMMENT ON VIEW {quoted_name(name)} IS {quoted_text(about)}"
        between = f"{about}. The days in [from_day, to_day), UTC"
        yield f"COMMENT ON MACRO TABLE {quoted_name(f'{name}_between')} IS {quoted_text(between)}"
        if table.has_local_days:
            local = f"{about}. The days in [from_day, to_day) of the time zone in_zone"
            macro = quoted_name(f"{name}{LOCAL_BETWEEN}")
            yield f"COMMENT ON MACRO TABLE {macro} IS {quoted_text(local)}"
        columns = dict(_columns(table, dataset))
        if name == level:
            columns |= {"level": _LEVEL}
        for column, text in columns.items():
            place = f"{quoted_name(name)}.{quoted_name(column)}"
            yield f"COMMENT ON COLUMN {place} IS {quoted_text(text)}"


def _about(table: Table, dataset: Dataset) -> str:
    if table.rolled_up:
        grains = [str(m.definition.get("grain", "")) for _, m in sorted(table.manifests.items())]
        grain = f": {grains[-1]}" if grains and grains[-1] else ""
        return f"Rollup of {table.rolled_up}{grain}"
    what = {
        key: value
        for key in ("collection", "query", "selector", "mode", "step", "time_field")
        if (value := getattr(dataset, key, None))
    }
    if what.get("mode") != "range":
        what.pop("step", None)
    described = ", ".join(f"{key} {value}" for key, value in what.items())
    return f"Exported from {dataset.source}: {described}"


def _columns(table: Table, dataset: Dataset) -> Iterator[tuple[str, str]]:
    yield "day", DAY
    rules = _rules(table)
    left_out = _left_out(table)
    for key, node in table.tree.members.items():
        known = "" if table.rolled_up else meaning(dataset.source, node.name)
        parts = [known, _type(node, known), *rules.get(key, ())]
        if number := left_out.get(key):
            parts.append(elsewhere(number))
        held, days = node.days.bit_count(), len(table.manifests)
        if held < days:
            parts.append(f"on {held:,} of {days:,} days")
        yield node.name, "; ".join(filter(None, parts))


def _type(node: Node, known: str) -> str:
    return "UTC" if not node.varying and node.form == _TIME else unit(node.name, known)


def _rules(table: Table) -> dict[str, list[str]]:
    """By the column's folded name: those of any day."""
    rules: dict[str, dict[str, None]] = {}
    for manifest in table.manifests.values():
        for rule in map(Rule.from_json, manifest.rules if isinstance(manifest, Manifest) else ()):
            text = f"rule of {rule.text}: {rule.described}"
            rules.setdefault(folded(rule.path[0]), {})[text] = None
    return {name: list(texts) for name, texts in rules.items()}


def _left_out(table: Table) -> Mapping[str, int]:
    """Values by the column's folded name."""
    numbers: dict[str, int] = {}
    for manifest in table.manifests.values():
        left_out = manifest.details.get("left_out")
        for path, number in left_out.items() if isinstance(left_out, dict) else ():
            name = folded(path.partition(".")[0])
            numbers[name] = numbers.get(name, 0) + int(number)
    return numbers
