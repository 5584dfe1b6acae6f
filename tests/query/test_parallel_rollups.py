"""Rollups of many days, read in parts: growth over the edges of the parts counts once."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pytest
from support.made_partitions import PAIRS, put
from support.rolled_lake import Place

from lake.base.day import Day
from lake.query import Lake, connect
from lake.rollup.many import roll_up, with_rollups
from lake.systems.prometheus.reading.answer import HISTOGRAM_TYPE
from lake.trends import Choices, ask, reading, trend_named

FIRST = Day.parse("2026-07-01")
NUMBER = 92
SECTIONS = """
[sources.prometheus]
url = "http://127.0.0.1:1"
[[dataset]]
name = "counters"
source = "prometheus"
query = "jobs_total"
mode = "raw"
"""
RESET = 46  # the day on which the second series begins again, the first one of a part


def samples(number: int) -> pa.Table:
    """Series 1 grows by 3 within a day and by 7 over midnight, series 2 by 30 and 70."""
    day = FIRST.plus(number)
    times = [day.start_ms + 1000, day.start_ms + 80_000_000] * 2
    again = RESET if number >= RESET else 0
    values = [10 * number, 10 * number + 3, 100 * (number - again), 100 * (number - again) + 30]
    return pa.table(
        {
            "ts": pa.array(times, pa.int64()).cast(pa.timestamp("ms", "UTC")),
            "metric": pa.array(["jobs_total"] * 4),
            "value": pa.array(values, pa.float64()),
            "nan": pa.nulls(4, pa.string()),
            "series_id": pa.array([1, 1, 2, 2], pa.int64()),
            "histogram": pa.nulls(4, HISTOGRAM_TYPE),
            "job": pa.array(["a", "a", "b", "b"]),
            "labels": pa.array([[]] * 4, PAIRS),
        }
    )


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    place = Place(tmp_path_factory.mktemp("many"), SECTIONS)
    for number in range(NUMBER):
        put(
            place.store,
            place.settings.dataset_named("counters"),
            FIRST.plus(number),
            samples(number),
        )
    made = roll_up(place.settings, place.store, with_rollups(place.settings, ()), None, jobs=1)
    assert {result.rolled.state for result in made} == {"made"}
    with connect(place.settings) as opened:
        yield opened


@pytest.mark.parametrize(("processors", "parts"), [(1, 1), (2, 2), (64, 3)])
def test_growth_by_rollups_of_many_days(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, processors: int, parts: int
) -> None:
    monkeypatch.setattr(reading, "processors", lambda: processors)
    assert len(list(reading._parts(FIRST, FIRST.plus(NUMBER)))) == parts
    options = Choices({"metric": "jobs_total", "by": "job"})
    rows = ask(lake, trend_named("counter"), FIRST.plus(1), FIRST.plus(NUMBER), options).rows
    grown = {(str(row[0]), row[1]): row[2] for row in rows}
    expected = {}
    for number in range(1, NUMBER):
        day = str(FIRST.plus(number))
        expected[day, "a"] = 10
        expected[day, "b"] = 30 if number == RESET else 100  # begins again at 0
    assert grown == expected
