"""Web server, daemon, runs, browser: backfills of a real collection into a real bucket."""

from __future__ import annotations

import contextlib
import io
import re
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import boto3
import pyarrow.parquet as pq
import pymongo
import pytest
import requests
import yaml
from playwright.sync_api import Browser, Page, expect
from support.browsing import new_page
from support.receivers import Receiver, http_receiver

from assets.status import DUE_HOUR
from lake.base.clock import utc_now
from lake.base.day import Day
from lake.base.errors import ConfigError, PermanentError, Refused
from lake.servers import Stack
from lake.servers.dagster import Dagster, start_dagster
from lake.servers.s3 import REGION

pytestmark = pytest.mark.slow

ARTEFACTS = Path(__file__).parents[2] / "test-artefacts"
MEMORY = Path("/dev/shm")
HOOK = "/services/T01AB2345/B01CD6789/SECRETtoken99"
TOML = """
[lake]
root = "s3://{bucket}"
first_day = {first}
[s3]
endpoint_url = "{endpoint_url}"
region = "{region}"
[sources.mongo]
uri = "{uri}"
database = "{database}"
[hot]
mongo = 90
[[dataset]]
name = "usage_analytics"
source = "mongo"
collection = "usage_analytics"
[[dataset]]
name = "absent"
source = "mongo"
collection = "no_such_collection"
"""
FIRST = Day.today().plus(-41)
DAYS = [FIRST.plus(number) for number in range(41)]
BY_API, BY_BROWSER = DAYS[:34], DAYS[34:]
BAD = DAYS[:2]


@dataclass
class Site:
    """A bucket, a collection with documents on each of DAYS, and the lake.toml of both."""

    config: Path
    environment: dict[str, str]
    bucket: str
    s3: object
    collection: pymongo.collection.Collection
    webhook: Receiver

    def keys(self, prefix: str) -> list[str]:
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        return [stored["Key"] for page in pages for stored in page.get("Contents", ())]

    def ids(self, day: Day) -> set[str]:
        """What the stored object holds, read without the lake."""
        key = f"tables/usage_analytics/day={day}/data.parquet"
        body = self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        return set(pq.read_table(io.BytesIO(body)).column("_id").to_pylist())

    def ids_at_source(self, day: Day) -> set[str]:
        within = {"timestamp": {"$gte": day.start, "$lt": day.end}}
        return {str(document["_id"]) for document in self.collection.find(within, {"_id": 1})}


@pytest.fixture(scope="module")
def webhook() -> Iterator[Receiver]:
    with http_receiver() as running:
        yield running


