"""`lake doctor` where holds are active: whether their objects' versions can be held at S3.

Belongs here: Object Lock of the root. Does not: what a hold covers (tests/holds).
"""

from __future__ import annotations

import uuid

import boto3
import pytest
from support.doctor_checks import only_line

from lake.base.day import Day
from lake.base.errors import Refused
from lake.config.settings import load
from lake.holds.changing import add
from lake.servers.s3 import REGION
from lake.store import open_store
from lake.store.s3 import S3Store

FILE = """
[lake]
root = "s3://{bucket}/lake"
[s3]
endpoint_url = "{endpoint_url}"
region = "{region}"
[sources.mongo]
uri = "mongodb://127.0.0.1:1"
timeout_s = 0.5
database = "d"
[[dataset]]
name = "events"
source = "mongo"
collection = "events"
"""


@pytest.fixture
def client(s3):
    return boto3.client("s3", endpoint_url=s3["endpoint_url"], region_name=REGION)


@pytest.fixture
def held(s3, client, tmp_path):
    """The text of a lake.toml, and its store, with a hold; the bucket has Object Lock on."""
    bucket = f"held-{uuid.uuid4().hex[:12]}"
    client.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    text = FILE.format(**{**s3, "bucket": bucket})
    (tmp_path / "made.toml").write_text(text)
    settings = load(str(tmp_path / "made.toml"), {})
    store = open_store(settings)
    add(settings, store, ["events"], Day.parse("2026-07-05"), None, "case 17")
    return text, store


def test_where_it_can_set_them(doctor, held, client):
    text, store = held
    _, checks = doctor(text)
    assert "can get an S3 legal hold" in only_line(checks, "holds", "ok")
    versions = client.list_object_versions(Bucket=store.bucket, Prefix="lake/reports/doctor-")
    for version in versions.get("Versions", ()):  # none is locked
        client.delete_object(
            Bucket=store.bucket, Key=version["Key"], VersionId=version["VersionId"]
        )


@pytest.mark.parametrize("method", ["locks", "set_legal_holds"])
def test_where_its_credentials_may_not(doctor, held, monkeypatch, method):
    def refused(*_, **__):
        raise Refused("S3 refused a request", found="AccessDenied")

    monkeypatch.setattr(S3Store, method, refused)
    _, checks = doctor(held[0])
    line = only_line(checks, "holds", "warn")
    assert "1 hold is active, and these credentials may not set S3 legal holds" in line
    assert "the role `retention`" in line


def test_where_there_is_no_hold(doctor, s3, s3_root):
    text = FILE.format(**s3).replace(f"s3://{s3['bucket']}/lake", s3_root)
    assert "holds" not in doctor(text)[1]
