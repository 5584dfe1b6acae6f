"""LogQL's answers of the replayed server, held against the source's own."""

from __future__ import annotations

import pytest
import requests
from support.loki_versions import PINNED, binaries_by_version
from support.replay_site import DAYS

import lake.replay.programs
from lake.servers import install


def ask(url, path, **params):
    answer = requests.get(
        f"{url}/loki/api/v1/{path}",
        params,
        headers={"X-Loki-Response-Encoding-Flags": "categorize-labels"},
        timeout=60,
    )
    assert answer.ok, answer.text
    return answer.json()["data"]


def lines(url, query, day):
    """Stream → its lines in the answer's order, with their metadata."""
    answer = ask(
        url, "query_range", query=query, start=day.start_ns - 1, end=day.end_ns, limit=5000,
        direction="forward",
    )["result"]  # fmt: skip
    return {tuple(sorted(stream["stream"].items())): stream["values"] for stream in answer}


def same_lines(log_site, logs_again, query, day):
    theirs = lines(log_site.url, query, day)
    assert theirs
    assert lines(logs_again.endpoints["loki"]["url"], query, day) == theirs


@pytest.mark.parametrize("day", DAYS, ids=str)
@pytest.mark.parametrize(
    "query", ['{app=~".+"}', '{Upper="x"} | json | n > 700', '{app="odd"} |= "語"']
)
def test_lines_come_back_with_labels_and_metadata(log_site, logs_again, query, day):
    same_lines(log_site, logs_again, query, day)


@pytest.mark.loki(at_least="3.0")
@pytest.mark.parametrize(
    "query", ['{app=~".+"} | detected_level="error"', '{service_name="level"}']
)
def test_what_loki_had_added_comes_back(log_site, logs_again, query):
    same_lines(log_site, logs_again, query, DAYS[0])


def test_metric_queries_and_labels_are_the_sources(log_site, logs_again):
    end, own = DAYS[-1].end_ns, logs_again.endpoints["loki"]["url"]
    for query in (
        'sum by (app, level) (count_over_time({app=~"a|b"} | json [2d]))',
        'sum by (app) (bytes_over_time({app=~".+"}[2d]))',
    ):
        theirs = ask(log_site.url, "query", query=query, time=end - 1)["result"]
        ours = ask(own, "query", query=query, time=end - 1)["result"]
        assert theirs
        assert sorted(map(str, ours)) == sorted(map(str, theirs))
    window = {"match[]": '{app=~".+"}', "start": DAYS[0].start_ns, "end": end}
    theirs = ask(log_site.url, "series", **window)
    assert len(theirs) == 5
    ours = ask(own, "series", **window)
    assert sorted(sorted(labels.items()) for labels in ours) == sorted(
        sorted(labels.items()) for labels in theirs
    )


def test_every_line_is_counted(log_site, logs_again):
    for day in DAYS:
        counts = logs_again.days["logs"][str(day)]
        assert counts["rows"] == counts["countable"]
        # Loki may count the two lines that differ in metadata only once; an old one leaves out
        # the last ns of the day.
        assert counts["rows"] - 1 <= counts["found"] <= counts["rows"]
    repeats = any("repeat another" in remark for remark in logs_again.remarks)
    assert repeats == log_site.has_metadata


def test_the_version_that_the_data_came_from_is_started(log_site, logs_again):
    url = logs_again.endpoints["loki"]["url"]
    assert (
        f'version="{log_site.program.version}"' in requests.get(f"{url}/metrics", timeout=60).text
    )
    assert not any(log_site.program.version in remark for remark in logs_again.remarks)


@pytest.mark.loki(at_least="3.0")
def test_metadata_that_an_old_loki_does_not_store_is_reported(log_site, monkeypatch):
    pinned = binaries_by_version().get(PINNED) or install("loki")
    for name in ("closest", "find"):
        monkeypatch.setattr(lake.replay.programs, name, lambda *_: pinned)
    with log_site.replay() as again:
        url = again.endpoints["loki"]["url"]
        texts = sorted(
            line for values in lines(url, '{app="odd"}', DAYS[0]).values() for _, line in values
        )
        (reported,) = [remark for remark in again.remarks if "structured metadata" in remark]
    theirs = lines(log_site.url, '{app="odd"}', DAYS[0])
    having = sum(bool(more.get("structuredMetadata")) for v in theirs.values() for *_, more in v)
    own = sorted(line for values in theirs.values() for _, line, _ in values)
    assert len(own) == 10
    own.remove("same")  # twice at one instant, and different in their metadata only
    assert texts == own
    assert having > 0
    assert PINNED in reported
    assert any(log_site.program.version in remark for remark in again.remarks)
