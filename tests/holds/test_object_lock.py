"""S3 legal holds on every version, by a server that has Object Lock."""

from __future__ import annotations

import uuid
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from support.lake_to_hold import Place, made

from lake.base.day import Day
from lake.holds.changing import add, release
from lake.holds.protecting import protect, unprotect
from lake.servers.s3 import REGION

DAY, NEXT = Day.parse("2026-07-05"), Day.parse("2026-07-06")


@pytest.fixture
def client(s3: dict[str, str]) -> Any:
    return boto3.client("s3", endpoint_url=s3["endpoint_url"], region_name=REGION)


@pytest.fixture
def locked(tmp_path, s3, client) -> Place:
    """A lake in a bucket with Object Lock on."""
    bucket = f"locked-{uuid.uuid4().hex[:12]}"
    client.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    section = f'[s3]\nendpoint_url = "{s3["endpoint_url"]}"\nregion = "{REGION}"'
    return made(tmp_path, f"s3://{bucket}/some/prefix", section)


def statuses(client: Any, bucket: str, key: str) -> list[str]:
    """As S3 itself has them, one a version."""
    states = []
    for version in client.list_object_versions(Bucket=bucket, Prefix=key).get("Versions", ()):
        try:
            answer = client.get_object_legal_hold(
                Bucket=bucket, Key=version["Key"], VersionId=version["VersionId"]
            )
            states.append(answer["LegalHold"]["Status"])
        except ClientError:  # none was ever set
            states.append("OFF")
    return states


def test_every_version_of_a_held_day_is_held_and_no_other(locked, client):
    bucket = locked.store.bucket
    locked.export(str(DAY))
    locked.export(str(NEXT))
    locked.source.rows[str(DAY)] = 4
    locked.export(str(DAY), force=True)  # a second version
    table = f"some/prefix/tables/events/day={DAY}/data.parquet"
    manifest = f"some/prefix/manifests/events/{DAY}.json"
    first = add(locked.settings, locked.store, ["events"], DAY, NEXT, "case 17", hold_id="one")
    protected = protect(locked.store, first)
    assert protected.supported
    assert statuses(client, bucket, table) == ["ON", "ON"]
    assert statuses(client, bucket, manifest) == ["ON", "ON"]
    assert set(statuses(client, bucket, f"some/prefix/manifests/events/{NEXT}.json")) == {"OFF"}
    version = client.list_object_versions(Bucket=bucket, Prefix=table)["Versions"][0]
    with pytest.raises(ClientError):
        client.delete_object(Bucket=bucket, Key=table, VersionId=version["VersionId"])
    # A second hold of the same day: the release of the first lifts nothing.
    second = add(locked.settings, locked.store, ["*"], DAY, None, "case 18", hold_id="two")
    protect(locked.store, second)
    assert set(statuses(client, bucket, f"some/prefix/manifests/events/{NEXT}.json")) == {"ON"}
    release(locked.store, "one", "closed")
    assert unprotect(locked.store, first).versions == 0
    assert statuses(client, bucket, table) == ["ON", "ON"]
    release(locked.store, "two", "closed")
    assert unprotect(locked.store, second).versions > protected.versions  # of more days
    assert statuses(client, bucket, table) == ["OFF", "OFF"]
    client.delete_object(Bucket=bucket, Key=table, VersionId=version["VersionId"])
    assert len(statuses(client, bucket, table)) == 1


def test_a_bucket_without_object_lock_is_reported(tmp_path, s3):
    section = f'[s3]\nendpoint_url = "{s3["endpoint_url"]}"\nregion = "{REGION}"'
    place = made(tmp_path, f"s3://{s3['bucket']}", section)
    place.export(str(DAY))
    added = add(place.settings, place.store, ["events"], DAY, NEXT, "case 17")
    assert protect(place.store, added).to_json() == {"object_lock": False, "versions": 0}
