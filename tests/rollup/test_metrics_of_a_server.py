"""Rollups of days that were exported from a real Prometheus, against PromQL's own answers."""

from __future__ import annotations

import json
import uuid

import numpy as np
import pytest
import requests

from lake.base.day import Day
from lake.query import connect
from lake.trends import Choices, ask, trend_named

DAY = Day.parse("2026-03-02")
STEP_S = 15
HOURS = (0, 1, 5, 23)  # those that have samples
WINDOW = "[3585s]"  # of an hour whose first sample is at :00:00 and whose last is at :59:45


def counters(seed: int) -> list[tuple[dict[str, str], np.ndarray, np.ndarray]]:
    """Series with resets, gaps, and some that are born and gone within the day."""
    chance = np.random.default_rng(seed)
    metric = f"rolled_{uuid.uuid4().hex[:8]}"
    series = []
    for number in range(6):
        times = np.concatenate(
            [np.arange(0, 3600, STEP_S) + hour * 3600 for hour in HOURS[number % 3 :]]
        )
        values = np.cumsum(chance.integers(0, 9, len(times))).astype(float)
        for at in chance.integers(0, len(times), number):  # several resets, one each
            values[at:] -= values[at]
        if number == 4:
            values *= 0.1
        if number == 5:  # gaps at any place
            kept = np.sort(chance.choice(len(times), len(times) // 2, replace=False))
            times, values = times[kept], values[kept]
        labels = {"__name__": metric, "n": str(number)} | ({"Path": "/a"} if number % 2 else {})
        series.append((labels, DAY.start_ms + times * 1000, values))
    return series


def promql(url: str, function: str, metric: str, hour: int) -> dict[str, float]:
    """n → the function over the samples of that hour."""
    query = f"{function}({metric}{WINDOW})"
    at = DAY.start_ms / 1000 + hour * 3600 + 3585
    answer = requests.get(f"{url}/api/v1/query", {"query": query, "time": at}, timeout=30)
    answer.raise_for_status()
    result = answer.json()["data"]["result"]
    return {series["metric"]["n"]: float(series["value"][1]) for series in result}


@pytest.fixture
def pushed(push):
    series = counters(7)
    push(series)
    return series[0][0]["__name__"]


def test_an_hours_row_is_what_promql_says_of_it(pushed, metrics, prometheus_url):
    place = metrics(pushed)
    outcome = place.export("stored", DAY)

    assert outcome.rollup.state == "made"
    with connect(place.settings) as lake:
        rows = lake.rows("SELECT * FROM stored_hourly ORDER BY n, hour")
    by_hour = {(row["n"], row["hour"].hour): row for row in rows}
    functions = {
        "count_over_time": "samples",
        "min_over_time": "min",
        "max_over_time": "max",
        "resets": "resets",
        "sum_over_time": "sum",
        "last_over_time": "last",
        "increase": "increase",
    }
    expected = {
        column: {
            (n, hour): value
            for hour in HOURS
            for n, value in promql(prometheus_url, function, pushed, hour).items()
            # Extrapolated to the hour's edges unless there are samples: then it is exact.
            if function != "increase" or n != "5"
        }
        for function, column in functions.items()
    }
    assert by_hour.keys() == expected["samples"].keys()
    for column, values in expected.items():
        assert values
        for key, value in values.items():
            assert by_hour[key][column] == pytest.approx(value, rel=1e-12), (column, key)
    assert {row["labels"].get("Path") for row in rows} == {None, "/a"}
    assert {row["metric"] for row in rows} == {pushed}
    assert {row["day"] for row in rows} == {DAY.date}


def test_targets_scraped_one_after_the_other_on_the_first_day(push, metrics, prometheus_url):
    """What they counted before the first day of the lake is no growth, as in PromQL."""
    metric = f"shifted_{uuid.uuid4().hex[:8]}"
    steps = np.arange(0, 86_400, STEP_S)
    push(
        [
            (
                {"__name__": metric, "n": str(number)},
                DAY.start_ms + (steps + offset_s) * 1000,
                1e9 + (number + 1) * np.arange(len(steps), dtype=float),
            )
            for number, offset_s in enumerate((2, 9))
        ]
    )
    place = metrics(metric)
    query = f"increase({metric}[1d])"
    answer = requests.get(
        f"{prometheus_url}/api/v1/query", {"query": query, "time": DAY.end_ms / 1000}, timeout=30
    )
    by_target = {s["metric"]["n"]: float(s["value"][1]) for s in answer.json()["data"]["result"]}
    assert len(by_target) == 2
    for name in ("stored", "stepped"):
        place.export(name, DAY)
    with connect(place.settings) as lake:
        for name in ("stored", "stepped"):
            for macro in ("increase_by_day", "increase_by_hour", "samples_increase_by_day"):
                rows = lake.rows(
                    f"SELECT n, sum(increase) AS increase FROM {macro}("
                    f"'{name}', '{metric}', DATE '{DAY}', DATE '{DAY.plus(1)}') GROUP BY n"
                )
                grown = {row["n"]: row["increase"] for row in rows}
                # PromQL extrapolates to the edges of the day.
                assert grown == pytest.approx(by_target, rel=1e-3), (name, macro)
            trend = ask(
                lake,
                trend_named("counter"),
                DAY,
                DAY.plus(1),
                Choices({"metric": metric, "by": "n"}, dataset=name),
            )
            grown = {label: value for _, label, value in trend.rows}
            assert grown == pytest.approx(by_target, rel=1e-3), name


# Columns of the macros and of what is inside them, and their parameters.
LABELS = ("day", "hour", "increase", "grown", "before", "first", "samples", "of_metric", "from_day")


def test_labels_that_are_called_as_columns_of_the_macros(push, metrics):
    metric = f"named_{uuid.uuid4().hex[:8]}"
    minutes = np.arange(0, 2 * 1440)
    labels = [{"n": "0"}, {"n": "1"} | dict.fromkeys(LABELS, "77")]
    push(
        [
            (
                {"__name__": metric} | of_series,
                DAY.start_ms + minutes * 60_000,
                (number + 1.0) * minutes,
            )
            for number, of_series in enumerate(labels)
        ]
    )
    place = metrics(metric)
    for day in (DAY, DAY.plus(1)):
        place.export("stored", day)
    with connect(place.settings) as lake:
        for macro in ("increase_by_day", "increase_by_hour", "samples_increase_by_day"):
            rows = lake.rows(
                f"SELECT n, sum(increase) AS increase FROM {macro}('stored', '{metric}', "
                f"DATE '{DAY.plus(1)}', DATE '{DAY.plus(2)}') GROUP BY n"
            )
            assert {row["n"]: row["increase"] for row in rows} == {"0": 1440, "1": 2880}, macro


def test_from_the_table_alone_the_rollup_is_the_same(pushed, metrics, lake, monkeypatch):
    place = metrics(pushed)
    for name in ("stored", "stepped"):
        place.export(name, DAY)
    keys = [f"rollups/{name}/day={DAY}/data.parquet" for name in ("stored", "stepped")]
    made = [place.store.read(key) for key in keys]
    for key in keys:
        place.store.delete(key)
    place.store.delete(f"manifests/rollups/stored/{DAY}.json")
    monkeypatch.setenv("LAKE_SOURCES__PROMETHEUS__URL", "http://127.0.0.1:1")

    status, out, _ = lake("rollup", "--force", "--json", "--config", str(place.config))

    assert status == 0
    assert json.loads(out)["made"] == 2
    assert [place.store.read(key) for key in keys] == made
    assert lake("rollup", "--config", str(place.config))[1].strip() == "2 current"


def test_a_note_names_the_days_without_a_current_rollup(pushed, metrics, lake):
    place = metrics(pushed)
    place.export("stored", DAY)
    place.export("stored", DAY.plus(1))
    place.store.delete(f"manifests/rollups/stored/{DAY}.json")

    query = "SELECT count(*) AS n FROM stored_hourly_between(DATE '2026-03-02', DATE '2026-03-04')"
    status, out, err = lake("query", "--json", query, "--config", str(place.config))

    assert status == 0
    assert json.loads(out) == [{"n": 0}]
    assert "1 of 2 days from 2026-03-02 to 2026-03-03 has no current rollup (2026-03-02)" in err
    assert "lake rollup stored" in err
