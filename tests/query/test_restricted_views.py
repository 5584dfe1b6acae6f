"""Filters on `day` limit what a view reads, never what a statement answers.

The oracle is DuckDB over all of the same Parquet files, read without the lake.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from support.hand_made import HandMadeLake, hand_made_lake

from lake.base.day import Day
from lake.partition.layout import table_key

_DAYS = ("2026-07-01", "2026-07-02", "2026-07-03", "2026-07-04")
_ROWS = {
    "a": {0: [1, 2, 3], 1: [2, 4], 2: [1, 5, 5], 3: [3]},
    "b": {0: [5, 1], 1: [3], 2: [2, 2], 3: [1, 4, 6]},
    "c": {0: [2], 1: [1, 6], 2: [3, 4], 3: [5]},
}
_JOINS = (
    "JOIN {0} ON {1}.n = {0}.n", "LEFT JOIN {0} ON {1}.n = {0}.n",
    "RIGHT JOIN {0} ON {1}.n = {0}.n",
    "FULL JOIN {0} ON {1}.n = {0}.n", "FULL JOIN {0} USING (day)", "NATURAL LEFT JOIN {0}",
    "SEMI JOIN {0} ON {1}.n = {0}.n", "ANTI JOIN {0} ON {1}.n = {0}.n",
    "ASOF JOIN {0} ON {1}.n >= {0}.k", "ASOF LEFT JOIN {0} ON {1}.n >= {0}.k",
    "ASOF RIGHT JOIN {0} ON {1}.n >= {0}.k", "POSITIONAL JOIN {0}", "CROSS JOIN {0}", ", {0}",
)  # fmt: skip
_CONDITIONS = (
    "= '2026-07-02'", ">= DATE '2026-07-03'", "< '2026-07-03'", "IN ('2026-07-01', '2026-07-03')",
    "BETWEEN '2026-07-02' AND '2026-07-03'", "IS NULL", "<= '2026-07-02T00:00:00+09:00'",
    "> '2026-07-02 00:00:00-09'", "<= TIMESTAMPTZ '2026-07-03 00:00:00+09'",
    "BETWEEN '2026-07-01T00:00:00+09:00' AND TIMESTAMPTZ '2026-07-03 05:00:00+09'",
    "!= '2026-07-02'", "IS DISTINCT FROM '2026-07-02'", "= '2026-07-02' OR true",
)  # fmt: skip
_STATEMENTS = (
    "SELECT day, n, row_number() OVER (ORDER BY day, n) FROM a WHERE day > '2026-07-02'",
    "SELECT day, n FROM a WHERE day <= '2026-07-03' QUALIFY sum(n) OVER (PARTITION BY day) > 6",
    "SELECT day, n FROM (FROM a ORDER BY day, n LIMIT 2) WHERE day = '2026-07-03'",
    "SELECT * FROM (SELECT day, n, lag(n) OVER (ORDER BY day, n) FROM a) "
    "WHERE day = '2026-07-02'",
    "SELECT n FROM a WHERE day = '2026-07-01' UNION SELECT n FROM a WHERE day = '2026-07-03'",
    "SELECT n FROM a WHERE day = '2026-07-01' EXCEPT SELECT n FROM a",
    "SELECT n FROM a WHERE day = '2026-07-03' AND n IN (SELECT n FROM b WHERE day < '2026-07-02')",
    "SELECT n FROM a WHERE EXISTS (FROM b WHERE b.n = a.n AND a.day = '2026-07-01')",
    "SELECT n FROM b WHERE EXISTS "
    "(FROM a SEMI JOIN b AS x ON a.n = x.n WHERE b.day = '2026-07-01' AND a.n = b.n)",
    "SELECT n, (SELECT max(x.n) FROM a x WHERE x.day = '2026-07-04') AS most FROM a",
    "SELECT x.n, y.n FROM a x JOIN a y ON x.n = y.n WHERE x.day = '2026-07-01'",
    "WITH w AS (FROM a WHERE day >= '2026-07-02') SELECT w.n FROM w POSITIONAL JOIN b "
    "WHERE w.day = '2026-07-03'",
    "SELECT x.n FROM (SELECT a.* FROM a JOIN b USING (n)) x WHERE x.day = '2026-07-01'",
    "SELECT a.n, z.m FROM a LEFT JOIN LATERAL (SELECT max(b.n) m FROM b WHERE b.day = a.day "
    "AND b.day > '2026-07-01') z ON true WHERE a.day < '2026-07-03'",
    "SELECT n FROM a TABLESAMPLE reservoir(100 ROWS) WHERE day = '2026-07-02'",
    "SELECT n AS day FROM a WHERE day = '2026-07-02'",
    "SELECT count(*) FILTER (day = '2026-07-01'), count(*) FROM a",
    "SELECT n FROM a WHERE day = '2026-07-01' OR day > '2026-07-03'",
    "SELECT n FROM a WHERE day = '2026-07-02' OR n = 3",
    "SELECT n FROM a WHERE day = '2026-07-02' AND n = 2 OR "
    "(day < '2026-07-02' OR day = '2026-07-03') AND n > 1",
    "SELECT n FROM a WHERE day = '2026-07-01' AND day = '2026-07-02' OR day = '2026-07-03'",
    "SELECT a.n, b.n FROM a FULL JOIN b USING (n) "
    "WHERE a.day = '2026-07-01' OR b.day > '2026-07-02'",
    "SELECT day, n FROM a GROUP BY ALL HAVING day = '2026-07-03'",
)  # fmt: skip


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> HandMadeLake:
    """A lake of three datasets."""
    made = hand_made_lake(tmp_path_factory.mktemp("three"), *_ROWS)
    for dataset, days in _ROWS.items():
        for number, values in days.items():
            # No two alike: ASOF would choose one of them.
            keys = [value - (number * 3 + place) / 20 for place, value in enumerate(values)]
            made.put(dataset, _DAYS[number], pa.table({"n": values, "k": keys}))
    return made


@pytest.fixture(scope="module")
def whole(three: HandMadeLake) -> Iterator[duckdb.DuckDBPyConnection]:
    """The same files in a DuckDB of its own, all days in memory."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for dataset in _ROWS:
            days = " UNION ALL ".join(
                f"SELECT DATE '{day}' AS day, * FROM "
                f"read_parquet('{_file(three, dataset, day)}', hive_partitioning = false)"
                for day in _DAYS
            )
            connection.execute(f"CREATE TABLE {dataset} AS {days}")
        yield connection


