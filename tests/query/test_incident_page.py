"""The page of `lake incident`, in a browser."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from support.browsing import browser, new_page  # noqa: F401  a fixture
from support.hand_made import log_lines

_AT = "2026-07-06T11:20"
_HOSTILE = "<script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'>\x1b[2J\u202e"


@pytest.fixture
def hostile(make_lake, table):
    """Documents and a page's worth of texts that must not be obeyed."""
    lake = make_lake("events", "container_logs")
    times = pa.array([datetime(2026, 7, 6, 11, 20, tzinfo=UTC)], pa.timestamp("ms", "UTC"))
    document = {
        "_id": pa.array(["a"]),
        "timestamp": times,
        "client": pa.array([{"requestId": _HOSTILE}]),
        "why": pa.array([{"message": _HOSTILE}]),
    }
    lake.put("events", "2026-07-06", pa.table(document))
    line = {
        "ts": times.cast(pa.timestamp("us", "UTC")),
        "ts_ns": pa.array([times[0].value * 1_000_000]),
        "stream_id": pa.array([1]),
        "line": pa.array([f"level=error {_HOSTILE}"]),
        "labels": pa.array([[]], pa.map_(pa.string(), pa.string())),
        "metadata": pa.array([[("requestId", "r-1")]], pa.map_(pa.string(), pa.string())),
    }
    lake.put("container_logs", "2026-07-06", pa.table(line))
    text = lake.config.read_text("utf-8")
    section = '[incident]\nids = ["client.requestId"]\nerror_fields = ["why"]\n'
    lake.config.write_text(section + text, "utf-8")
    return lake


def test_hostile_texts_are_escaped_on_a_terminal_and_in_a_page(
    run,
    hostile,
    tmp_path: Path,
    browser,  # noqa: F811
):
    file = tmp_path / "incident.html"
    options = ("--at", _AT, "--html", file, "--config", hostile.config)
    status, out, _ = run("incident", *options)
    assert status == 0
    assert "\x1b" not in out
    assert "\u202e" not in out
    assert "\\x1b[2J\\u202e" in out
    assert "container_logs: 1 line, 1 with errors" in out
    assert "events: 1 document, 1 with errors" in out
    assert " r-1  level=error <script>" in out
    text = file.read_text("utf-8")
    assert "<script" not in text
    assert "\x1b" not in text
    with new_page(browser) as page:
        urls: list[str] = []
        page.on("request", lambda request: urls.append(request.url))
        page.goto(file.as_uri())
        assert page.evaluate("window.hacked") is None
        assert page.locator("tbody tr").count() == 4  # two datasets, two events
        assert "<img src=x" in page.inner_text("main")
        assert urls == [file.as_uri()]
    status, out, _ = run("incident", "--at", _AT, "--request", _HOSTILE, "--config", hostile.config)
    assert status == 0
    assert "timeline: 2 events" in out


@pytest.mark.parametrize("width", [390, 1366])
def test_a_long_line_is_readable_at_both_widths(
    run,
    make_lake,
    tmp_path: Path,
    browser,  # noqa: F811
    width: int,
):
    """At 390 pixels a column beside the time was five characters wide."""
    lake, file = make_lake("container_logs"), tmp_path / "incident.html"
    at = datetime(2026, 7, 6, 11, 20, tzinfo=UTC)
    lake.put("container_logs", "2026-07-06", log_lines(at, ['{"level":"error"}' + "x" * 400]))
    run("incident", "--at", _AT, "--html", file, "--config", lake.config)
    with new_page(browser, viewport={"width": width, "height": 844}) as page:
        page.goto(file.as_uri())
        box = page.locator(".event").bounding_box()
        assert box["width"] > width * 0.4
        assert box["x"] + box["width"] <= width
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_demo_s_incident_fits_at_both_widths(
    run,
    history,
    tmp_path: Path,
    browser,  # noqa: F811
):
    """The legend of a plot has series of 150 characters, which are broken."""
    file = tmp_path / "incident.html"
    options = ("--limit", 1000, "--html", file, "--config", history.lake.config)
    run("incident", "--at", _AT, *options)
    # Values beside the longest names are seen, and every text whole.
    parts = "[...document.querySelectorAll('table:has(.series), .event')]"
    for width in (390, 1366):
        with new_page(browser, viewport={"width": width, "height": 844}) as page:
            page.goto(file.as_uri())
            assert page.locator("ul.legend li").count() > 2
            ends = page.evaluate(f"{parts}.map(part => part.getBoundingClientRect().right)")
            assert len(ends) > 500
            assert max(ends) <= width
            assert page.evaluate("document.documentElement.scrollWidth") <= width
