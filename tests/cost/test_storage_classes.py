"""Storage classes, which the tests' S3 server does not keep: with moto."""

from __future__ import annotations

import boto3
import pytest
from moto import mock_aws
from support.ledger_days import ago, lake

from lake.config.settings import load
from lake.cost.usage import read_usage
from lake.store import open_store

BUCKET = "a-bucket-of-classes"


@pytest.fixture
def client(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        opened = boto3.client("s3")
        opened.create_bucket(Bucket=BUCKET)
        opened.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        yield opened


def test_each_version_in_its_class(tmp_path, client):
    file, _, _ = lake(tmp_path, ago(8), '[s3]\nregion = "us-east-1"\n')
    file.write_text(file.read_text().replace('root = "lake"', f'root = "s3://{BUCKET}/x"'))
    settings = load(str(file), {})
    key = "x/mongo/2026/07/01/run/a.bin"
    put = [
        (key, 1000, "STANDARD"), (key, 200_000, "GLACIER_IR"), (key, 300_000, "GLACIER_IR"),
        ("x/tables/events/day=2026-07-01/data.parquet", 400_000, "STANDARD_IA"),
        ("x/manifests/events/2026-07-01.json", 10, "STANDARD"),
        ("beside/x", 999, "DEEP_ARCHIVE"),
    ]  # fmt: skip
    for name, size, storage_class in put:
        client.put_object(Bucket=BUCKET, Key=name, Body=b"x" * size, StorageClass=storage_class)
    client.delete_object(Bucket=BUCKET, Key="x/manifests/events/2026-07-01.json")
    usage = read_usage(settings, open_store(settings))
    sizes = {
        (cell.kind, cell.storage_class, cell.current): (amount.objects, amount.bytes)
        for cell, amount in usage.cells.items()
    }
    assert sizes == {
        ("snapshot", "STANDARD", False): (1, 1000),
        ("snapshot", "GLACIER_IR", False): (1, 200_000),
        ("snapshot", "GLACIER_IR", True): (1, 300_000),
        ("table", "STANDARD_IA", True): (1, 400_000),
        ("manifest", "STANDARD", False): (1, 10),
    }
    assert usage.delete_markers == 1
