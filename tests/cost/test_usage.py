"""What is stored, counted another way: by boto3 from real servers, and by hand."""

from __future__ import annotations

import json
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import boto3
import pytest
from botocore.stub import Stubber
from support.ledger_days import ago, export, lake
from support.s3_proxy import S3Proxy

from lake.base.day import Day
from lake.config.settings import S3Section, load
from lake.cost.growth import growth_of
from lake.cost.usage import place_of, read_usage
from lake.partition.ledger import read_manifest
from lake.store import open_store
from lake.store.protocol import ObjectVersion
from lake.store.s3 import S3Store

WRITTEN = date(2026, 9, 9)
SOURCES = {"events": "mongo", "lines": "loki"}
HASH = "0123456789ab"


@pytest.mark.parametrize(
    ("key", "place"),
    [
        ("tables/events/day=2026-07-01/data.parquet", ("mongo", "events", "table", "table")),
        ("tables/gone/day=2026-07-01/data.parquet", ("", "gone", "table", "table")),
        ("rollups/lines/day=2026-07-01/data.parquet", ("loki", "lines", "rollup", "rollup")),
        ("manifests/events/2026-07-01.json", ("mongo", "events", "manifest", "table")),
        (f"manifests/events/2026-07-01.{HASH}.next", ("mongo", "events", "manifest", "table")),
        ("manifests/rollups/lines/2026-07-01.json", ("loki", "lines", "manifest", "rollup")),
        ("mongo/2026/07/01/manifest.json", ("mongo", "", "manifest", "snapshot")),
        ("loki/2026/07/01/ab12/chunks/0", ("loki", "", "snapshot", "snapshot")),
    ],
)
def test_where_a_key_belongs(key, place):
    assert place_of(key, SOURCES, WRITTEN) == (*place, date(2026, 7, 1))


@pytest.mark.parametrize(
    "key",
    [
        "audit/0000000001.json",
        "guard/turn.json",
        "tables/events/notes.txt",
        "elsewhere/2026/07/01/x",
    ],
)
def test_other_objects_have_the_day_of_their_writing(key):
    assert place_of(key, SOURCES, WRITTEN) == ("", "", "other", "other", WRITTEN)


def test_reports_are_deleted_by_a_term_of_their_own():
    key = "reports/rehearsal/2026-07-01.html"
    assert place_of(key, SOURCES, WRITTEN) == ("", "", "other", "report", WRITTEN)


def test_a_snapshot_folder_that_is_no_day():
    assert place_of("mongo/2026/13/99/x", SOURCES, WRITTEN) == (
        "mongo", "", "snapshot", "snapshot", WRITTEN,
    )  # fmt: skip


def test_a_directory(tmp_path):
    _, settings, store = lake(tmp_path, ago(8))
    export(store, settings, "events", [ago(n) for n in range(8, 0, -1)])
    store.write("audit/0000000001.json", b"x" * 100)
    with store.upload("tables/lines/open"):  # of a writer that has not ended
        usage = read_usage(settings, store)
    root = tmp_path / "lake"
    files = [path for path in root.rglob("*") if path.is_file() and ".parts" not in path.parts]
    assert usage.total.bytes == sum(path.stat().st_size for path in files) > 0
    assert usage.total.objects == len(files) - 1  # the open one became an object at its end
    kinds = {name: amount.objects for name, amount in usage.by(lambda cell: cell.kind).items()}
    assert kinds == {"table": 8, "manifest": 8, "other": 1}
    assert (usage.note, usage.delete_markers) == ("", 0)


def _s3_lake(tmp_path, s3, more: str = ""):
    file, _, _ = lake(tmp_path, ago(8), f'[s3]\nendpoint_url = "{s3["endpoint_url"]}"\n{more}')
    text = file.read_text().replace('root = "lake"', f'root = "s3://{s3["bucket"]}/a/lake"')
    file.write_text(text)
    settings = load(str(file), {})
    return file, settings, open_store(settings)


def _client(s3):
    return boto3.client("s3", endpoint_url=s3["endpoint_url"], region_name=s3["region"])


@pytest.mark.parametrize("versioned", [False, True])
def test_a_real_server_and_its_versions(tmp_path, s3, versioned):
    client = _client(s3)
    if versioned:
        client.put_bucket_versioning(
            Bucket=s3["bucket"], VersioningConfiguration={"Status": "Enabled"}
        )
    _, settings, store = _s3_lake(tmp_path, s3)
    days = [ago(n) for n in range(3, 0, -1)]
    export(store, settings, "events", days)
    export(store, settings, "events", days[:2])  # again: each has a noncurrent version
    store.delete(f"tables/events/day={days[0]}/data.parquet")
    client.put_object(Bucket=s3["bucket"], Key="beside/the/root", Body=b"x" * 1000)
    usage = read_usage(settings, store)
    listed = client.list_object_versions(Bucket=s3["bucket"], Prefix="a/lake/")
    sizes: Counter[bool] = Counter()
    for version in listed.get("Versions", ()):
        sizes[version["IsLatest"]] += version["Size"]
    by = usage.by(lambda cell: str(cell.current))
    assert {name == "True": amount.bytes for name, amount in by.items()} == dict(sizes)
    assert usage.total.objects == len(listed["Versions"])
    assert usage.delete_markers == len(listed.get("DeleteMarkers", ())) == int(versioned)
    assert (len(sizes) == 2) == versioned
    tables = [amount for cell, amount in usage.cells.items() if cell.kind == "table"]
    assert sum(amount.objects for amount in tables) == (5 if versioned else 2)


