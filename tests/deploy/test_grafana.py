"""deploy/grafana: the files are what the script builds; each query is answered by real servers."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from support.command_line import runner
from support.loaded_site import Site
from support.places import Place
from support.raw_days import bits
from support.remote_writing import floats, series, write

from lake.base.day import Day
from lake.replay import find_partitions, replayed
from lake.ttl.turn import KEY

ROOT = Path(__file__).parents[2]
GRAFANA = ROOT / "deploy/grafana"
FILES = sorted((GRAFANA / "dashboards").glob("*.json"))
VALUES = {  # what Grafana puts in the place of its own variables
    "$__rate_interval": "5m",
    "$__interval": "1h",
    "$dataset": ".+",
    "$system": ".*",
    "$uri": ".+",
    "$container": ".+",
}


def dashboards() -> dict[str, dict[str, Any]]:
    return {file.name: json.loads(file.read_text("utf-8")) for file in FILES}


def queries(name: str) -> list[tuple[str, str, str, bool]]:
    """Panel, data source, expression, whether of one instant."""
    return [
        (panel["title"], panel["datasource"]["uid"], target["expr"], target.get("instant", False))
        for panel in dashboards()[name]["panels"]
        for target in panel.get("targets", ())
    ]


def filled(expression: str) -> str:
    for name, value in VALUES.items():
        expression = re.sub(re.escape(name) + r"\b", value, expression)
    assert "$" not in expression
    return expression


def test_there_are_three():
    assert [file.name for file in FILES] == [
        "lake-capacity.json", "lake-coverage.json", "service-quarter.json",
    ]  # fmt: skip
    assert len({dashboard["uid"] for dashboard in dashboards().values()}) == 3


@pytest.mark.servers
def test_they_are_what_the_script_builds(tmp_path):
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts/dashboards"), str(tmp_path)],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    built = {file.name: file.read_text("utf-8") for file in sorted(tmp_path.iterdir())}
    assert built == {file.name: file.read_text("utf-8") for file in FILES}


@pytest.mark.parametrize("name", [file.name for file in FILES])
def test_panels(name):
    board = dashboards()[name]
    assert board["timezone"] == "utc"
    panels = board["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
        if panel["type"] not in ("row", "text"):
            assert panel["title"]
            assert panel["targets"]
            refs = [target["refId"] for target in panel["targets"]]
            assert len(set(refs)) == len(refs)


@pytest.mark.parametrize("name", [file.name for file in FILES])
def test_every_variable_that_is_used_is_defined(name):
    board = dashboards()[name]
    defined = {variable["name"] for variable in board["templating"]["list"]}
    used = set()
    for _, datasource, expression, _ in queries(name):
        used |= set(re.findall(r"\$\{?(\w+)", f"{datasource} {expression}"))
    assert {name for name in used if not name.startswith("__")} == defined
    kinds = {"metrics": "prometheus", "logs": "loki"}
    for panel in board["panels"]:
        if "targets" in panel:
            variable = panel["datasource"]["uid"].strip("${}")
            assert panel["datasource"]["type"] == kinds[variable]


def test_provisioning():
    (provider,) = _yaml("dashboards")["providers"]
    assert provider["type"] == "file"
    assert provider["options"]["path"] in (GRAFANA / "README.md").read_text("utf-8")
    sources = _yaml("datasources")["datasources"]
    assert {source["type"]: source["url"] for source in sources} == {
        "prometheus": "$PROMETHEUS_URL", "loki": "$LOKI_URL",
    }  # fmt: skip
    assert all(re.fullmatch(r"[a-z-]{1,40}", source["uid"]) for source in sources)


def _yaml(folder: str) -> dict[str, Any]:
    return yaml.safe_load((GRAFANA / f"provisioning/{folder}/monitoring-lake.yaml").read_text())


def answer(url: str, path: str, **parameters: Any) -> list[Any]:
    got = requests.get(f"{url}{path}", params=parameters, timeout=60)
    assert got.status_code == 200, got.text
    data = got.json()["data"]
    return data if isinstance(data, list) else data["result"]


def numbers(result: list[Any]) -> list[float]:
    """Every value of the series that is a number."""
    pairs = [pair for series in result for pair in series.get("values") or [series["value"]]]
    return [float(value) for _, value in pairs if not math.isnan(float(value))]


@pytest.fixture(scope="module")
def site_with_metrics(
    site: Site, prometheus_url: str, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, int]:
    """A Prometheus that has scraped the output of `lake metrics` of a real lake for an hour; its
    URL, and the last scrape in seconds.
    """
    copy = site.copy(tmp_path_factory.mktemp("grafana") / "site")
    with copy.config.open("a") as file:
        file.write("\n[ttl]\nenabled = true\n")
    record = {"at": f"{site.end}T00:00:01+00:00", "limit_s": 90 * 86_400, "decision": "limit"}
    copy.store.write(KEY, json.dumps({"datasets": {"usage_analytics": record}}).encode())
    text = _commands(copy)
    last_s = int(Day.today().start.timestamp())
    for minutes in range(60, -1, -5):
        at_ms = (last_s - minutes * 60) * 1000
        write(
            prometheus_url,
            *(
                series({"__name__": sample.name, **sample.labels},
                       floats([(at_ms, bits(sample.value))]))
                for part in text
                for family in text_string_to_metric_families(part)
                for sample in family.samples
            ),
        )  # fmt: skip
    return prometheus_url, last_s


def _commands(copy: Site) -> list[str]:
    """What `lake metrics` prints, each with its end mark."""
    with pytest.MonkeyPatch.context() as patch:
        capture = _Capture(patch)
        with runner(patch, capture) as run:
            config = ("--config", str(copy.config))
            assert run("verify", "--record", *config)[0] == 0
            return [run("metrics", option, *config)[1] for option in ("--sources", "--storage")]


class _Capture:
    """As pytest's capsys, in a fixture of a module."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        import io  # noqa: PLC0415

        self.out, self.err = io.StringIO(), io.StringIO()
        patch.setattr(sys, "stdout", self.out)
        patch.setattr(sys, "stderr", self.err)

    def readouterr(self) -> tuple[str, str]:
        texts = self.out.getvalue(), self.err.getvalue()
        for stream in (self.out, self.err):
            stream.seek(0)
            stream.truncate()
        return texts


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lake-coverage.json", "lake-capacity.json"])
def test_queries_of_the_lake(site_with_metrics, name):
    url, last_s = site_with_metrics
    empty = []
    for title, _, expression, instant in queries(name):
        query = filled(expression)
        if instant:
            result = answer(url, "/api/v1/query", query=query, time=last_s)
        else:
            result = answer(
                url, "/api/v1/query_range", query=query, start=last_s - 3600, end=last_s, step=300
            )
        if not numbers(result):
            empty.append((title, query))
    assert empty == []


