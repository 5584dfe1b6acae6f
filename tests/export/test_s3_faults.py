"""S3 fails, hangs up or swallows its answers in the middle of an export."""

from __future__ import annotations

import types
from datetime import timedelta

import boto3
import pytest
from support.killed import DAY, KEY, MANIFEST, PART, Plain, Run
from support.s3_proxy import S3Proxy

from lake.base.errors import TransientError
from lake.partition.ledger import read_manifest
from lake.repair import find_orphans, repair
from lake.store import open_store

OLD, NEW = 100, 720
REQUESTS = {
    "begin": r"POST .*data\.parquet\?uploads",
    "first part": r"PUT .*partNumber=1\b",
    "last part": r"PUT .*partNumber=2\b",
    "pending": r"PUT .*\.next",
    "complete": r"POST .*data\.parquet\?uploadId",
    "manifest": r"PUT .*manifests.*\.json",
    "tidy up": r"DELETE .*\.next",
}


@pytest.fixture
def proxy(s3):
    with S3Proxy(s3["endpoint_url"]).running() as running:
        yield running


@pytest.fixture
def run(s3, s3_root, proxy, tmp_path, monkeypatch):
    """An export of NEW rows through the proxy, over one of OLD rows."""
    monkeypatch.setattr("lake.store.s3_upload.PART_BYTES", PART)
    waiting = types.SimpleNamespace(sleep=lambda seconds: None)
    monkeypatch.setattr("botocore.endpoint.time", waiting)  # retries need not wait here
    Run(s3_root, s3["endpoint_url"], OLD).export(tmp_path)
    return Run(s3_root, proxy.url, NEW)


@pytest.fixture
def store(run, s3, tmp_path):
    """Past the proxy."""
    return open_store(Run(run.root, s3["endpoint_url"], 0).settings(tmp_path))


@pytest.mark.parametrize("fault", [500, "lost"])
@pytest.mark.parametrize("request_", REQUESTS)
def test_a_fault_that_passes_is_not_noticed(run, store, proxy, tmp_path, request_, fault):
    proxy.pattern, proxy.fault, proxy.times = REQUESTS[request_], fault, 1
    assert run.export(tmp_path) == "rewritten"
    assert proxy.hits == 1
    assert Plain.of(store).agrees
    assert Plain.of(store).manifest["rows"] == NEW
    assert {stat.key for stat in store.list("")} == {KEY, MANIFEST}
    # An upload whose very beginning was not answered has no name to abort it by.
    assert len(store.unfinished("")) == ((request_, fault) == ("begin", "lost"))


@pytest.mark.parametrize("fault", [503, "cut"])
@pytest.mark.parametrize("request_", REQUESTS)
def test_a_fault_that_stays_leaves_the_old_or_the_new(
    run, store, s3, proxy, tmp_path, request_, fault
):
    proxy.pattern, proxy.fault, proxy.times = REQUESTS[request_], fault, 99
    if request_ == "tidy up":
        assert run.export(tmp_path) == "rewritten"
    else:
        with pytest.raises(TransientError):
            run.export(tmp_path)
    proxy.times = 0
    replaced = request_ in ("manifest", "tidy up")
    assert Plain.of(store).agrees is (request_ != "manifest")
    assert read_manifest(store, "events", DAY).rows == (NEW if replaced else OLD)
    assert store.unfinished("") == ()
    state = Run(run.root, s3["endpoint_url"], NEW, force=not replaced).export(tmp_path)
    assert state == ("skipped" if replaced else "rewritten")
    assert Plain.of(store).agrees
    assert Plain.of(store).manifest["rows"] == NEW


def test_an_open_upload_is_found_when_it_is_old(run, store, s3, tmp_path, monkeypatch):
    client = boto3.client("s3", endpoint_url=s3["endpoint_url"], region_name=s3["region"])
    client.create_multipart_upload(Bucket=s3["bucket"], Key=KEY)
    client.create_multipart_upload(Bucket=s3["bucket"], Key="mongo/2026/07/05/dump.archive")
    settings = run.settings(tmp_path)
    assert find_orphans(settings, store) == []  # it may still go on
    monkeypatch.setattr("lake.repair._UPLOAD_AGE", timedelta(0))
    assert [(orphan.kind, orphan.state) for orphan in find_orphans(settings, store)] == [
        ("upload", "left")
    ]


def test_an_upload_of_unknown_age_stays(run, store, s3, proxy, tmp_path, monkeypatch):
    """SeaweedFS before 4.48 does not say when an upload began."""
    client = boto3.client("s3", endpoint_url=s3["endpoint_url"], region_name=s3["region"])
    client.create_multipart_upload(Bucket=s3["bucket"], Key=KEY)
    monkeypatch.setattr("lake.repair._UPLOAD_AGE", timedelta(0))
    proxy.without = rb"<Initiated>[^<]*</Initiated>"
    settings = run.settings(tmp_path)
    (orphan,) = repair(settings, open_store(settings))
    assert (orphan.kind, orphan.state) == ("upload", "kept")
    assert "does not say when it began" in orphan.why
    proxy.without = rb"$^"
    (orphan,) = repair(settings, open_store(settings))
    assert (orphan.kind, orphan.state) == ("upload", "removed")
    assert store.unfinished("") == ()


@pytest.mark.parametrize("status", [403, 501])
def test_what_is_not_listed_stops_nothing(run, store, s3, proxy, tmp_path, caplog, status):
    store.write(f"tables/gone/day={DAY}/data.parquet", b"no manifest has this")
    proxy.pattern, proxy.fault, proxy.times = r"GET .*[?&]uploads", status, 99
    settings = run.settings(tmp_path)
    (orphan,) = find_orphans(settings, open_store(settings))
    assert orphan.kind == "object"
    assert proxy.hits
    assert "unfinished uploads are not listed" in caplog.text