def _file(made: HandMadeLake, dataset: str, day: str) -> Path:
    return Path(made.settings.lake.root) / table_key(dataset, Day.parse(day))


def _same(made: HandMadeLake, whole: duckdb.DuckDBPyConnection, statement: str) -> None:
    """A statement that DuckDB refuses has no rows to compare."""
    try:
        expected = Counter(whole.execute(statement).fetchall())
    except (duckdb.BinderException, duckdb.ParserException, duckdb.NotImplementedException):
        return
    with made.connect() as session:
        assert Counter(session.ask(statement).rows) == expected, statement


@pytest.mark.parametrize("join", _JOINS)
def test_a_filter_on_either_side_of_a_join(three, whole, join: str) -> None:
    joined = f"FROM a {join.format('b', 'a')}"
    for condition in _CONDITIONS[:3]:
        for side in ("a", "b"):
            _same(three, whole, f"{joined} WHERE {side}.day {condition}")


@pytest.mark.parametrize("statement", _STATEMENTS)
def test_other_clauses(three, whole, statement: str) -> None:
    whole.execute(statement)  # it is no statement that DuckDB refuses
    _same(three, whole, statement)


@pytest.mark.parametrize("condition", _CONDITIONS)
def test_conditions(three, whole, condition: str) -> None:
    whole.execute(f"FROM a WHERE day {condition}")
    _same(three, whole, f"FROM a WHERE day {condition}")
    _same(three, whole, f"FROM a WHERE n > 1 AND NOT day {condition}")


@settings(deadline=None, max_examples=25)
@given(
    joins=st.tuples(st.sampled_from(_JOINS), st.sampled_from(_JOINS)),
    nested=st.booleans(),
    filters=st.dictionaries(st.sampled_from("abc"), st.sampled_from(_CONDITIONS), min_size=1),
)
def test_two_joins(three, whole, joins: tuple[str, str], nested: bool, filters) -> None:
    """Where the row order of a join's result counts, its answer is not determined."""
    inner, outer = joins
    assume("POSITIONAL" not in outer and not (nested and "ASOF" in outer))
    if nested:
        inside = f" (b {inner.format('c', 'b')}) "
        source = f"a {outer.format('b', 'a')} ".replace(" b ", inside, 1)
    else:
        source = f"a {inner.format('b', 'a')} {outer.format('c', 'a')}"
    where = " AND ".join(f"({name}.day {condition})" for name, condition in filters.items())
    _same(three, whole, f"SELECT * FROM {source} WHERE {where}")


def test_a_filter_still_limits_what_is_read(three) -> None:
    """Only files of the days in question are opened."""
    with three.connect() as session:
        for statement in (
            "FROM a WHERE day = '2026-07-02'",
            "FROM a LEFT JOIN b USING (n) WHERE a.day = '2026-07-02'",
            "FROM a ASOF JOIN b ON a.n >= b.k WHERE a.day = '2026-07-02'",
        ):
            session.ask(statement)
            plan = session.connection.execute("EXPLAIN ANALYZE FROM a").fetchall()[0][1]
            assert "Total Files Read: 1" in plan, statement
        for statement in (
            "FROM b ASOF JOIN a ON b.n >= a.k WHERE a.day = '2026-07-02'",
            "FROM a POSITIONAL JOIN b WHERE a.day = '2026-07-02'",
            "FROM a TABLESAMPLE reservoir(3 ROWS) WHERE day = '2026-07-02'",
            "SELECT n FROM a WHERE day = '2026-07-02' USING SAMPLE 3",
        ):
            session.ask(statement)
            plan = session.connection.execute("EXPLAIN ANALYZE FROM a").fetchall()[0][1]
            assert "Total Files Read: 4" in plan, statement


@pytest.mark.parametrize("zone", ["Asia/Seoul", "America/New_York", "UTC", "Etc/UTC"])
def test_the_zone_of_the_session_is_that_of_instants(three: HandMadeLake, zone: str) -> None:
    """DuckDB compares a DATE with an instant by the midnights of the session's zone."""
    comparisons = [
        f"day {sign} TIMESTAMPTZ '2026-07-0{day} {time}:00+00'"
        for sign in ("<", "<=", "=", ">=", ">")
        for day, time in ((2, "00:00"), (3, "04:00"), (2, "15:00"))
    ]
    files = f"{three.config.parent}/lake/tables/a/*/*.parquet"
    with three.connect() as lake, duckdb.connect() as plain:
        for session in (lake.connection, plain):
            session.execute(f"SET TimeZone = '{zone}'")
        for condition in comparisons:
            expected = plain.sql(
                f"SELECT day, n FROM read_parquet('{files}', hive_partitioning = true, "
                f"hive_types = {{'day': DATE}}) WHERE {condition} ORDER BY ALL"
            ).fetchall()
            answer = lake.ask(f"SELECT day, n FROM a WHERE {condition} ORDER BY ALL")
            assert list(answer.rows) == expected, condition
