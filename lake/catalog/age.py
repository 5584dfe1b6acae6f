"""How old a catalog file is, and what the lake has that the file lacks.

Belongs here: the view `lake_catalog`, the macro `lake_catalog_missing()`. Does not: the file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from lake import __version__
from lake.base.day import Day
from lake.partition.layout import TABLES, manifest_prefix, table_prefix
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
    """Of the objects as they are now; "" for one that is not as its manifest says."""
    objects = quoted_text(f"{without_patterns(f'{root}/{TABLES}')}*/{_OBJECT}")
    with explained(lake.settings.lake.root):
        rows = lake.connection.execute(
            f"SELECT filename, size, {_STAMP} FROM read_blob({objects})"  # noqa: S608  quoted
        ).fetchall()
    listed = {}
    for name, size, stamp in rows:
        dataset, day, _ = name.rsplit("/", 3)[-3:]
        listed[dataset, day.removeprefix("day=")] = size, stamp
    return {
        (table.dataset, day): stamp if size == manifest.bytes else ""
        for table in tables
        if not table.rolled_up
        for day, manifest in table.manifests.items()
        for size, stamp in [listed.get((table.dataset, str(day)), (-1, ""))]
    }


def _missing(tables: Sequence[Table], root: str, stamps: Stamps) -> str:
    """Lists manifests and objects when it is read, and looks at nothing of the file's views.

    A day that was written again may have other types: the file's views would cast its values to
    those that it had.
    """
    selects = [
        _missing_of(table.dataset, root, [(day, stamps[table.dataset, day]) for day in days])
        for table in tables
        if not table.rolled_up
        for days in [sorted(table.manifests)]
    ]
    return " UNION ALL ".join(selects) or (
        "SELECT CAST(NULL AS VARCHAR) AS table_name, CAST(NULL AS DATE) AS day WHERE false"
    )


def _missing_of(dataset: str, root: str, stamped: Sequence[tuple[Day, str]]) -> str:
    manifests = without_patterns(f"{root}/{manifest_prefix(dataset)}") + "*.json"
    objects = without_patterns(f"{root}/{table_prefix(dataset)}") + _OBJECT
    days = ", ".join(quoted_text(str(day)) for day, _ in stamped)
    stamps = ", ".join(quoted_text(stamp) for _, stamp in stamped)
    return (
        f"SELECT {quoted_text(dataset)} AS table_name, coalesce(file_.day, lake_.day) AS day "  # noqa: S608
        f"FROM (SELECT unnest(CAST([{days}] AS DATE[])) AS day, "
        f"unnest(CAST([{stamps}] AS VARCHAR[])) AS stamp) file_ "
        "FULL JOIN (SELECT TRY_CAST(replace(parse_filename(file), '.json', '') AS DATE) AS day "
        f"FROM glob({quoted_text(manifests)}) WHERE day IS NOT NULL) lake_ "
        "ON lake_.day = file_.day "
        "LEFT JOIN (SELECT TRY_CAST(substr(filename, -23, 10) AS DATE) AS day, "
        f"{_STAMP} AS stamp FROM read_blob({quoted_text(objects)})) object_ "
        "ON object_.day = file_.day "
        "WHERE file_.day IS NULL OR lake_.day IS NULL OR object_.stamp IS DISTINCT FROM file_.stamp"
    )


def _date(day: object) -> str:
    return "CAST(NULL AS DATE)" if day is None else f"DATE {quoted_text(str(day))}"
