"""LogQL's answers of the replayed server, held against the source's own."""

from __future__ import annotations

import pytest
import requests
from replay_site import DAYS


def ask(endpoints, path, **params):
    url = endpoints["loki"]["url"]
    answer = requests.get(
        f"{url}/loki/api/v1/{path}",
        params,
        headers={"X-Loki-Response-Encoding-Flags": "categorize-labels"},
        timeout=60,
    )
    assert answer.ok, answer.text
    return answer.json()["data"]


def lines(endpoints, query, day):
    """Stream → its lines in the answer's order, with their metadata."""
    found = ask(
        endpoints, "query_range", query=query, start=day.start_ns - 1, end=day.end_ns, limit=5000,
        direction="forward",
    )["result"]  # fmt: skip
    return {tuple(sorted(one["stream"].items())): one["values"] for one in found}


@pytest.mark.parametrize("day", DAYS, ids=str)
@pytest.mark.parametrize(
    "query",
    [
        '{app=~".+"}',
        '{Upper="x"} | json | n > 700',
        '{app=~".+"} | detected_level="error"',
        '{service_name="level"}',
        '{app="odd"} |= "語"',
    ],
)
def test_lines_come_back_with_labels_and_metadata(replay_site, again, query, day):
    theirs = lines(replay_site.endpoints, query, day)
    assert theirs
    assert lines(again.endpoints, query, day) == theirs


def test_metric_queries_and_labels_are_the_sources(replay_site, again):
    end = DAYS[-1].end_ns
    for query in (
        'sum by (app, level) (count_over_time({app=~"a|b"} | json [2d]))',
        'sum by (app) (bytes_over_time({app=~".+"}[2d]))',
    ):
        theirs = ask(replay_site.endpoints, "query", query=query, time=end - 1)["result"]
        ours = ask(again.endpoints, "query", query=query, time=end - 1)["result"]
        assert theirs
        assert sorted(map(str, ours)) == sorted(map(str, theirs))
    window = {"start": DAYS[0].start_ns, "end": end}
    theirs = ask(replay_site.endpoints, "series", **window)
    assert len(theirs) == 5
    ours = ask(again.endpoints, "series", **window)
    assert sorted(sorted(one.items()) for one in ours) == sorted(
        sorted(one.items()) for one in theirs
    )


def test_every_line_is_counted(again):
    for day in DAYS:
        counts = again.days["logs"][str(day)]
        assert counts["rows"] == counts["countable"]
        # Loki may count the two lines that differ in metadata only once.
        assert counts["rows"] - 1 <= counts["found"] <= counts["rows"]
    assert any("repeat another" in remark for remark in again.remarks)
