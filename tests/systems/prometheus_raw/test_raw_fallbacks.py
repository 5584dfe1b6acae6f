"""Servers without remote read, answers that break, labels that are no series' own."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest
import requests
from support.between import Proxy, Said
from support.chunk_writing import XOR, chunk, frame, message, xor_chunk
from support.raw_days import DAY, STALE, bits, dataset, expected_row, fresh_metric, rows_by
from support.remote_writing import floats, histogram, series, write

from lake.base.errors import BadData, ConfigError, TransientError
from lake.servers import start
from lake.systems.prometheus.config import PrometheusSource
from lake.systems.prometheus.reading import PrometheusReader
from lake.systems.prometheus.reading.remote_read import asking, request

WRITTEN = [(DAY.start_ms + 15_000 * i, bits(float(i % 7) - 3)) for i in range(500)]
WRITTEN[100] = (WRITTEN[100][0], STALE)
WRITTEN[200] = (WRITTEN[200][0], bits(-0.0))


@pytest.fixture
def proxy(raw_url):
    between = Proxy(raw_url)
    yield between
    between.close()


@pytest.fixture
def metric(raw_url):
    name = fresh_metric()
    write(raw_url, series({"__name__": name, "case": "a"}, floats(WRITTEN)))
    return name


def rows(samples):
    return {"a": [expected_row(*sample) for sample in samples]}


@pytest.mark.parametrize("status", [400, 403, 404, 405, 415, 501])
def test_range_vectors_where_there_is_no_remote_read(proxy, metric, export, status):
    proxy.change = lambda _: Said(status, b"no such thing here")
    table, details = export(proxy.url, metric)
    assert rows_by(table, "case") == rows([sample for sample in WRITTEN if sample[1] != STALE])
    assert details["read_by"] == "range vectors"
    assert str(status) in details["remote_read"]
    assert "left out" in details["stale_markers"]


def test_range_vectors_where_a_login_page_answers(proxy, metric, export):
    proxy.change = lambda _: Said(200, b"<html>", {"Content-Type": "text/html"})
    _, details = export(proxy.url, metric)
    assert details["read_by"] == "range vectors"
    assert "text/html" in details["remote_read"]


def test_a_server_that_is_down_for_a_moment_is_asked_again(proxy, metric, export):
    def change(said: Said) -> Said:
        return Said(503, b"busy") if proxy.reads % 2 else said

    proxy.change = change
    table, details = export(proxy.url, metric)
    assert rows_by(table, "case") == rows(WRITTEN)
    assert details["retries"] > 0


@pytest.mark.parametrize("how", ["cut", "flipped", "short"])
def test_an_answer_that_breaks_is_asked_for_again(proxy, metric, export, how):
    def change(said: Said) -> Said:
        if not said.body or proxy.reads % 2:
            return said
        if how == "cut":
            return Said(200, said.body[:-9], said.headers, cut=True)
        if how == "short":
            return Said(200, said.body[:-9], said.headers)
        return Said(200, said.body[:-9] + b"x" + said.body[-8:], said.headers)

    proxy.change = change
    table, details = export(proxy.url, metric)
    assert rows_by(table, "case") == rows(WRITTEN)
    assert details["retries"] > 0


def test_an_answer_that_always_breaks_is_an_error(proxy, metric, export):
    proxy.change = lambda said: Said(200, said.body[:-9], said.headers) if said.body else said
    with pytest.raises(TransientError, match="was cut off"):
        export(proxy.url, metric)


def test_a_frame_that_is_lost_is_seen_by_the_count(proxy, metric, export):
    proxy.change = lambda said: Said(200, b"", said.headers)
    with pytest.raises(AssertionError):
        export(proxy.url, metric)


@pytest.fixture
def only_samples(monkeypatch):
    """What a server without chunks answers."""
    original = request.read_request
    monkeypatch.setattr(
        asking, "read_request", lambda *args, streamed: original(*args, streamed=False)
    )


def test_the_sampled_form(raw_url, metric, export, only_samples):
    """Its zeros have no sign."""
    table, details = export(raw_url, metric)
    unsigned = [(at, bits(0.0) if value == bits(-0.0) else value) for at, value in WRITTEN]
    assert rows_by(table, "case") == rows(unsigned)
    assert details["read_by"] == "remote read, samples (-0 comes as 0)"
    assert details["stale_markers"] == 1


def test_histograms_in_the_sampled_form_are_not_lost(version, in_order_url, export, only_samples):
    if version == "prometheus":
        pytest.skip("2.42 leaves histograms out of that form: its count tells")
    name = fresh_metric()
    native = {"schema": 0, "zero_threshold": 0.5, "zeros": 1, "sum": 3.0, "count": 4}
    native |= {"positive_spans": [(0, 1)], "positive": [3], "negative_spans": [], "negative": []}
    labels = {"__name__": name, "case": "a"}
    write(in_order_url, series(labels, histogram(DAY.start_ms, native)))
    table, details = export(in_order_url, name)
    assert table["histogram"].to_pylist()[0]["count"] == 4
    assert details["read_by"] == "range vectors"
    assert "histograms" in details["remote_read"]


@pytest.mark.slow
def test_a_server_that_bears_little_is_asked_for_less(proxy, metric, raw_url, export):
    for number in range(5):
        write(raw_url, series({"__name__": f"{metric}_{number}", "case": str(number)},
                              floats(WRITTEN)))  # fmt: skip
    proxy.change = lambda said: Said(503, b"too much") if len(said.body) > 900 else said
    table, details = export(proxy.url, f'{{__name__=~"{metric}.*"}}')
    by_case = rows_by(table, "case")
    assert by_case == {case: rows(WRITTEN)["a"] for case in ["a", *"01234"]}
    assert details["requests"] > 20


def answered(labels, *chunks):
    body = frame(message(labels, [chunk(XOR, xor_chunk(samples)) for samples in chunks]))
    return lambda said: Said(200, body, said.headers)


def test_chunks_that_overlap_are_merged(proxy, metric, export):
    proxy.change = answered({"__name__": metric, "case": "a"}, WRITTEN[100:], WRITTEN[:150])
    table, _ = export(proxy.url, metric)
    assert rows_by(table, "case") == rows(WRITTEN)


def test_of_two_values_at_one_time_the_query_apis_is_kept(proxy, metric, export):
    other = [(at, bits(77.0)) for at, _ in WRITTEN[50:350]]
    proxy.change = answered({"__name__": metric, "case": "a"}, WRITTEN, other)
    table, _ = export(proxy.url, metric)
    assert rows_by(table, "case") == rows(WRITTEN)


def test_two_values_that_the_query_api_does_not_have_are_an_error(proxy, metric, export):
    wrong = [[(WRITTEN[0][0], bits(number))] for number in (77.0, 78.0)]
    proxy.change = answered({"__name__": metric, "case": "a"}, *wrong)
    with pytest.raises(BadData, match=r"(?s)several values.*77"):
        export(proxy.url, metric)


def test_labels_that_the_query_api_does_not_know(proxy, metric, export):
    """A server that tells nothing of its configuration, and adds labels all the same."""
    proxy.config = "hidden"
    proxy.change = answered({"__name__": metric, "case": "a", "cluster": "c"}, WRITTEN)
    table, details = export(proxy.url, metric)
    assert "cluster" in details["remote_read"]
    assert "cluster" not in table.schema.names


@pytest.mark.parametrize(
    "query", ["sum(up)", "up offset 5m", "up[5m]", "up @ 1", "1", "up > 1", "{a=b}", 'up{a="b"',
              r'up{a="\q"}', "up{a}", '"up"'],
)  # fmt: skip
def test_raw_takes_one_selector(raw_url, tmp_path, query):
    reader = PrometheusReader(PrometheusSource(url=raw_url))
    for ask in (lambda: reader.read(dataset(query), DAY, tmp_path).__enter__(),
                lambda: reader.count(dataset(query), DAY)):  # fmt: skip
        with pytest.raises(ConfigError, match=r"(?s)selector.*dataset t") as caught:
            ask()
        assert caught.value.exit_code == 2
    reader.close()


@pytest.fixture
def external(version, tmp_path: Path):
    """A Prometheus with external labels; the function sets them."""
    with start([version], tmp_path) as stack:
        url = stack.endpoints[version]["url"]

        def tell(labels: dict[str, str]) -> str:
            file = tmp_path / version / "prometheus.yml"
            config = json.loads(file.read_text())
            config["global"] = {"external_labels": labels}
            file.write_text(json.dumps(config))
            os.kill(stack[version].pid, signal.SIGHUP)
            name = f"{next(iter(labels))}: "
            for _ in range(100):
                status = requests.get(f"{url}/api/v1/status/config", timeout=5).json()
                if name in status["data"]["yaml"]:
                    return url
                time.sleep(0.05)
            raise AssertionError(status)

        yield tell


def test_external_labels_are_left_out(external, export):
    """Whatever their values look like in YAML."""
    labels = {"cluster": "eu-west/1", "replica": "0", "odd": 'it\'s: "a" #b', "é": "x"}
    labels = {k: v for k, v in labels.items() if k.isascii()} | {"empty_ish": " ", "yes": "true"}
    url = external(labels)
    write(url, series({"__name__": "m", "case": "a", "replica": "7"}, floats(WRITTEN)))
    table, details = export(url, '{__name__="m"}')
    assert rows_by(table, "case") == rows(WRITTEN)
    assert details["external_labels_left_out"] == labels
    assert set(table["replica"].to_pylist()) == {"7"}
    assert not set(labels) - {"replica"} & set(table.schema.names)


def test_external_labels_that_series_have_themselves(external, export):
    url = external({"cluster": "c"})
    kept = [sample for sample in WRITTEN if sample[1] != STALE]
    write(url, series({"__name__": "m", "case": "a", "cluster": "c"}, floats(WRITTEN)),
          series({"__name__": "m", "case": "b"}, floats(WRITTEN)))  # fmt: skip
    table, details = export(url, "m")
    assert rows_by(table, "case") == {"a": rows(kept)["a"], "b": rows(kept)["a"]}
    assert set(zip(table["case"].to_pylist(), table["cluster"].to_pylist(), strict=True)) == {
        ("a", "c"),
        ("b", None),
    }
    assert "cluster" in details["remote_read"]
