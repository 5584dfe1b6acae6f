"""`--by`: labels only, and the same ones by rollups and by tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from support.made_partitions import PAIRS, put
from support.rolled_lake import Place

from lake.base.day import Day
from lake.base.errors import UsageError
from lake.query import Lake, connect
from lake.rollup.many import roll_up, with_rollups
from lake.systems.prometheus.reading.answer import HISTOGRAM_TYPE
from lake.trends import Choices, ask, trend_named
from lake.trends.files import read_trend

DAY = Day.parse("2026-07-01")
DAYS = DAY, DAY.plus(2)
SECTIONS = """
[sources.prometheus]
url = "http://127.0.0.1:1"
[sources.loki]
url = "http://127.0.0.1:1"
[[dataset]]
name = "counters"
source = "prometheus"
query = "jobs_total"
mode = "raw"
[[dataset]]
name = "natives"
source = "prometheus"
query = "spans"
mode = "raw"
[[dataset]]
name = "logs"
source = "loki"
selector = '{app=~".+"}'
"""
# Series and their labels; the names of the others are a column's, a rollup's column's, not lower
# case, a column's of macros, and those that a statement may give to what it computes.
COMPUTED = ("_b", "before", "follows", "sample", "ts_before")
SERIES = {
    number: {"job": job, "value": f"v{number}", "first": f"f{number}", "Zone": f"z{number}"}
    | {"lower": f"l{number}"}
    | {name: f"{name} {number}" for name in COMPUTED}
    for number, job in ((1, "a"), (2, "b"))
}
STREAMS = {1: {"app": "a", "line": "l1", "level": "ERROR"}, 2: {"app": "b", "line": "l2"}}


def stamps(day: Day, unit: str) -> pa.Array:
    times = [day.start_ms + second * 1000 for second in (1, 2, 1, 2)]
    return (
        pa.array(times, pa.int64()).cast(pa.timestamp("ms", "UTC")).cast(pa.timestamp(unit, "UTC"))
    )


def counters(day: Day, number: int) -> pa.Table:
    """Series 1 grows by 1, series 2 by 10 within the day; by nothing over midnight."""
    labels = [SERIES[series_id] for series_id in (1, 1, 2, 2)]
    values = [number, number + 1, 10 * number, 10 * number + 10]
    return pa.table(
        {
            "ts": stamps(day, "ms"),
            "metric": pa.array(["jobs_total"] * 4, pa.string()),
            "value": pa.array(values, pa.float64()),
            "nan": pa.nulls(4, pa.string()),
            "series_id": pa.array([1, 1, 2, 2], pa.int64()),
            "histogram": pa.nulls(4, HISTOGRAM_TYPE),
            "first": pa.array([of_row["first"] for of_row in labels]),
            "job": pa.array([of_row["job"] for of_row in labels]),
            **{
                name: pa.array([of_row[name] for of_row in labels]) for name in ("lower", *COMPUTED)
            },
            "labels": pa.array(
                [[(name, of_row[name]) for name in ("Zone", "value")] for of_row in labels], PAIRS
            ),
        }
    )


def natives(day: Day, number: int) -> pa.Table:
    """The same as native histograms, all in one bucket."""
    table = counters(day, number)
    histograms = [
        {"count": n, "sum": n, "buckets": [{"lower": 1.0, "upper": 2.0, "count": n, "bounds": 0}]}
        for n in table["value"].to_pylist()
    ]
    own = {
        "metric": pa.array(["spans"] * 4),
        "value": pa.nulls(4, pa.float64()),
        "histogram": pa.array(histograms, HISTOGRAM_TYPE),
    }
    return pa.table({name: own.get(name, table[name]) for name in table.column_names})


def logs(day: Day) -> pa.Table:
    labels = [STREAMS[stream_id] for stream_id in (1, 1, 2, 2)]
    return pa.table(
        {
            "ts": stamps(day, "us"),
            "ts_ns": pa.array([0] * 4, pa.int64()),
            "stream_id": pa.array([1, 1, 2, 2], pa.int64()),
            "line": pa.array(["one", "two", "level=warn three", "level=info four"]),
            "app": pa.array([of_row["app"] for of_row in labels]),
            "level": pa.array([of_row.get("level") for of_row in labels], pa.string()),
            "labels": pa.array([[("line", of_row["line"])] for of_row in labels], PAIRS),
            "metadata": pa.array([[]] * 4, PAIRS),
        }
    )


@pytest.fixture(scope="module", params=["tables", "rollups", "a rollup and a table"])
def lake(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Lake]:
    made = Place(tmp_path_factory.mktemp("labels"), SECTIONS)
    for number in range(2):
        day = DAY.plus(number)
        put(made.store, made.settings.dataset_named("counters"), day, counters(day, number))
        put(made.store, made.settings.dataset_named("natives"), day, natives(day, number))
        put(made.store, made.settings.dataset_named("logs"), day, logs(day))
    if request.param != "tables":
        days = None if request.param == "rollups" else (DAY,)
        results = roll_up(made.settings, made.store, with_rollups(made.settings, ()), days, jobs=1)
        assert {result.rolled.state for result in results} == {"made"}
    with connect(made.settings) as opened:
        yield opened


def by_label(lake: Lake, trend: str, options: dict[str, str], number: int) -> dict:
    """The column at that place, summed by label."""
    answer = ask(lake, trend_named(trend), *DAYS, Choices(options))
    sums: Counter = Counter()
    for row in answer.rows:
        sums[row[1]] += row[number]
    return dict(sums)


@pytest.mark.parametrize(
    ("label", "ones", "tens"),
    [
        ("job", "a", "b"),
        ("value", "v1", "v2"),
        ("first", "f1", "f2"),
        ("Zone", "z1", "z2"),
        ("lower", "l1", "l2"),
        *((name, f"{name} 1", f"{name} 2") for name in COMPUTED),
    ],
)
@pytest.mark.parametrize("metric", ["jobs_total", "spans"])
def test_growth_by_labels_of_any_name(
    lake: Lake, metric: str, label: str, ones: str, tens: str
) -> None:
    options = {"metric": metric, "by": label}
    assert by_label(lake, "counter", options, 2) == {ones: 2, tens: 20}


def test_growth_by_metric(lake: Lake) -> None:
    options = {"metric": "jobs_total", "by": "metric"}
    assert by_label(lake, "counter", options, 2) == {"jobs_total": 22}


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("app", {"a": 4, "b": 4}),
        ("line", {"l1": 4, "l2": 4}),
        ("level", {"error": 4, "warn": 2, "info": 2}),  # of each line, not the label
    ],
)
def test_lines_by_labels_of_any_name(lake: Lake, label: str, expected: dict) -> None:
    assert by_label(lake, "log_lines", {"by": label}, 2) == expected


@pytest.mark.parametrize(
    ("trend", "label"),
    [
        ("counter", label)
        for label in ("ts", "series_id", "labels", "nan", "histogram", "Job", "hour")
    ]
    + [("log_lines", label) for label in ("ts", "stream_id", "labels", "metadata", "App", "bytes")],
)
def test_what_is_no_label(lake: Lake, trend: str, label: str) -> None:
    options = {"by": label} | ({"metric": "jobs_total"} if trend == "counter" else {})
    with pytest.raises(UsageError, match="does not fit") as raised:
        by_label(lake, trend, options, 2)
    assert raised.value.parts["found"] == f"no label {label}"


OWN = """-- Growth by a column of any name
--
-- grain:      one row a value
-- input:      grows | {kind}
-- column:     grows.{name} = job
-- parameters: from_day, to_day
-- x:          day
-- series:     {name}
-- panel:      growth | lines | growth
--
SELECT min(day) AS day, "{name}", sum(increase) AS growth FROM grows GROUP BY "{name}"
"""


@pytest.mark.parametrize("kind", ["counter | jobs_total, jobs", "histogram | spans"])
@pytest.mark.parametrize(
    "name",
    [
        *("first", "first_ts", "last", "grown", "before", "earliest", "bucket", *COMPUTED),
        *("ts", "value", "histogram", "hour", "last_before", "label"),
    ],
)
def test_columns_of_any_name_in_a_trend_of_the_users_own(
    lake: Lake, tmp_path: Path, kind: str, name: str
) -> None:
    file = tmp_path / "own.sql"
    file.write_text(OWN.format(kind=kind, name=name))
    rows = ask(lake, read_trend(file), *DAYS).rows
    assert sorted(row[1:] for row in rows) == [("a", 2), ("b", 20)]
