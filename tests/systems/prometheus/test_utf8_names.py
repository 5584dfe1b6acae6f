"""Prometheus 3: metrics and labels with any UTF-8 name, on every path, as the server has them."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import requests
from support.command_line import runner
from support.on_request import needed
from support.places import Place
from support.raw_days import bits
from support.remote_writing import floats, series, write

from lake.base.day import Day
from lake.base.errors import Refused
from lake.export import Exporter
from lake.http.client import Http, TooLarge
from lake.query import Lake
from lake.replay import find_partitions, replayed
from lake.runs import export_many
from lake.servers import find, start
from lake.systems.prometheus.config import PrometheusDataset, PrometheusSource
from lake.systems.prometheus.reading import PrometheusReader
from lake.systems.prometheus.reading.narrowing import Piece, pieces
from lake.systems.prometheus.reading.plan import whole_day
from lake.systems.prometheus.reading.questions import DayQuestions
from lake.systems.prometheus.replay.versions import needed_version

DAY = Day.today().plus(-1)
SAMPLES = 300
STEPS = {"start": DAY.start_ms / 1000, "end": DAY.end_ms / 1000 - 60, "step": 60}
METRICS = (
    "http.server.duration_count",
    "http.server.duration_sum",
    "http.server.active",
    "http.client_errors",
    "plain_total",
    *(f"odd{text}x" for text in (*" \"\\'`^]{\n#/", "$1", "é")),
    "U__http_2e_server",
)
LABELS = (
    "service.name",
    "Service.Name",
    "with space",
    'a "quote"',
    "back\\slash",
    "it's",
    "a`b",
    "é",
    "日本",
    "É",
    "a/b",
    "$1",
    "{x}",
    "#x",
    "line\nbreak",
    "plain",
    "day",
    "U__a",
)


def label_sets() -> list[dict[str, str]]:
    """Each metric with a label of its own that others lack, and one that tells series apart."""
    every = {name: f"of {name}" for name in LABELS}
    sets = [
        {"__name__": metric, LABELS[number % len(LABELS)]: f'v "{number}"', "service.name": "api"}
        for number, metric in enumerate(METRICS)
    ]
    answers = {"__name__": "http_server_requests_seconds_count", "outcome": "SUCCESS"}
    sets.append({**answers, "status": "200", "service.name": "api"})
    return [*sets, *({"__name__": METRICS[0], **every, "service.name": f"s{n}"} for n in range(9))]


@dataclass(frozen=True)
class Site:
    url: str
    data_dir: str

    def get(self, path: str, **params: Any) -> Any:
        answer = requests.get(f"{self.url}/api/v1/{path}", params, timeout=60).json()
        assert answer["status"] == "success", answer
        return answer["data"]


def as_key(labels: dict[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(labels.items()))


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """A Prometheus 3 with a sample a minute in the last hours of yesterday."""
    needed("prometheus3")
    with start(["prometheus3"]) as stack:
        endpoint = stack.endpoints["prometheus3"]
        times = DAY.end_ms + (np.arange(SAMPLES) - SAMPLES) * 60_000
        for number, labels in enumerate(label_sets()):
            rows = [(at, bits(number + n / 8)) for n, at in enumerate(times.tolist())]
            write(endpoint["url"], series(labels, floats(rows)))
        yield Site(endpoint["url"], endpoint["data_dir"])


def run(place: Place, monkeypatch: pytest.MonkeyPatch, capsys: Any, *arguments: str) -> str:
    monkeypatch.chdir(place.folder)
    with runner(monkeypatch, capsys) as lake:
        status, out, err = lake(*arguments)
    assert status == 0, out + err
    return out


def test_init_covers_every_series_once(site, tmp_path, monkeypatch, capsys):
    place = Place(tmp_path / "lake.toml", tmp_path)
    run(place, monkeypatch, capsys, "init", f"--prometheus={site.url}", "--root", "data")
    datasets = {d["name"]: d for d in tomllib.loads(place.config.read_text())["dataset"]}
    assert set(datasets) == {"http_server", "other_metrics"}
    assert datasets["http_server"]["query"] == '{__name__=~"http[_.]server([_.].*)?"}'
    covered = [
        as_key(labels)
        for dataset in datasets.values()
        for labels in site.get(
            "series", **{"match[]": dataset["query"], "start": DAY.start_ms / 1000}
        )
    ]
    assert sorted(covered) == sorted(map(as_key, label_sets()))
    (server,) = [dataset for name, dataset in datasets.items() if name == "http_server"]
    theirs = site.get("series", **{"match[]": server["query"], "start": DAY.start_ms / 1000})
    assert {labels["__name__"] for labels in theirs} == {
        "http_server_requests_seconds_count",
        *(metric for metric in METRICS if metric.startswith("http.server")),
    }


def toml(site: Site, root: Path) -> str:
    sections = [
        ("[lake]", {"root": str(root)}),
        ("[sources.prometheus]", {"url": site.url}),
        ("[snapshots.prometheus]", {"data_dir": site.data_dir}),
        *(
            ("[[dataset]]", {"source": "prometheus", "name": name, "query": query, **more})
            for name, query, more in (
                ("ranged", '{__name__=~".+"}', {"step": "1m"}),
                ("stored", '{__name__=~".+"}', {"mode": "raw"}),
                ("one", '{"http.server.duration_count", "service.name"=~"s.*"}', {"mode": "raw"}),
                ("http_server_requests", "http_server_requests_seconds_count", {"mode": "raw"}),
                ("summed", 'sum by ("service.name") ({"http.server.active"})', {"step": "1m"}),
            )
        ),
    ]
    return "\n".join(
        "\n".join([head, *(f"{k} = {json.dumps(v)}" for k, v in values.items()), ""])
        for head, values in sections
    )


@pytest.fixture(scope="module")
def lake_of(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("utf8")
    (folder / "lake.toml").write_text(toml(site, folder / "lake"))
    place = Place(folder / "lake.toml", folder)
    with closing(Exporter(place.settings)) as exporter:
        pairs = [(dataset, DAY) for dataset in place.settings.dataset]
        for result in export_many(exporter, pairs, jobs=1):
            if result.error:
                raise result.error
    place.take("prometheus")
    return place


def test_doctor_and_verify_find_nothing(lake_of, monkeypatch, capsys):
    monkeypatch.chdir(lake_of.folder)
    with runner(monkeypatch, capsys) as lake:
        _, out, _ = lake("doctor", "--json")
    checks = json.loads(out)["checks"]
    datasets = [check for check in checks if check["subject"].startswith("dataset")]
    assert {check["state"] for check in datasets if "series" in check["found"]} == {"ok"}
    assert not [check for check in checks if check["state"] == "fail"]
    run(lake_of, monkeypatch, capsys, "verify", "--source", "--day", str(DAY))
    out = run(lake_of, monkeypatch, capsys, "describe", "stored", "--json")
    columns = {column["column"]: column["rows"] for column in json.loads(out)[0]["columns"]}
    assert columns["service.name"] == len(label_sets()) * SAMPLES


def test_a_trend_reads_a_table_with_such_columns(lake_of, monkeypatch, capsys):
    days = ("--from", str(DAY), "--to", str(DAY.plus(1)))
    out = run(lake_of, monkeypatch, capsys, "trend", "error_rate", *days, "--json")
    (row,) = json.loads(out)
    assert row["answers"] == round((SAMPLES - 1) / 8)


@pytest.mark.parametrize("dataset", ["ranged", "stored"])
def test_the_rows_are_the_servers(site, lake_of, dataset):
    names = (*LABELS, "outcome", "status")
    own = [name for name in names if name == name.lower() and name != "day"]
    columns = ", ".join('"' + name.replace('"', '""') + '"' for name in own)
    sql = f"SELECT epoch_ms(ts) AS at_ms, metric, value, labels AS others, {columns} FROM {dataset}"
    with Lake(lake_of.settings) as lake:
        rows = lake.rows(sql)
    ours: dict[Any, list[Any]] = {}
    for row in rows:
        labels = {n: row[n] for n in own if row[n] is not None} | dict(row["others"])
        ours.setdefault(as_key({"__name__": row["metric"], **labels}), []).append(
            (row["at_ms"], row["value"])
        )
    query = '{__name__=~".+"}'
    if dataset == "stored":
        theirs = site.get("query", query=f"{query}[1d]", time=DAY.end_ms / 1000 - 0.001)
    else:
        theirs = site.get("query_range", query=query, **STEPS)
    assert {key: sorted(values) for key, values in ours.items()} == {
        as_key(entry["metric"]): [(round(at * 1000), float(v)) for at, v in entry["values"]]
        for entry in theirs["result"]
    }


def test_a_restored_snapshot_is_counted_and_rehearsed(lake_of, monkeypatch, capsys):
    lake_of.restore("prometheus")
    with lake_of.served("prometheus") as served:
        assert served.remarks == []
    out = run(lake_of, monkeypatch, capsys, "rehearse", "--json")
    assert json.loads(out)["differences"] == []
    assert json.loads(out)["ok"]


@pytest.mark.parametrize("names", [("stored",), ("ranged",)])
def test_a_replayed_day_answers_as_the_source(site, lake_of, names):
    settings, store = lake_of.settings, lake_of.store
    chosen = settings.datasets_named(names)
    partitions = find_partitions(store, chosen, [DAY], allow_missing=False)
    assert needed_version(store, partitions) == "3"
    theirs = site.get("query_range", query='{__name__=~".+"}', **STEPS)["result"]
    with replayed(settings, store, partitions) as result:
        again = Site(result.endpoints["prometheus"]["url"], "")
        ours = again.get("query_range", query='{__name__=~".+"}', **STEPS)["result"]
    assert {as_key(entry["metric"]): entry["values"] for entry in ours} == {
        as_key(entry["metric"]): entry["values"] for entry in theirs
    }


@pytest.fixture
def questions(site: Site) -> Iterator[DayQuestions]:
    dataset = PrometheusDataset(name="t", source="prometheus", query='{__name__=~".+"}', step="1m")
    with closing(Http(PrometheusSource(url=site.url), "prometheus")) as http:
        yield DayQuestions(http, dataset)


class OnlyLabel:
    """A server whose series are told apart by one label alone."""

    def __init__(self, questions: DayQuestions, label: str) -> None:
        self._questions, self._label = questions, label

    def label_names(self, query, window):
        return [
            label for label in self._questions.label_names(query, window) if label == self._label
        ]

    def label_values(self, label, query, window):
        values = self._questions.label_values(label, query, window)
        return values if label == self._label else values[:1]

    def sizes_by(self, label, query, window):
        return self._questions.sizes_by(label, query, window)


@pytest.mark.parametrize("label", [name for name in LABELS if name != "U__a"])
def test_a_selector_is_cut_by_any_label(site, questions, label):
    window = whole_day(DAY, 60_000)
    query = '{__name__=~".+"}'
    assert questions.label_values(label, query, window), label
    parts = pieces(OnlyLabel(questions, label), Piece(query, 30), window, 3)
    if label == "service.name":
        assert len(parts) > 3
        sizes = questions.sizes_by(label, query, window)
        assert sizes["api"] == len(METRICS) + 1
    selected = [
        as_key(labels)
        for part in parts
        for labels in site.get("series", **{"match[]": part.query, "start": DAY.start_ms / 1000})
    ]
    assert not parts or sorted(selected) == sorted(map(as_key, label_sets()))


class Crowded(OnlyLabel):
    """A server that has too many values of that label to list them."""

    def label_values(self, label, query, window):
        if label == self._label:
            raise TooLarge("too large")
        return []


@pytest.mark.parametrize("label", ["service.name", 'a "quote"', "line\nbreak"])
def test_a_selector_is_cut_by_the_ends_of_a_labels_values(site, questions, label):
    window, query = whole_day(DAY, 60_000), '{__name__=~".+"}'
    server = Crowded(questions, label)
    parts = pieces(server, Piece(query, 30), window, 3)
    again = [piece for part in parts for piece in pieces(server, part, window, 3)]
    for cut in (parts, again):
        assert len(cut) >= 6
        selected = [
            as_key(labels)
            for part in cut
            for labels in site.get(
                "series", **{"match[]": part.query, "start": DAY.start_ms / 1000}
            )
        ]
        assert sorted(selected) == sorted(map(as_key, label_sets()))


def test_the_names_of_all_labels_are_known_before_the_rows(questions):
    assert questions.seen_labels(whole_day(DAY, 60_000)) == {*LABELS, "outcome", "status"}


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Prometheus 2 without a name for these metrics; 2.53 parses quoted names, and has none."""
    program = find("prometheus", "2")
    if program is None:
        pytest.skip("no Prometheus 2 here: the one on PATH is newer")
    with start(["prometheus"], programs={"prometheus": program}) as stack:
        url = stack.endpoints["prometheus"]["url"]
        if requests.get(f"{url}/api/v1/query", {"query": '{"a.b"}'}, timeout=30).ok:
            pytest.skip(f"Prometheus {program.version} parses quoted names")
        yield url


