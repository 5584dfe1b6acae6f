"""A day of log lines by stream, hour and level: against plain Python, and against LogQL."""

from __future__ import annotations

import uuid
from collections import Counter
from itertools import pairwise
from typing import Any
from unittest.mock import patch

import pyarrow as pa
import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st
from support.rolled_lake import Place

from lake.base.day import Day
from lake.query import connect
from lake.systems.loki.rollup.hourly import HourlyStreams

DAY = Day.parse("2026-03-01")
HOUR_NS = 3_600_000_000_000
PAIRS = pa.map_(pa.string(), pa.string())
TEXTS = {
    "level=info msg=ok": "info",
    '{"level":"WARN","message":"größer"}': "warn",
    "ts=1 level=error": "error",
    "nothing here": None,
    "": None,
}
SCHEMA = pa.schema(
    [
        ("ts", pa.timestamp("us", tz="UTC")),
        ("ts_ns", pa.int64()),
        ("stream_id", pa.int64()),
        ("line", pa.string()),
        ("app", pa.dictionary(pa.int32(), pa.string())),
        ("level", pa.dictionary(pa.int32(), pa.string())),
        ("labels", PAIRS),
        ("metadata", PAIRS),
    ]
)
Line = tuple[int, int, str]  # stream, ns, text


def table(lines: list[Line]) -> pa.Table:
    rows = sorted(lines, key=lambda line: line[:2])
    columns: dict[str, list[Any]] = {
        "ts": [ns // 1000 for _, ns, _ in rows],
        "ts_ns": [ns for _, ns, _ in rows],
        "stream_id": [stream for stream, *_ in rows],
        "line": [text for *_, text in rows],
        "app": [f"app{stream}" for stream, *_ in rows],
        "level": ["Notice" if stream == 2 else None for stream, *_ in rows],
        "labels": [[("Pod", str(stream))] for stream, *_ in rows],
        "metadata": [[] for _ in rows],
    }
    return pa.table({field.name: pa.array(columns[field.name], field.type) for field in SCHEMA})


def level_of(stream: int, text: str) -> str | None:
    """The label's level stands before the line's."""
    return "info" if stream == 2 else TEXTS[text]


def expected(lines: list[Line]) -> dict[tuple[int, int, str | None], tuple[int, ...]]:
    groups: dict[tuple[int, int, str | None], list[Line]] = {}
    for line in lines:
        stream, ns, text = line
        groups.setdefault((stream, ns // HOUR_NS, level_of(stream, text)), []).append(line)
    return {
        key: (
            len(of),
            sum(len(text.encode()) for *_, text in of),
            min(ns for _, ns, _ in of) // 1000,
            max(ns for _, ns, _ in of) // 1000,
        )
        for key, of in groups.items()
    }


def rolled(day: pa.Table, cuts: list[int]) -> pa.Table:
    """Each batch by a statement of its own: a real day's batches are put together first."""
    rolling = HourlyStreams(()).begin(day.schema)
    edges = sorted({0, day.num_rows, *(cut for cut in cuts if cut < day.num_rows)})
    batches: list[pa.RecordBatch] = []
    for begin, end in pairwise(edges):
        for batch in day.slice(begin, end - begin).combine_chunks().to_batches():
            with patch("lake.systems.loki.rollup.rolling._ROWS", 1):
                batches += rolling.add(batch)
    batches += rolling.finish()
    return pa.Table.from_batches(batches, rolling.schema)


lines = st.lists(
    st.tuples(
        st.sampled_from([-5, 1, 2]),
        st.integers(0, 3 * HOUR_NS - 1).map(lambda ns: DAY.start_ns + ns),
        st.sampled_from(list(TEXTS)),
    ),
    max_size=40,
)


@settings(max_examples=60, deadline=None)
@given(lines, st.lists(st.integers(1, 39), max_size=6))
def test_lines_and_bytes_of_every_stream_hour_and_level(day, cuts):
    rows = rolled(table(day), cuts)

    times = [rows[name].cast(pa.int64()).to_pylist() for name in ("hour", "first_ts", "last_ts")]
    hours = [us * 1000 // HOUR_NS for us in times[0]]
    keys = list(zip(rows["stream_id"].to_pylist(), hours, rows["level"].to_pylist(), strict=True))
    values = [rows["lines"].to_pylist(), rows["bytes"].to_pylist(), *times[1:]]
    assert dict(zip(keys, zip(*values, strict=True), strict=True)) == expected(day)
    assert len(keys) == len(set(keys))
    for stream, app, entries in zip(
        rows["stream_id"].to_pylist(), rows["app"].to_pylist(), rows["labels"].to_pylist(),
        strict=True,
    ):  # fmt: skip
        # The column `level` is the lines' own: a label of this name is in the map.
        own = [("level", "Notice")] if stream == 2 else []
        assert (app, entries) == (f"app{stream}", [("Pod", str(stream)), *own])
    assert rows.equals(rolled(table(day), []))


KNOWN = {"warn": "warn", "ERR": "error", "Notice": "info", "unknown": None, "": None, None: None}
metadata = st.none() | st.dictionaries(
    st.sampled_from(["detected_level", "level", "severity", "Level", "trace", "größe"]),
    st.sampled_from([name for name in KNOWN if name is not None]),
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(metadata, min_size=1, max_size=20),
    st.lists(
        st.sampled_from(["Level", "level", "trace", "größe", "Pod", "app", "line"]), unique=True
    ),
    st.integers(0, 3),
)
def test_a_level_is_that_of_the_first_place_that_has_one(held, level_from, cut):
    """Of one line an hour, so that each row has its own."""
    day = table([(1, DAY.start_ns + n * HOUR_NS, "level=error") for n in range(len(held))])
    items = [entries and sorted(entries.items()) for entries in held]
    day = day.set_column(day.schema.get_field_index("metadata"), SCHEMA.field("metadata"),
                         pa.array(items, PAIRS))[cut:]  # fmt: skip
    rolling = HourlyStreams(level_from).begin(day.schema)
    batches = [row for batch in day.to_batches() for row in rolling.add(batch)]
    rows = pa.Table.from_batches([*batches, *rolling.finish()], rolling.schema)

    def level(entries: dict[str, str] | None) -> str | None:
        places = [*level_from, "detected_level", "level", "severity"]
        # The line's own level is the last place of all, unless it is named.
        named = places[: places.index("line")] if "line" in places else places
        values = (KNOWN[(entries or {}).get(place)] for place in named)
        return next(filter(None, values), "error")

    assert rows["level"].to_pylist() == [level(entries) for entries in held[cut:]]


def logql(url: str, query: str, hour: int) -> dict[tuple[str, ...], float]:
    """The vector at the end of that hour, by `app` and `level`."""
    at = DAY.start_ns + (hour + 1) * HOUR_NS
    params = {"query": query, "time": str(at)}
    answer = requests.get(f"{url}/loki/api/v1/query", params, timeout=60)
    answer.raise_for_status()
    result = answer.json()["data"]["result"]
    return {
        (series["metric"]["app"], series["metric"].get("level", "")): float(series["value"][1])
        for series in result
    }


@pytest.fixture
def logs(tmp_path, loki_url):
    job = uuid.uuid4().hex
    streams = []
    for number, app in enumerate(("api", "worker")):
        values = []
        for n in range(400):
            ns = DAY.start_ns + (n * 701 + number) * 10**9 % (5 * HOUR_NS) + 1
            level = ("info", "warn", "error", "debug")[(n + number) * 7 % 4]
            values.append([str(ns), f"level={level} n={n} größer"])
        streams.append({"stream": {"job": job, "app": app}, "values": sorted(values)})
    answer = requests.post(f"{loki_url}/loki/api/v1/push", json={"streams": streams}, timeout=60)
    assert answer.status_code == 204, answer.text
    return job, Place(
        tmp_path,
        f"""
[sources.loki]
url = "{loki_url}"
[hot]
loki = 10000
[[dataset]]
name = "logs"
source = "loki"
selector = '{{job="{job}"}}'
""",
    )


def test_hours_and_levels_as_logql_counts_them(logs, loki_url):
    job, place = logs
    outcome = place.export("logs", DAY)
    assert outcome.rollup.state == "made", outcome.rollup.error

    with connect(place.settings) as lake:
        rows = lake.rows("SELECT * FROM logs_hourly WHERE day = DATE '2026-03-01'")
    counts = {(row["app"], row["level"], row["hour"].hour): row for row in rows}

    for column, function in (("lines", "count_over_time"), ("bytes", "bytes_over_time")):
        want = {
            (*key, hour): value
            for hour in range(24)
            for key, value in logql(
                loki_url,
                f'sum by (app, level) ({function}({{job="{job}"}} | logfmt [1h]))',
                hour,
            ).items()
        }
        assert len(want) == 2 * 4 * 5
        assert {key: row[column] for key, row in counts.items()} == want, column
    assert sum(row["lines"] for row in rows) == outcome.manifest.rows == 800
    assert Counter(row["day"] for row in rows) == {DAY.date: 40}


def test_batches_that_are_put_together_give_the_same_rows():
    day = table([(1, DAY.start_ns + n * 10**12, text) for n, text in enumerate(TEXTS)])
    rolling = HourlyStreams(()).begin(day.schema)
    batches: list[pa.RecordBatch] = []
    for at in range(day.num_rows):
        batches += rolling.add(day.slice(at, 1).combine_chunks().to_batches()[0])
    batches += rolling.finish()

    assert pa.Table.from_batches(batches, rolling.schema).equals(rolled(day, [1, 2, 3, 4]))
