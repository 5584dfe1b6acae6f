"""A quarter's questions about samples, against VictoriaMetrics and on S3.

Belongs here: loading VictoriaMetrics, both sides' answers, their rows of the table. Does not: lines
(quarter_lines), documents (quarter_documents).
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import requests
from measuring import report
from quarter_data import METRIC, SAMPLES_A_DAY, Counters, Size
from quarter_lake import NAMES
from quarter_timing import Ran, beside_peer, command, measured, require_same, timed

from lake.query import Lake, connect
from lake.servers.ports import free_ports
from lake.trends import Choices, ask_fitting, fitting, trend_named

_METRICS = NAMES[0]


@contextmanager
def victoria_metrics(program: str) -> Iterator[tuple[str, int]]:
    """An empty server on a free port; its URL and process."""
    with tempfile.TemporaryDirectory() as data:
        url = f"127.0.0.1:{free_ports(['http'])['http']}"
        arguments = [f"-storageDataPath={data}", f"-httpListenAddr={url}", "-retentionPeriod=100y"]
        process = subprocess.Popen([program, *arguments], stderr=subprocess.DEVNULL)
        try:
            _wait(f"http://{url}/health")
            yield f"http://{url}", process.pid
        finally:
            process.terminate()
            process.wait()


def _wait(url: str) -> None:
    for _ in range(300):
        try:
            if requests.get(url, timeout=5).ok:
                return
        except requests.ConnectionError:
            pass
        time.sleep(0.1)
    raise SystemExit(f"{url} does not answer")


def load_samples(url: str, size: Size) -> None:
    """By VictoriaMetrics' JSON lines, a series and day each."""
    counters = Counters(size.series)
    for number, day in size.each_day():
        for block in counters.blocks(number, day):
            values = block.values.reshape(-1, SAMPLES_A_DAY).astype(int).tolist()
            times = block.ts_ms[:SAMPLES_A_DAY].tolist()
            body = "\n".join(
                json.dumps({"metric": dict(labels), "values": samples, "timestamps": times})
                for labels, samples in zip(block.labels, values, strict=True)
            )
            requests.post(f"{url}/api/v1/import", body.encode(), timeout=600).raise_for_status()
    requests.get(f"{url}/internal/force_flush", timeout=600)


def growth_there(url: str, size: Size) -> dict[tuple[str, str], int]:
    """Day and status → answers, of the second day on: the first has no day before it."""
    start, end = size.first.plus(2), size.first.plus(size.days)
    answer = requests.get(
        f"{url}/api/v1/query_range",
        {
            "query": f"sum(increase({METRIC}[1d])) by (status)",
            "start": str(start.start_ms // 1000),
            "end": str(end.start_ms // 1000),
            "step": "1d",
            "nocache": "1",
        },
        timeout=600,
    ).json()
    growth = {}
    for series in answer["data"]["result"]:
        for at, value in series["values"]:
            day = str((datetime.fromtimestamp(at, UTC) - timedelta(days=1)).date())
            growth[day, series["metric"]["status"]] = round(float(value))
    return growth


def growth_here(lake: Lake, size: Size) -> Callable[[], dict[tuple[str, str], int]]:
    """The same by the trend error_rate, on an open session."""
    start, end = size.first.plus(1), size.first.plus(size.days)
    trend = trend_named("error_rate", lake.settings)
    fit = fitting(lake, trend, start, end, Choices())

    def run() -> dict[tuple[str, str], int]:
        rows = ask_fitting(lake, fit, start, end).rows
        return {(str(day), status): answers for day, _, status, answers, _ in rows}

    return run


def samples_here(lake: Lake, size: Size) -> dict[tuple[str, str], int]:
    """The same without rollups."""
    days = f"DATE '{size.first.plus(1)}', DATE '{size.first.plus(size.days)}'"
    rows = lake.rows(
        "SELECT day, status, CAST(sum(increase) AS BIGINT) AS answers "
        f"FROM samples_increase_by_day('{_METRICS}', '{METRIC}', {days}) GROUP BY ALL"
    )
    return {(str(row["day"]), row["status"]): row["answers"] for row in rows}


def of_metrics(folder: Path, size: Size, program: str | None, rounds: int) -> None:
    """The rows of the table about samples."""
    days = ("--from", str(size.first), "--to", str(size.first.plus(size.days)))
    query = f"SELECT day, avg(value) FROM {_METRICS} GROUP BY day"
    ran = measured(
        {
            "trend": lambda: command(folder, "trend", "error_rate", *days),
            "pass": lambda: command(folder, "query", query, "--csv"),
        },
        rounds,
    )
    beside_peer("lake trend error_rate ÷ a plain pass over the samples", ran["trend"], ran["pass"],
                target=1, peer_name="plain pass")  # fmt: skip
    peak = max(run.peak for run in ran["trend"]) / 1e6
    report("its peak memory", peak, 400, "MB", target=1, at_most=True, peer_name="limit")
    if program is None:
        return
    with (
        victoria_metrics(program) as (url, pid),
        connect(str(folder / "lake.toml")) as lake,
    ):
        load_samples(url, size)
        here = growth_here(lake, size)
        ours, theirs = here(), growth_there(url, size)
        require_same(ours, theirs)
        require_same(samples_here(lake, size), theirs)
        ran = measured(
            {
                "ours": lambda: timed(here),
                "samples": lambda: timed(lambda: samples_here(lake, size)),
                "peer": lambda: timed(lambda: growth_there(url, size), pid),
            },
            rounds,
        )
    beside_peer("error rate by day and status, engine time on rollups ÷ VictoriaMetrics",
                ran["ours"], ran["peer"], target=0.1, peer_name="VictoriaMetrics")  # fmt: skip
    beside_peer("the same by the samples ÷ VictoriaMetrics",
                ran["samples"], ran["peer"], target=3, peer_name="VictoriaMetrics")  # fmt: skip


def of_stores(local: Path, on_s3: Path, size: Size, rounds: int) -> None:
    """The rows about S3: `lake trend` with an empty cache and again, beside a directory."""
    end = size.first.plus(size.days)
    arguments = ("trend", "error_rate", "--from", str(size.first), "--to", str(end))
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder)

        def emptied() -> Ran:
            shutil.rmtree(cache)
            return command(on_s3, *arguments, cache=cache)

        emptied()
        ran = measured(
            {
                "local": lambda: command(local, *arguments),
                "again": lambda: command(on_s3, *arguments, cache=cache),
                "empty": emptied,
            },
            rounds,
        )
        cache.mkdir(exist_ok=True)
    beside_peer("lake trend on S3, empty cache ÷ local", ran["empty"], ran["local"],
                target=1.3, peer_name="local")  # fmt: skip
    beside_peer("lake trend on S3, again ÷ local", ran["again"], ran["local"],
                target=1.1, peer_name="local")  # fmt: skip
