"""Trends on lakes whose datasets and metrics have other names than the demo's."""

from __future__ import annotations

import json
from collections import Counter
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from support.renamed_lake import as_opentelemetry, renamed_history, rows_of

from lake.base import clock
from lake.base.day import Day
from lake.base.errors import UsageError
from lake.demo.dialogue import requests_of
from lake.partition.layout import rollup_key, rollup_manifest_key
from lake.trends import Choices, all_trends, ask, fit, trend_named

OTHER = {
    "usage_analytics": "requests",
    "performance_metrics": "pipeline",
    "metrics_rollups": "minutes",
    "stage_performance_rollups": "stages",
    "http_server_requests": "http",
    "dialogue_metrics": "answers",  # a trend's input may have the same name
    "container_logs": "logged",
}
DAYS = 4
TRENDS = [trend.name for trend in all_trends()]
OTEL = {f"http_server_requests_seconds_{part}": part for part in ("count", "bucket", "sum", "max")}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory):
    return renamed_history(tmp_path_factory.mktemp("plain"), days=DAYS)


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory):
    return renamed_history(tmp_path_factory.mktemp("other"), OTHER, days=DAYS)


@pytest.fixture(scope="module")
def answers(plain) -> dict[str, list[dict]]:
    """Every trend's answer from the tables alone."""
    lake, scenario = plain
    return {name: rows_of(lake, name, scenario) for name in TRENDS}


def assert_same(rows: list[dict], expected: list[dict]) -> None:
    assert expected
    assert len(rows) == len(expected)
    for row, two in zip(rows, expected, strict=True):
        assert row == pytest.approx(two), row


@pytest.mark.parametrize("name", sorted(set(TRENDS) - {"documents"}))
def test_other_dataset_names_give_the_same_answer(other, answers, name: str) -> None:
    lake, scenario = other
    assert_same(rows_of(lake, name, scenario), answers[name])


def test_rollups_give_the_same_answer(plain, answers, run) -> None:
    lake, scenario = plain
    try:
        status, _, err = run("rollup", "--config", lake.config)
        assert status == 0, err
        for name in TRENDS:
            assert_same(rows_of(lake, name, scenario), answers[name])
        # Some days with a rollup, some without.
        for dataset in ("http_server_requests", "dialogue_metrics"):
            for day in (scenario.first, scenario.first.plus(2)):
                lake.store.delete(rollup_manifest_key(dataset, day))
        for name in ("error_rate", "counter", "http_latency"):
            assert_same(rows_of(lake, name, scenario), answers[name])
    finally:
        for dataset in lake.settings.dataset:
            for day in scenario.each_day():
                for key in (rollup_manifest_key(dataset.name, day), rollup_key(dataset.name, day)):
                    lake.store.delete(key)


def test_rollups_with_another_level_from_are_not_read(plain, answers, run) -> None:
    lake, scenario = plain
    try:
        assert run("rollup", "container_logs", "--config", lake.config)[0] == 0
        changed = lake.config.with_name("changed.toml")
        selector = "selector = '{container=~\".+\"}'"
        text = lake.config.read_text()
        assert selector in text
        changed.write_text(text.replace(selector, f'{selector}\nlevel_from = "service"'))
        days = ["--from", scenario.first, "--to", scenario.end, "--json", "--config", changed]
        status, out, err = run("trend", "log_volume", *days)
        assert status == 0, err
        expected = [{**row, "day": str(row["day"])} for row in answers["log_volume"]]
        assert json.loads(out) == expected  # no service is a level, so places behind it decide
        _, _, err = run("query", "SELECT count(*) FROM container_logs_hourly", "--config", changed)
        assert "no current rollup" in err
    finally:
        for day in scenario.each_day():
            for key in (
                rollup_manifest_key("container_logs", day),
                rollup_key("container_logs", day),
            ):
                lake.store.delete(key)


