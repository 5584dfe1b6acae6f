"""The demo's story: servers, data, export through Dagster, proof, trends.

Belongs here: the order of the steps. Does not: any step's work.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3

from lake.base.day import Day
from lake.base.errors import Incomplete
from lake.base.resources import resource_path
from lake.config.settings import Settings, load
from lake.demo import totals
from lake.demo.load import load as load_servers
from lake.demo.place import BUCKET, DemoWindow, Place
from lake.demo.progress import Reporter
from lake.export import Exporter
from lake.partition.copying import mirror
from lake.query import connect
from lake.servers import SERVER_NAMES, Stack, start
from lake.servers.dagster import Dagster, start_dagster
from lake.servers.progress import shown
from lake.status import DatasetStatus, read_status
from lake.store import open_store
from lake.store.directory import DirectoryStore
from lake.trends.asking import ask
from lake.trends.available import all_trends
from lake.trends.plot import draw


@dataclass(frozen=True)
class DemoReport:
    """What the demo shows at its end. `totals` maps a source or table to its totals; `outage` is
    when requests began to fail, in UTC to the minute.
    """

    config: str
    first: str
    end: str
    outage: str
    datasets: list[dict[str, Any]]
    totals: dict[str, dict[str, int]]
    trends: dict[str, str]
    seconds: float


def run_demo(
    place: Place,
    days: int | None,
    scale: int | None,
    *,
    fresh: bool,
    reporter: Reporter,
    serve: Callable[[Stack, str, DemoReport], None] | None,
) -> DemoReport:
    """Runs the whole demo; `serve` is called while servers and Dagster are up and ends on a signal.

    Before that the lake is copied into the directory, so it answers however the servers end.
    Raises LakeError; Incomplete where the lake and its sources differ.
    """
    window = place.prepare(days, scale, fresh=fresh)
    place.end_serving()  # of a demo that was killed
    with reporter.step("Prometheus, Loki, a MongoDB server and an S3 server"), shown() as progress:
        stack = start(SERVER_NAMES, place.servers, progress)
    with ExitStack() as at_the_end:
        at_the_end.callback(place.end_serving)
        at_the_end.enter_context(stack)
        _speak_to_s3(stack, place)
        _fill(stack, place, window, reporter)
        place.write_serving(window.first, stack.endpoints)
        settings = load(str(place.serving))
        with place.history_in_memory() as history, _dagster(place, history, reporter) as dagster:
            _export(dagster, settings, window.each_day(), reporter)
            report = DemoReport(
                config=str(place.config),
                first=str(window.first),
                end=str(window.end),
                outage=_outage(window),
                datasets=_ledger(settings, window.each_day(), reporter),
                totals=_totals(stack, settings, window.each_day(), reporter),
                trends=_plots(settings, place, window.each_day(), reporter),
                seconds=round(reporter.seconds, 1),
            )
            _keep(settings, place, window, stack, reporter)
            if serve:
                dagster.api.reset_schedules()
                dagster.start_daemon()
                serve(stack, dagster.url, report)
                _keep(settings, place, window, stack, reporter)
    return report


def _speak_to_s3(stack: Stack, place: Place) -> None:
    """Credentials for this process and its children, and for shells; the bucket."""
    s3 = stack.endpoints["s3"]
    variables = {
        "AWS_ACCESS_KEY_ID": s3["access_key"],
        "AWS_SECRET_ACCESS_KEY": s3["secret_key"],
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    for inherited in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
        os.environ.pop(inherited, None)
    os.environ.update(variables)
    place.write_environment({"LAKE_CONFIG": str(place.serving.absolute()), **variables})
    client = boto3.client("s3", endpoint_url=s3["endpoint_url"], region_name="us-east-1")
    if BUCKET not in {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}:
        client.create_bucket(Bucket=BUCKET)


def _outage(window: DemoWindow) -> str:
    start = datetime.fromtimestamp(window.scenario.outage.start_ms / 1000, UTC)
    return f"{start:%Y-%m-%dT%H:%M}"


def _fill(stack: Stack, place: Place, window: DemoWindow, reporter: Reporter) -> None:
    traffic = f" at {window.scale} times the traffic" if window.scale > 1 else ""
    what = (
        f"{window.days} days of a voice-dialogue service{traffic}, "
        f"{window.first} … {window.end.plus(-1)}"
    )
    if window.loaded:
        reporter.say(f"• {what}: there from before")
        return
    with reporter.step(what) as report:
        load_servers(stack.endpoints, window.scenario, report)
    place.mark_loaded(window)


def _dagster(place: Place, history: Path, reporter: Reporter) -> Dagster:
    with reporter.step("Dagster"):
        return start_dagster(place.dagster, place.serving, {}, daemon=False, history=history)


def _export(dagster: Dagster, settings: Settings, window: list[Day], reporter: Reporter) -> None:
    """One backfill over all datasets and days, unless they all are there."""
    names = [dataset.name for dataset in settings.dataset]
    status = read_status(settings, open_store(settings), None, window[0], window[-1].plus(1))
    if all(day.state == "verified" for dataset in status for day in dataset.days.values()):
        reporter.say(f"• {len(names)} datasets × {len(window)} days: exported before")
        return
    with reporter.step(f"Dagster backfill: {len(names)} datasets × {len(window)} days") as report:
        result = dagster.backfill(
            names,
            [str(day) for day in window],
            lambda now: report("partitions", now.done + now.failed, now.total),
        )
    if not result.ok:
        raise Incomplete(
            f"{len(result.failures)} partitions failed",
            where=dagster.url,
            found=next(iter(result.failures.values())),
        )


def _ledger(settings: Settings, window: list[Day], reporter: Reporter) -> list[dict[str, Any]]:
    """Every partition has to be verified; sums up each dataset."""
    with (
        reporter.step("The ledger: every day counted by its source"),
        closing(Exporter(settings)) as exporter,
    ):
        status = read_status(
            settings, exporter.store, exporter.source, window[0], window[-1].plus(1)
        )
    for dataset in status:
        bad = [
            f"{day} {status.state}"
            for day, status in dataset.days.items()
            if status.state != "verified"
        ]
        if bad or dataset.problem:
            raise Incomplete(
                f"{dataset.dataset} is not whole",
                expected="every day verified",
                found=dataset.problem or ", ".join(bad),
            )
    return [_summed(dataset) for dataset in status]


def _summed(dataset: DatasetStatus) -> dict[str, Any]:
    days = dataset.days.values()
    return {
        "dataset": dataset.dataset,
        "days": len(days),
        "rows": sum(day.rows or 0 for day in days),
        "source_count": sum(day.source_count or 0 for day in days),
        "bytes": sum(day.bytes or 0 for day in days),
    }


def _totals(
    stack: Stack, settings: Settings, window: list[Day], reporter: Reporter
) -> dict[str, dict[str, int]]:
    """The same totals from each source itself and from each table of the lake."""
    ends = stack.endpoints
    with reporter.step("The same totals, from each source and from the lake"):
        with ThreadPoolExecutor() as pool:
            answers = {
                "MongoDB, by aggregation": pool.submit(totals.of_mongo, ends["mongo"]["uri"]),
                "Prometheus, by PromQL": pool.submit(
                    totals.of_prometheus, ends["prometheus"]["url"], window
                ),
                "Loki, by LogQL": pool.submit(totals.of_loki, ends["loki"]["url"], window),
            }
        totals_by_source = {name: asdict(answer.result()) for name, answer in answers.items()}
        sql = resource_path("sql/checks/demo_totals.sql").read_text("utf-8")
        with connect(settings) as lake:
            for row in lake.rows(sql):
                totals_by_source[f"lake: {row.pop('table')}"] = row
    if len({tuple(row.items()) for row in totals_by_source.values()}) != 1:
        raise Incomplete("the sources and the lake have different totals", found=totals_by_source)
    return totals_by_source


def _plots(
    settings: Settings, place: Place, window: list[Day], reporter: Reporter
) -> dict[str, str]:
    """A picture of each trend over the whole window."""
    start, end = window[0], window[-1].plus(1)
    place.plots.mkdir(exist_ok=True)
    trends = [trend for trend in all_trends() if not trend.options]
    files = {trend.name: place.plots / f"{trend.name}.png" for trend in trends}
    with reporter.step(f"{len(files)} trends over {len(window)} days"), connect(settings) as lake:
        for trend in trends:
            begun = time.monotonic()
            answer = ask(lake, trend, start, end)
            draw(trend, answer, start, end, files[trend.name])
            reporter.say(f"  {trend.name}: {time.monotonic() - begun:.1f} s")
    return {name: str(file) for name, file in files.items()}


def _keep(
    settings: Settings, place: Place, window: DemoWindow, stack: Stack, reporter: Reporter
) -> None:
    """The objects as files, so that the lake answers after the S3 server has stopped."""
    with reporter.step(f"Copying the lake from S3 to {place.lake}"):
        objects, size = mirror(open_store(settings), DirectoryStore(place.lake))
        reporter.say(f"  {objects:,} objects, {size:,} bytes")
    place.write_config(window.first, stack.endpoints)
