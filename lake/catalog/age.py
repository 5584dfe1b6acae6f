"""How old a catalog file is, and what the lake has that the file lacks.

Belongs here: the view `lake_catalog`, the macro `lake_catalog_missing()`. Does not: the file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from lake import __version__
from lake.partition.layout import manifest_prefix
from lake.query import Lake
from lake.query.kinds import quoted_text
from lake.query.tables import Table, without_patterns

AGE = "lake_catalog"
MISSING = "lake_catalog_missing"
_NO_TABLE = "(CAST(NULL AS VARCHAR), CAST(NULL AS DATE), CAST(NULL AS DATE), 0, 0, 0)"
_COMMENTS = {
    AGE: "What this file has of each table, when it was written (UTC), and its age",
    MISSING: "Days that are in the lake and not in this file; where there are any, write it again",
}


def age_statements(lake: Lake, tables: Sequence[Table], written: datetime) -> Iterator[str]:
    """The CREATE statements of both; no view of a name that is a dataset's.

    What the lake has now is a macro of a statement that is put together when it is called: DuckDB
    binds everything else when it is made, and would list the store then.
    """
    root = lake.settings.lake.root.rstrip("/")
    if AGE not in lake.datasets:
        yield f"CREATE OR REPLACE VIEW {AGE} AS {_age(tables, root, written)}"
        yield f"COMMENT ON VIEW {AGE} IS {quoted_text(_COMMENTS[AGE])}"
    missing = quoted_text(f"FROM ({_missing(tables, root)}) ORDER BY ALL LIMIT ")
    yield (
        f"CREATE OR REPLACE MACRO {MISSING}(most := 1000000) AS TABLE "
        f"FROM query(concat({missing}, CAST(most AS BIGINT)))"
    )
    yield f"COMMENT ON MACRO TABLE {MISSING} IS {quoted_text(_COMMENTS[MISSING])}"


def _age(tables: Sequence[Table], root: str, written: datetime) -> str:
    rows = (
        ", ".join(
            f"({quoted_text(table.dataset)}, {_date(min(table.manifests, default=None))}, "
            f"{_date(max(table.manifests, default=None))}, {len(table.manifests)}, "
            f"{sum(m.rows for m in table.manifests.values())}, "
            f"{sum(m.bytes for m in table.manifests.values())})"
            for table in tables
        )
        or _NO_TABLE
    )
    at = f"TIMESTAMPTZ {quoted_text(written.isoformat())}"
    return (
        f"SELECT *, {at} AS written_at, now() - {at} AS age, {quoted_text(root)} AS root, "  # noqa: S608  quoted
        f"{quoted_text(__version__)} AS version FROM (VALUES {rows}) "
        "tables_(table_name, first_day, last_day, days, rows, bytes) WHERE table_name IS NOT NULL"
    )


def _missing(tables: Sequence[Table], root: str) -> str:
    """Looks at the names of manifests when it is read, at nothing of the file's views."""
    selects = []
    for table in tables:
        if table.rolled_up:
            continue
        prefix = without_patterns(f"{root}/{manifest_prefix(table.dataset)}").rstrip("/")
        days = ", ".join(quoted_text(str(day)) for day in sorted(table.manifests))
        selects.append(
            f"SELECT {quoted_text(table.dataset)} AS table_name, day FROM (SELECT "  # noqa: S608
            f"TRY_CAST(replace(parse_filename(file), '.json', '') AS DATE) AS day "
            f"FROM glob({quoted_text(f'{prefix}/*.json')})) WHERE day IS NOT NULL "
            f"AND NOT list_contains(CAST([{days}] AS DATE[]), day)"
        )
    return " UNION ALL ".join(selects) or (
        "SELECT CAST(NULL AS VARCHAR) AS table_name, CAST(NULL AS DATE) AS day WHERE false"
    )


def _date(day: object) -> str:
    return "CAST(NULL AS DATE)" if day is None else f"DATE {quoted_text(str(day))}"
