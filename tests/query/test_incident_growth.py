"""`lake incident`: what counters have grown by, over midnight and with any labels."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest


def test_labels_may_have_the_names_of_what_is_computed(make_lake, run) -> None:
    lake = make_lake("counters")
    start = datetime(2026, 7, 6, 11, 0, tzinfo=UTC)
    names = ("growth", "during", "e", "before", "counter", "columns", "more", "step")
    columns = {
        "ts": [start + timedelta(minutes=number) for number in range(40)],
        "metric": ["jobs_total"] * 40,
        "value": [float(number + max(0, number - 20)) for number in range(40)],
        "series_id": [1] * 40,
        **{name: [f"of {name}"] * 40 for name in names},
        "labels": pa.array([[("Zone", "kr")]] * 40, pa.map_(pa.string(), pa.string())),
    }
    lake.put("counters", "2026-07-06", pa.table(columns))
    options = ("--at", "2026-07-06T11:30", "--window", "10m", "--config", lake.config)
    status, out, err = run("incident", *options, "--json")
    assert status == 0, err
    (change,) = json.loads(out)["changes"]
    assert change["labels"] == {**{name: f"of {name}" for name in names}, "Zone": "kr"}
    assert (change["before"], change["during"]) == (20, 38)
    with lake.connect() as session:
        (row,) = session.rows(
            "SELECT sum(growth) AS grown, any_value(text) AS text FROM incident("
            "TIMESTAMPTZ '2026-07-06 11:30:00+00', INTERVAL 10 MINUTE)"
        )
    assert row["grown"] == 39  # the sample at the window's start, too
    assert all(label in row["text"] for label in ('growth="of growth"', 'Zone="kr"'))


@pytest.mark.parametrize(
    ("at", "before", "during"),
    [
        ("2026-07-07T00:45Z", 70, 30),  # since 23:20, and not all that it has counted
        ("2026-07-06T23:45Z", 20, None),  # no sample since 23:20; the window ends at midnight
        ("2026-07-06T22:45Z", 30, 30),
    ],
)
def test_growth_over_midnight(make_lake, run, at, before, during) -> None:
    lake = make_lake("counters")
    start = datetime(2026, 7, 6, 20, 0, tzinfo=UTC)
    gap = range(201, 247)  # minutes: from 23:21 to 00:06, while the other series goes on
    rows = [(1, n) for n in range(360) if n not in gap] + [(2, n) for n in range(360)]
    for day in (6, 7):
        of_day = [(s, n) for s, n in rows if (start + timedelta(minutes=n)).day == day]
        columns = {
            "ts": [start + timedelta(minutes=n) for _, n in of_day],
            "metric": ["jobs_total"] * len(of_day),
            "value": [1e6 + n for _, n in of_day],
            "series_id": [s for s, _ in of_day],
            "job": [f"job {s}" for s, _ in of_day],
        }
        lake.put("counters", f"2026-07-0{day}", pa.table(columns))
    options = ("--at", at, "--window", "15m", "--json", "--config", lake.config)
    status, out, err = run("incident", *options)
    assert status == 0, err
    changes = {c["labels"]["job"]: (c["before"], c["during"]) for c in json.loads(out)["changes"]}
    assert "job 2" not in changes  # 30 and 30: no change
    assert changes.get("job 1", (30, 30)) == (before, during)


@pytest.mark.parametrize("back", ["2026-07-07T16:00", "2026-07-07T02:00"])
@pytest.mark.parametrize("away", [1, 3, 11])
def test_a_target_that_was_away_for_hours_was_not_born(make_lake, run, away, back) -> None:
    """It grows by what it counted meanwhile; a target of the last minutes by all that it has."""
    lake = make_lake("counters")
    start = datetime(2026, 7, 6, tzinfo=UTC)
    returned = datetime.fromisoformat(f"{back}Z")
    gap = (returned - timedelta(hours=away), returned)
    minutes = [start + timedelta(minutes=number) for number in range(2 * 24 * 60)]
    rows = [(2, at) for at in minutes]
    rows += [(1, at) for at in minutes if not gap[0] <= at < gap[1]]
    rows += [(3, at) for at in minutes if at >= returned]
    counted = {1: 1e6, 2: 5e5, 3: 9 - (returned - start) / timedelta(minutes=1)}
    for day in (6, 7):
        of_day = sorted((series, at) for series, at in rows if at.day == day)
        columns = {
            "ts": [at for _, at in of_day],
            "metric": ["jobs_total"] * len(of_day),
            "value": [counted[s] + (at - start) / timedelta(minutes=1) for s, at in of_day],
            "series_id": [series for series, _ in of_day],
            "job": [f"job {series}" for series, _ in of_day],
        }
        lake.put("counters", f"2026-07-0{day}", pa.table(columns))
    options = ("--at", f"{back}Z", "--window", "15m", "--json", "--config", lake.config)
    status, out, err = run("incident", *options)
    assert status == 0, err
    changes = {c["labels"]["job"]: c["during"] for c in json.loads(out)["changes"]}
    assert changes == {"job 1": 60 * away + 16, "job 3": 9 + 15}
    with lake.connect() as session:
        sql = f"SELECT text, sum(growth) FROM incident(TIMESTAMPTZ '{back}:00Z') GROUP BY text"
        grown = dict(session.ask(sql).rows)
    assert grown == {
        'jobs_total{job="job 1"}': 60 * away + 15,
        'jobs_total{job="job 2"}': 30,
        'jobs_total{job="job 3"}': 9 + 14,
    }


def test_the_mean_of_a_limit_that_is_the_largest_double(make_lake, run) -> None:
    lake = make_lake("gauges")
    start = datetime(2026, 7, 6, 11, 0, tzinfo=UTC)
    limit = 1.7976931348623157e308
    columns = {
        "ts": [start + timedelta(minutes=number) for number in range(40)],
        "metric": ["limit_bytes"] * 40,
        "value": [limit] * 15 + [0.1] * 25,
        "series_id": [1] * 40,
    }
    lake.put("gauges", "2026-07-06", pa.table(columns))
    options = ("--at", "2026-07-06T11:30", "--window", "10m", "--config", lake.config)
    status, out, err = run("incident", *options)
    assert status == 0, err
    assert "1.258e+308          0.1  limit_bytes (mean)" in out
    (change,) = json.loads(run("incident", *options, "--json")[1])["changes"]
    assert change["before"] == pytest.approx(0.7 * limit)


def test_native_histograms_grow_by_their_counts(make_lake, run) -> None:
    """Over a restart, too; their values are NULL."""
    lake = make_lake("latencies")
    start = datetime(2026, 7, 6, 11, 0, tzinfo=UTC)
    counts = [number if number < 25 else number - 25 for number in range(40)]
    lake.put(
        "latencies",
        "2026-07-06",
        pa.table(
            {
                "ts": [start + timedelta(minutes=number) for number in range(40)] * 2,
                "metric": ["rpc_duration_seconds"] * 40 + ["up"] * 40,
                "value": [None] * 40 + [1.0] * 40,
                "histogram": [{"count": float(n), "sum": 1.5 * n} for n in counts] + [None] * 40,
                "series_id": [1] * 40 + [2] * 40,
                "job": ["api"] * 80,
            }
        ),
    )
    options = ("--at", "2026-07-06T11:30", "--window", "10m", "--config", lake.config)
    status, out, err = run("incident", *options, "--json")
    assert status == 0, err
    (change,) = json.loads(out)["changes"]
    assert (change["metric"], change["counter"]) == ("rpc_duration_seconds", True)
    assert (change["before"], change["during"]) == (20, 4 + 14)
    with lake.connect() as session:
        rows = session.rows(
            "SELECT ts, value, growth FROM incident(TIMESTAMPTZ '2026-07-06 11:26:00Z', "
            "INTERVAL 2 MINUTE) WHERE text LIKE 'rpc%' ORDER BY ts"
        )
    assert [(row["value"], row["growth"]) for row in rows] == [(24, 1), (0, 0), (1, 1), (2, 1)]


def test_a_count_that_falls_is_a_gauge_and_one_that_restarts_is_none(make_lake, run) -> None:
    lake = make_lake("runtime")
    start = datetime(2026, 7, 6, 11, 0, tzinfo=UTC)
    goroutines = [20 + (number % 3) + 10 * (number > 20) for number in range(40)]
    requests = [
        number % 5 * (1 if number <= 20 else 2) for number in range(40)
    ]  # it restarts often
    lake.put(
        "runtime",
        "2026-07-06",
        pa.table(
            {
                "ts": [start + timedelta(minutes=number) for number in range(40)] * 2,
                "metric": ["go_goroutine_count"] * 40 + ["requests_count"] * 40,
                "value": [float(number) for number in goroutines + requests],
                "series_id": [1] * 40 + [2] * 40,
            }
        ),
    )
    options = ("--at", "2026-07-06T11:30", "--window", "10m", "--config", lake.config)
    status, out, err = run("incident", *options, "--json")
    assert status == 0, err
    changes = {change["metric"]: change for change in json.loads(out)["changes"]}
    assert changes["requests_count"]["counter"] is True
    gauge = changes["go_goroutine_count"]
    assert (gauge["counter"], gauge["before"]) == (False, pytest.approx(21, abs=0.1))
    assert gauge["during"] == pytest.approx(31, abs=0.6)
