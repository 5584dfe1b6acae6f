"""deploy/loki: accepted by each Loki that is found; a real Loki 3 lets lines expire by it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
import requests
import yaml
from support.loki_versions import NO_NEWEST
from support.waiting import wait_until

from lake.config.datasets import duration_ms
from lake.servers import Binary, find_all
from lake.servers.ports import LOOPBACK, free_ports
from lake.servers.process import Process
from lake.servers.s3 import REGION

HERE = Path(__file__).parents[2] / "deploy/loki"
FILES = {(3, 3): "loki-3.yaml", (2, 9): "loki-2.9.yaml", (2, 2): "loki-2.2.yaml"}
WITHIN_S = 120.0
DAY_S = 86_400


def file_for(version: str) -> Path:
    """The page's file for a version; the test is skipped where there is none."""
    major, minor = map(int, version.split(".")[:2])
    for (of_major, since), name in FILES.items():
        if major == of_major and (minor == since if major < 3 else minor >= since):
            return HERE / name
    pytest.skip(f"deploy/loki has no file for Loki {version}")


def environment(tomorrow: str) -> dict[str, str]:
    given = {"SCHEMA_V13_FROM": tomorrow, "SCHEMA_S3_FROM": tomorrow, "LOKI_BUCKET": "logs",
             "AWS_REGION": REGION}  # fmt: skip
    return {**os.environ, **given}


