"""The macros sketch, sketch_merge and sketch_quantile against the values themselves."""

from __future__ import annotations

import math
from pathlib import Path

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lake.query.connection import macro_statements

FINITE = st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.lists(st.one_of(FINITE, st.sampled_from([0.0, -0.0, 1.0, math.inf, -math.inf])))


@pytest.fixture(scope="module")
def session():
    connection = duckdb.connect()
    for statement in macro_statements():
        connection.execute(statement)
    yield connection
    connection.close()


def close(number: float, expected: float) -> bool:
    """Within 1 %; the rounding of logarithms may add its own last digits."""
    return number == expected or abs(number - expected) <= abs(expected) * 0.01 * (1 + 1e-9)


@settings(deadline=None, max_examples=60)
@given(st.lists(VALUES, min_size=1, max_size=4), st.floats(0, 1))
def test_a_merged_quantile_is_within_one_percent(session, groups, quantile: float) -> None:
    rows = [(number, value) for number, group in enumerate(groups) for value in group]
    given_rows = [row for row in rows if abs(row[1]) > 1e-300 or row[1] == 0]
    session.execute("CREATE OR REPLACE TABLE given_values (number BIGINT, value DOUBLE)")
    if given_rows:
        session.executemany("INSERT INTO given_values VALUES (?, ?)", given_rows)
    (estimate, count) = session.execute(
        "WITH parts AS (SELECT number, sketch(value) AS part FROM given_values GROUP BY number) "
        "SELECT sketch_quantile(sketch_merge(part), $q), "
        "list_sum(map_values(sketch_merge(part))) FROM parts",
        {"q": quantile},
    ).fetchone()
    values = sorted(value for _, value in given_rows)
    assert (count or 0) == len(values)
    if not values:
        assert estimate is None
        return
    expected = values[math.floor(quantile * (len(values) - 1))]
    assert close(estimate, expected), (estimate, expected)


@pytest.mark.parametrize("value", [1.7637650858193227e308, 1.7976931348623157e308, -1.79e308])
def test_the_largest_numbers(session, value: float) -> None:
    (estimate,) = session.execute(
        "SELECT sketch_quantile(sketch(x), 0.5) FROM (SELECT $x AS x)", {"x": value}
    ).fetchone()
    assert close(estimate, value)


def test_merging_loses_nothing(session) -> None:
    luck = np.random.default_rng(7)
    values = np.concatenate([np.exp(luck.normal(6, 2, 5000)), -np.exp(luck.normal(0, 3, 500))])
    session.execute(
        "CREATE OR REPLACE TABLE many AS SELECT unnest($v) AS value, unnest($g) AS number",
        {"v": values.tolist(), "g": luck.integers(0, 50, len(values)).tolist()},
    )
    whole, merged = session.execute(
        "SELECT (SELECT sketch(value) FROM many), (SELECT sketch_merge(part) FROM "
        "(SELECT number, sketch(value) AS part FROM many GROUP BY number))"
    ).fetchone()
    assert merged == whole
    assert sum(whole.values()) == len(values)


def test_nothing_and_nan_are_not_counted(session) -> None:
    rows = "(VALUES (NULL), (CAST('NaN' AS DOUBLE)), (4.0)) AS t(value)"
    (merged,) = session.execute(f"SELECT sketch(value) FROM {rows}").fetchone()
    assert list(merged.values()) == [1]
    empty = "(SELECT sketch(value) AS part FROM (SELECT 1.0 AS value WHERE false))"
    assert session.execute(
        f"SELECT sketch_quantile(sketch_merge(part), 0.5), sketch_merge(part) FROM {empty}"
    ).fetchone() == (None, {})


def test_tables_may_have_any_name(session) -> None:
    """No name in the macros hides one of the query's."""
    session.execute("CREATE OR REPLACE TABLE t AS SELECT 5.0 AS u, 1 AS k, 1 AS n, 2 AS e")
    session.execute("CREATE OR REPLACE TABLE s AS SELECT k, sketch(u) AS e FROM t GROUP BY k")
    ((key, value),) = session.execute(
        "SELECT k, sketch_quantile(sketch_merge(e), 0.5) FROM s GROUP BY k"
    ).fetchall()
    assert key == 1
    assert close(value, 5.0)


def test_a_quantile_that_is_none(session) -> None:
    with pytest.raises(duckdb.Error, match="from 0 to 1, not 95"):
        session.execute("SELECT sketch_quantile(sketch(x), 95) FROM range(9) r(x)").fetchall()


def test_a_merged_quantile_is_one_subquery(session) -> None:
    """One subquery in another is a join over lists of all sketches, which takes minutes."""
    session.execute(
        "CREATE OR REPLACE TABLE parts AS SELECT number % 3 AS number, sketch(number) AS part "
        "FROM range(30) AS r(number) GROUP BY ALL"
    )
    ((_, plan),) = session.execute(
        "EXPLAIN SELECT number, sketch_quantile(sketch_merge(part), 0.95) FROM parts GROUP BY ALL"
    ).fetchall()
    assert plan.count("DELIM_JOIN") == 1


def test_each_macro_has_a_header() -> None:
    folder = Path(__file__).parents[2] / "sql/macros"
    for path in folder.glob("*.sql"):
        head = path.read_text("utf-8").partition("CREATE")[0]
        assert "-- grain:" in head and "-- parameters:" in head, path.name  # noqa: PT018
