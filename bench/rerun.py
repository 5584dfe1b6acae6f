"""A run over days that are all there and verified ÷ the run that exported them.

Both are whole `lake export` commands, process start included, over the same days of stored
samples of a real Prometheus into a real S3 server; the first one once, the second in rounds.
Checked: the first has exported as many rows as were loaded, the second skips every day and
leaves every object as it is. Beside it what of the second is the start of a process: the same
in this one. A first run takes as long as its days are large, a second does not: tell --series.

    .venv/bin/python bench/rerun.py [--days 90] [--series 250] [--rounds 5]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import boto3
from measuring import machine, report
from prometheus_day import integer_counters, load_day

from lake.base.day import Day, day_range
from lake.config.settings import load
from lake.export import Exporter
from lake.runs import export_many
from lake.servers import start

BUCKET = "bench-rerun"
CONFIG = """
[lake]
root = "s3://{bucket}"
[s3]
endpoint_url = "{endpoint_url}"
region = "us-east-1"
[sources.prometheus]
url = "{url}"
[hot]
prometheus = 3650
[[dataset]]
name = "bench"
source = "prometheus"
query = '{{job="miyou"}}'
mode = "raw"
"""


def command(config: Path, first: Day, end: Day) -> tuple[float, dict]:
    """Seconds of a whole `lake export`, and its report."""
    lake = [str(Path(sys.executable).with_name("lake")), "export", "--json"]
    begun = time.perf_counter()
    done = subprocess.run(
        [*lake, "--config", str(config), "--from", str(first), "--to", str(end)],
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    return time.perf_counter() - begun, json.loads(done.stdout)


def in_this_process(config: Path, days: list[Day]) -> float:
    """Seconds of the same without a process to start."""
    settings = load(str(config))
    begun = time.perf_counter()
    with closing(Exporter(settings)) as exporter:
        results = list(export_many(exporter, [(settings.dataset[0], day) for day in days], jobs=2))
    assert {result.state for result in results} == {"skipped"}
    return time.perf_counter() - begun


def etags(client: Any) -> dict[str, str]:
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
    return {stored["Key"]: stored["ETag"] for page in pages for stored in page["Contents"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--series", type=int, default=250)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    end = Day.today().plus(-10)  # out of the lateness window
    first = end.plus(-options.days)
    days = list(day_range(first, end))
    print(machine())
    with tempfile.TemporaryDirectory() as folder, start(["prometheus", "s3"]) as stack:
        s3, url = stack.endpoints["s3"], stack.endpoints["prometheus"]["url"]
        os.environ |= {
            "AWS_ACCESS_KEY_ID": s3["access_key"],
            "AWS_SECRET_ACCESS_KEY": s3["secret_key"],
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        client = boto3.client("s3", endpoint_url=s3["endpoint_url"], region_name="us-east-1")
        client.create_bucket(Bucket=BUCKET)
        config = Path(folder) / "lake.toml"
        config.write_text(CONFIG.format(bucket=BUCKET, endpoint_url=s3["endpoint_url"], url=url))
        arrays = list(integer_counters(options.series))
        samples = sum(load_day(url, day, iter(arrays)) for day in days)
        print(f"{options.days} days of {options.series} series, {samples:,} samples")
        seconds, reported = command(config, first, end)
        assert reported["exported"] == options.days
        assert sum(partition["rows"] for partition in reported["partitions"]) == samples
        before = etags(client)
        again, inside = [], []
        for _ in range(options.rounds):
            took, reported = command(config, first, end)
            assert reported["skipped"] == options.days
            again.append(took)
            inside.append(in_this_process(config, days))
        assert etags(client) == before
    print(f"  without the start of a process {statistics.median(inside):.3f} s: "
          f"1/{seconds / statistics.median(inside):,.0f}")  # fmt: skip
    report(
        f"lake export over {options.days} verified days",
        statistics.median(again),
        seconds,
        "s",
        target=1 / 500,
        at_most=True,
        peer_name="the first run",
    )


if __name__ == "__main__":
    main()
