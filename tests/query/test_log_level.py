"""The macro `log_level`: what the line contains, where Loki has detected nothing."""

from __future__ import annotations

import json
import re
import time

import pytest
from support.level_lines import DETECTED, SPRING

from lake.base.resources import resource_path


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    from support.hand_made import hand_made_lake  # noqa: PLC0415

    with hand_made_lake(tmp_path_factory.mktemp("levels"), "events").connect() as session:
        yield session


@pytest.mark.parametrize("metadata", ["NULL", "MAP {}", "MAP {'detected_level': 'unknown'}"])
def test_the_line_decides_where_loki_detected_nothing(lake, metadata: str) -> None:
    lines = [line for line, _ in DETECTED]
    question = f"SELECT [log_level(l, {metadata}::MAP(VARCHAR, VARCHAR)) FOR l IN $lines] AS found"
    rows = lake.rows(question, {"lines": lines})
    assert dict(zip(lines, rows[0]["found"], strict=True)) == dict(DETECTED)


@pytest.mark.parametrize(
    ("metadata", "level"),
    [
        ("{'detected_level': 'error', 'level': 'info'}", "error"),
        ("{'detected_level': 'unknown', 'level': 'FATAL'}", "fatal"),
        ("{'severity': 'Warning'}", "warn"),
        ("{'trace_id': 'error'}", "info"),
    ],
)
def test_metadata_goes_first(lake, metadata: str, level: str) -> None:
    rows = lake.rows(f"SELECT log_level('level=info', MAP {metadata}) AS level")
    assert rows == [{"level": level}]


def test_a_json_line_may_have_every_name_of_a_level(lake) -> None:
    text = resource_path("sql/macros/level_name.sql").read_text("utf-8")
    names = dict(re.findall(r"'(\w+)': '(\w+)'", text))
    assert len(names) == 38
    lines = {json.dumps({"level": name.upper(), "msg": "x"}): name for name in names}

    rows = lake.rows(
        "SELECT l, log_level(l, NULL) AS of_line FROM unnest($lines) AS t(l)",
        {"lines": list(lines)},
    )

    assert {lines[row["l"]]: row["of_line"] for row in rows} == names


@pytest.mark.parametrize(
    "line", [SPRING.format("WARN"), '{"level":"warn","msg":"x"}', "ts=1 level=warn msg=x"]
)
def test_a_line_is_read_once_and_not_once_a_name(lake, line: str) -> None:
    """Read anew for each of 38 names, these lines took 15 s to minutes instead of 0.3 s."""
    begun = time.monotonic()
    rows = lake.rows(
        "SELECT count(*) AS n FROM range(100000) AS t(n) "
        "WHERE log_level(replace($line, 'x', n::VARCHAR), NULL) = 'warn'",
        {"line": line},
    )
    assert rows[0]["n"] == 100_000
    assert time.monotonic() - begun < 10
