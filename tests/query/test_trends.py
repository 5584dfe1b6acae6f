"""The trends against the simulated requests themselves."""

from __future__ import annotations

import io
import statistics
from collections import Counter, defaultdict
from datetime import date, timedelta
from importlib import import_module
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lake.base.day import Day
from lake.base.errors import Missing, UsageError
from lake.demo.dialogue import requests_of
from lake.demo.logs import lines_of
from lake.partition.layout import table_key
from lake.query import Lake
from lake.trends import Choices, all_trends, ask, draw, missing_days, trend_named

OPTIONS = {
    "counter": {"metric": "llm_tokens_total", "by": "model"},
    "log_lines": {"by": "container"},
}


def _choices(name: str) -> Choices:
    return Choices(OPTIONS.get(name, {}))


def _asked(history, name: str, start: Day | None = None) -> list[dict]:
    first, end = history.range
    with history.lake.connect() as lake:
        answer = ask(lake, trend_named(name), start or first, end)
    return [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]


def test_what_metrics_a_dataset_has_is_read_once_a_session(history, monkeypatch) -> None:
    """However many trends look for theirs: with hundreds of datasets that is most of the time."""
    fits = import_module("lake.trends.fitting")  # the package has a function of that name
    statements: Counter[tuple] = Counter()
    rows = fits._rows

    def counted(lake, table, statement, first, last):
        if "DISTINCT metric" in statement:
            statements[table.dataset, statement, first, last] += 1
        return rows(lake, table, statement, first, last)

    monkeypatch.setattr(fits, "_rows", counted)
    with history.lake.connect() as lake:
        for trend in all_trends():
            fits.fit(lake, trend, _choices(trend.name), history.range)
    assert len(statements) > 2
    assert set(statements.values()) == {1}


def test_every_file_is_a_trend_that_answers(history) -> None:
    trends = all_trends()
    assert {trend.name for trend in trends} >= {
        "daily_requests",
        "tokens_by_model",
        "stage_latency",
        "error_rate",
        "log_volume",
    }
    with history.lake.connect() as lake:
        for trend in trends:
            answer = ask(lake, trend, *history.range, _choices(trend.name))
            assert answer.rows
            named = {trend.x, *(c for panel in trend.panels for c in panel.columns)}
            assert named | ({trend.series} - {None}) <= set(answer.columns)


def test_daily_requests(history) -> None:
    days = defaultdict(list)
    for day, request in history.requests():
        days[day.date].append(request)
    rows = {row["day"]: row for row in _asked(history, "daily_requests")}
    assert rows.keys() == days.keys()
    for day, requests in days.items():
        row = rows[day]
        latencies = sorted(request.total_latency_ms for request in requests)
        assert row["requests"] == len(requests)
        assert row["errors"] == sum(request.failure is not None for request in requests)
        assert row["users"] == len({request.user_id for request in requests})
        assert row["p50_latency_ms"] == statistics.median(latencies)
        cuts = statistics.quantiles(latencies, n=100, method="inclusive")
        assert row["p95_latency_ms"] == pytest.approx(cuts[94])
        assert row["p99_latency_ms"] == pytest.approx(cuts[98])


def test_daily_requests_of_days_without_any_error(make_lake, table) -> None:
    lake = make_lake("usage_analytics")
    row = table(userId=["u"], response=[{"totalLatencyMs": 7}])
    lake.put("usage_analytics", "2026-07-01", row)
    with lake.connect() as session:
        trend = trend_named("daily_requests")
        answer = ask(session, trend, Day.parse("2026-07-01"), Day.parse("2026-07-03"))
        assert answer.rows == [(date(2026, 7, 1), 1, 0, 1, 7.0, 7.0, 7.0)]