def test_uploads_that_have_not_ended(tmp_path, s3):
    _, settings, store = _s3_lake(tmp_path, s3)
    begun = _client(s3).create_multipart_upload(Bucket=s3["bucket"], Key="a/lake/tables/x")
    assert read_usage(settings, store).unfinished == 1
    _client(s3).abort_multipart_upload(
        Bucket=s3["bucket"], Key="a/lake/tables/x", UploadId=begun["UploadId"]
    )
    assert read_usage(settings, store).unfinished == 0


@pytest.mark.parametrize(("status", "code"), [(403, "AccessDenied"), (501, "NotImplemented")])
def test_where_versions_can_not_be_listed(tmp_path, s3, status, code, run):
    with S3Proxy(s3["endpoint_url"]).running() as proxy:
        file, settings, store = _s3_lake(tmp_path, {**s3, "endpoint_url": proxy.url})
        export(store, settings, "events", [ago(2), ago(1)])
        proxy.pattern, proxy.fault, proxy.times = r"[?&]versions", status, 99
        usage = read_usage(settings, store)
        assert proxy.hits
        assert run("metrics", "--storage", "--config", str(file))[::2] == (
            0,
            f"note: {usage.note}\n",
        )
    listed = _client(s3).list_objects_v2(Bucket=s3["bucket"], Prefix="a/lake/")["Contents"]
    assert usage.total.bytes == sum(entry["Size"] for entry in listed)
    assert {cell.current for cell in usage.cells} == {True}
    assert "noncurrent versions are not counted" in usage.note
    assert code in usage.note


class Endless:
    """A store of as many objects as wanted, which are nowhere at the same time."""

    def __init__(self, number: int) -> None:
        self.number = number

    def versions(self, prefix: str, *, noncurrent: bool = True) -> Iterator[ObjectVersion]:
        for n in range(self.number):
            day = Day(date(2026, 1, 1) + timedelta(days=n % 50))
            at = datetime(2026, 6, 1, tzinfo=UTC)
            year, month, number = str(day).split("-")
            key = f"loki/{year}/{month}/{number}/run/chunk-{n}"
            yield ObjectVersion(
                key, n % 300_000, at, "GLACIER_IR" if n % 3 else "STANDARD", n % 7 > 0
            )

    def unfinished(self, prefix: str) -> tuple[()]:
        return ()


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_objects(tmp_path):
    _, settings, _ = lake(tmp_path, ago(8))
    read_usage(settings, Endless(2_000))
    peaks = []
    for number in (5_000, 40_000):
        tracemalloc.start()
        usage = read_usage(settings, Endless(number))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert usage.total.objects == number
        assert usage.total.bytes == sum(n % 300_000 for n in range(number))
    assert peaks[1] < peaks[0] * 1.2 + 50_000


@pytest.mark.parametrize("status", [403, 501])
def test_where_uploads_can_not_be_listed(tmp_path, s3, status, run):
    with S3Proxy(s3["endpoint_url"]).running() as proxy:
        file, settings, store = _s3_lake(tmp_path, {**s3, "endpoint_url": proxy.url})
        export(store, settings, "events", [ago(2), ago(1)])
        proxy.pattern, proxy.fault, proxy.times = r"GET .*[?&]uploads", status, 99
        code, out, err = run("metrics", "--storage", "--config", str(file))
        cost = json.loads(run("cost", "--json", "--config", str(file))[1])
        page = tmp_path / "cost.html"
        assert run("cost", "--html", str(page), "--config", str(file))[0] == 0
        assert proxy.hits
    assert code == 0
    assert "store_objects{" in out
    assert "unfinished_uploads" not in out
    assert "unfinished uploads are not counted" in err
    assert cost["usage"]["unfinished_uploads"] is None
    assert "unfinished uploads are not counted" in cost["usage"]["note"]
    listed = _client(s3).list_objects_v2(Bucket=s3["bucket"], Prefix="a/lake/")["Contents"]
    assert cost["usage"]["bytes"] == sum(entry["Size"] for entry in listed)
    assert "unfinished uploads are not counted" in page.read_text()


def test_a_page_that_is_no_listing_is_an_error():
    """A web page must not be an empty bucket."""
    store = S3Store("s3://bucket", S3Section(region="us-east-1"))
    with Stubber(store._client) as stub:
        stub.add_response("list_object_versions", {})
        with pytest.raises(Exception, match=r"S3"):
            list(store.versions(""))


def test_growth_by_the_manifests(tmp_path):
    _, settings, store = lake(tmp_path, ago(100))
    export(store, settings, "events", [ago(n) for n in (100, 95, 60, 40, 20, 3, 1)])
    export(store, settings, "lines", [ago(0)])  # today is not closed
    rows = {growth.dataset: growth for growth in growth_of(settings, store, ago(0))}
    sizes = {n: read_manifest(store, "events", ago(n)).bytes for n in (60, 40, 20, 3, 1)}
    events = rows["events"]
    assert (events.days_30, events.days_90) == (3, 5)
    assert events.bytes_per_day_30 == (sizes[20] + sizes[3] + sizes[1]) / 3
    assert events.bytes_per_day_90 == sum(sizes.values()) / 5
    assert events.rows_per_day_30 == 3
    assert (rows["lines"].days_30, rows["lines"].bytes_per_day_90) == (0, None)
