"""The macro `incident(at_time, around)`: samples, log lines and documents on one time axis.

Belongs here: its SQL, the SELECT of a dataset's samples. Does not: the SELECTs of lines and
documents (timeline), when it is defined (session).

The statement is put together where no column is in sight, as that of a range macro is, so no
field's name can be taken for a parameter.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from lake.config.settings import Settings
from lake.query.growth import starts_literal
from lake.query.kinds import quoted_name, quoted_text
from lake.query.tables import Table
from lake.query.timeline import Rows, between, documents, kind_of, lines

NAME = "incident"
PARAMETERS = ("at_time", "around")
AROUND = "INTERVAL 15 MINUTE"
SAMPLE = "sample"
NOT_LABELS = frozenset({"day", "ts", "metric", "value", "nan", "histogram", "series_id", "labels"})
# Results of expressions have no metric.
COUNTER = "coalesce(regexp_full_match(metric, '.*_(total|count|sum)'), false)"
LOOKBACK = "INTERVAL 12 HOUR"  # for the sample before: a target may have been away for long
_CALL = re.compile(rf"\b{NAME}\b", re.IGNORECASE)
_COLUMNS = "ts, ns, dataset, kind, id, level, text, value, growth"
_EMPTY = (
    "SELECT CAST(NULL AS TIMESTAMPTZ) AS ts, CAST(NULL AS BIGINT) AS ns, "
    "CAST(NULL AS VARCHAR) AS dataset, CAST(NULL AS VARCHAR) AS kind, CAST(NULL AS VARCHAR) AS id, "
    "CAST(NULL AS VARCHAR) AS level, CAST(NULL AS VARCHAR) AS text, "
    "CAST(NULL AS DOUBLE) AS value, CAST(NULL AS DOUBLE) AS growth, "
    "CAST(NULL AS BIGINT) AS position WHERE false"
)
# Places in the text that the call fills. No name and no setting has the character NUL.
_PLACE = re.compile("\0([a-z]+)\0")
# A TIMESTAMP is of UTC, whatever zone the session shows times in.
_AT = (
    "if(regexp_full_match(typeof(at_time), 'DATE|TIMESTAMP(_S|_MS|_NS)?'), "
    "timezone('UTC', CAST(at_time AS TIMESTAMP)), "
    "CAST(at_time AS TIMESTAMPTZ))"
)
_AROUND = "CAST(around AS INTERVAL)"
_VALUES = {
    "start": ("TIMESTAMPTZ", f"{_AT} - {_AROUND}"),
    "to": ("TIMESTAMPTZ", f"{_AT} + {_AROUND}"),
    "first": ("DATE", f"incident_first_day({_AT}, {_AROUND})"),
    "earlier": ("DATE", f"incident_first_day({_AT}, {_AROUND} + {LOOKBACK})"),
    "end": ("DATE", f"incident_end_day({_AT}, {_AROUND})"),
}


def is_called(sql: str) -> bool:
    """Whether the SQL may name the macro."""
    return _CALL.search(sql) is not None


def macro_statement(settings: Settings, tables: Iterable[Table]) -> str:
    """The CREATE statement, for macros of these datasets that are there."""
    selects = list(_selects(settings, tables)) or [_EMPTY]
    union = "\nUNION ALL\n".join(selects)
    statement = (
        f"SELECT {_COLUMNS} FROM ({union}) WHERE ts IS NOT NULL ORDER BY ns, dataset, position"  # noqa: S608
    )
    parts = _PLACE.split(statement)
    texts = [_filled(part) if n % 2 else quoted_text(part) for n, part in enumerate(parts)]
    return (
        f"CREATE OR REPLACE MACRO {NAME}({PARAMETERS[0]}, {PARAMETERS[1]} := {AROUND}) "
        f"AS TABLE FROM query(concat({', '.join(texts)}))"
    )


def _selects(settings: Settings, tables: Iterable[Table]) -> Iterator[str]:
    rows = Rows(_place("first"), _place("end"), _place("start"), _place("to"))
    for table in tables:
        kind, select = kind_of(table), ""
        if kind == "counter":
            yield _samples(table)
        elif kind == "lines":
            select = lines(table, settings.incident, rows)
        elif kind == "documents":
            dataset = settings.dataset_named(table.dataset)
            select = documents(table, dataset, settings.incident, rows)
        if select:
            yield (
                "SELECT ts, ns, dataset, kind, id, level, text, CAST(NULL AS DOUBLE) AS value, "  # noqa: S608
                f"CAST(NULL AS DOUBLE) AS growth, position FROM ({select})"
            )


def _samples(table: Table) -> str:
    """Each sample with its series as PromQL writes it; of counters with the growth since the one
    before. `_bucket` is left out: `_count` has its sum.

    What is added to the labels' columns has a name that no label of Prometheus has.
    """
    source = samples_from(table, _place("earlier"), _place("end"), _place("start"))
    arguments = f"value, series_id, ts, query_starts := {starts_literal(table)}"
    growth = f"CASE WHEN {counter(table)} THEN counter_increase({arguments}) END"
    return (
        f"SELECT ts, epoch_ns(ts) AS ns, {quoted_text(table.dataset)} AS dataset, "  # noqa: S608
        f"{quoted_text(SAMPLE)} AS kind, CAST(NULL AS VARCHAR) AS id, "
        f"CAST(NULL AS VARCHAR) AS level, {_series(table)} AS text, value, "
        f'"-growth" AS growth, series_id AS position FROM (SELECT *, {growth} AS "-growth" '
        f"FROM {source} WHERE ts < {_place('to')}) WHERE ts >= {_place('start')}"
    )


def counter(table: Table) -> str:
    """SQL: whether a row of `samples_from` is of a counter, as native histograms are."""
    return f"({COUNTER} OR histogram IS NOT NULL)" if _has_histograms(table) else COUNTER


def _has_histograms(table: Table) -> bool:
    return "histogram" in table.column_names


def samples_from(table: Table, first: str, end: str, start: str) -> str:
    """The numbers of the days [first, end) from an instant on, and of each series the last one
    before it, for the growth since: without labels. The other samples are not sorted. The number
    of a native histogram is its count.
    """
    source = between(table, first, end)
    if _has_histograms(table):
        count = "coalesce(value, CAST(histogram.count AS DOUBLE)) AS value"
        source = f"(SELECT * REPLACE ({count}) FROM {source})"  # noqa: S608  quoted
    numbers = "isfinite(value) AND NOT coalesce(ends_with(metric, '_bucket'), false)"
    return (
        f"(SELECT * FROM {source} WHERE ts >= {start} AND {numbers} "  # noqa: S608
        "UNION ALL BY NAME SELECT series_id, any_value(metric) AS metric, max(ts) AS ts, "
        f"arg_max(value, ts) AS value FROM {source} WHERE ts < {start} AND {numbers} "
        "GROUP BY series_id)"
    )


def _series(table: Table) -> str:
    names = [name for name in table.column_names if name not in NOT_LABELS]
    columns = [
        f"CASE WHEN {quoted_name(name)} IS NOT NULL THEN "
        f"""concat({quoted_text(f'{name}="')}, {quoted_name(name)}, '"') END"""
        for name in names
    ]
    labels = f"[{', '.join(columns) or 'CAST(NULL AS VARCHAR)'}]"
    if "labels" in table.column_names:
        entry = """lambda "-e": concat("-e".key, '="', "-e".value, '"')"""
        others = f"list_transform(map_entries(labels), {entry})"
        labels = f"list_concat({labels}, {others})"
    return f"concat(metric, '{{', array_to_string({labels}, ', '), '}}')"


def _place(name: str) -> str:
    return f"\0{name}\0"


def _filled(name: str) -> str:
    kind, value = _VALUES[name]
    return f"concat('{kind} ''', {value}, '''')"
