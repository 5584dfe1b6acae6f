"""Retention in a bucket with versions and Object Lock, by a server that has both."""

from __future__ import annotations

import uuid
from typing import Any

import boto3
import pytest
from support.lake_to_hold import FIRST, LAST, made

from lake.base.day import Day
from lake.config.settings import load
from lake.holds.changing import add
from lake.holds.protecting import protect
from lake.retention import apply
from lake.servers.s3 import REGION

POLICY = "[retention]\nenabled = true\ntables = 70\n"
OLD = [FIRST.plus(number) for number in range(3)]


@pytest.fixture(autouse=True)
def _today(monkeypatch):
    monkeypatch.setattr(Day, "today", classmethod(lambda cls: LAST))


@pytest.fixture
def client(s3: dict[str, str]) -> Any:
    return boto3.client("s3", endpoint_url=s3["endpoint_url"], region_name=REGION)


def test_a_deleted_object_is_a_version_that_can_be_brought_back(tmp_path, s3, client):
    bucket = f"locked-{uuid.uuid4().hex[:12]}"
    client.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    section = f'[s3]\nendpoint_url = "{s3["endpoint_url"]}"\nregion = "{REGION}"'
    place = made(tmp_path, f"s3://{bucket}", section)
    for day in OLD:
        place.export(str(day))
    place.config.write_text(place.config.read_text() + POLICY)
    settings = load(str(place.config), {})
    hold = add(settings, place.store, ["events"], OLD[1], OLD[2], "case 17")
    protect(place.store, hold)
    key = f"tables/events/day={OLD[0]}/data.parquet"
    content = place.store.read(key)
    place.source.rows[str(OLD[1])] = 5
    place.export(str(OLD[1]), force=True)  # a version that the hold does not have yet

    def later() -> Any:
        return OLD[0].plus(72).start  # OLD[2] ended 69 days before

    result = apply(
        settings, place.store, show=lambda plan: None, confirm=lambda plan: None, clock=later
    )
    assert ([item.day for item in result.deleted], result.ok) == ([OLD[0]], True)
    assert [(stay.day, stay.held) for stay in result.plan.stays] == [(str(OLD[1]), True)]
    assert place.store.stat(key) is None
    answer = client.list_object_versions(Bucket=bucket, Prefix=key)
    assert [marker["IsLatest"] for marker in answer["DeleteMarkers"]] == [True]
    (version,) = answer["Versions"]
    kept = client.get_object(Bucket=bucket, Key=key, VersionId=version["VersionId"])
    assert kept["Body"].read() == content
    held = f"tables/events/day={OLD[1]}/data.parquet"
    statuses = [
        client.get_object_legal_hold(Bucket=bucket, Key=held, VersionId=version["VersionId"])[
            "LegalHold"
        ]["Status"]
        for version in client.list_object_versions(Bucket=bucket, Prefix=held)["Versions"]
    ]
    assert statuses == ["ON", "ON"]
