"""A counter's growth by day: four ways to compute it, on random series."""

from __future__ import annotations

import shutil
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.made_partitions import PAIRS, put
from support.rolled_lake import Place

from lake.base.day import Day
from lake.base.errors import LakeError
from lake.query import connect
from lake.rollup.many import roll_up, with_rollups
from lake.systems.prometheus.reading.answer import HISTOGRAM_TYPE
from lake.trends import Choices, ask, trend_named

FIRST = Day.parse("2026-07-01")
DAYS = 4
METRIC = "jobs_total"
LOOK_BACK_MS = 300_000  # within it a first sample is among the first of all
SECTIONS = """
[sources.prometheus]
url = "http://127.0.0.1:1"
[[dataset]]
name = "counters"
source = "prometheus"
query = "jobs_total"
mode = "raw"
"""
# Around the edges of hours and days, and anywhere.
INSTANTS = st.one_of(
    st.integers(0, DAYS * 86_400_000 - 1),
    st.builds(
        lambda hour, off: min(max(hour * 3_600_000 + off, 0), DAYS * 86_400_000 - 1),
        st.integers(0, DAYS * 24),
        st.sampled_from([-1, 0, 1, 15_000, 300_000, 300_001]),
    ),
)
VALUES = st.one_of(
    st.integers(0, 50).map(float), st.sampled_from([0.0, -0.0, 0.5, 1e15]), st.none()
)  # None: a stale marker or a NaN
SERIES = st.dictionaries(INSTANTS, VALUES, max_size=25)
Samples = list[Mapping[int, float | None]]


