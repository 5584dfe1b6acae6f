"""What another client of Prometheus notices of an export.

A client of its own process asks a small instant query every 20 ms. Its p99 is compared
between stretches without an export and stretches during exports of a day of samples: once
with the gentle limits (one request at a time, `slow_down_at` just above what the small
query takes when nothing else runs), once without any. The exporter shares the machine's
cores with the server, as it would not in production: it runs at the lowest priority.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import requests
from measuring import machine, report
from prometheus_day import integer_counters, load_day

from lake.base.day import Day
from lake.servers import start

_EVERY_S = 0.02
_DAY = Day.today().plus(-2)
_OFF = "LAKE_SOURCES__PROMETHEUS__SLOW_DOWN_AT"
_CONFIG = """[lake]
root = "{folder}/lake"
[sources.prometheus]
url = "{url}"
[[dataset]]
name = "day"
source = "prometheus"
mode = "range"
step = "15s"
query = '{{__name__=~"bench_requests_.*"}}'
"""


def client(url: str) -> None:
    """The other client: prints its latencies in ms, until it is ended."""
    session = requests.Session()
    at = f"{_DAY.start_ms / 1000 + 3600:.3f}"
    question = {"query": "sum(rate(bench_other_total[5m]))", "time": at}
    while True:
        begun = time.perf_counter()
        session.get(f"{url}/api/v1/query", params=question, timeout=60).raise_for_status()
        print((time.perf_counter() - begun) * 1000, flush=True)
        time.sleep(max(0.0, _EVERY_S - (time.perf_counter() - begun)))


def latencies(url: str, folder: str, work: Callable[[], object]) -> list[float]:
    """What the other client saw while the work was done, in ms."""
    seen = Path(folder) / "latencies"
    with seen.open("w") as file:
        other = subprocess.Popen([sys.executable, __file__, "--client", url], stdout=file)
    time.sleep(1)
    begun = len(seen.read_text().splitlines())
    work()
    other.terminate()
    other.wait()
    return [float(line) for line in seen.read_text().splitlines()[begun:]]


def exported(config: Path, settings: dict[str, str]) -> float:
    """Exports the day at the lowest priority; returns the seconds it took."""
    lake = str(Path(sys.executable).with_name("lake"))
    command = ["nice", "-n", "19", lake, "export", "--config", str(config)]
    begun = time.perf_counter()
    subprocess.run(
        [*command, "--day", str(_DAY), "--force", "--json"],
        env=os.environ | settings,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    return time.perf_counter() - begun


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--client", help=argparse.SUPPRESS)
    options.add_argument("--series", type=int, default=300)
    options.add_argument("--rounds", type=int, default=2)
    arguments = options.parse_args()
    if arguments.client:
        client(arguments.client)
        return
    print(machine())
    with tempfile.TemporaryDirectory() as folder, start(["prometheus"]) as stack:
        url = stack.endpoints["prometheus"]["url"]
        load_day(url, _DAY, integer_counters(arguments.series))
        other = [{"__name__": "bench_other_total", "job": "other"}]
        load_day(url, _DAY, integer_counters(1), labels=other)
        config = Path(folder) / "lake.toml"
        config.write_text(_CONFIG.format(folder=folder, url=url))
        seen: dict[str, list[float]] = {"idle": [], "gentle": [], "not gentle": []}
        for _ in range(arguments.rounds):
            idle = latencies(url, folder, lambda: time.sleep(20))
            seen["idle"] += idle
            limit_ms = max(1, round(float(np.percentile(idle, 95)) * 1.1))
            gentle = {
                "LAKE_SOURCES__PROMETHEUS__MAX_PARALLEL": "1",
                "LAKE_SOURCES__PROMETHEUS__SLOW_DOWN_AT": f"{limit_ms}ms",
            }
            for name, settings in ("gentle", gentle), ("not gentle", {_OFF: ""}):
                took: list[float] = []
                seen[name] += latencies(
                    url, folder, lambda s=settings, t=took: t.append(exported(config, s))
                )
                print(f"  {name}: exported in {took[0]:.1f} s", file=sys.stderr)
    for name, took in seen.items():
        p50, p99 = np.percentile(took, [50, 99])
        print(f"{name:<11} {len(took):>5} queries, p50 {p50:.1f} ms, p99 {p99:.1f} ms")
    p99 = {name: float(np.percentile(took, 99)) for name, took in seen.items()}
    for name in ("not gentle", "gentle"):
        report(
            f"p99 of another client during an export, {name}",
            p99[name],
            p99["idle"],
            "ms",
            target=1.1,
            at_most=True,
            peer_name="idle",
        )


if __name__ == "__main__":
    main()
