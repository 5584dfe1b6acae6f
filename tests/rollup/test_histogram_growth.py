"""Native histograms' growth by hour and day, over the edges, against a plain account of it."""

from __future__ import annotations

import shutil
import tempfile
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rollup.test_histogram_hours import histograms
from support.made_partitions import put
from support.plain_histograms import Bucket, Histogram, merged, step
from support.plain_rollup import Sample, table
from support.rolled_lake import Place

from lake.base.day import Day
from lake.query import connect
from lake.rollup.many import roll_up, with_rollups
from lake.trends import Choices, ask, trend_named

FIRST = Day.parse("2026-07-01")
DAYS = 3
SECTIONS = """
[sources.prometheus]
url = "http://127.0.0.1:1"
[[dataset]]
name = "metrics"
source = "prometheus"
query = "m"
mode = "raw"
"""
Growth = dict[tuple[object, int], list[Bucket]]


def spread(day: list[Sample], stretch: int, shift: int) -> list[Sample]:
    """The same samples further apart, over hours and days."""
    end = FIRST.plus(DAYS).start_ms
    moved = [
        Sample(s.series, FIRST.start_ms + shift + stretch * (s.ts_ms - FIRST.start_ms), s.value)
        for s in day
    ]
    return [sample for sample in moved if sample.ts_ms < end]


def grown(samples: list[Sample], unit_ms: int) -> Growth:
    """By the definition: from the second day on, the first is the day before."""
    ordered = sorted(samples, key=lambda s: (s.series, s.ts_ms))
    natives = [sample for sample in ordered if isinstance(sample.value, Histogram)]
    of_metric = [s for s in natives if s.series % 2]
    first = min((sample.ts_ms for sample in of_metric), default=0)
    entries: dict[tuple[int, int], list[Bucket]] = defaultdict(list)
    before: dict[int, Histogram] = {}
    for s in of_metric:
        if s.series in before:
            _, growth = step(before[s.series], s.value)
        else:
            growth = list(s.value.buckets) if s.ts_ms - first > 300_000 else []
        before[s.series] = s.value
        if s.ts_ms >= FIRST.plus(1).start_ms:
            at = s.ts_ms // unit_ms * unit_ms
            entries[at, s.series] += [bucket for bucket in growth if bucket[2] != 0]
    return {key: merged(buckets) for key, buckets in entries.items() if buckets}


def by_macro(lake, unit: str) -> Growth:
    entries: dict[tuple[int, int], list[Bucket]] = defaultdict(list)
    rows = lake.rows(
        f"SELECT {unit} AS at, * FROM histogram_increase_by_{unit}('metrics', 'm1', "
        f"DATE '{FIRST.plus(1)}', DATE '{FIRST.plus(DAYS)}')"
    )
    for row in rows:
        at = datetime(*row["at"].timetuple()[:4], tzinfo=UTC)
        key = round(at.timestamp() * 1000), row["series_id"]
        entries[key].append((row["lower"], row["upper"], row["increase"]))
        assert row["code"] == str(row["series_id"])
        assert row["labels"] == {"Path": f"/{row['series_id']}"}
    return {key: merged(buckets) for key, buckets in entries.items()}


@settings(max_examples=12, deadline=None, derandomize=True)
@given(histograms(), st.sampled_from([1, 7, 90]), st.sampled_from([0, 82_800_000, 86_399_000]))
def test_growth_over_the_edges(day: list[Sample], stretch: int, shift: int) -> None:
    samples = spread(day, stretch, shift)
    folder = Path(tempfile.mkdtemp(prefix="growth-"))
    try:
        place = Place(folder, SECTIONS)
        dataset = place.settings.dataset_named("metrics")
        for number in range(DAYS):
            begin, end = FIRST.plus(number).start_ms, FIRST.plus(number + 1).start_ms
            rows = table(s for s in samples if begin <= s.ts_ms < end)
            put(place.store, dataset, FIRST.plus(number), rows)
        list(roll_up(place.settings, place.store, with_rollups(place.settings, ()), None, jobs=1))
        with connect(place.settings) as lake:
            for unit, unit_ms in (("hour", 3_600_000), ("day", 86_400_000)):
                got, wanted = by_macro(lake, unit), grown(samples, unit_ms)
                assert got.keys() == wanted.keys()
                for key, buckets in wanted.items():
                    assert got[key] == [pytest.approx(bucket, abs=1e-9) for bucket in buckets]
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize("rolled", [True, False])
def test_a_histogram_that_was_not_selected_before_was_not_born(
    tmp_path: Path, rolled: bool
) -> None:
    """The query was widened from the second day to the third."""
    place = Place(tmp_path, SECTIONS)
    dataset = place.settings.dataset_named("metrics")
    counts = {1: 500, 3: 1_000_000, 5: 7}  # 5 is born at noon of the third day

    def sample(series: int, day: int, hour: int) -> Sample:
        count = float(counts[series] + 24 * day + hour)
        at = FIRST.plus(day).start_ms + 3_600_000 * hour
        return Sample(series, at, Histogram(count, 0.0, ((1.0, 2.0, count),)))

    for number in range(DAYS):
        series = [1] if number < 2 else [1, 3, 5]
        samples = [
            sample(s, number, hour) for s in series for hour in range(12 if s == 5 else 0, 24)
        ]
        query = "m" if number == 2 else "m{code='1'}"
        put(
            place.store,
            dataset.model_copy(update={"query": query}),
            FIRST.plus(number),
            table(samples),
        )
    if rolled:
        list(roll_up(place.settings, place.store, with_rollups(place.settings, ()), None, jobs=1))
    last, end = FIRST.plus(2), FIRST.plus(3)
    expected = {1: 24.0, 3: 23.0, 5: float(7 + 48 + 23)}
    with connect(place.settings) as lake:
        if rolled:
            for unit in ("hour", "day"):
                rows = lake.rows(
                    f"SELECT series_id, sum(increase) AS grown FROM histogram_increase_by_{unit}("
                    f"'metrics', 'm1', DATE '{last}', DATE '{end}') GROUP BY series_id"
                )
                assert {row["series_id"]: row["grown"] for row in rows} == expected
        choices = Choices({"metric": "m1", "by": "code"})
        answer = ask(lake, trend_named("counter"), FIRST.plus(1), end, choices)
    rows = [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]
    assert {
        int(row["label"]): row["increase"] for row in rows if row["day"] == last.date
    } == expected