def test_tokens_by_model(history) -> None:
    expected = defaultdict(Counter)
    for day, request in history.requests():
        expected[day.date, request.model] += Counter(
            requests=1, prompt=request.prompt_tokens, completion=request.completion_tokens
        )
    rows = {(row["day"], row["model"]): row for row in _asked(history, "tokens_by_model")}
    assert rows.keys() == expected.keys()
    for key, counts in expected.items():
        row = rows[key]
        assert row["requests"] == counts["requests"]
        assert row["prompt_tokens"] == counts["prompt"]
        assert row["completion_tokens"] == counts["completion"]
        assert row["total_tokens"] == counts["prompt"] + counts["completion"]


def test_stage_latency(history) -> None:
    expected = defaultdict(list)
    for day, request in history.requests():
        for stage in request.stages:
            week = day.date - timedelta(days=day.date.weekday())
            expected[week, stage.name].append(stage)
    rows = {(row["week"], row["stage"]): row for row in _asked(history, "stage_latency")}
    assert rows.keys() == expected.keys()
    for key, stages in expected.items():
        good = [stage.duration_ms for stage in stages if not stage.failed]
        assert rows[key]["runs"] == len(stages)
        assert rows[key]["failed"] == len(stages) - len(good)
        assert rows[key]["p50_ms"] == statistics.median(good)
        assert rows[key]["avg_ms"] == pytest.approx(statistics.mean(good), abs=0.06)


@pytest.mark.parametrize("skipped", [0, 2])
def test_error_rate_counts_across_restarts(history, skipped: int) -> None:
    """Two restarts lie in the range, and where it starts later, counters that ran before."""
    start = history.scenario.first.plus(skipped)
    expected = Counter(
        (day.date, str(request.status)) for day, request in history.requests() if day >= start
    )
    rows = _asked(history, "error_rate", start)
    answers = {(row["day"], row["status"]): row["answers"] for row in rows if row["answers"]}
    assert answers == expected
    day = history.scenario.outage_day.date
    share = sum(row["error_percent"] for row in rows if row["day"] == day and row["error_percent"])
    failed = sum(count for (d, status), count in expected.items() if d == day and status >= "500")
    total = sum(count for (d, _), count in expected.items() if d == day)
    assert share == pytest.approx(100 * failed / total, abs=0.01)


def test_log_volume(history) -> None:
    expected = defaultdict(Counter)
    for day in history.scenario.each_day():
        requests = requests_of(history.scenario, day)
        for stream, lines in lines_of(history.scenario, day, requests).items():
            expected[day.date, stream.container] += Counter(
                lines=len(lines),
                bytes=sum(len(line.text.encode()) for line in lines),
                errors=len(lines) * (stream.level == "error"),
            )
    rows = {(row["day"], row["container"]): row for row in _asked(history, "log_volume")}
    assert rows.keys() == expected.keys()
    for key, counts in expected.items():
        volume = rows[key]
        assert (volume["lines"], volume["bytes"], volume["error_lines"]) == (
            counts["lines"],
            counts["bytes"],
            counts["errors"],
        )


@pytest.mark.parametrize("labelled", [True, False])
def test_log_volume_of_a_loki_without_metadata(history, make_lake, labelled: bool) -> None:
    """As Loki 2.2 exports it. Without a label `level` a stack trace's lines have none."""
    day = history.scenario.outage_day
    older = make_lake("container_logs")
    key = table_key("container_logs", day)
    rows = pq.read_table(io.BytesIO(history.lake.store.read(key)))
    metadata = pa.nulls(rows.num_rows, rows.schema.field("metadata").type)
    rows = rows.set_column(rows.schema.get_field_index("metadata"), "metadata", metadata)
    older.put("container_logs", str(day), rows if labelled else rows.drop_columns(["level"]))
    trend = trend_named("log_volume")

    def log_lines(lake) -> dict[str, tuple[int, int]]:
        with lake.connect() as session:
            answer = ask(session, trend, day, day.plus(1))
        rows = [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]
        return {row["container"]: (row["lines"], row["error_lines"]) for row in rows}

    expected = log_lines(history.lake)
    if not labelled:
        failed = [request.failure for on, request in history.requests() if on == day]
        stages = sum(failure is not None for failure in failed)
        # Of each failed stage, its head alone.
        expected["miyou-pipeline"] = (expected["miyou-pipeline"][0], stages)
    assert log_lines(older) == expected