def test_views_whose_names_are_other_datasets(tmp_path: Path, answers, run) -> None:
    """`x_hourly` and `x_with_level` are datasets of their own."""
    names = {
        "http_server_requests": "http",
        "usage_analytics": "http_hourly",
        "container_logs": "logs",
        "metrics_rollups": "logs_with_level",
    }
    lake, scenario = renamed_history(tmp_path, names, days=DAYS)
    assert_same(rows_of(lake, "error_rate", scenario), answers["error_rate"])
    with lake.connect() as session:
        (lacking,) = fit(session, trend_named("log_volume"), Choices()).lacks
    assert lacking == "view logs_with_level: a dataset has its name"


@pytest.mark.parametrize(
    ("metric", "status"),
    [
        ("http_server_request_duration_seconds_{}", "http_response_status_code"),
        ("http.server.request.duration_seconds_{}", "http.response.status_code"),
        ("http.server.request.duration_{}", "http.response.status_code"),
    ],
)
def test_names_of_opentelemetry(tmp_path: Path, answers, metric: str, status: str) -> None:
    names = {old: metric.format(part) for old, part in OTEL.items()}
    change = as_opentelemetry(names, {"status": status})
    lake, scenario = renamed_history(tmp_path, OTHER, days=DAYS, change=change)
    for name in ("http_requests", "http_errors", "http_latency"):
        assert_same(rows_of(lake, name, scenario), answers[name])
    with lake.connect() as session:
        lacking = fit(session, trend_named("error_rate"), Choices()).lacks
    assert lacking[0].startswith("metric http_server_requests_seconds_count: ")


@pytest.mark.parametrize("instances", ["same", "others"])
def test_two_libraries_in_one_service_count_once(
    tmp_path: Path, answers, run, instances: str
) -> None:
    """Both metrics of one target are the same requests; those of another target are its own."""

    def change(table: pa.Table) -> pa.Table:
        otel = as_opentelemetry(
            {old: f"http_server_request_duration_seconds_{part}" for old, part in OTEL.items()}, {}
        )(table)
        http = otel.filter(pc.starts_with(otel["metric"], "http_server_request_duration"))
        if instances == "others":
            at = http.schema.get_field_index("instance")
            elsewhere = pa.array(["10.9.9.9:8080"] * http.num_rows, pa.string())
            http = http.set_column(at, "instance", elsewhere.cast(http.schema.field(at).type))
        ids = pc.bit_wise_xor(http["series_id"], 1 << 40)  # series of their own
        http = http.set_column(http.schema.get_field_index("series_id"), "series_id", ids)
        both = pa.concat_tables([table, http.cast(table.schema)])
        return both.sort_by([("series_id", "ascending"), ("ts", "ascending")])

    times = 2 if instances == "others" else 1
    lake, scenario = renamed_history(tmp_path, OTHER, days=DAYS, change=change)
    for form in ("tables", "rollups"):
        if form == "rollups":
            assert run("rollup", "--config", lake.config)[0] == 0
        rows = rows_of(lake, "http_requests", scenario)
        assert [row["requests"] for row in rows] == [
            times * row["requests"] for row in answers["http_requests"]
        ]
        expected = [row["p95_ms"] for row in answers["http_latency"]]
        assert [row["p95_ms"] for row in rows_of(lake, "http_latency", scenario)] == expected


def test_http_trends_against_the_requests(plain, answers) -> None:
    _, scenario = plain
    counted: Counter[tuple[date, str]] = Counter()
    for day in scenario.each_day():
        for request in requests_of(scenario, day):
            counted[day.date, str(request.status)[0]] += 1
    for row in answers["http_errors"]:
        total = sum(n for (on, _), n in counted.items() if on == row["day"])
        assert row["requests"] == total
        assert row["client_errors"] == counted[row["day"], "4"]
        assert row["server_errors"] == counted[row["day"], "5"]
        assert row["server_error_percent"] == pytest.approx(
            100 * counted[row["day"], "5"] / total, abs=0.001
        )
    for row in answers["http_requests"]:
        total = sum(n for (on, _), n in counted.items() if on == row["day"])
        assert row["requests"] == total
        assert row["per_second"] == pytest.approx(total / 86_400, abs=0.001)