@pytest.mark.slow
def test_numbers_of_the_lake(site_with_metrics, site: Site):
    """Some of them against the lake's own files."""
    url, last_s = site_with_metrics

    def value(name: str, title: str) -> float:
        (query,) = [q for t, _, q, _ in queries(name) if t == title]
        (number,) = numbers(answer(url, "/api/v1/query", query=filled(query), time=last_s))
        return number

    assert value("lake-coverage.json", "Unproven days") == 0
    assert value("lake-coverage.json", "Lost days") == 0
    store = site.config.parent / "lake"
    stored = sum(f.stat().st_size for f in store.rglob("*") if f.is_file())
    # The copy has two records more: of the guard and of the verification.
    assert 0 < value("lake-capacity.json", "Stored") - stored < 2000
    (by_kind,) = [q for t, _, q, _ in queries("lake-capacity.json") if t == "By kind"]
    result = answer(url, "/api/v1/query", query=filled(by_kind), time=last_s)
    kinds = {series["metric"]["kind"]: float(series["value"][1]) for series in result}
    tables = sum(file.stat().st_size for file in (store / "tables").rglob("*.parquet"))
    assert kinds["table"] == tables


@pytest.mark.slow
def test_variables_of_the_lake(site_with_metrics):
    url, last_s = site_with_metrics
    for name, expected in (
        ("lake-coverage.json", {"usage_analytics", "http_server_requests", "container_logs"}),
        ("lake-capacity.json", {"mongo", "prometheus", "loki"}),
    ):
        (values,) = _variables(name, {"prometheus": url}, last_s - 3600, last_s).values()
        assert values >= expected


