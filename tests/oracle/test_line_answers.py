"""SQL over the log tables answers as LogQL does: counts by label, with line filters."""

from __future__ import annotations

import uuid
from typing import Any

import requests
from hypothesis import given
from hypothesis import strategies as st
from support.lakes import differences, examples, exported

from lake.base.day import Day

DAY = Day.parse("2026-03-02")
_WORDS = ["error", "ERROR", "", "done", "status=500", "läuft", "a%b_c", 'say "no"', "tab\there"]
_STREAM = st.fixed_dictionaries(
    {
        "app": st.sampled_from(["api", "web"]),
        "Zone": st.sampled_from(["", "kr", "us"]),
        "lines": st.lists(
            st.tuples(st.integers(0, 86_399_999), st.sampled_from(_WORDS)), min_size=1, max_size=12
        ),
    }
)
# LogQL's filter → the same in SQL.
_FILTERS = {
    "": "true",
    "|= `error`": "contains(line, 'error')",
    "!= `error`": "NOT contains(line, 'error')",
    "|~ `(?i)error`": "regexp_matches(line, 'error', 'i')",
    "|~ `s=[0-2]$`": "regexp_matches(line, 's=[0-2]$')",
    "|= `%b_`": "contains(line, '%b_')",
    '|= "\\"no\\""': """contains(line, '"no"')""",
    "|= `ä`": "contains(line, 'ä')",
}


def pushed(url: str, drawn: list[dict[str, Any]]) -> str:
    """The value of `job`; each stream in the order of time, which old versions want."""
    job = uuid.uuid4().hex
    streams = []
    for number, stream in enumerate(drawn):
        labels = {"job": job, "n": str(number), "app": stream["app"]}
        labels |= {"Zone": stream["Zone"]} if stream["Zone"] else {}
        times = sorted(dict(stream["lines"]).items())
        # Lines of different streams differ: before 2.6 Loki merges those that do not.
        values = [
            [str(DAY.start_ns + at * 1_000_000 + 1), f"{word} s={number}"] for at, word in times
        ]
        streams.append({"stream": labels, "values": values})
    answer = requests.post(f"{url}/loki/api/v1/push", json={"streams": streams}, timeout=30)
    assert answer.status_code == 204, answer.text
    return job


def by_label(url: str, query: str) -> dict[tuple[str, str], float]:
    """(app, Zone) → the value at the day's end."""
    params = {"query": f"sum by (app, Zone) ({query})", "time": str(DAY.end_ns - 1)}
    answer = requests.get(f"{url}/loki/api/v1/query", params=params, timeout=30)
    answer.raise_for_status()
    return {
        (series["metric"].get("app", ""), series["metric"].get("Zone", "")): float(
            series["value"][1]
        )
        for series in answer.json()["data"]["result"]
    }


@examples(10)
@given(st.lists(_STREAM, min_size=1, max_size=6))
def test_counts_and_bytes_by_label(loki_url, drawn):
    job = pushed(loki_url, drawn)
    sections = f"""
[sources.loki]
url = "{loki_url}"
[hot]
loki = 10000
[[dataset]]
name = "lines"
source = "loki"
selector = '{{job="{job}"}}'
"""
    with exported(sections, [DAY]) as lake:
        for logql, sql in _FILTERS.items():
            selected = f'{{job="{job}"}} {logql}'
            counts = by_label(loki_url, f"count_over_time({selected} [24h])")
            sizes = by_label(loki_url, f"bytes_over_time({selected} [24h])")
            rows = lake.rows(
                "SELECT app, coalesce(labels['Zone'], '') AS zone, count(*) AS lines, "
                "sum(strlen(line)) AS bytes FROM lines_between($day, $day + 1) "
                f"WHERE {sql} GROUP BY ALL",
                {"day": DAY.date},
            )
            by_labels = {(r["app"], r["zone"]): (r["lines"], float(r["bytes"])) for r in rows}
            expected = {key: (counts[key], sizes[key]) for key in counts}
            assert differences(by_labels, expected) == [], logql