@pytest.mark.parametrize("mode", ["range", "raw"])
@pytest.mark.parametrize(
    "query", ['{"http.server.active"}', '{__name__=~".+", "service.name"="api"}']
)
def test_prometheus_2_reports_such_a_query(older, tmp_path, query, mode):
    dataset = PrometheusDataset(name="t", source="prometheus", query=query, mode=mode, step="1m")
    reader = PrometheusReader(PrometheusSource(url=older))
    with closing(reader):
        with pytest.raises(Refused) as reading, reader.read(dataset, DAY, tmp_path) as stream:
            list(stream.batches)
        with pytest.raises(Refused) as counting:
            reader.count(dataset, DAY)
    for error in (reading.value, counting.value):
        assert "the server does not accept the query" in str(error)
        assert "parse error" in str(error)
        assert "dataset 't' in lake.toml" in str(error)


@pytest.mark.parametrize("mode", ["range", "raw"])
def test_prometheus_2_returns_names_that_remote_write_brought(older, tmp_path, mode):
    own = {"__name__": "a.b", "service.name": "x"}
    write(older, series(own, floats([(DAY.start_ms, bits(1.5))])))
    every = '{__name__=~".+"}'
    dataset = PrometheusDataset(name="t", source="prometheus", query=every, mode=mode, step="10m")
    with closing(PrometheusReader(PrometheusSource(url=older))) as reader:
        with reader.read(dataset, DAY, tmp_path) as stream:
            (row, *_) = pa.Table.from_batches(list(stream.batches)).to_pylist()
        assert reader.count(dataset, DAY).rows == 1
    assert (row["metric"], row["service.name"], row["value"]) == ("a.b", "x", 1.5)


def test_external_labels(tmp_path):
    """Those of Prometheus 3 may have any name, too; a series' own hides one of the same name."""
    needed("prometheus3")
    external = {"cluster.name": "eu: #1", "it's": 'a "b"\n', "é": "", "region": "yes"}
    own = {"__name__": "a.b", "host.name": "x", "region": "here"}
    with start(["prometheus3"], prometheus_external_labels=external) as stack:
        url = stack.endpoints["prometheus3"]["url"]
        write(url, series(own, floats([(DAY.start_ms, bits(1.5))])))
        dataset = PrometheusDataset(name="t", source="prometheus", query='{"a.b"}', mode="raw")
        with (
            closing(PrometheusReader(PrometheusSource(url=url))) as reader,
            reader.read(dataset, DAY, tmp_path) as stream,
        ):
            (row,) = pa.Table.from_batches(list(stream.batches)).to_pylist()
    assert stream.details["read_by"].startswith("remote read")
    assert (row["metric"], row["value"]) == ("a.b", 1.5)
    assert (row["host.name"], row["region"], row["labels"]) == ("x", "here", [])
    assert set(row) & set(external) == {"region"}
