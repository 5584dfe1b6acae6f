"""The trend http_latency where the bound of the last bucket is written in several ways."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
from support.made_partitions import PAIRS, put
from support.rolled_lake import Place

from lake.base.day import Day
from lake.query import connect
from lake.systems.prometheus.reading.answer import HISTOGRAM_TYPE
from lake.trends import ask, trend_named

MONDAY = Day.parse("2026-07-06")
METRIC = "http_server_requests_seconds_bucket"
SECTIONS = """
[sources.prometheus]
url = "http://127.0.0.1:1"
[[dataset]]
name = "latency"
source = "prometheus"
query = "http_server_requests_seconds_bucket"
mode = "raw"
"""


def test_requests_of_every_spelling(tmp_path: Path) -> None:
    """One target writes +Inf, another Inf: a day's requests are those of both, as the quantiles'.

    They were those of +Inf alone, or NULL.
    """
    place = Place(tmp_path, SECTIONS)
    dataset = place.settings.dataset_named("latency")
    spellings = (("+Inf", "Inf"), ("inf", "Inf"), ("+Inf", "+Inf"))
    for number, of_targets in enumerate(spellings):
        day = MONDAY.plus(number)
        put(place.store, dataset, day, buckets(day, of_targets))
    with connect(place.settings) as lake:
        trend = trend_named("http_latency")
        days = ask(lake, trend, MONDAY, MONDAY.plus(3)).rows
        (week,) = ask(lake, trend, MONDAY, MONDAY.plus(3), every="week").rows
    # Two targets and 10 requests an hour, from each day's first hour to its second.
    assert [(row[1], row[2]) for row in days] == [(20, 500.0)] * 3
    assert (week[1], week[2]) == (60, 500.0)


def buckets(day: Day, spellings: tuple[str, ...]) -> pa.Table:
    """Targets with two samples of each bucket: all requests take up to a second."""
    begin = datetime(day.date.year, day.date.month, day.date.day, tzinfo=UTC)
    series = [(target, bound) for target, last in enumerate(spellings) for bound in ("1", last)]
    rows = [
        (number, begin + timedelta(hours=hour), 10.0 * hour, bound, str(target))
        for number, (target, bound) in enumerate(series)
        for hour in (0, 1)
    ]
    ids, times, values, bounds, targets = map(list, zip(*rows, strict=True))
    size = len(rows)
    return pa.table(
        {
            "ts": pa.array(times, pa.timestamp("ms", "UTC")),
            "metric": pa.array([METRIC] * size),
            "value": pa.array(values, pa.float64()),
            "nan": pa.nulls(size, pa.string()),
            "series_id": pa.array([day.date.day * 10 + number for number in ids], pa.int64()),
            "histogram": pa.nulls(size, HISTOGRAM_TYPE),
            "le": pa.array(bounds),
            "instance": pa.array(targets),
            "labels": pa.array([[]] * size, PAIRS),
        }
    )
