"""increase_by_day and increase_by_hour name the days whose rollup their answer lacks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from support.made_partitions import PAIRS, put
from support.rolled_lake import Place

from lake.answerability import answerability
from lake.base.day import Day
from lake.query import Answer, connect
from lake.query.failures import WrongSQL
from lake.rollup.many import roll_up, with_rollups
from lake.systems.prometheus.reading.answer import HISTOGRAM_TYPE
from lake.trends import Choices, ask, trend_named

FIRST = Day.parse("2026-07-01")
SECTIONS = """
[sources.prometheus]
url = "http://127.0.0.1:1"
[[dataset]]
name = "counters"
source = "prometheus"
query = "jobs_total"
mode = "raw"
"""
HELD = "1 of 3 days from 2026-07-02 to 2026-07-04 has no current rollup"
FIX = "`lake rollup counters` makes it"


def samples(day: Day, value: float) -> pa.Table:
    """One series that grows by 10 within the day, and by 5 to the next day's first sample."""
    begin = datetime(day.date.year, day.date.month, day.date.day, tzinfo=UTC)
    times = [begin + timedelta(hours=hour) for hour in (1, 2)]
    return pa.table(
        {
            "ts": pa.array(times, pa.timestamp("ms", "UTC")),
            "metric": pa.array(["jobs_total"] * 2, pa.string()),
            "value": pa.array([value, value + 10], pa.float64()),
            "nan": pa.nulls(2, pa.string()),
            "series_id": pa.array([7, 7], pa.int64()),
            "histogram": pa.nulls(2, HISTOGRAM_TYPE),
            "labels": pa.array([[]] * 2, PAIRS),
        }
    )


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Four days, all with a rollup."""
    made = Place(tmp_path, SECTIONS)
    dataset = made.settings.dataset_named("counters")
    for number in range(4):
        day = FIRST.plus(number)
        put(made.store, dataset, day, samples(day, 15.0 * number))
    list(roll_up(made.settings, made.store, with_rollups(made.settings, ()), None, jobs=1))
    return made


def without(place: Place, *days: int) -> None:
    for number in days:
        manifest = f"lake/manifests/rollups/counters/{FIRST.plus(number)}.json"
        (place.folder / manifest).unlink()


def growth(place: Place, arguments: str) -> tuple[float, tuple[str, ...]]:
    question = f"SELECT sum(increase) FROM increase_by_{arguments}"
    with connect(place.settings) as lake:
        answer = lake.ask(question)
        ((grown,),) = answer.rows
        return grown, answer.notes


def test_nothing_is_noted_where_all_days_have_one(place: Place) -> None:
    arguments = "day('counters', 'jobs_total', DATE '2026-07-02', DATE '2026-07-05')"
    assert growth(place, arguments) == (45, ())


def test_a_day_without_one(place: Place) -> None:
    without(place, 3)
    for name in ("day", "hour"):
        arguments = f"{name}('counters', 'jobs_total', DATE '2026-07-02', DATE '2026-07-05')"
        grown, notes = growth(place, arguments)
        assert grown == 30
        assert notes == (f"counters_hourly: {HELD} (2026-07-04); {FIX}",)


def test_the_day_before_the_range_is_read_too(place: Place) -> None:
    """The growth over midnight is missing without it: 10 instead of 15."""
    without(place, 0)
    arguments = "day('Counters', 'jobs_total', to_day := '2026-07-03', from_day := '2026-07-02')"
    grown, notes = growth(place, arguments)
    assert grown == 10
    days = "1 of 2 days from 2026-07-01 to 2026-07-02 has no current rollup (2026-07-01)"
    assert notes == (f"counters_hourly: {days}; {FIX}",)


def test_days_that_are_not_in_the_lake(place: Place) -> None:
    arguments = "day('counters', 'jobs_total', DATE '2026-07-01', DATE '2026-07-07')"
    _, notes = growth(place, arguments)
    missing = "2 of 6 days from 2026-07-01 to 2026-07-06 are not in the lake"
    assert notes == (f"counters_hourly: {missing} (2026-07-05, 2026-07-06)",)


def test_no_day_with_one(place: Place) -> None:
    without(place, 0, 1, 2, 3)
    with pytest.raises(WrongSQL) as raised:
        growth(place, "day('counters', 'jobs_total', DATE '2026-07-02', DATE '2026-07-05')")
    assert "counters_hourly has no current rollup" in raised.value.parts["remedy"]
    with connect(place.settings) as lake:
        (note,) = lake.ask("FROM counters_hourly").notes
    assert note.endswith("`lake rollup counters` makes them")


def test_samples_need_no_rollup_but_the_days(place: Place) -> None:
    without(place, 0, 1, 2, 3)
    with connect(place.settings) as lake:
        answer = lake.ask(
            "SELECT sum(increase) FROM samples_increase_by_day("
            "'counters', 'jobs_total', DATE '2026-07-02', DATE '2026-07-06')"
        )
        assert list(answer.rows) == [(45,)]
    (note,) = answer.notes
    assert note == (
        "counters: 1 of 4 days from 2026-07-02 to 2026-07-05 is not in the lake (2026-07-05)"
    )


RANGE = "DATE '2026-07-02', DATE '2026-07-05'"


def notes_of(place: Place, call: str) -> tuple[str, ...]:
    with connect(place.settings) as lake:
        answer = lake.ask(f"FROM {call}")
        assert list(answer.rows) == []
        return answer.notes


@pytest.mark.parametrize("macro", ["increase_by_day", "increase_by_hour"])
def test_a_metric_that_no_rollup_has(place: Place, macro: str) -> None:
    (note,) = notes_of(place, f"{macro}('counters', 'job_total', {RANGE})")
    assert note == (
        "counters_hourly: no metric job_total from 2026-07-02 to 2026-07-04; "
        "similar metrics: jobs_total"
    )


def test_a_metric_that_no_table_has(place: Place) -> None:
    (note,) = notes_of(place, f"samples_increase_by_day('counters', 'other', {RANGE})")
    assert note.startswith("counters: no metric other from 2026-07-02 to 2026-07-04")


def test_a_counter_is_no_native_histogram(place: Place) -> None:
    (note,) = notes_of(place, f"histogram_increase_by_day('counters', 'jobs_total', {RANGE})")
    assert note == "counters_hourly: jobs_total is not a native histogram: use increase_by_day"


def test_a_sum_of_nothing_is_empty_too_and_another_answer_is_not(place: Place) -> None:
    call = f"increase_by_day('counters', 'other', {RANGE})"
    with connect(place.settings) as lake:
        answer = lake.ask(f"SELECT sum(increase) FROM {call}")
        assert (list(answer.rows), len(answer.notes)) == ([(None,)], 1)
        answer = lake.ask(f"SELECT count(*) FROM {call}")
        assert (list(answer.rows), len(answer.notes)) == ([(0,)], 1)
        answer = lake.ask(f"SELECT count(*) + 1 FROM {call}")
        assert list(answer.rows) == [(1,)]
        assert [note for note in answer.notes if "no metric" in note] == []


def test_a_missing_day_before_the_range(place: Place) -> None:
    """The growth over midnight is not in the answer, and the range itself lacks no day."""
    (place.folder / f"lake/manifests/counters/{FIRST.plus(1)}.json").unlink()
    for macro in ("increase_by_day", "samples_increase_by_day"):
        grown, notes = growth_by(place, macro, "DATE '2026-07-03', DATE '2026-07-05'")
        assert grown == 10 + 15
        assert notes == (MISSING_BEFORE,)
    grown, notes = growth_by(place, "increase_by_day", "DATE '2026-07-01', DATE '2026-07-02'")
    assert (grown, notes) == (10, ())  # nothing is before the lake's first day
    trend = counter_trend(place, FIRST.plus(2), FIRST.plus(4))
    assert (trend.rows[0][-1], trend.left_out) == (10, (MISSING_BEFORE,))


def test_days_of_another_query(place: Place) -> None:
    """What a series had counted before it was selected is no growth."""
    dataset = place.settings.dataset_named("counters")
    for number, query in enumerate(['jobs_total{n="8"}'] * 2):
        day = FIRST.plus(number)
        narrow = dataset.model_copy(update={"query": query})
        other = samples(day, 15.0 * number)
        other = other.set_column(4, "series_id", pa.array([8, 8], pa.int64()))
        put(place.store, narrow, day, other)
    list(roll_up(place.settings, place.store, with_rollups(place.settings, ()), None, jobs=1))
    days = "DATE '2026-07-03', DATE '2026-07-05'"
    for macro in ("increase_by_day", "samples_increase_by_day"):
        grown, notes = growth_by(place, macro, days)
        assert grown == 10 + 15
        assert notes == (OTHER_QUERY,)
        assert growth_by(place, macro, "DATE '2026-07-04', DATE '2026-07-05'") == (15, ())
        assert growth_by(place, macro, "DATE '2026-07-01', DATE '2026-07-03'") == (25, ())
    with connect(place.settings) as lake:
        by_hand = "SELECT counter_increase(value, series_id, ts) FROM counters"
        assert lake.ask(by_hand).notes == (BY_HAND,)
        assert lake.ask_arrow(by_hand).notes == (BY_HAND,)
        assert lake.ask("SELECT max(value) FROM counters").notes == ()
        question = f"FROM increase_by_day('counters', 'jobs_total', {days})"
        can = answerability(lake, question)
        assert (can.verdict, can.tables[0].inexact) == ("approximate", (OTHER_QUERY,))
    for first in (FIRST, FIRST.plus(2)):
        trend = counter_trend(place, first, FIRST.plus(4))
        assert (trend.rows[-2:][0][-1], trend.left_out) == (10, (OTHER_QUERY,))


MISSING_BEFORE = (
    "counters: 2026-07-02 is not in the lake: the growth up to the first samples after it is not "
    "included"
)
OTHER_QUERY = (
    "counters: another query since 2026-07-03: what series that only this one selects had counted "
    "before is not included"
)
BY_HAND = (
    "counters: another query since 2026-07-03: series that only this one selects may be older, "
    "and count from 0"
)


def growth_by(place: Place, macro: str, days: str) -> tuple[float, tuple[str, ...]]:
    with connect(place.settings) as lake:
        answer = lake.ask(f"SELECT sum(increase) FROM {macro}('counters', 'jobs_total', {days})")
        ((grown,),) = answer.rows
        return grown, answer.notes


def counter_trend(place: Place, start: Day, end: Day) -> Answer:
    choices = Choices({"metric": "jobs_total"})
    with connect(place.settings) as lake:
        return ask(lake, trend_named("counter"), start, end, choices)
