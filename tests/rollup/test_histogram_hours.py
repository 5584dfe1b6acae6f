"""Native histograms in a rollup's rows, against a plain account of their samples."""

from __future__ import annotations

import math
import shutil

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rollup.test_hourly_series import DAY_MS, rolled
from rollup.test_proof import SECTIONS, made, problems, rewrite, stored
from support.plain_histograms import Custom, Exponential, Histogram, observed, summed
from support.plain_rollup import HOUR_MS, Sample, table
from support.rolled_lake import Place

from lake.query import connect

OBSERVATIONS = st.sampled_from(
    [0.0, 1e-4, 0.0005, 0.001, 0.0012, 0.0014, 0.3, 0.7, 1.0, 1.5, 2.0, 3.0, 100.0,
     -0.0012, -0.3, -2.0, math.nan]
)  # fmt: skip
LAYOUTS = st.one_of(
    st.builds(
        Exponential, st.sampled_from([-1, 0, 1, 3]), st.sampled_from([0.0, 0.001, 0.0013, 0.25])
    ),
    st.sampled_from([Custom((0.005, 0.5, 1.0)), Custom((0.0, 0.5, 2.5)), Custom((0.5,))]),
)


@st.composite
def histograms(draw: st.DrawFn) -> list[Sample]:
    """Series that mostly grow, with restarts, other buckets, floats and stale markers between."""
    day = []
    for series in draw(st.lists(st.sampled_from([-7, 0, 3]), min_size=1, max_size=2, unique=True)):
        values: list[float] = []
        layout, at = draw(LAYOUTS), draw(st.integers(0, HOUR_MS))
        weight = draw(st.sampled_from([1.0, 1.0, 0.1]))
        for _ in range(draw(st.integers(1, 12))):
            what = draw(st.sampled_from(["grow"] * 6 + ["reset", "layout", "float", "stale"]))
            if what == "reset":
                # Of as many observations at times: a bucket drops, the count does not.
                values = draw(st.lists(OBSERVATIONS, max_size=len(values) + 1))
            elif what == "layout":
                layout = draw(LAYOUTS)
            values = values + draw(st.lists(OBSERVATIONS, max_size=4))
            sample = observed(values, layout, weight)
            other = {"float": 2.0, "stale": None}
            day.append(Sample(series, DAY_MS + at, other.get(what, sample)))
            at += draw(st.sampled_from([1, 60_000, 20 * 60_000]))
    return day


def plain(rows: pa.Table) -> dict[tuple[int, int], dict]:
    """By series and hour; times in ms, buckets as tuples."""
    column = rows["histogram"].combine_chunks()
    keys = zip(rows["series_id"].to_pylist(), rows["hour"].cast("int64").to_pylist(), strict=True)
    ends = {name: column.field(name).cast("int64") for name in ("first_ts", "last_ts")}
    made_plain = {}
    for at, key in enumerate(keys):
        if (row := column[at].as_py()) is None:
            continue
        row |= {name: times[at].as_py() for name, times in ends.items()}
        for name in ("first_buckets", "last_buckets", "bucket_increase"):
            row[name] = [tuple(bucket.values()) for bucket in row[name]]
        made_plain[key] = row
    return made_plain


def expected(day: list[Sample]) -> dict[tuple[int, int], dict]:
    groups: dict[tuple[int, int], list] = {}
    for sample in sorted(day, key=lambda sample: (sample.series, sample.ts_ms)):
        if isinstance(sample.value, Histogram):
            key = sample.series, sample.ts_ms // HOUR_MS * HOUR_MS
            groups.setdefault(key, []).append((sample.ts_ms, sample.value))
    return {key: summed(samples) for key, samples in groups.items()}


@settings(max_examples=150, deadline=None)
@given(histograms(), st.lists(st.integers(1, 20), max_size=6))
def test_every_row_is_the_plain_account_of_its_samples(day, cuts) -> None:
    rows, wanted = plain(rolled(table(day), cuts)), expected(day)

    assert rows.keys() == wanted.keys()
    for key, row in wanted.items():
        got = rows[key]
        increases = got.pop("bucket_increase"), row.pop("bucket_increase")
        floats = "count_increase", "sum_increase"
        for name in floats:
            assert got.pop(name) == pytest.approx(row.pop(name), abs=1e-9), (key, name)
        assert got == row
        assert [bucket[:2] for bucket in increases[0]] == [bucket[:2] for bucket in increases[1]]
        assert [bucket[2] for bucket in increases[0]] == pytest.approx(
            [bucket[2] for bucket in increases[1]], abs=1e-9
        )


@settings(max_examples=50, deadline=None)
@given(histograms(), st.lists(st.integers(1, 20), max_size=6))
def test_the_cuts_of_the_day_do_not_show(day, cuts) -> None:
    assert rolled(table(day), cuts).equals(rolled(table(day), []))


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(histograms())
def test_sql_computes_them_again(tmp_path, day) -> None:
    shutil.rmtree(tmp_path / "lake", ignore_errors=True)
    place = Place(tmp_path, SECTIONS)
    made(place, "metrics", table(day))

    assert problems(place) == ()


GROWING = [
    Sample(3, DAY_MS + at * 60_000, observed([0.3] * at + [1.5], Exponential(1, 0.001)))
    for at in range(1, 5)
]


@pytest.mark.parametrize("name", ["first_buckets", "last_buckets", "bucket_increase"])
@pytest.mark.parametrize("wrong", ["number", "bound", "one less"])
def test_a_wrong_bucket_is_found_and_named(tmp_path, name, wrong) -> None:
    place = Place(tmp_path, SECTIONS)
    manifest = made(place, "metrics", table(GROWING))
    rows = stored(place, manifest)
    [row] = rows["histogram"].to_pylist()
    bucket = row[name][-1]
    if wrong == "one less":
        row[name].pop()
    else:
        bucket["upper" if wrong == "bound" else list(bucket)[2]] *= 1 + 1e-6
    index = rows.schema.get_field_index("histogram")
    changed = pa.array([row], rows.schema.field("histogram").type)
    rewrite(place, manifest, rows.set_column(index, "histogram", changed))

    reported = problems(place)

    assert reported
    assert all(f"the rollup's histogram.{name}[]." in problem for problem in reported)


def test_counters_growth_of_a_native_histogram_is_noted(tmp_path) -> None:
    place = Place(tmp_path, SECTIONS)
    made(place, "metrics", table(GROWING))
    arguments = "'metrics', 'm1', DATE '2026-07-01', DATE '2026-07-02'"
    with connect(place.settings) as lake:
        answer = lake.ask(f"FROM increase_by_hour({arguments})")
        assert list(answer.rows) == []
        [note] = answer.notes
        assert note == ("metrics_hourly: m1 is a native histogram: use histogram_increase_by_hour")
        [row] = lake.rows(f"FROM histogram_increase_by_hour({arguments})")
    assert (row["lower"], row["increase"]) == (pytest.approx(2**-2), 3.0)
