"""`lake incident`: fields of documents that are nested, arrays, numbers or of several types."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from lake.query import connect

_INCIDENT = """
[incident]
ids = ["ctx.requestId", "requestId", "items.requestId"]
error_fields = ["error"]
text_fields = ["meta.part", "n"]
"""


def _times(day: int, number: int) -> pa.Array:
    first = datetime(2026, 7, day, 12, tzinfo=UTC)
    return pa.array(
        [first + timedelta(minutes=n) for n in range(number)], pa.timestamp("ms", "UTC")
    )


@pytest.fixture
def lake(make_lake, table):
    """Fields that are of another type on each day."""
    lake = make_lake("events")
    lake.config.write_text(lake.config.read_text() + _INCIDENT)
    days = (
        {
            "ctx": [{"requestId": "in-ctx"}, None],
            "requestId": [12.0, 7.5],
            "items": [[{"requestId": "in-list"}, {"requestId": "second"}], []],
            "error": [0.0, 0.5],
            "meta": [{"part": "a"}, None],
        },
        {
            "ctx": ["in-ctx", "text"],
            "requestId": [["first-of-list", "second-of-list"], None],
            "items": [{"requestId": "in-item"}, None],
            "error": ["0", "boom"],
            "meta": ["b", None],
        },
    )
    for number, columns in enumerate(days, 1):
        fields = {"timestamp": _times(number, 2), "n": [1, 2], **columns}
        lake.put("events", f"2026-07-0{number}", pa.table(fields))
    return lake


def _events(run, lake, *arguments: str) -> list[dict]:
    status, out, err = run("incident", *arguments, "--json", "--config", lake.config)
    assert status in (0, 1), err
    return json.loads(out)["events"]


@pytest.mark.parametrize(
    ("identifier", "day", "numbers"),
    [
        ("in-ctx", 1, [1]),
        ("in-ctx", 2, []),  # of its own it is no field of that path
        ("12", 1, [1]),
        ("12.0", 1, [1]),
        ("7.5", 1, [2]),
        ("second", 1, [1]),
        ("in-item", 2, [1]),
        ("second-of-list", 2, [1]),
        ("first", 2, []),
        ("[first-of-list, second-of-list]", 2, []),
    ],
)
def test_an_identifier(lake, run, identifier: str, day: int, numbers: list[int]) -> None:
    events = _events(run, lake, f"--request={identifier}", "--day", f"2026-07-0{day}")
    assert [json.loads(event["text"])["n"] for event in events] == numbers


def test_what_is_shown_of_days_of_one_type_and_of_several(lake, run) -> None:
    first = _events(run, lake, "--at", "2026-07-01T12:00")
    assert [(event["id"], event["level"]) for event in first] == [
        ("in-ctx", None),
        ("7.5", "error"),
    ]
    assert json.loads(first[0]["text"]) == {"meta.part": "a", "n": 1}
    second = _events(run, lake, "--at", "2026-07-02T12:00")
    assert [(event["id"], event["level"]) for event in second] == [
        ("first-of-list", None),
        (None, "error"),
    ]
    both = _events(run, lake, "--at", "2026-07-02T00:30", "--window", "12h")
    assert [(event["at"][:10], event["id"], event["level"]) for event in both] == [
        ("2026-07-02", "first-of-list", None),
        ("2026-07-02", None, "error"),
    ]
    with connect(str(lake.config)) as session:
        rows = session.rows(
            "SELECT id, level FROM incident(TIMESTAMPTZ '2026-07-02 00:00:00Z', INTERVAL 13 HOUR)"
        )
    assert [(row["id"], row["level"]) for row in rows] == [
        ("in-ctx", None),
        ("7.5", "error"),
        ("first-of-list", None),
        (None, "error"),
    ]


def test_an_empty_identifier_is_none(make_lake, run) -> None:
    lake = make_lake("events")
    columns = {
        "timestamp": _times(1, 3),
        "requestId": ["", "r-2", ""],
        "traceId": [["", "t-1"], ["t-2"], [""]],
    }
    lake.put("events", "2026-07-01", pa.table(columns))
    events = _events(run, lake, "--at", "2026-07-01T12:00")
    assert [event["id"] for event in events] == ["t-1", "r-2", None]
