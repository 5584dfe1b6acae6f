"""Log lines of an incident: their identifiers, and the stack traces below them."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pyarrow as pa
import pytest
from support.hand_made import log_lines

_AT = "2026-07-06T11:20"


def test_where_a_line_has_its_identifier(run, make_lake):
    lines = {
        '{"requestId":null,"traceId":"t-1"}': "t-1",
        "level=info request_id=r-2, rid=x": "r-2",
        'trace_id: "t-3"} myrequestId=r-3': "t-3",
        "requestId=- traceId=": None,
        "prerequest_id=r-5": None,
        '{"a":{"correlationId" : "c;6"}}': "c",
        "requestId=[r-7] done": "r-7",
        '{"traceId": ["t-8", "t-9"]}': "t-8",
        "requestId=[] requestId=[null]": None,
    }
    at = datetime(2026, 7, 6, 11, 20, tzinfo=UTC)
    lake = make_lake("container_logs")
    lake.put("container_logs", "2026-07-06", log_lines(at, list(lines)))
    status, out, _ = run("incident", "--at", _AT, "--json", "--config", lake.config)
    assert status == 0
    events = json.loads(out)["events"]
    assert [(event["text"], event["id"]) for event in events] == list(lines.items())


@pytest.mark.parametrize(
    ("identifier", "expected"),
    [
        ("req-1", ["req-1", "id=req-1.", '{"x":"req-1"}', "a-req-1-b", "req-1\nreq-11"]),
        ("1", ["req-1", "id=req-1.", "xreq-1", '{"x":"req-1"}', "a-req-1-b", "req-1\nreq-11"]),
        ("(a+b) ", ["x(a+b) y"]),
        ("é", ["é"]),
    ],
)
def test_a_line_has_the_whole_identifier(run, make_lake, identifier: str, expected: list[str]):
    """That of another request may begin with it, or end."""
    lines = ["req-1", "req-11", "id=req-1.", "xreq-1", '{"x":"req-1"}', "req-1_", "a-req-1-b"]
    lines += ["req-1\nreq-11", "x(a+b) y", "é", "(aab) "]
    lake = make_lake("container_logs")
    at = datetime(2026, 7, 6, 11, 20, tzinfo=UTC)
    lake.put("container_logs", "2026-07-06", log_lines(at, lines))
    options = ("--request", identifier, "--day", "2026-07-06", "--config", lake.config)
    _, out, _ = run("incident", *options, "--json")
    assert [event["text"] for event in json.loads(out)["events"]] == expected


def test_a_stack_trace_stands_below_its_line(run, make_lake, tmp_path):
    """Each of its lines had a row of its own, with the same time."""
    trace = ["com.example.DownException: x", "\tat com.example.A.run(A.java:1)", "Caused by: y"]
    lines = ["level=error requestId=r-1 failed", *trace]
    lines += ["level=info fine", "  indented beside a line of another level"]
    levels = ["error"] * 4 + ["info", "error"]
    lake = make_lake("container_logs")
    at = datetime(2026, 7, 6, 11, 20, tzinfo=UTC)
    table = log_lines(at, lines)
    metadata = pa.array(
        [[("level", level)] for level in levels], table.schema.field("metadata").type
    )
    index = table.schema.get_field_index("metadata")
    lake.put("container_logs", "2026-07-06", table.set_column(index, "metadata", metadata))
    file = tmp_path / "incident.html"
    options = ("--at", _AT, "--html", file, "--config", lake.config)
    _, out, _ = run("incident", *options)
    shown = out.partition("timeline: 6 events\n")[2].splitlines()
    assert [line.startswith("2026-07-06 11:20:00.000") for line in shown] == [
        True, False, False, False, True, True
    ]  # fmt: skip
    column = shown[0].index("r-1")
    assert [line[column:] for line in shown[1:4]] == [
        trace[0], trace[1].replace("\t", "    "), trace[2]
    ]  # fmt: skip
    page = file.read_text("utf-8")
    assert f'<pre class="trace">{trace[0]}\n    {trace[1].strip()}\n{trace[2]}</pre>' in page
    _, out, _ = run("incident", "--at", _AT, "--json", "--config", lake.config)
    assert [event["text"] for event in json.loads(out)["events"]] == lines