def _increase(lake: Lake, samples: list[tuple[int, int, float | None]]) -> list[float]:
    """Of (series, minute, value), in order of series and time."""
    values = ", ".join(f"({s}, {m}, {'NULL' if v is None else v})" for s, m, v in samples)
    return [
        row["i"]
        for row in lake.rows(
            "SELECT s, m, counter_increase(v, s, make_timestamptz(m * 60_000_000)) AS i "
            f"FROM (VALUES {values}) AS t(s, m, v) ORDER BY s, m"
        )
    ]


def test_counter_increase(make_lake) -> None:
    with make_lake("events").connect() as lake:
        assert _increase(lake, [(1, 0, 5), (1, 1, 5), (1, 2, 9), (1, 3, 2), (1, 4, 4)]) == [
            0,  # nothing is known of the time before
            0,
            4,
            2,  # a restart: from 0
            2,
        ]
        # The second series is born later than the first samples of all: from 0, too.
        assert _increase(lake, [(1, 0, 5), (1, 6, 6), (2, 6, 3), (2, 7, 3)]) == [0, 1, 3, 0]
        # A stale marker or a NaN is no sample, and the first of all is no beginning.
        gone = [(1, 0, None), (1, 9, 5), (1, 10, None), (1, 11, 7), (1, 12, None), (1, 13, 1)]
        assert [i for i in _increase(lake, gone) if i] == [2, 1]
        # Another target is scraped a little later: it may be as old as the first.
        assert _increase(lake, [(1, 0, 5), (1, 5, 6), (2, 5, 3), (2, 7, 3)]) == [0, 1, 0, 0]


def test_days_that_are_not_in_the_lake_are_told(history) -> None:
    first, end = history.range
    trend = trend_named("daily_requests")
    with history.lake.connect() as lake:
        assert missing_days(lake, trend, first, end) == {}
        assert missing_days(lake, trend, first.plus(-1), end.plus(1)) == {
            "usage_analytics": [first.plus(-1), end]
        }


def test_a_trend_whose_dataset_is_not_configured(make_lake) -> None:
    day = Day.parse("2026-07-01")
    with (
        make_lake("usage_analytics").connect() as lake,
        pytest.raises(UsageError, match="no day of usage_analytics"),
    ):
        ask(lake, trend_named("error_rate"), day, day.plus(1))
    with pytest.raises(UsageError, match=r"one of .*error_rate"):
        trend_named("error_rat")


@pytest.mark.parametrize("name", [trend.name for trend in all_trends()])
def test_every_trend_is_drawn(history, name: str, tmp_path: Path) -> None:
    import matplotlib.image  # noqa: PLC0415

    first, end = history.range
    trend, file = trend_named(name), tmp_path / f"{name}.png"
    with history.lake.connect() as lake:
        answer = ask(lake, trend, first, end, _choices(name))
    draw(trend, answer, first, end, file)
    pixels = matplotlib.image.imread(file)
    assert pixels.shape[:2] == (700, 1200)
    # Each panel shows colour: something is drawn in the upper and in the lower half.
    colourful = (pixels[:, :, :3].max(axis=2) - pixels[:, :, :3].min(axis=2)) > 0.2
    assert colourful[100:350].sum() > 500
    assert colourful[400:650].sum() > 500


def test_nothing_to_draw(make_lake, table, tmp_path: Path) -> None:
    lake = make_lake("usage_analytics")
    day = Day.parse("2026-07-01")
    lake.put(
        "usage_analytics",
        str(day),
        pa.table(
            {
                "userId": pa.array([], pa.string()),
                "response": pa.array([], pa.struct([("totalLatencyMs", pa.int64())])),
            }
        ),
    )
    trend = trend_named("daily_requests")
    with lake.connect() as session, pytest.raises(Missing, match="nothing to plot"):
        draw(trend, ask(session, trend, day, day.plus(1)), day, day.plus(1), tmp_path / "x.png")