def verified(program: Path, file: Path, **changed: str) -> subprocess.CompletedProcess[str]:
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).date().isoformat()
    return subprocess.run(
        [program, "-config.expand-env=true", f"-config.file={file}", "-verify-config"],
        env={**environment(tomorrow), **changed},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_loki_accepts_its_file(loki_program: Binary):
    done = verified(loki_program.path, file_for(loki_program.version))
    assert done.returncode == 0, done.stderr
    assert "config is valid" in done.stderr


def test_loki_refuses_an_index_period_that_its_compactor_can_not_expire(
    loki_program: Binary, tmp_path: Path
):
    """So that the test above can fail."""
    file = file_for(loki_program.version)
    (tmp_path / file.name).write_text(file.read_text("utf-8").replace("period: 24h", "period: 7x"))
    assert verified(loki_program.path, tmp_path / file.name).returncode != 0


@pytest.mark.parametrize("name", FILES.values())
def test_the_existing_period_comes_first_and_the_next_is_on_s3(name):
    periods = yaml.safe_load((HERE / name).read_text("utf-8"))["schema_config"]["configs"]
    assert [period["object_store"] for period in periods] == ["filesystem", "s3"]
    assert str(periods[1]["from"]).startswith("${")
    assert {period["index"]["period"] for period in periods} == {"24h"}
    if name != "loki-2.2.yaml":
        assert (periods[1]["store"], periods[1]["schema"]) == ("tsdb", "v13")


@pytest.mark.parametrize("name", ["loki-3.yaml", "loki-2.9.yaml"])
def test_retention_is_on_and_errors_are_kept_longer(name):
    loki = yaml.safe_load((HERE / name).read_text("utf-8"))
    compactor, limits = loki["compactor"], loki["limits_config"]
    assert compactor["retention_enabled"] is True
    assert compactor["delete_request_store"] == "s3"
    longest = max(limits["retention_stream"], key=lambda rule: rule["priority"])
    assert "error" in longest["selector"]
    assert duration_ms(longest["period"]) > duration_ms(limits["retention_period"])
    # Late lines are in before the shortest period has passed.
    shortest = min(duration_ms(rule["period"]) for rule in limits["retention_stream"])
    assert shortest >= duration_ms(limits["reject_old_samples_max_age"])


class Running:
    """A Loki of loki-3.yaml on a bucket; v13 began days ago, and its compactor is quick."""

    def __init__(self, program: Path, s3: dict[str, str], home: Path) -> None:
        self.home, self.ports = home, free_ports(["http", "grpc"])
        self.url = f"http://{LOOPBACK}:{self.ports['http']}"
        text = (HERE / "loki-3.yaml").read_text("utf-8").replace("/loki", str(home))
        loki: dict[str, Any] = yaml.safe_load(text)
        server = {f"{kind}_listen_address": LOOPBACK for kind in self.ports}
        server |= {f"{kind}_listen_port": port for kind, port in self.ports.items()}
        loki["server"] = server
        loki["common"]["ring"]["instance_addr"] = LOOPBACK
        loki["storage_config"]["aws"] |= {"endpoint": s3["endpoint_url"], "s3forcepathstyle": True}
        loki["compactor"] |= {"compaction_interval": "2s", "retention_delete_delay": "1s",
                              "apply_retention_interval": "2s"}  # fmt: skip
        loki["limits_config"]["reject_old_samples_max_age"] = "9000h"  # lines of long ago, now
        loki["ingester"] |= {"max_chunk_age": "9000h", "lifecycler": {"min_ready_duration": "0s"}}
        loki["frontend"] = {"address": LOOPBACK, "scheduler_dns_lookup_period": "200ms"}
        loki["query_scheduler"] = {"use_scheduler_ring": False}
        loki["frontend_worker"] = {"frontend_address": f"{LOOPBACK}:{self.ports['grpc']}",
                                   "dns_lookup_duration": "200ms"}  # fmt: skip
        loki["query_range"] = {"cache_results": False}
        self.file = home / "loki.yaml"
        self.file.write_text(yaml.safe_dump(loki), "utf-8")
        self.environment = {**environment("2024-01-01"), "LOKI_BUCKET": s3["bucket"]}
        self.command = [str(program), "-config.expand-env=true", f"-config.file={self.file}"]

    @contextmanager
    def running(self) -> Iterator[None]:
        process = Process(self.command, home=self.home, log=self.home / "log", grace_s=10,
                          environment=self.environment, throw_away=False)  # fmt: skip
        try:
            wait_until(self.ready, (self.home / "log").read_text("utf-8"), within_s=WITHIN_S)
            yield
            process.stop()
        finally:
            process.kill()

    def ready(self) -> bool:
        try:
            return requests.get(f"{self.url}/ready", timeout=5).ok
        except requests.RequestException:
            return False

    def push(self, days_ago: int, level: str, lines: int) -> None:
        at = time.time_ns() - days_ago * DAY_S * 10**9
        values = [[str(at + n), f"line {n}"] for n in range(lines)]
        stream = {"stream": {"app": "retention", "level": level, "age": str(days_ago)},
                  "values": values}  # fmt: skip
        requests.post(f"{self.url}/loki/api/v1/push", json={"streams": [stream]}, timeout=30
                      ).raise_for_status()  # fmt: skip

    def counts(self) -> dict[tuple[str, int], int]:
        """Lines by level and age; a window of a few days around each."""
        counted = {}
        for level, days_ago in PUSHED:
            end = time.time_ns() - (days_ago - 1) * DAY_S * 10**9
            query = {
                "query": f'{{app="retention",level="{level}",age="{days_ago}"}}',
                "start": str(end - 2 * DAY_S * 10**9),
                "end": str(end),
                "limit": "100",
            }
            answer = requests.get(f"{self.url}/loki/api/v1/query_range", params=query, timeout=60)
            answer.raise_for_status()
            streams = answer.json()["data"]["result"]
            counted[level, days_ago] = sum(len(stream["values"]) for stream in streams)
        return counted


# By level and age in days: lines. Kept: errors for 180 days, debug for 7, the others for 31.
PUSHED = {("info", 2): 3, ("info", 40): 4, ("debug", 5): 5, ("debug", 12): 6,
          ("error", 40): 7, ("error", 190): 8}  # fmt: skip
KEPT = {("info", 2), ("debug", 5), ("error", 40)}


def chunks(s3: dict[str, str]) -> int:
    client = boto3.client("s3", endpoint_url=s3["endpoint_url"], region_name=REGION)
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=s3["bucket"], Prefix="fake/")
    return sum(len(page.get("Contents", ())) for page in pages)


@pytest.mark.slow
def test_lines_expire_by_their_streams_retention_and_no_others(s3: dict[str, str], tmp_path: Path):
    newest = [binary for binary in find_all("loki") if re.match(r"3\.([3-9]|\d\d)", binary.version)]
    if not newest:
        pytest.skip(NO_NEWEST)
    loki = Running(newest[0].path, s3, tmp_path)
    with loki.running():
        for (level, days_ago), lines in PUSHED.items():
            loki.push(days_ago, level, lines)
        requests.post(f"{loki.url}/flush", timeout=30).raise_for_status()
        wait_until(
            lambda: chunks(s3) == len(PUSHED), "the chunks are not in the bucket", within_s=WITHIN_S
        )
        assert loki.counts() == PUSHED
    # Its index is uploaded at the end: the compactor, which runs beside it, then finds it.
    with loki.running():
        wait_until(
            lambda: chunks(s3) == len(KEPT), "expired chunks are in the bucket", within_s=WITHIN_S
        )
    for folder in ("wal", "tsdb-shipper-active", "tsdb-shipper-cache"):
        shutil.rmtree(tmp_path / folder)  # what is left is in the bucket
    with loki.running():
        assert loki.counts() == {key: n if key in KEPT else 0 for key, n in PUSHED.items()}
        assert chunks(s3) == len(KEPT)
