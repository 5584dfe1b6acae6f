"""`lake incident` against the generator of the demo's week."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from support.demo_history import History
from support.hand_made import log_lines
from support.renamed_lake import renamed_history

from lake.base.day import Day
from lake.demo.dialogue import Request, requests_of
from lake.demo.documents import documents_of
from lake.demo.logs import Line, Stream, lines_of

_AT = "2026-07-06T11:20"
_DAY = Day.parse("2026-07-06")
_ID = "request-of-the-test"


def _ms(text: str) -> int:
    return int(datetime.fromisoformat(f"2026-07-06T{text}+00:00").timestamp() * 1000)


def _requests(history: History) -> list[Request]:
    return requests_of(history.scenario, _DAY)


def _lines(history: History) -> Iterator[tuple[Stream, Line]]:
    for stream, lines in lines_of(history.scenario, _DAY, _requests(history)).items():
        yield from ((stream, line) for line in lines)


def _incident(run, history: History, *options: object) -> tuple[int, dict]:
    status, out, _ = run("incident", *options, "--json", "--config", history.lake.config)
    return status, json.loads(out)


@pytest.mark.parametrize(
    ("at", "window", "start", "end"),
    [
        (_AT, "15m", "11:05", "11:35"),
        ("2026-07-06T20:55:00+09:00", "10m", "11:45", "12:05"),
        ("2026-07-06 11:21:10.4Z", "250ms", "11:21:10.150", "11:21:10.650"),
    ],
)
def test_events_of_the_window_are_those_of_the_generator(run, history, at, window, start, end):
    status, incident = _incident(run, history, "--at", at, "--window", window, "--limit", 5000)
    assert status == 0
    first, last = _ms(start), _ms(end)
    expected: Counter[tuple[str, str | None]] = Counter()
    for stream, line in _lines(history):
        if first * 1_000_000 <= line.ts_ns // 1000 * 1000 < last * 1_000_000:
            expected["container_logs", stream.level] += 1
    for name, documents in documents_of(_requests(history)).items():
        for document in documents:
            at_ms = round(document["timestamp"].replace(tzinfo=UTC).timestamp() * 1000)
            if first <= at_ms < last:
                expected[name, "error" if document.get("error") else None] += 1
    assert expected["usage_analytics", "error"] > 0
    counted = Counter((event["dataset"], event["level"]) for event in incident["events"])
    assert counted == {key: number for key, number in expected.items() if number}
    assert incident["total"] == expected.total()
    times = [event["at"] for event in incident["events"]]
    assert [datetime.fromisoformat(at) for at in times] == sorted(
        map(datetime.fromisoformat, times)
    )
    failed = expected["container_logs", "error"]
    assert incident["datasets"]["container_logs"]["errors"] == failed


def test_errors_stay_where_the_limit_leaves_out(run, history):
    _, whole = _incident(run, history, "--at", _AT, "--limit", 5000)
    _, limited = _incident(run, history, "--at", _AT, "--limit", 100)
    errors = [event for event in whole["events"] if event["level"] == "error"]
    assert limited["events"] == errors[:100]
    assert limited["total"] == whole["total"]
    _, out, _ = run("incident", "--at", _AT, "--limit", 100, "--config", history.lake.config)
    left = whole["total"] - 100
    assert f"timeline: 100 of {whole['total']} events: errors first" in out
    assert f"{left} left out" in out


def test_beside_errors_the_nearest_events_stay(run, history):
    """The first ones of the window were kept: a minute of quiet, and nothing around the instant."""
    _, whole = _incident(run, history, "--at", _AT, "--limit", 5000)
    ranked = [event for event in whole["events"] if event["level"] in ("error", "warn")]
    others = [event for event in whole["events"] if event not in ranked]
    at = datetime.fromisoformat(f"{_AT}+00:00")

    def distance(event: dict) -> timedelta:
        return abs(datetime.fromisoformat(event["at"]) - at)

    number = len(others) // 3
    _, limited = _incident(run, history, "--at", _AT, "--limit", len(ranked) + number)
    kept = [event for event in limited["events"] if event not in ranked]
    assert len(kept) == number > 20
    assert max(map(distance, kept)) <= min(distance(e) for e in others if e not in kept)
    assert limited["events"] == [event for event in whole["events"] if event in limited["events"]]


@pytest.mark.parametrize(
    ("at", "before", "start", "end"),
    [("11:20", "10:35", "11:05", "11:35"), ("11:38", "10:53", "11:23", "11:53")],
)
def test_growth_of_counters_is_that_of_the_requests(run, history, at, before, start, end):
    """The second window has a sample with growth at its start, and a restart."""
    at = f"2026-07-06T{at}"
    _, incident = _incident(run, history, "--at", at, "--dataset", "http_server_requests")
    assert {change["dataset"] for change in incident["changes"]} == {"http_server_requests"}
    assert incident["total"] == 0
    by_series = {
        (c["labels"]["uri"], c["labels"]["status"]): (c["before"], c["during"])
        for c in incident["changes"]
        if c["metric"] == "http_server_requests_seconds_count"
    }
    expected: dict[tuple[str, str], list[int]] = {}
    for request in _requests(history):
        for number, (after, until) in enumerate(((before, start), (start, end))):
            if _ms(after) < request.finished_ms <= _ms(until):
                key = request.uri, str(request.status)
                expected.setdefault(key, [0, 0])[number] += 1
    assert len(by_series) >= 3
    assert by_series == {key: tuple(expected[key]) for key in by_series}


@pytest.mark.parametrize("identifier", ["request_id", "trace_id"])
def test_a_request_has_its_documents_and_lines_and_no_other(run, history, identifier):
    request = next(r for r in _requests(history) if r.failure and r.started_ms > _ms("11:20"))
    value = getattr(request, identifier)
    status, incident = _incident(run, history, "--request", value, "--day", _DAY)
    assert status == 0
    both = {request.request_id, request.trace_id}  # the one is followed from the other
    assert incident["followed"] == list(both - {value})
    lines = sorted(
        (line.ts_ns, line.text)
        for _, line in _lines(history)
        if any(each in line.text for each in both) or both & {*line.metadata.values()}
    )
    events = incident["events"]
    assert sorted(e["text"] for e in events if e["kind"] == "line") == sorted(t for _, t in lines)
    documents = Counter(e["dataset"] for e in events if e["kind"] == "document")
    assert documents == {"usage_analytics": 1, "performance_metrics": 1}
    first = datetime.fromisoformat(incident["at"]).timestamp()
    assert first == pytest.approx(lines[0][0] / 1e9, abs=1e-6)
    assert {event["id"] for event in events} <= {request.request_id, None}


def test_a_request_that_is_not_there(run, history):
    options = ("--request", "no-such-request", "--config", history.lake.config)
    status, out, _ = run("incident", *options, "--day", "2026-07-06")
    assert status == 1
    assert "No event has the identifier. Days searched: 2026-07-06." in out
    status, out, _ = run("incident", *options, "--at", _AT)
    assert status == 1


def test_missing_days_are_reported(run, history):
    status, incident = _incident(run, history, "--at", "2026-07-08T00:05Z")
    assert status == 1
    assert incident["days"] == ["2026-07-07", "2026-07-08"]
    (logs,) = [sentence for sentence in incident["missing"] if "container_logs" in sentence]
    assert logs == "container_logs: 1 of 2 days is not in the lake (2026-07-08)"
    assert len(incident["missing"]) == 7
    assert {event["at"][:10] for event in incident["events"]} == {"2026-07-07"}


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ((), "no instant is given"),
        (("--request", "x"), "no instant is given"),
        (("--request", " ", "--at", _AT), "an empty text"),
        (("--at", "yesterday"), "expected ISO 8601"),
        (("--at", _AT, "--window", "15 minutes"), "expected a duration"),
        (("--at", _AT, "--window", "0s"), "at most 12h"),
        (("--at", _AT, "--window", "13h"), "at most 12h"),
        (("--at", _AT, "--day", "2026-07-06"), "--day belongs to"),
        (("--at", "0001-01-01"), "out of range"),
        (("--at", _AT, "--dataset", "nothing"), "no dataset 'nothing'"),
    ],
)
def test_wrong_usage(run, history, options, error):
    status, out, err = run("incident", *options, "--config", history.lake.config)
    assert (status, out) == (2, "")
    assert error in err


def test_the_statement_runs_and_has_the_events(run, history):
    options = ("--at", _AT, "--config", history.lake.config)
    _, sql, _ = run("incident", *options, "--sql")
    _, incident = _incident(run, history, "--at", _AT)
    with history.lake.connect() as lake:
        answer = lake.ask(sql)
        assert set(answer.columns) >= {"ts", "dataset", "kind", "id", "level", "text"}
        assert len(list(answer.rows)) == incident["total"]


def test_the_followed_identifiers_are_shown(run, history):
    request = next(r for r in _requests(history) if r.failure and r.started_ms > _ms("11:20"))
    options = ("--request", request.trace_id, "--day", _DAY, "--config", history.lake.config)
    _, out, _ = run("incident", *options)
    carried = "identifiers that rows of the request carry"
    assert f"With the rows of {request.request_id}: {carried}." in out.splitlines()


def test_short_and_wide_identifiers_are_not_followed(run, make_lake):
    lines = {
        f'{{"requestId":"{_ID}","traceId":"t-1","sessionId":"session-of-many"}}': True,
        "traceId=t-1 of another request": False,
        '{"requestId":"other-request","sessionId":"session-of-many"}': False,
    }
    at = datetime(2026, 7, 6, 11, 20, tzinfo=UTC)
    lake = make_lake("container_logs")
    lake.put("container_logs", "2026-07-06", log_lines(at, list(lines)))
    section = '[incident]\nids = ["requestId", "traceId", "sessionId"]\n'
    lake.config.write_text(section + lake.config.read_text("utf-8"), "utf-8")
    options = ("--request", _ID, "--day", "2026-07-06", "--json", "--config", lake.config)
    _, out, _ = run("incident", *options)
    incident = json.loads(out)
    assert incident["followed"] == []
    assert [e["text"] for e in incident["events"]] == [
        text for text, is_shown in lines.items() if is_shown
    ]


def test_the_macro_has_samples_lines_and_documents_in_order(run, history):
    """Compared with the command, and for samples with the generator."""
    _, incident = _incident(run, history, "--at", _AT, "--limit", 5000)
    with history.lake.connect() as lake:
        answer = lake.ask(f"FROM incident(TIMESTAMPTZ '{_AT}:00Z', INTERVAL 15 MINUTE)")
        columns = ["ts", "ns", "dataset", "kind", "id", "level", "text", "value", "growth"]
        assert list(answer.columns) == columns
        rows = [dict(zip(columns, row, strict=True)) for row in answer.rows]
        assert answer.notes == ()
    assert [row["ns"] for row in rows] == sorted(row["ns"] for row in rows)
    events = [row for row in rows if row["kind"] != "sample"]
    assert Counter((e["dataset"], e["level"], e["id"], e["text"]) for e in events) == Counter(
        (e["dataset"], e["level"], e["id"], e["text"]) for e in incident["events"]
    )
    expected: Counter[str] = Counter()
    for request in _requests(history):
        if _ms("11:05") <= request.finished_ms < _ms("11:35"):
            expected[str(request.status)] += 1
    counted: Counter[str] = Counter()
    for row in rows:
        if row["text"].startswith("http_server_requests_seconds_count{") and row["growth"]:
            status = row["text"].partition('status="')[2].partition('"')[0]
            counted[status] += round(row["growth"])
    # A sample in the window has the growth since the one before, which may lie before it.
    assert all(abs(counted[status] - number) <= 2 for status, number in expected.items())


@pytest.mark.parametrize(
    ("call", "days"),
    [
        ("incident('2026-07-08 00:05')", "1 of 2 days from 2026-07-07 to 2026-07-08 is"),
        ("incident(TIMESTAMPTZ '2026-07-09 00:05:00Z', around := '1 minute')", "1 of 1 day is"),
    ],
)
def test_the_macro_reports_days_that_are_missing(history, call, days):
    with history.lake.connect() as lake:
        notes = lake.ask(f"SELECT count(*) FROM {call}").notes
    assert [n for n in notes if "container_logs" in n and days in n], notes


def test_the_macro_takes_parameters_and_odd_columns(make_lake, table):
    lake = make_lake("events", "undated")
    at = datetime(2026, 7, 6, 11, 20, tzinfo=UTC)
    columns = {"_id": ["a"], "timestamp": [at], "at_time": ["x"], "around": ["y"], "ts": ["z"]}
    lake.put("events", "2026-07-06", table(**columns))
    with lake.connect() as session:
        (row,) = session.rows(
            "FROM incident($at, $around)", {"at": at, "around": timedelta(minutes=1)}
        )
        assert (row["dataset"], json.loads(row["text"])["around"]) == ("events", "y")
        assert row["ts"] == at
        assert session.rows("FROM incident($at)", {"at": at + timedelta(minutes=16)}) == []


def test_datasets_of_other_names_are_found_by_content(run, tmp_path: Path):
    names = {"container_logs": "app_lines", "usage_analytics": "calls"}
    lake, _ = renamed_history(tmp_path, names, first="2026-07-01", days=1)
    status, out, _ = run(
        "incident", "--at", "2026-07-01T12:00Z", "--window", "1h", "--json", "--config", lake.config
    )
    assert status == 0
    incident = json.loads(out)
    assert incident["datasets"]["app_lines"]["kind"] == "line"
    assert incident["datasets"]["calls"]["events"] > 0
    assert {change["dataset"] for change in incident["changes"]} == {
        "http_server_requests",
        "dialogue_metrics",
    }


def test_a_document_without_its_time_field_has_the_time_of_its_id(
    run, make_lake, table, monkeypatch
):
    lake = make_lake("events", "undated")
    at = int(datetime(2026, 7, 6, 11, 20, tzinfo=UTC).timestamp())
    ids = [f"{at + second:08x}{'0' * 16}" for second in (-900, -901, 899, 900)]
    columns = {"_id": ids, "job": ["in", "before", "in", "after"]}
    lake.put("events", "2026-07-06", table(**columns))
    lake.put("undated", "2026-07-06", table(**columns))
    collection = 'collection = "events"\n'
    text = lake.config.read_text("utf-8")
    lake.config.write_text(
        text.replace(collection, f'{collection}time_fallback = "_id"\n'), "utf-8"
    )
    monkeypatch.setenv("LAKE_INCIDENT__IDS", "job,trace")
    status, out, _ = run("incident", "--at", _AT, "--json", "--config", lake.config)
    incident = json.loads(out)
    assert status == 0
    assert [(e["at"], e["id"], e["text"]) for e in incident["events"]] == [
        ("2026-07-06T11:05:00Z", "in", ""),
        ("2026-07-06T11:34:59Z", "in", ""),
    ]
    assert incident["notes"] == [
        "undated: no day has its time field timestamp; its documents are left out"
    ]


def test_elements_of_arrays_have_their_own_members_only(make_lake, table):
    lake = make_lake("events")
    for day, stages in (
        ("2026-07-05", None),  # no day of the range has the column
        ("2026-07-06", [[{"name": "a", "ms": 1}, None, {"name": "b", "code": ":null"}], None, []]),
        ("2026-07-07", ["text", "[]", "{}"]),
    ):
        at = datetime.fromisoformat(f"{day}T11:20:00+00:00")
        columns = {"_id": ["a", "b", "c"], "timestamp": [at] * 3, "n": [1, 2, 3]}
        lake.put("events", day, table(**columns, **({"stages": stages} if stages else {})))
    call = "FROM incident(TIMESTAMPTZ '{} 11:20:00Z')"

    def shown(day: str) -> list[object]:
        with lake.connect() as session:
            rows = session.rows(call.format(day))
        return [json.loads(row["text"]).get("stages") for row in rows]

    assert shown("2026-07-05") == [None, None, None]
    assert shown("2026-07-07") == ["text", "[]", "{}"]
    lake.store.delete("manifests/events/2026-07-07.json")
    assert shown("2026-07-05") == [None, None, None]
    elements = [{"name": "a", "ms": 1}, None, {"name": "b", "code": ":null"}]
    assert shown("2026-07-06") == [elements, None, []]


def test_series_of_expressions_have_no_name(make_lake, run) -> None:
    """`sum by (job) (rate(…))` has no metric, and no growth."""
    lake = make_lake("rates")
    start = datetime(2026, 7, 6, 11, 0, tzinfo=UTC)
    numbers = range(40)
    values = {"a": [1.0 if number <= 20 else 5.0 for number in numbers], "b": [2.0] * 40}
    columns = {
        "ts": [start + timedelta(minutes=number) for _ in values for number in numbers],
        "metric": pa.nulls(80, pa.string()),
        "value": [value for of in values.values() for value in of],
        "series_id": [number for number, _ in enumerate(values) for _ in numbers],
        "job": [job for job in values for _ in numbers],
    }
    lake.put("rates", "2026-07-06", pa.table(columns))
    options = ("--at", "2026-07-06T11:30", "--window", "10m", "--config", lake.config)
    status, out, _ = run("incident", *options, "--json")
    (change,) = json.loads(out)["changes"]
    assert (status, change["metric"], change["labels"]) == (0, "", {"job": "a"})
    assert (change["counter"], change["before"], change["during"]) == (False, 1.0, 5.0)
    assert '{job="a"} (mean)' in run("incident", *options)[1]
    with lake.connect() as session:
        (counted,) = session.rows(
            "SELECT count(*) AS n, any_value(text) AS text FROM incident("
            "TIMESTAMPTZ '2026-07-06 11:30:00+00', INTERVAL 10 MINUTE) WHERE text LIKE '%a%'"
        )
    assert counted == {"n": 20, "text": '{job="a"}'}
