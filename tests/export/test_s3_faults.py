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
from lake.repair import find_orphans
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
