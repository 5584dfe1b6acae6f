"""A quarter's questions: the lake against VictoriaMetrics, Loki and MongoDB with the same data.

    .venv/bin/python bench/quarter_lake.py FOLDER [sizes], then `lake rollup` there
    .venv/bin/python bench/quarter.py FOLDER [the same sizes] [--rounds 3]
        [--s3 FOLDER] [--victoria-metrics PROGRAM] [--loki URL] [--mongo URI]

Answers are compared before anything is timed. A peer that is not named is left out. The program is
Debian's `victoria-metrics`; Loki and MongoDB are running servers that hold nothing of the kind yet.
Loading takes minutes: 155 million samples of JSON, 10 million lines. The folder of `--s3` has a
lake.toml with the same lake in a bucket.

Each ratio about samples is there twice: of wall time, and of each side's own processor time, which
depends less on what else the machine does.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from pathlib import Path
from typing import Any

import requests
from measuring import best, interleave, machine, report
from quarter_data import METRIC, SAMPLES_A_DAY, Counters, Size, documents, lines, streams
from quarter_lake import FIRST, NAMES

from lake.base.day import Day
from lake.query import Lake, connect
from lake.servers.ports import free_ports
from lake.trends import Choices, ask_fitting, fitting, trend_named

_LAKE = str(Path(sys.executable).with_name("lake"))
_METRICS, _LOGS, _DOCUMENTS = NAMES
_PUSH_LINES = 50_000


@dataclass(frozen=True)
class Ran:
    """A run's wall seconds, processor seconds and, of a command, peak resident bytes."""

    wall_s: float
    cpu_s: float
    peak: int = 0


Runs = Mapping[str, Callable[[], Ran]]


def measured(runs: Runs, rounds: int) -> dict[str, list[Ran]]:
    """Of each, in interleaved rounds."""
    ran: dict[str, list[Ran]] = {name: [] for name in runs}

    def noted(name: str) -> Callable[[], object]:
        return lambda: ran[name].append(runs[name]())

    interleave({name: noted(name) for name in runs}, rounds)
    return ran


def timed(run: Callable[[], object], pid: int | None = None) -> Ran:
    """Processor time is this process's, or the other one's: what answers."""
    before, begun = _processor_s(pid), time.perf_counter()
    run()
    return Ran(time.perf_counter() - begun, _processor_s(pid) - before)


def _processor_s(pid: int | None) -> float:
    if pid is None:
        return time.process_time()
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def beside_peer(title: str, ours: list[Ran], peer: list[Ran], **row: Any) -> None:
    """The ratio by wall time, and by processor time."""
    for what, of in (("", attrgetter("wall_s")), (", processor time", attrgetter("cpu_s"))):
        us, them = (best([of(ran) for ran in side]) for side in (ours, peer))
        report(title + what, us, them, "s", at_most=True, **row)


def command(folder: Path, *arguments: str, cache: Path | None = None) -> Ran:
    """Runs `lake` there; its output goes nowhere."""
    env = {**os.environ, "LAKE_CACHE_DIR": str(cache)} if cache else None
    begun = time.perf_counter()
    process = subprocess.Popen(
        [_LAKE, *arguments], cwd=folder, env=env,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    # Not the usage's maximum: it counts this process, too, before the child begins.
    peak = 0
    while not os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG):
        peak = max(peak, _most_resident(process.pid))
        time.sleep(0.01)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"lake {' '.join(arguments)} failed")
    wall = time.perf_counter() - begun
    return Ran(wall, usage.ru_utime + usage.ru_stime, peak)


def _most_resident(pid: int) -> int:
    """Bytes; 0 of a process that has ended."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


# --- metrics -----------------------------------------------------------------------------


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
        _require_same(ours, theirs)
        _require_same(samples_here(lake, size), theirs)
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


# --- lines -------------------------------------------------------------------------------


def load_lines(url: str, size: Size) -> None:
    """By Loki's push API."""
    labels = streams()
    for number, day in size.each_day():
        for batch in lines(size, number, day):
            rows = batch.to_pylist()
            for begin in range(0, len(rows), _PUSH_LINES):
                part = rows[begin : begin + _PUSH_LINES]
                values = [[str(row["ts_ns"]), row["line"]] for row in part]
                stream = {"stream": labels[part[0]["stream_id"]], "values": values}
                pushed = requests.post(
                    f"{url}/loki/api/v1/push", json={"streams": [stream]}, timeout=600
                )
                pushed.raise_for_status()


def lines_there(url: str, size: Size) -> dict[tuple[str, str], int]:
    """Container and level → lines, a day at a time: a longer range is more than Loki takes."""
    counts: dict[tuple[str, str], int] = {}
    for _, day in size.each_day():
        answer = requests.get(
            f"{url}/loki/api/v1/query",
            {
                "query": 'sum by (container, level) (count_over_time({service="miyou"}[1d]))',
                "time": str(day.end_ns - 1),
            },
            timeout=600,
        )
        answer.raise_for_status()
        for series in answer.json()["data"]["result"]:
            key = series["metric"]["container"], series["metric"]["level"]
            counts[key] = counts.get(key, 0) + int(series["value"][1])
    return counts