def _variables(
    name: str, urls: Mapping[str, str], start_s: float, end_s: float
) -> dict[str, set[str]]:
    """The values of each variable with a query, as Grafana requests them."""
    values = {}
    for variable in dashboards()[name]["templating"]["list"]:
        if variable["type"] != "query":
            continue
        kind = variable["datasource"]["type"]
        match = re.fullmatch(r"label_values\((?:(\w+), )?(\w+)\)", variable["query"])
        assert match, variable["query"]
        if kind == "loki":
            path, times = f"/loki/api/v1/label/{match[2]}/values", (start_s * 1e9, end_s * 1e9)
            parameters = {}
        else:
            path, times = f"/api/v1/label/{match[2]}/values", (start_s, end_s)
            parameters = {"match[]": match[1]}
        start, end = map(int, times)
        values[variable["name"]] = set(answer(urls[kind], path, start=start, end=end, **parameters))
    return values


@pytest.fixture(params=["live", "restored", "replayed"])
def servers(
    request: pytest.FixtureRequest, site: Site, tmp_path: Path
) -> Iterator[tuple[dict[str, str], set[str]]]:
    """The URL of each system: the source, one restored from its snapshot, or one into which the
    days of the datasets were replayed. With the panels whose metrics are in no dataset.
    """
    systems = ("prometheus", "loki")
    with ExitStack() as running:
        if request.param == "live":
            yield {name: site.endpoints[name]["url"] for name in systems}, set()
        elif request.param == "restored":
            urls = {}
            for name in systems:
                place = Place(site.config, tmp_path / name)
                into = tmp_path / name / "into"
                place.restore(name, into, site.end)
                served = running.enter_context(place.served(name, into, site.end))
                urls[name] = served.stack.endpoints[name]["url"]
            yield urls, set()
        else:
            names = ("http_server_requests", "raw_samples", "container_logs")
            datasets, days = site.settings.datasets_named(names), [site.first, site.last]
            partitions = find_partitions(site.store, datasets, days, allow_missing=False)
            result = running.enter_context(replayed(site.settings, site.store, partitions))
            missing = {"Mean duration of each stage", "Dialogues by result"}
            yield {name: result.endpoints[name]["url"] for name in systems}, missing


@pytest.mark.slow
def test_queries_of_the_service(servers, site: Site):
    urls, missing = servers
    start_s, end_s = site.first.start.timestamp(), site.end.start.timestamp()
    empty = set()
    for title, datasource, expression, _ in queries("service-quarter.json"):
        query = filled(expression)
        if datasource == "${logs}":
            result = answer(
                urls["loki"], "/loki/api/v1/query_range", query=query,
                start=int(start_s * 1e9), end=int(end_s * 1e9), step=3600, limit=200,
            )  # fmt: skip
            shown = result if query.startswith("{") else numbers(result)
        else:
            result = answer(
                urls["prometheus"], "/api/v1/query_range", query=query, start=start_s,
                end=end_s, step=3600,
            )  # fmt: skip
            shown = numbers(result)
        if not shown:
            empty.add(title)
    assert empty == missing
    values = _variables("service-quarter.json", urls, start_s, end_s)
    assert all(values.values())
    assert "miyou-api" in values["container"]