def test_percentiles_lie_in_the_bucket_of_the_requests(plain, answers) -> None:
    _, scenario = plain
    bounds = [0, 500, 1000, 2000, 4000, 8000]
    for day in scenario.each_day():
        (row,) = [row for row in answers["http_latency"] if row["day"] == day.date]
        latencies = sorted(request.total_latency_ms for request in requests_of(scenario, day))
        assert row["requests"] == len(latencies)
        for quantile in (50, 95, 99):
            exact = latencies[-(-len(latencies) * quantile // 100) - 1]
            upper = next((bound for bound in bounds if bound >= exact), bounds[-1])
            lower = max([bound for bound in bounds if bound < exact], default=0)
            assert lower <= row[f"p{quantile}_ms"] <= upper


def test_documents_of_each_collection(plain) -> None:
    lake, scenario = plain
    with lake.connect() as session:
        for name in ("usage_analytics", "metrics_rollups"):
            trend = trend_named("documents")
            choices = Choices(dataset=name)
            rows = ask(session, trend, scenario.first, scenario.end, choices).rows
            counted = session.rows(f"SELECT day, count(*) AS n FROM {name} GROUP BY day ORDER BY 1")
            assert [tuple(row) for row in rows] == [(group["day"], group["n"]) for group in counted]


def test_a_dataset_that_does_not_fit(plain) -> None:
    lake, scenario = plain
    days = scenario.first, scenario.end
    with lake.connect() as session:
        chosen = Choices(dataset="usage_analytics")
        with pytest.raises(UsageError, match="does not fit") as raised:
            ask(session, trend_named("error_rate"), *days, chosen)
        assert raised.value.parts["found"] == "no dataset of metrics"
        wrong = Choices({"metric": "llm_tokens_total", "by": "modell"})
        with pytest.raises(UsageError, match="does not fit") as raised:
            ask(session, trend_named("counter"), *days, wrong)
        assert raised.value.parts["found"] == "no label modell"
        with pytest.raises(UsageError, match="takes --metric"):
            ask(session, trend_named("counter"), *days)
        with pytest.raises(UsageError, match="takes none of these"):
            ask(session, trend_named("error_rate"), *days, Choices({"by": "status"}))
        with pytest.raises(UsageError, match="no dataset 'nothing'"):
            ask(session, trend_named("documents"), *days, Choices(dataset="nothing"))


def test_this_range_against_the_one_before(plain, answers, run) -> None:
    lake, scenario = plain
    first = scenario.first.plus(2)
    days = ["--from", first, "--to", first.plus(2), "--json", "--config", lake.config]
    status, out, err = run("trend", "error_rate", "--compare", *days)
    assert status == 0, err
    for row in json.loads(out):
        now = [
            point["answers"]
            for point in answers["error_rate"]
            if point["status"] == row["status"] and first.date <= point["day"] < first.plus(2).date
        ]
        then = [
            point["answers"]
            for point in answers["error_rate"]
            if point["status"] == row["status"] and point["day"] < first.date
        ]
        assert row["answers"] == sum(now)
        # The first day of all has no day before it: its first samples are no growth either way.
        assert row["answers_before"] == sum(then)
        if sum(then):
            percent = 100 * (sum(now) / sum(then) - 1)
            assert row["answers_change_percent"] == pytest.approx(percent, abs=0.01)


@pytest.mark.slow
def test_week_over_week(tmp_path: Path, run) -> None:
    monday, datasets = "2026-06-29", ["usage_analytics"]
    lake, scenario = renamed_history(tmp_path, first=monday, days=14, datasets=datasets)
    days = ["--from", "2026-06-29", "--to", "2026-07-13", "--json", "--config", lake.config]
    status, out, err = run("trend", "tokens_by_model", "--weekly", *days)
    assert status == 0, err
    tokens: Counter[tuple[str, str]] = Counter()
    for day in scenario.each_day():
        week = day.date - timedelta(days=day.date.weekday())
        for request in requests_of(scenario, day):
            tokens[str(week), request.model] += request.total_tokens
    rows = {(row["week"], row["model"]): row for row in json.loads(out)}
    assert {key: row["total_tokens"] for key, row in rows.items()} == tokens
    for (week, model), row in rows.items():
        before = tokens.get((str(date.fromisoformat(week) - timedelta(days=7)), model))
        change = row["total_tokens_change_percent"]
        assert change == (
            pytest.approx(100 * (row["total_tokens"] / before - 1), abs=0.01) if before else None
        )


@pytest.mark.parametrize("today", ["2026-08-03", "2026-08-09"])  # a Monday, a Sunday
def test_a_week_that_is_not_over_is_compared_with_none(today, make_lake, table, run) -> None:
    with clock.simulated(lambda: Day.parse(today).start + timedelta(hours=9)):
        _compare_weeks(make_lake("events"), table, run)


def _compare_weeks(lake, table, run) -> None:
    today = Day.today()
    monday = today.plus(-today.date.weekday())
    for ago in range(1, 29):
        lake.put("events", str(today.plus(-ago)), table(n=[1, 2]))
    # A range that ends with yesterday, as the default one.
    days = ["--from", str(monday.plus(-14)), "--to", str(today), "--config", lake.config]
    status, out, err = run("trend", "documents", "--weekly", "--json", *days)
    assert status == 0, err
    weeks = {row["week"]: row["documents"] for row in json.loads(out)}
    assert weeks == {str(monday.plus(-14)): 14, str(monday.plus(-7)): 14}
    assert "not in the lake" not in err
    # A hole in the week before the first one: there is no change to tell.
    hole = monday.plus(-20)
    (lake.config.parent / f"lake/manifests/events/{hole}.json").unlink()
    status, out, err = run("trend", "documents", "--weekly", "--json", *days)
    assert [row["documents_change_percent"] for row in json.loads(out)] == [None, 0]
    assert f"1 of 21 days from {monday.plus(-21)} to {monday.plus(-1)} is not in the lake" in err
    days[1] = str(monday)
    if monday != today:
        status, _, err = run("trend", "documents", "--weekly", *days)
        assert (status, "no complete week begins in the range" in err) == (2, True)


def test_ranges_with_missing_days_are_not_compared(make_lake, table, run) -> None:
    """5 % of them are borne: 1 of 20."""
    lake = make_lake("events")
    first = Day.parse("2026-05-01")
    for number in range(40):
        day = first.plus(number)
        lake.put(
            "events",
            str(day),
            table(n=[1] * (1 + number // 20), timestamp=[day.start] * (1 + number // 20)),
        )
    days = ("--from", str(first.plus(20)), "--to", str(first.plus(40)), "--config", lake.config)

    def compared() -> tuple[int, int, float | None]:
        status, out, err = run("trend", "documents", "--compare", "--json", *days)
        assert status == 0, err
        (row,) = json.loads(out)
        return tuple(row[f"documents{suffix}"] for suffix in ("", "_before", "_change_percent"))

    assert compared() == (40, 20, 100)
    lake.store.delete(f"manifests/events/{first.plus(3)}.json")
    assert compared() == (40, 19, 110.53)
    lake.store.delete(f"manifests/events/{first.plus(5)}.json")
    assert compared() == (40, 18, None)


def test_months_that_are_over_beside_the_month_before(make_lake, table, run) -> None:
    lake = make_lake("events")
    first, today = Day.parse("2026-05-30"), Day.parse("2026-08-15")
    for number in range(first.days_until(today)):
        day = first.plus(number)
        rows = day.date.month
        lake.put("events", str(day), table(n=[1] * rows, timestamp=[day.start] * rows))
    days = ("--from", "2026-06-01", "--to", str(today), "--config", lake.config)
    with clock.simulated(lambda: today.start):
        status, out, err = run("trend", "documents", "--monthly", "--json", *days)
        assert status == 0, err
        rows = [tuple(row.values()) for row in json.loads(out)]
        assert run("trend", "documents", "--monthly", "--weekly", *days)[0] == 2
    change = round(100 * (31 * 7 / (30 * 6) - 1), 2)
    # May has two days in the lake: June has nothing whole before it. August is not over.
    assert rows == [("2026-06-01", 30 * 6, None), ("2026-07-01", 31 * 7, change)]
    assert "29 of 92 days from 2026-05-01 to 2026-07-31 are not in the lake" in err