def grown(samples: Samples) -> dict[tuple[date, int], float]:
    """By the definition: from the second day on, the first is the day before."""
    numbers = [{at: v for at, v in points.items() if v is not None} for points in samples]
    first = min((at for points in numbers for at in points), default=0)
    growth: dict[tuple[date, int], float] = defaultdict(float)
    for series, of_series in enumerate(numbers):
        before = None
        for at in sorted(of_series):
            value = of_series[at]
            if before is None:
                step = value if at - first > LOOK_BACK_MS else 0.0
            else:
                step = value if value < before else value - before
            growth[FIRST.plus(at // 86_400_000).date, series] += step
            before = value
    return {key: value for key, value in growth.items() if key[0] > FIRST.date}


def table_of(samples: Samples, day: int) -> pa.Table:
    rows = [
        (series, at, points[at])
        for series, points in enumerate(samples)
        for at in sorted(points)
        if at // 86_400_000 == day
    ]
    ids, times, values = (list(column) for column in zip(*rows, strict=True)) if rows else ([],) * 3
    stamps = pa.array([FIRST.start_ms + at for at in times], pa.int64())
    nan = [None if value is not None else ("stale", "nan")[at % 2] for _, at, value in rows]
    return pa.table(
        {
            "ts": stamps.view(pa.timestamp("ms", "UTC")),
            "metric": pa.array([METRIC] * len(rows), pa.string()),
            "value": pa.array(values, pa.float64()),
            "nan": pa.array(nan, pa.string()),
            "series_id": pa.array(ids, pa.int64()),
            "histogram": pa.nulls(len(rows), HISTOGRAM_TYPE),
            "job": pa.array([f"job {series}" for series in ids], pa.string()),
            "labels": pa.array([[]] * len(rows), PAIRS),
        }
    )


def by_samples(lake) -> dict[tuple[date, int], float]:
    rows = lake.rows(
        "SELECT day, series_id, sum(i) AS grown FROM (SELECT day, series_id, "
        "counter_increase(value, series_id, ts) AS i FROM counters WHERE value IS NOT NULL) "
        "WHERE day > $first GROUP BY ALL",
        {"first": FIRST.date},
    )
    return {(row["day"], row["series_id"]): row["grown"] for row in rows}


def by_macro(lake, macro: str) -> dict[tuple[date, int], float]:
    rows = lake.rows(
        f"SELECT day, series_id, sum(increase) AS grown FROM {macro}('counters', '{METRIC}', "
        f"DATE '{FIRST.plus(1)}', DATE '{FIRST.plus(DAYS)}') GROUP BY ALL"
    )
    return {(row["day"], row["series_id"]): row["grown"] for row in rows}


def by_trend(lake) -> dict[tuple[date, int], float]:
    answer = ask(
        lake,
        trend_named("counter"),
        FIRST.plus(1),
        FIRST.plus(DAYS),
        Choices({"metric": METRIC, "by": "job"}),
    )
    return {(day, int(label.split()[1])): value for day, label, value in answer.rows}


@pytest.mark.slow
@settings(max_examples=12, deadline=None, derandomize=True)
@given(st.lists(SERIES, min_size=1, max_size=4), st.sets(st.integers(0, DAYS - 1)))
def test_all_ways_agree(samples: Samples, without_rollup: set[int]) -> None:
    folder = Path(tempfile.mkdtemp(prefix="growth-"))
    try:
        place = Place(folder, SECTIONS)
        dataset = place.settings.dataset_named("counters")
        for day in range(DAYS):
            put(place.store, dataset, FIRST.plus(day), table_of(samples, day))
        expected = pytest.approx(grown(samples))
        if not any(samples):
            return  # no metric, so no trend
        with connect(place.settings) as lake:
            assert by_samples(lake) == expected
            assert by_macro(lake, "samples_increase_by_day") == expected
            assert by_trend(lake) == expected
        made = with_rollups(place.settings, ())
        done = list(roll_up(place.settings, place.store, made, None, jobs=1))
        assert [rolled_day.rolled.state for rolled_day in done] == ["made"] * DAYS
        with connect(place.settings) as lake:
            assert by_macro(lake, "increase_by_day") == expected
            assert by_macro(lake, "increase_by_hour") == expected
            assert by_trend(lake) == expected
        for day in without_rollup:
            (folder / f"lake/manifests/rollups/counters/{FIRST.plus(day)}.json").unlink()
        with connect(place.settings) as lake:
            assert by_trend(lake) == expected
    finally:
        shutil.rmtree(folder)


def test_a_range_of_many_days_and_one_series_is_read_in_parts(tmp_path: Path) -> None:
    """More days than parts: a part has several, whose only series is the same."""
    place = Place(tmp_path, SECTIONS)
    dataset = place.settings.dataset_named("counters")
    for day in range(70):
        at = day * 86_400_000
        grows = {at: 10.0 * day, at + 1: 10.0 * day + 4, at + 86_399_999: 10.0 * day + 9}
        put(place.store, dataset, FIRST.plus(day), table_of([grows], day))
    with connect(place.settings) as lake:
        (row,) = lake.rows(
            "SELECT count(*) AS days, sum(increase) AS grown, min(increase) AS least FROM "
            f"samples_increase_by_day('counters', '{METRIC}', DATE '{FIRST.plus(1)}', "
            f"DATE '{FIRST.plus(70)}')"
        )
        assert row == {"days": 69, "grown": 690, "least": 10}
        empty = f"samples_increase_by_day('counters', 'it''s', DATE '{FIRST}', DATE '{FIRST}')"
        assert lake.rows(f"FROM {empty}") == []


@pytest.mark.parametrize("order", [[1, 0, 2, 3], [0, 2, 1, 3]])
def test_samples_in_another_order_are_refused(tmp_path: Path, order: list[int]) -> None:
    place = Place(tmp_path, SECTIONS)
    table = table_of([{0: 1.0, 1: 2.0}, {0: 1.0, 1: 2.0}], 0)
    put(place.store, place.settings.dataset_named("counters"), FIRST, table.take(order))
    with connect(place.settings) as lake:
        with pytest.raises(LakeError, match="a table is not sorted by series and time: 2026-07-01"):
            by_macro(lake, "samples_increase_by_day")
        with pytest.raises(LakeError, match="a table is not sorted by series and time: 2026-07-01"):
            by_trend(lake)