@pytest.fixture(scope="module")
def site(
    stack: Stack, webhook: Receiver, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    s3 = stack.endpoints["s3"]
    environment = {
        "AWS_ACCESS_KEY_ID": s3["access_key"],
        "AWS_SECRET_ACCESS_KEY": s3["secret_key"],
        "AWS_EC2_METADATA_DISABLED": "true",
        "LAKE_ALERTS__WEBHOOK_URL": webhook.url + HOOK,
    }
    client = boto3.client(
        "s3",
        endpoint_url=s3["endpoint_url"],
        region_name=REGION,
        aws_access_key_id=s3["access_key"],
        aws_secret_access_key=s3["secret_key"],
    )
    bucket, database = f"archive-{uuid.uuid4().hex[:6]}", f"dagster_{uuid.uuid4().hex[:8]}"
    client.create_bucket(Bucket=bucket)
    config = tmp_path_factory.mktemp("lake") / "lake.toml"
    uri = stack.endpoints["mongo"]["uri"]
    config.write_text(
        TOML.format(
            bucket=bucket,
            first=FIRST,
            endpoint_url=s3["endpoint_url"],
            region=REGION,
            uri=uri,
            database=database,
        )
    )
    with pymongo.MongoClient(uri) as mongo:
        collection = mongo[database]["usage_analytics"]
        collection.create_index("timestamp")
        collection.insert_many(
            {
                "timestamp": day.start + timedelta(minutes=7 * turn),
                "user": f"user-{turn % 17}",
                "tokens": turn * 3,
            }
            for number, day in enumerate(DAYS)
            for turn in range(50 + number)
        )
        yield Site(config, environment, bucket, client, collection, webhook)
        mongo.drop_database(database)


@pytest.fixture(scope="module")
def dagster(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dagster]:
    """The web server. The daemon does not run yet, so that it finds all backfills at its start."""
    home = tmp_path_factory.mktemp("dagster")
    with (
        tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as history,
        start_dagster(
            home, site.config, site.environment, daemon=False, history=Path(history)
        ) as running,
    ):
        running.api.stop_schedules()  # at 00:30 UTC one would export yesterday
        yield running
    left = [
        process.parent.name
        for process in Path("/proc").glob("[0-9]*/environ")
        if f"DAGSTER_HOME={home}".encode() in _content(process)
    ]
    assert not left


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:
        return b""  # it has ended in the meantime


@pytest.fixture(scope="module")
def launched(dagster: Dagster) -> dict[str, str]:
    """Backfills asked for over the API: one that succeeds, in two runs, and one that can't."""
    return {
        "good": dagster.api.launch_backfill(["usage_analytics"], [str(day) for day in BY_API]),
        "bad": dagster.api.launch_backfill(["absent"], [str(day) for day in BAD]),
    }


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    ARTEFACTS.mkdir(exist_ok=True)
    size = {"width": 1280, "height": 900}
    with new_page(browser, viewport=size, timezone_id="UTC") as opened:
        yield opened
        opened.screenshot(path=ARTEFACTS / "dagster-last-page.png")


@pytest.mark.timeout(900)
def test_a_backfill_by_browser_turns_green(dagster, launched, site, page):
    first, last = BY_BROWSER[0], BY_BROWSER[-1]
    page.goto(f"{dagster.url}/assets/usage_analytics?view=partitions")
    page.get_by_role("button", name="Materialize").first.click()
    launch = page.get_by_role("button", name="Launch backfill")
    launch.wait_for()
    chosen = page.get_by_placeholder("ex: ").last  # that of the dialog; the page has one, too
    chosen.fill(f"[{first}...{last}]")
    chosen.press("Enter")
    expect(page.get_by_text(f"{len(BY_BROWSER)} partitions", exact=True)).to_be_visible()
    page.screenshot(path=ARTEFACTS / "dagster-launch.png")
    launch.click()
    expect(page.get_by_text("Created backfill")).to_be_visible()

    dagster.start_daemon()
    page.goto(f"{dagster.url}/assets/usage_analytics?view=partitions&partition={last}")
    expect(page.get_by_text(f"Materialized ({len(DAYS)})")).to_be_visible(timeout=300_000)
    expect(page.get_by_text("Failed (0)")).to_be_visible()
    expect(page.get_by_text("Materializing (0)")).to_be_visible()
    page.reload()
    expect(page.get_by_text(f"s3://{site.bucket}/tables/usage_analytics")).to_be_visible()
    page.wait_for_load_state("networkidle")
    page.screenshot(path=ARTEFACTS / "dagster-backfill.png")
    for day in BY_BROWSER:
        assert site.ids(day) == site.ids_at_source(day)


def test_a_backfill_by_api_exports_each_day_whole(dagster, launched, site):
    dagster.start_daemon()
    seen = []
    partitions = [("usage_analytics", str(day)) for day in BY_API]
    result = dagster.api.wait_backfill(launched["good"], partitions, seen.append)
    assert result.ok
    assert result.done == frozenset(partitions)
    assert (seen[-1].done, seen[-1].failed, seen[-1].total) == (len(BY_API), 0, len(BY_API))
    for day in BY_API:
        assert site.ids(day) == site.ids_at_source(day)
        assert len(site.ids(day)) >= 50


def test_a_failed_day_says_why_and_leaves_nothing(dagster, launched, site):
    dagster.start_daemon()
    partitions = [("absent", str(day)) for day in BAD]
    result = dagster.api.wait_backfill(launched["bad"], partitions)
    assert not result.ok
    assert set(result.failures) == set(partitions)
    assert all("no_such_collection" in failure for failure in result.failures.values())
    assert site.keys("tables/absent/") == site.keys("manifests/absent/") == []


@pytest.mark.timeout(600)
def test_a_failed_backfill_is_one_message(dagster, launched, site):
    dagster.start_daemon()
    dagster.api.wait_backfill(launched["bad"], [("absent", str(day)) for day in BAD])
    deadline = time.monotonic() + 400  # the sensor is evaluated every minute
    while not (failed := [text for text in site.webhook.texts if "export failed" in text]):
        assert time.monotonic() < deadline
        time.sleep(1)
    assert failed[0].startswith(
        f":red_circle: *critical: export failed: absent, 2 days ({BAD[0]} … {BAD[1]}): "
    )
    assert "no_such_collection" in failed[0]
    assert len(failed) == 1
    assert {path for _, path, _ in site.webhook.requests} == {HOOK}


@pytest.mark.timeout(900)
def test_a_failed_day_is_red_in_the_browser(dagster, launched, page):
    dagster.start_daemon()
    dagster.api.wait_backfill(launched["bad"], [("absent", str(day)) for day in BAD])
    page.goto(f"{dagster.url}/assets/absent?view=partitions&partition={BAD[0]}")
    expect(page.get_by_text(f"Failed ({len(BAD)})")).to_be_visible()
    expect(page.get_by_text("Materialized (0)")).to_be_visible()
    page.screenshot(path=ARTEFACTS / "dagster-failed.png")
    page.goto(f"{dagster.url}/runs/b/{launched['bad']}?tab=runs")
    page.get_by_role("link").filter(has_text=re.compile("^[0-9a-f]{8}$")).click()
    expect(page.get_by_text("no_such_collection").first).to_be_visible()
    page.screenshot(path=ARTEFACTS / "dagster-why.png")


def test_columns_and_sources_are_shown_in_the_browser(dagster, launched, page):
    dagster.start_daemon()
    dagster.api.wait_backfill(launched["good"], [("usage_analytics", str(day)) for day in BY_API])
    page.goto(f"{dagster.url}/assets/usage_analytics")
    expect(page.get_by_text("UTC day, the lake's partition")).to_be_visible()
    expect(page.get_by_text("identifier of the document")).to_be_visible()
    page.screenshot(path=ARTEFACTS / "dagster-columns.png")
    page.goto(f"{dagster.url}/assets/sources/mongo/usage_analytics")
    expect(page.get_by_text("The collection usage_analytics in MongoDB.")).to_be_visible()


def test_the_state_of_all_tables_is_plotted(dagster, launched, site, page):
    dagster.start_daemon()
    dagster.api.wait_backfill(launched["good"], [("usage_analytics", str(day)) for day in BY_API])
    early = utc_now().hour < DUE_HOUR  # yesterday is not due yet
    due, proven = len(DAYS) - early, len(site.keys("manifests/usage_analytics/")) - early
    page.goto(f"{dagster.url}/assets/lake_status")
    page.get_by_role("button", name="Materialize").first.click()
    page.get_by_role("button", name="Confirm").click()  # absent was never materialized
    expect(page.get_by_text("Never materialized")).to_be_hidden()
    page.reload()
    expect(page.get_by_text(f"{proven}/{due}", exact=True)).to_be_visible()
    expect(page.get_by_text(f"{due} missing", exact=True)).to_be_visible()  # absent's
    page.wait_for_load_state("networkidle")
    page.screenshot(path=ARTEFACTS / "dagster-status.png")
    page.get_by_role("button", name="Plots").click()
    for number in ("proven", "missing", "lost", "hours_left"):
        expect(page.get_by_text(number, exact=True)).to_be_visible()
    expect(page.locator("canvas").first).to_be_visible()
    page.screenshot(path=ARTEFACTS / "dagster-status-plots.png")


def test_no_secret_is_written_down(dagster, launched, site):
    dagster.api.wait_backfill(launched["bad"], [("absent", str(day)) for day in BAD])
    secrets = [site.environment["AWS_SECRET_ACCESS_KEY"].encode(), HOOK.encode()]
    kept = yaml.safe_load((dagster.home / "dagster.yaml").read_text())["storage"]["sqlite"]
    folders = (dagster.home, Path(kept["base_dir"]))
    # SQLite's -wal files come and go: each is read before the database that it goes into.
    files = sorted((file for folder in folders for file in folder.rglob("*")), reverse=True)
    read = {}
    for file in files:
        with contextlib.suppress(FileNotFoundError, IsADirectoryError):
            read[file] = file.read_bytes()
    assert {"code.log", "daemon.log", "web.log", "runs.db"} <= {file.name for file in read}
    assert [file for file, text in read.items() if any(secret in text for secret in secrets)] == []


def test_schedules_rest_and_begin_again(dagster):
    asked = (
        "{ repositoriesOrError { ... on RepositoryConnection { nodes { schedules { "
        "scheduleState { status } } } } } }"
    )

    def statuses() -> set[str]:
        answer = requests.post(f"{dagster.url}/graphql", json={"query": asked}, timeout=60).json()
        nodes = answer["data"]["repositoriesOrError"]["nodes"]
        return {each["scheduleState"]["status"] for node in nodes for each in node["schedules"]}

    assert statuses() == {"STOPPED"}
    dagster.api.reset_schedules()
    assert statuses() == {"RUNNING"}
    dagster.api.stop_schedules()
    assert statuses() == {"STOPPED"}


def test_unknown_names_are_refused(dagster):
    with pytest.raises(Refused):
        dagster.api.launch_backfill(["nobody"], [str(DAYS[0])])
    with pytest.raises(Refused):
        dagster.api.wait_backfill("nobody", [("usage_analytics", str(DAYS[0]))])


def test_a_wrong_configuration_is_told_before_anything_starts(tmp_path):
    config = tmp_path / "lake.toml"
    config.write_text('[lake]\nrot = "x"\n')
    with pytest.raises(ConfigError, match="unknown key 'rot'"):
        start_dagster(tmp_path / "home", config, {})
    assert not (tmp_path / "home").exists()


def test_definitions_that_do_not_load_are_told(site, tmp_path):
    broken = tmp_path / "assets"
    broken.mkdir()
    (broken / "__init__.py").touch()
    (broken / "definitions.py").write_text("raise RuntimeError('this is broken')\n")
    environment = site.environment | {"PYTHONPATH": str(tmp_path)}
    with pytest.raises(PermanentError, match="can't load the definitions") as raised:
        start_dagster(tmp_path / "home", site.config, environment)
    assert "this is broken" in str(raised.value)
