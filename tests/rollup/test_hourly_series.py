"""The pass over a day of samples against sums in plain Python, however the day is cut."""

from __future__ import annotations

import math
from itertools import pairwise

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st
from support.plain_histograms import Histogram
from support.plain_rollup import HOUR_MS, SCHEMA, Sample, summed, table

from lake.systems.prometheus.rollup.hourly import HourlySeries

DAY_MS = 1_782_864_000_000  # 2026-07-01
COUNTS = ("samples", "nans", "stale", "histograms", "resets")
EXACT = ("first", "last", "min", "max")


def rolled(day: pa.Table, cuts: list[int]) -> pa.Table:
    rolling = HourlySeries().begin(day.schema)
    edges = sorted({0, day.num_rows, *(cut for cut in cuts if cut < day.num_rows)})
    batches = []
    for begin, end in pairwise(edges):
        for batch in day.slice(begin, end - begin).combine_chunks().to_batches():
            batches += rolling.add(batch)
    batches += rolling.finish()
    return pa.Table.from_batches(batches, rolling.schema)


def by_hour(rolled_up: pa.Table) -> dict[tuple[int, int], dict]:
    plain = {}
    for name in rolled_up.schema.names:
        column = rolled_up.column(name)
        if pa.types.is_timestamp(column.type):
            column = column.cast(pa.int64())
        plain[name] = column.to_pylist()
    rows = [dict(zip(plain, row, strict=True)) for row in zip(*plain.values(), strict=True)]
    keyed = {(row["series_id"], row["hour"]): row for row in rows}
    assert len(keyed) == len(rows)
    return keyed


numbers = st.one_of(
    st.integers(0, 50).map(float),
    st.floats(0, 1e6),
    st.sampled_from([-0.0, 0.0, math.inf, -math.inf, math.nan, 1e308, -5.0, 0.1]),
)
values = st.one_of(
    numbers, st.none(), st.builds(Histogram, st.integers(0, 9).map(float), st.floats(-5, 5))
)
samples = st.lists(
    st.builds(
        Sample, st.sampled_from([-7, 0, 3]),
        st.integers(0, 3 * HOUR_MS - 1).map(lambda ms: DAY_MS + ms), values,
    ),
    max_size=60, unique_by=lambda sample: (sample.series, sample.ts_ms),
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(samples, st.lists(st.integers(1, 59), max_size=8))
def test_every_row_is_the_plain_sum_of_its_samples(day: list[Sample], cuts: list[int]) -> None:
    rows, expected = by_hour(rolled(table(day), cuts)), summed(day)

    assert rows.keys() == expected.keys()
    for key, row in expected.items():
        for name in COUNTS:
            assert rows[key][name] == row[name], (key, name)
        for name in (*EXACT, "first_ts", "last_ts"):
            assert rows[key][name] == row[name], (key, name)
        for name in ("sum", "increase"):
            got, want = rows[key][name], row[name]
            if want is None or got is None or math.isinf(want):
                assert got == want, (key, name)
            else:
                assert math.isclose(got, want, rel_tol=1e-12, abs_tol=1e-6), (key, name)
        for name in ("first", "last"):  # -0 stays -0
            if row[name] == 0:
                assert math.copysign(1, rows[key][name]) == math.copysign(1, row[name])


@settings(max_examples=200, deadline=None)
@given(samples, st.lists(st.integers(1, 59), max_size=12), st.lists(st.integers(1, 59), max_size=3))
def test_the_cuts_of_the_day_do_not_show(day, cuts, other_cuts) -> None:
    assert rolled(table(day), cuts).equals(rolled(table(day), other_cuts))


def test_a_day_without_rows_has_the_columns() -> None:
    rows = rolled(SCHEMA.empty_table(), [])

    assert rows.num_rows == 0
    assert {"hour", "code", "labels", "increase"} <= set(rows.schema.names)


def test_labels_of_a_series_are_those_of_the_table() -> None:
    day = [Sample(3, DAY_MS, 1.0), Sample(0, DAY_MS, 1.0)]

    rows = rolled(table(day), []).select(["metric", "code", "labels"]).to_pylist()

    assert rows == [
        {"metric": None, "code": "0", "labels": [("Path", "/0")]},
        {"metric": "m1", "code": "3", "labels": [("Path", "/3")]},
    ]


def test_a_label_with_the_name_of_a_measure_is_in_the_map() -> None:
    day = table([Sample(3, DAY_MS, 1.0)])
    day = day.rename_columns(["max" if name == "code" else name for name in day.schema.names])

    [row] = rolled(day, []).to_pylist()

    assert row["max"] == 1.0
    assert row["labels"] == [("Path", "/3"), ("max", "3")]
