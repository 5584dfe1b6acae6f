"""Growth of counters where the dataset's query was widened, from a real Prometheus.

What a series had counted before it was selected is no growth of its first day in the lake; one that
begins later on that day was born.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pytest
import requests
from support.rolled_lake import Place, samples_lake
from support.series_writing import write_request

from lake.base.day import Day
from lake.catalog import write_catalog
from lake.query import connect
from lake.servers import start
from lake.trends import Choices, ask, trend_named

FIRST = Day.parse("2026-03-02")
WIDENED, AGAIN, END = FIRST.plus(2), FIRST.plus(3), FIRST.plus(5)
STEP_MS = 900_000
# Name, first sample in hours since FIRST, its value.
SERIES = {"old": (0, 500), "unseen": (0, 1e6), "born": (58, 3), "third": (24, 2e6), "late": (80, 4)}
QUERIES = ['n="old"', 'n="old"', 'n=~"old|unseen|born"', "", ""]


@dataclass(frozen=True)
class Site:
    place: Place
    metric: str
    samples: dict[str, list[tuple[int, float]]]
    """The server's own: ms since the epoch, value."""

    def growth(self, start: Day, end: Day) -> dict[tuple[str, Day], float]:
        """From the samples that the lake has: those of its queries."""
        grown: dict[tuple[str, Day], float] = {}
        for name, samples in self.samples.items():
            selected = [s for s in samples if is_selected(name, s[0])]
            for (_, before), (at, value) in pairwise(selected):
                key = name, Day.parse(str(np.datetime64(at, "ms"))[:10])
                grown[key] = grown.get(key, 0) + value - before
            at, value = selected[0]
            day = Day.parse(str(np.datetime64(at, "ms"))[:10])
            # Later than the day's first samples: born.
            grown[name, day] += value if at > day.start_ms else 0
        return {key: value for key, value in grown.items() if start <= key[1] < end}


def is_selected(name: str, at_ms: int) -> bool:
    query = QUERIES[(at_ms - FIRST.start_ms) // 86_400_000]
    return not query or f'"{name}"' in query or (name in query and "|" in query)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with start(["prometheus"], prometheus_out_of_order="10000d") as stack:
        yield made(tmp_path_factory.mktemp("widened"), stack.endpoints["prometheus"]["url"])


def made(folder: Path, url: str) -> Site:
    metric = f"widened_{uuid.uuid4().hex[:8]}_total"
    pushed = []
    for name, (hour, value) in SERIES.items():
        times = np.arange(FIRST.start_ms + hour * 3_600_000, END.start_ms, STEP_MS)
        values = value + np.arange(len(times)) * 7.0
        pushed.append(({"__name__": metric, "n": name}, times, values))
    body = pa.Codec("snappy").compress(write_request(pushed), asbytes=True)
    headers = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"}
    requests.post(f"{url}/api/v1/write", body, headers=headers, timeout=30).raise_for_status()
    place = None
    for number, query in enumerate(QUERIES):
        place = samples_lake(folder, url, "counted", f"{metric}{{{query}}}")
        assert place.export("counted", FIRST.plus(number)).rollup.state == "made"
    assert place
    answer = requests.get(
        f"{url}/api/v1/query",
        {"query": f"{metric}[5d]", "time": END.start_ms / 1000 - 1},
        timeout=30,
    )
    samples = {
        series["metric"]["n"]: [(int(at * 1000), float(value)) for at, value in series["values"]]
        for series in answer.json()["data"]["result"]
    }
    return Site(place, metric, samples)


CALLS = {
    "increase_by_day": "increase_by_day('counted', '{metric}', DATE '{start}', DATE '{end}')",
    "increase_by_hour": "increase_by_hour('COUNTED', '{metric}', DATE '{start}', DATE '{end}')",
    "samples": "samples_increase_by_day('counted', '{metric}', DATE '{start}', DATE '{end}')",
    "by_hand": (
        "(SELECT day, n, counter_increase(value, series_id, ts, "
        "query_starts := query_starts_of('counted')) AS increase "
        "FROM counted_between(DATE '{start}' - 1, DATE '{end}')) WHERE day >= DATE '{start}'"
    ),
}
RANGES = [(FIRST, END), (WIDENED, WIDENED.plus(1)), (AGAIN, END), (WIDENED, END)]


@pytest.mark.parametrize("days", RANGES, ids=str)
def test_macros(site: Site, days: tuple[Day, Day]) -> None:
    expected = site.growth(*days)
    catalog = site.place.folder / "lake.duckdb"
    with connect(site.place.settings) as lake:
        for call in CALLS.values():
            text = call.format(metric=site.metric, start=days[0], end=days[1])
            answer = lake.ask(f"SELECT n, day, sum(increase) FROM {text} GROUP BY ALL")
            assert {(n, Day(day)): grown for n, day, grown in answer.rows} == expected, call
            notes = [note for note in answer.notes if "another query" in note]
            assert all("is not included" in note for note in notes)
            assert len(notes) == sum(days[0] <= day < days[1] for day in (WIDENED, AGAIN))
        write_catalog(lake, catalog)
    with duckdb.connect(str(catalog), read_only=True) as opened:
        text = CALLS["samples"].format(metric=site.metric, start=days[0], end=days[1])
        rows = opened.execute(f"SELECT n, day, sum(increase) FROM {text} GROUP BY ALL").fetchall()
    assert {(n, Day(day)): grown for n, day, grown in rows} == expected


@pytest.mark.parametrize("rolled", [True, False])
@pytest.mark.parametrize("days", RANGES, ids=str)
def test_trends(site: Site, days: tuple[Day, Day], rolled: bool, tmp_path: Path) -> None:
    place = site.place
    if not rolled:
        shutil.copytree(place.folder, tmp_path, dirs_exist_ok=True)
        shutil.rmtree(tmp_path / "lake/manifests/rollups/counted")
        place = samples_lake(tmp_path, "http://127.0.0.1:1", "counted", site.metric)
    choices = Choices({"metric": site.metric, "by": "n"})
    with connect(place.settings) as lake:
        answer = ask(lake, trend_named("counter"), *days, choices)
    rows = [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]
    expected = site.growth(*days)
    assert {(row["label"], Day(row["day"])): row["increase"] for row in rows} == expected


def test_an_incident_at_the_midnight_of_the_change(site: Site) -> None:
    with connect(site.place.settings) as lake:
        answer = lake.ask(
            f"SELECT text, sum(growth) FROM incident(TIMESTAMPTZ '{WIDENED} 00:00:00Z', "
            "INTERVAL 1 HOUR) WHERE value IS NOT NULL GROUP BY text"
        )
        grown = {text.split('"')[1]: growth for text, growth in answer.rows}
    assert grown == {"old": 7.0 * 8, "unseen": 7.0 * 3}
