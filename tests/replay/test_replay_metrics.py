"""PromQL's answers of the replayed server, held against the source's own."""

from __future__ import annotations

import random

import pytest
import requests
from support.replay_site import DAYS, RATES

from lake.systems.prometheus.config import PrometheusDataset, PrometheusSource
from lake.systems.prometheus.reading import PrometheusReader

START, END = DAYS[0].start_ms // 1000, DAYS[-1].end_ms // 1000


def ask(endpoints, path, **params):
    url = endpoints["prometheus"]["url"]
    answer = requests.get(f"{url}/api/v1/{path}", params, timeout=60).json()
    assert answer["status"] == "success", answer
    result = answer["data"]["result"]
    if answer["data"]["resultType"] not in ("vector", "matrix"):
        return result
    return sorted(result, key=lambda series: sorted(series["metric"].items()))


def at_steps(endpoints, query):
    return ask(endpoints, "query_range", query=query, start=START, end=END - 60, step=60)


@pytest.mark.parametrize(
    "query",
    [
        "gap_gauge",
        "gap_total",
        "sum(gap_gauge)",
        "count by (case) (gap_total)",
        "topk(2, gap_gauge)",
        'gap_gauge{case!="steady"} > 0',
    ],
)
def test_a_range_dataset_answers_at_its_steps_as_the_source_did(replay_site, again, query):
    theirs = at_steps(replay_site.endpoints, query)
    assert len(theirs) > 0
    assert at_steps(again.endpoints, query) == theirs


def test_gaps_are_gaps(replay_site, again):
    """The look-back would fill five minutes after each last sample."""
    for minute in range(0, 2 * 1440, 13):
        params_ = {"query": "gap_gauge", "time": START + minute * 60}
        assert ask(again.endpoints, "query", **params_) == ask(
            replay_site.endpoints, "query", **params_
        )


def test_an_expression_comes_back_under_its_datasets_name(replay_site, again):
    theirs = at_steps(replay_site.endpoints, RATES)
    ours = at_steps(again.endpoints, "rates")
    assert {series["metric"].pop("__name__") for series in ours} == {"rates"}
    assert ours == theirs
    assert any("without a metric name" in remark for remark in again.remarks)


@pytest.mark.parametrize("metric", ["odd_raw", "odd_edges"])
def test_raw_samples_come_back_each_at_its_ms(replay_site, again, metric):
    query = {"query": f"{metric}[2d]", "time": f"{END - 1}.999"}
    theirs = ask(replay_site.endpoints, "query", **query)
    assert theirs
    assert ask(again.endpoints, "query", **query) == theirs


def test_native_histograms_come_back(replay_site, again):
    """At each scrape; the range vectors of Prometheus 2.42 mix histograms up."""
    for query in ("odd_histogram", "histogram_quantile(0.7, odd_histogram)"):
        seen = set()
        for day in DAYS:
            for minute in range(2, 40):
                params_ = {"query": query, "time": f"{day.start_ms // 1000 + 60 * minute + 3}.217"}
                theirs = ask(replay_site.endpoints, "query", **params_)
                assert ask(again.endpoints, "query", **params_) == theirs
                seen.add(str(theirs))
        assert len(seen) > 60


def test_raw_samples_answer_at_any_ms(replay_site, again):
    """Stale markers too: a series that ended is gone at once."""
    luck, differs = random.Random(5), 0
    for _ in range(80):
        params_ = {
            "query": '{__name__=~"odd_.*"}',
            "time": f"{luck.uniform(START, START + 9000):.3f}",
        }
        theirs = ask(replay_site.endpoints, "query", **params_)
        assert ask(again.endpoints, "query", **params_) == theirs
        differs += len(theirs) < 4
    assert differs > 10


def test_the_replayed_server_exports_the_same_rows(replay_site, again, tmp_path):
    """By remote read: bits, −0, stale markers, series ids."""
    odd = PrometheusDataset(
        name="odd", source="prometheus", query='{__name__="odd_raw"}', mode="raw"
    )
    tables: list[list[str]] = []
    for number, endpoints in enumerate((replay_site.endpoints, again.endpoints)):
        tables.append([])
        reader = PrometheusReader(PrometheusSource(url=endpoints["prometheus"]["url"]))
        for day in DAYS:
            scratch = tmp_path / f"{number} {day}"
            scratch.mkdir()
            with reader.read(odd, day, scratch) as stream:
                tables[-1] += [str(batch.to_pylist()) for batch in stream.batches]
        reader.close()
    theirs, ours = tables
    assert "stale" in theirs[0]
    assert ours == theirs


def test_what_is_counted_and_what_is_said(again):
    odd = again.days["odd"][str(DAYS[0])]
    assert odd["found"] == odd["countable"] == odd["rows"] - 9  # three series' stale markers
    for name, days in again.days.items():
        assert list(days) == [str(day) for day in DAYS]
        # "logs" has a line at each day's last nanosecond, which Loki 2.2 itself does not count.
        assert all(counts["found"] == counts["countable"] > 0 for counts in days.values()), name
    assert any("native histograms" in remark for remark in again.remarks)
    assert any("range mode" in remark for remark in again.remarks)
