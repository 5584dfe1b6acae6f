"""A rehearsal of every Loki, with lines that a careless question gets wrong."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from lake.base.day import Day
from lake.config.settings import Settings, load
from lake.export import Exporter
from lake.rehearse import rehearse
from lake.runs import export_many
from lake.servers import Binary, has_version, start
from lake.servers.binaries import version_parts
from lake.snapshot import take_snapshot
from lake.store import Store, open_store

DAY = Day.today().plus(-1)
HOUR = 3_600_000_000_000
STREAMS = 60
FILE = """
[lake]
root = "lake"
[sources.loki]
url = "{url}"
[snapshots.loki]
data_dir = "{data_dir}"
config_file = "{config_file}"
[hot]
loki = 3650
[[dataset]]
name = "logs"
source = "loki"
selector = '{{}}'
[[dataset]]
name = "levels"
source = "loki"
selector = '{{app=~"1.*"}} | json'
"""


@dataclass(frozen=True)
class LogSite:
    config: Path
    rows: int

    @property
    def settings(self) -> Settings:
        return load(str(self.config), {})

    @property
    def store(self) -> Store:
        return open_store(self.settings)


def push(url: str, *, metadata: bool) -> int:
    """Lines through the day, on full hours, and the same one of all streams at one instant."""
    streams, rows = [], 0
    for number in range(STREAMS):
        times = [DAY.start_ns + at * HOUR // 2 + number % 3 for at in range(48)]
        lines = [(at, json.dumps({"level": "warn", "n": at % 7, "app": "x"})) for at in times]
        lines += [(DAY.end_ns - HOUR + 5, "{}"), (DAY.end_ns - 5, "{}"), (DAY.end_ns - 1, "{}")]
        lines.sort()
        values = [[str(at), line, *([{"trace": "t"}] if metadata else [])] for at, line in lines]
        labels = {"app": f"{number}", "Upper": 'quote " é'}
        streams.append(
            {"stream": labels | ({"extra": "e"} if number % 2 else {}), "values": values}
        )
        rows += len(values)
    answer = requests.post(f"{url}/loki/api/v1/push", json={"streams": streams}, timeout=60)
    assert answer.status_code == 204, answer.text
    return rows


@pytest.fixture
def log_site(loki_program: Binary, tmp_path: Path) -> Iterator[LogSite]:
    # Before 2.8 no query finds what is flushed for up to a minute, unless it stays in memory.
    old = version_parts(loki_program.version) < (2, 8)
    retained = {"chunk_retain_period": "15m"} if old else {}
    config = {"ingester": {"flush_check_period": "100ms", **retained}}
    with start(["loki"], programs={"loki": loki_program}, loki_config=config) as stack:
        endpoint = stack.endpoints["loki"]
        rows = push(endpoint["url"], metadata=has_version(loki_program, "3"))
        file = tmp_path / "lake.toml"
        file.write_text(FILE.format(**endpoint))
        site = LogSite(file, rows)
        requests.post(f"{endpoint['url']}/flush", timeout=60)
        time.sleep(1)
        with closing(Exporter(site.settings)) as exporter:
            pairs = [(dataset, DAY) for dataset in site.settings.dataset]
            for result in export_many(exporter, pairs, jobs=1):
                if result.error:
                    raise result.error
        take_snapshot(site.settings, site.store, "loki")
        yield site


@pytest.mark.slow
def test_every_line_is_compared(log_site, loki_program):
    rehearsal = rehearse(log_site.settings, log_site.store, systems=["loki"], seed=3, samples=40)
    assert rehearsal.differences() == []
    (snapshot,) = rehearsal.snapshots
    assert snapshot.ok
    compared = {each.dataset: each for each in snapshot.compared}
    assert compared["logs"].rows == log_site.rows
    for each in compared.values():
        checks = {check.question.split(",")[0]: check for check in each.checks}
        assert checks["all rows"].compared == each.rows
        hours = checks["the bytes of each hour's lines"]
        assert hours.compared >= 20, hours.remark
        expected = "" if has_version(loki_program, "3") else f"({loki_program.version})"
        assert expected in hours.remark
        assert bool(hours.remark) == bool(expected)
        assert checks["some lines with their labels and metadata"].compared > 40
