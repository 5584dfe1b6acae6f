"""How old a catalog file is, and what the lake has that the file lacks.

Belongs here: the view `lake_catalog`, the macro `lake_catalog_missing()`. Does not: the file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from lake import __version__
from lake.base.day import Day
from lake.partition.layout import (
    ROLLUPS,
    TABLES,
    manifest_prefix,
    rollup_prefix,
    table_prefix,
)
from lake.query import Lake
from lake.query.failures import explained
from lake.query.kinds import quoted_text
from lake.query.tables import Table, without_patterns

AGE = "lake_catalog"
MISSING = "lake_catalog_missing"
_NO_TABLE = "(CAST(NULL AS VARCHAR), CAST(NULL AS DATE), CAST(NULL AS DATE), 0, 0, 0)"
_COMMENTS = {
    AGE: "What this file has of each table, when it was written (UTC), and its age",
    MISSING: "Days that are in the lake and not in this file, or that were written or removed "
    "since; where there are any, write it again",
}
# An object as a listing shows it: no clock but the store's own is compared.
_STAMP = "concat(size, '@', epoch_ms(last_modified))"
_OBJECT = "day=*/data.parquet"
_DAY = "TRY_CAST(substr(filename, -23, 10) AS DATE)"
Stamps = Mapping[tuple[str, Day], str]  # of each dataset and day


def age_statements(lake: Lake, tables: Sequence[Table], written: datetime) -> Iterator[str]:
    """The CREATE statements of both; no view of a name that is a dataset's.

    What the lake has now is a macro of a statement that is put together when it is called: DuckDB
    binds everything else when it is made, and would list the store then.
    """
    root = lake.settings.lake.root.rstrip("/")
    if AGE not in lake.datasets:
        yield f"CREATE OR REPLACE VIEW {AGE} AS {_age(tables, root, written)}"
        yield f"COMMENT ON VIEW {AGE} IS {quoted_text(_COMMENTS[AGE])}"
    missing = _missing(tables, root, _stamps(lake, tables, root))
    missing = quoted_text(f"FROM ({missing}) ORDER BY ALL LIMIT ")
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


def _stamps(lake: Lake, tables: Sequence[Table], root: str) -> Stamps:
    """Of the objects as they are now, by their table; "" for one that differs from its manifest.

    Rollups that are not in the file have theirs, too: they may be stale, and stay so.
    """
    listed = _listed(lake, root, TABLES)
    rolled_up = {table.rolled_up: table for table in tables if table.rolled_up}
    of_rollups = _listed(lake, root, ROLLUPS) if rolled_up else {}
    stamps = {
        (rolled_up[dataset].dataset, day): stamp
        for (dataset, day), (_, stamp) in of_rollups.items()
        if dataset in rolled_up
    }
    for table in tables:
        objects = of_rollups if table.rolled_up else listed
        for day, manifest in table.manifests.items():
            size, stamp = objects.get((table.rolled_up or table.dataset, day), (-1, ""))
            stamps[table.dataset, day] = stamp if size == manifest.bytes else ""
    return stamps


def _listed(lake: Lake, root: str, prefix: str) -> dict[tuple[str, Day], tuple[int, str]]:
    """Size and stamp by dataset and day."""
    objects = quoted_text(f"{without_patterns(f'{root}/{prefix}')}*/{_OBJECT}")
    with explained(lake.settings.lake.root):
        rows = lake.connection.execute(
            f"SELECT {_DAY}, filename, size, {_STAMP} FROM read_blob({objects}) "  # noqa: S608
            f"WHERE {_DAY} IS NOT NULL"
        ).fetchall()
    return {
        (filename.rsplit("/", 3)[-3], Day(day)): (size, stamp)
        for day, filename, size, stamp in rows
    }


def _missing(tables: Sequence[Table], root: str, stamps: Stamps) -> str:
    """Lists manifests and objects when it is read, and looks at nothing of the file's views.

    A day that was written again may have other types: the file's views would cast its values to
    those that it had.
    """
    by_table: dict[str, list[tuple[Day, str]]] = {table.dataset: [] for table in tables}
    for (name, day), stamp in sorted(stamps.items()):
        by_table[name].append((day, stamp))
    selects = [
        _changed_of(table.dataset, f"{root}/{rollup_prefix(table.rolled_up)}", stamped)
        if table.rolled_up
        else _missing_of(table.dataset, root, stamped)
        for table in tables
        for stamped in [by_table[table.dataset]]
    ]
    return " UNION ALL ".join(selects) or (
        "SELECT CAST(NULL AS VARCHAR) AS table_name, CAST(NULL AS DATE) AS day WHERE false"
    )


def _missing_of(dataset: str, root: str, stamped: Sequence[tuple[Day, str]]) -> str:
    manifests = without_patterns(f"{root}/{manifest_prefix(dataset)}") + "*.json"
    return (
        f"SELECT {quoted_text(dataset)} AS table_name, coalesce(file_.day, lake_.day) AS day "  # noqa: S608
        f"FROM {_of_file(stamped)} "
        "FULL JOIN (SELECT TRY_CAST(replace(parse_filename(file), '.json', '') AS DATE) AS day "
        f"FROM glob({quoted_text(manifests)}) WHERE day IS NOT NULL) lake_ "
        "ON lake_.day = file_.day "
        f"LEFT JOIN {_of_objects(f'{root}/{table_prefix(dataset)}')} ON object_.day = file_.day "
        "WHERE file_.day IS NULL OR lake_.day IS NULL OR object_.stamp IS DISTINCT FROM file_.stamp"
    )


def _changed_of(rollups: str, prefix: str, stamped: Sequence[tuple[Day, str]]) -> str:
    return (
        f"SELECT {quoted_text(rollups)} AS table_name, coalesce(file_.day, object_.day) AS day "  # noqa: S608
        f"FROM {_of_file(stamped)} FULL JOIN {_of_objects(prefix)} ON object_.day = file_.day "
        "WHERE object_.stamp IS DISTINCT FROM file_.stamp"
    )


def _of_file(stamped: Sequence[tuple[Day, str]]) -> str:
    """The days and stamps as they were when the file was written."""
    days = ", ".join(quoted_text(str(day)) for day, _ in stamped)
    stamps = ", ".join(quoted_text(stamp) for _, stamp in stamped)
    return (
        f"(SELECT unnest(CAST([{days}] AS DATE[])) AS day, "
        f"unnest(CAST([{stamps}] AS VARCHAR[])) AS stamp) file_"
    )


def _of_objects(prefix: str) -> str:
    """The same of the objects as they are when it is read."""
    objects = quoted_text(without_patterns(prefix) + _OBJECT)
    return (
        f"(SELECT {_DAY} AS day, {_STAMP} AS stamp FROM read_blob({objects}) "  # noqa: S608
        f"WHERE {_DAY} IS NOT NULL) object_"
    )


def _date(day: object) -> str:
    return "CAST(NULL AS DATE)" if day is None else f"DATE {quoted_text(str(day))}"