def lines_here(lake: Lake) -> dict[tuple[str, str], int]:
    """The same by the rollup."""
    rows = lake.rows(
        f"SELECT container, level, CAST(sum(lines) AS BIGINT) AS n FROM {_LOGS}_hourly GROUP BY ALL"
    )
    return {(row["container"], row["level"]): row["n"] for row in rows}


# --- documents ---------------------------------------------------------------------------


def load_documents(uri: str, size: Size) -> None:
    """Into the collection `usage_analytics` of the database `quarter`."""
    import pymongo  # noqa: PLC0415

    with pymongo.MongoClient(uri) as client:
        collection = client["quarter"]["usage_analytics"]
        for number, day in size.each_day():
            if batch := list(documents(size, number, day)):
                collection.insert_many(batch, ordered=False)


def percentiles_there(uri: str) -> dict[tuple[str, str], float]:
    """Week and model → 95th percentile, exact to MongoDB's own approximation."""
    import pymongo  # noqa: PLC0415

    week = {"$dateTrunc": {"date": "$timestamp", "unit": "week", "startOfWeek": "monday"}}
    wanted = {"input": "$response.totalLatencyMs", "p": [0.95], "method": "approximate"}
    group = {"_id": {"week": week, "model": "$llm.model"}, "p95": {"$percentile": wanted}}
    with pymongo.MongoClient(uri) as client:
        rows = client["quarter"]["usage_analytics"].aggregate([{"$group": group}])
        return {
            (str(row["_id"]["week"].date()), row["_id"]["model"]): row["p95"][0] for row in rows
        }


def percentiles_here(lake: Lake) -> dict[tuple[str, str], float]:
    """The same by the rollup's sketches."""
    rows = lake.rows(
        "SELECT CAST(date_trunc('week', hour) AS DATE) AS week, model, "
        "sketch_quantile(sketch_merge(latency_ms), 0.95) AS p95 "
        f"FROM {_DOCUMENTS}_hourly GROUP BY ALL"
    )
    return {(str(row["week"]), row["model"]): row["p95"] for row in rows}


def _require_same(ours: dict[Any, float], theirs: dict[Any, float], within: float = 0) -> None:
    """Raises SystemExit where the answers differ."""
    different = [
        f"{key}: ours {ours.get(key)}, peer {theirs.get(key)}"
        for key in sorted({*ours, *theirs})
        if key not in ours
        or key not in theirs
        or abs(ours[key] - theirs[key]) > within * abs(theirs[key])
    ]
    if different or not ours:
        raise SystemExit("the answers differ:\n  " + "\n  ".join(different[:10] or ["no answer"]))


def beside(
    title: str, ours: Callable[[], Any], peer: Callable[[], Any], rounds: int, **row: Any
) -> None:
    """Compares the answers, then times both."""
    _require_same(ours(), peer(), row.pop("within", 0))
    times = interleave({"ours": ours, "peer": peer}, rounds)
    report(title, best(times["ours"]), best(times["peer"]), "s", at_most=True, **row)


def main() -> None:
    """Runs what is named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    for name, default in (("days", 90), ("series", 300), ("lines", 10**7), ("documents", 10**6)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--s3", metavar="FOLDER", type=Path)
    parser.add_argument("--victoria-metrics", metavar="PROGRAM")
    parser.add_argument("--loki", metavar="URL")
    parser.add_argument("--mongo", metavar="URI")
    chosen = parser.parse_args()
    first: Day = FIRST
    size = Size(first, chosen.days, chosen.series, chosen.lines, chosen.documents)
    print(machine())
    if size.series and chosen.s3:
        of_stores(chosen.folder, chosen.s3, size, chosen.rounds)
    if size.series:
        of_metrics(chosen.folder, size, chosen.victoria_metrics, chosen.rounds)
    with connect(str(chosen.folder / "lake.toml")) as lake:
        if size.lines and chosen.loki:
            load_lines(chosen.loki, size)
            beside("lines by container and level ÷ Loki", lambda: lines_here(lake),
                   lambda: lines_there(chosen.loki, size), chosen.rounds, target=1 / 50,
                   peer_name="Loki")  # fmt: skip
        if size.documents and chosen.mongo:
            load_documents(chosen.mongo, size)
            beside("p95 by model and week ÷ MongoDB's aggregation", lambda: percentiles_here(lake),
                   lambda: percentiles_there(chosen.mongo), chosen.rounds, within=0.02,
                   target=1 / 20, peer_name="MongoDB")  # fmt: skip


if __name__ == "__main__":
    main()
