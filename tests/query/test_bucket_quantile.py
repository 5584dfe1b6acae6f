"""The macro bucket_quantile against PromQL's histogram_quantile in a real Prometheus."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import duckdb
import pytest
import requests

from lake.query.connection import macro_statements
from lake.servers import start

Buckets = Sequence[tuple[str, float]]
QUANTILES = (-0.1, 0, 0.01, 0.5, 0.9, 0.95, 0.99, 1, 1.1, math.nan)
HISTOGRAMS: dict[str, Buckets] = {
    "usual": [("0.1", 5), ("0.5", 20), ("1", 22), ("2.5", 29), ("+Inf", 30)],
    "all in the last": [("0.1", 0), ("0.5", 0), ("+Inf", 7)],
    "none in the first": [("0.1", 0), ("0.5", 5), ("+Inf", 7)],
    "all in the first": [("0.1", 9), ("0.5", 9), ("+Inf", 9)],
    "empty buckets between": [("1", 4), ("2", 4), ("4", 4), ("8", 10), ("+Inf", 10)],
    "nothing happened": [("0.1", 0), ("+Inf", 0)],
    "no +Inf": [("0.1", 3), ("0.5", 8)],
    "only +Inf": [("+Inf", 8)],
    "bounds below 0": [("-2", 3), ("-1", 6), ("0", 8), ("3", 9), ("+Inf", 9)],
    "only bounds below 0": [("-2", 6), ("-1", 6), ("+Inf", 6)],
    "not monotonic": [("1", 5), ("2", 3), ("4", 9), ("+Inf", 9)],
    "fractions": [("0.001", 0.25), ("0.5", 1.75), ("+Inf", 2.5)],
    "no number": [("low", 3), ("1", 4), ("+Inf", 5)],
    "a lowest bound of -Inf": [("-Inf", 1), ("2", 3), ("+Inf", 4)],
    "one bound written in two ways": [("1", 4), ("1.0", 3), ("2", 12), ("+Inf", 12)],
}


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with start(["prometheus"], directory=tmp_path_factory.mktemp("prometheus")) as stack:
        yield stack.endpoints["prometheus"]["url"]


def in_promql(url: str, buckets: Buckets, quantile: float) -> float | None:
    vectors = " or ".join(
        f'label_replace(vector({count}), "le", "{bound}", "", "")' for bound, count in buckets
    )
    params = {"query": f"histogram_quantile({quantile}, {vectors})", "time": "1000"}
    answer = requests.get(f"{url}/api/v1/query", params=params, timeout=30)
    result = answer.json()["data"]["result"]
    return float(result[0]["value"][1]) if result else None


@pytest.mark.parametrize("name", HISTOGRAMS)
def test_the_quantile_is_that_of_promql(prometheus: str, name: str) -> None:
    buckets = HISTOGRAMS[name]
    with duckdb.connect() as session:
        for statement in macro_statements():
            session.execute(statement)
        session.execute("CREATE TABLE buckets (le VARCHAR, grown DOUBLE)")
        # In two halves: the rows of a bound are summed.
        halves = [(bound, part * count) for bound, count in buckets for part in (0.25, 0.75)]
        session.executemany("INSERT INTO buckets VALUES (?, ?)", halves)
        for quantile in QUANTILES:
            (value,) = session.execute(
                "SELECT bucket_quantile(le, grown, $q) FROM buckets", {"q": quantile}
            ).fetchone()
            expected = in_promql(prometheus, buckets, quantile)
            if expected is None or math.isnan(expected):
                assert value is None, (quantile, value)
            else:
                assert value == pytest.approx(expected, rel=1e-12), quantile


def test_of_each_group_by_itself(tmp_path: Path) -> None:
    with duckdb.connect() as session:
        for statement in macro_statements():
            session.execute(statement)
        rows = session.execute(
            "SELECT day, bucket_quantile(le, n, 0.5) FROM (VALUES (1, '2', 4), (1, '+Inf', 4), "
            "(2, '2', 0), (2, '4', 8), (2, '+Inf', 8), (3, '2', 0), (3, '+Inf', 0)) "
            "AS t(day, le, n) GROUP BY day ORDER BY day"
        ).fetchall()
    assert rows == [(1, 1.0), (2, 3.0), (3, None)]


def test_of_many_series_at_once() -> None:
    """Twenty thousand rows of one group: their time may not grow by the square."""
    with duckdb.connect() as session:
        for statement in macro_statements():
            session.execute(statement)
        # Series s has s observations in each of the buckets 1 … 69, and none above.
        session.execute(
            "CREATE TABLE buckets AS SELECT series * least(bound, 69) AS grown, "
            "if(bound = 70, '+Inf', bound::VARCHAR) AS le "
            "FROM range(300) AS _a(series), range(1, 71) AS _b(bound)"
        )
        (median,) = session.execute(
            "SELECT bucket_quantile(le, grown, 0.5) FROM buckets"
        ).fetchone()
    assert median == pytest.approx(34.5)


def test_a_quantile_of_native_buckets_that_is_no_number() -> None:
    """NaN in PromQL, as of classic buckets; it was Infinity, for DuckDB's NaN is above 1."""
    with duckdb.connect() as session:
        for statement in macro_statements():
            session.execute(statement)
        answer = session.execute(
            "SELECT histogram_quantile(low, high, n, 'NaN'::DOUBLE), "
            "histogram_quantile(low, high, n, 1) FROM (VALUES (0.5, 1.0, 3)) AS t(low, high, n)"
        )
        assert answer.fetchone() == (None, 1.0)
